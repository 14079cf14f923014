//! The parts of a deployment that can be asked.

use std::collections::BTreeMap;
use std::path::Path;

use daybook_ledger::Ledger;
use daybook_manager::{DispatchQueue, Executions};
use daybook_schema::{EventId, Row, SourceName, Status, Timestamp};
use serde::{Deserialize, Serialize};

use crate::activity::{self, Activity};

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
    /// What such a process did lately, and what it runs if it is that one; `None` where none has written it.
    pub activity: Option<&'a Activity>,
    /// What that process says is wrong with itself: its ledger takes no writes, or does not answer.
    pub trouble: Option<&'a str>,
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
    /// How many runs there are at once.
    pub at_once: u32,
    /// How many events one run has at most.
    #[serde(default = "one")]
    pub batch: u32,
    /// How many events may be in flight; `None` where the process did not say.
    #[serde(default)]
    pub most_in_flight: Option<u32>,
}

fn one() -> u32 {
    1
}

impl Workers {
    /// How many events run at most.
    pub fn events_at_once(self) -> u32 {
        let events = self.at_once.saturating_mul(self.batch.max(1));
        events.min(self.most_in_flight.unwrap_or(u32::MAX))
    }
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

    /// What a process of this machine runs; `None` where that is not known.
    pub fn runs(&self) -> Option<Runs<'_>> {
        self.folder.and_then(LocalFolder::runs)
    }

    /// What is known of the `daybook up` that runs its pipeline; `None` on AWS.
    pub fn up(&self) -> Option<UpState> {
        self.folder.map(LocalFolder::up)
    }
}

impl<'a> LocalFolder<'a> {
    /// What is known of its `daybook up`.
    pub fn up(self) -> UpState {
        match self.running {
            None => UpState::NotRunning,
            Some(running) => running.workers.map_or(UpState::Collecting, UpState::Working),
        }
    }

    /// What its `daybook up` runs now. `None` where none runs, or has not said.
    pub fn runs(self) -> Option<Runs<'a>> {
        let activity = self.activity?;
        let is_its_own = self.running.is_some_and(|running| running.pid == activity.pid);
        is_its_own.then_some(Runs {
            running: &activity.running,
            pid: activity.pid,
        })
    }
}

/// What a process of this machine runs, as it said within the last second or two.
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a> {
    /// By event.
    pub running: &'a BTreeMap<EventId, activity::Running>,
    /// The process.
    pub pid: u32,
}

impl Runs<'_> {
    /// Since when that row's target runs there, and in which process, if it does.
    pub fn of(&self, row: &Row) -> Option<(Timestamp, u32)> {
        let run = self.running.get(&row.id)?;
        let is_its_own = row.status == Status::Claimed && run.attempt == row.attempt;
        is_its_own.then_some((run.since, self.pid))
    }
}
