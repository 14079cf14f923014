//! The parts of a deployment that can be asked.

use std::path::Path;

use daybook_ledger::Ledger;
use daybook_manager::{DispatchQueue, Executions};
use daybook_schema::SourceName;
use serde::{Deserialize, Serialize};

/// A deployment, as far as it can be asked.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// The dispatch queue, where one can be asked.
    pub queue: Option<&'a DispatchQueue>,
    /// The executions, where there is a state machine.
    pub executions: Option<&'a Executions>,
    /// Where its events come from, unless a person says otherwise.
    pub source: SourceName,
    /// The folder that it is in; `None` on AWS.
    pub folder: Option<LocalFolder<'a>>,
}

/// A folder of this machine.
#[derive(Clone, Copy, Debug)]
pub struct LocalFolder<'a> {
    /// The folder.
    pub path: &'a Path,
    /// The process that runs its pipeline, if one does.
    pub running: Option<&'a Running>,
}

/// The process that runs a folder's pipeline, as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Where it listens, such as `http://127.0.0.1:9480`.
    pub url: String,
    /// What works on events in it; `None` where it only collects them.
    pub workers: Option<Workers>,
}

/// What works on events in a process, where it has a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workers {
    /// How many events it works on at once.
    pub at_once: u32,
}

/// What is known of a `daybook up` for a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpState {
    /// None runs.
    NotRunning,
    /// One runs that has no target: it records events, and sends none.
    Collecting,
    /// One runs, and works on events.
    Working(Workers),
}

impl Parts<'_> {
    /// Whether it is a folder of this machine.
    pub fn is_local(&self) -> bool {
        self.folder.is_some()
    }

    /// What is known of the `daybook up` that runs its pipeline; `None` on AWS.
    pub fn up(&self) -> Option<UpState> {
        self.folder.map(|folder| match folder.running {
            None => UpState::NotRunning,
            Some(running) => running.workers.map_or(UpState::Collecting, UpState::Working),
        })
    }
}
