//! What all requests share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use daybook_inspect::operate::log::Entry;

use crate::look::Looks;
use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::source::Deployment;
use crate::task::Tasks;

/// So many of what people did are kept where the deployment keeps no log.
const NOTED: usize = 50;

/// What all requests share.
pub struct State {
    pub settings: Settings,
    pub snapshots: Arc<Snapshots>,
    pub tasks: Tasks,
    pub looks: Arc<Looks>,
    noted: Mutex<VecDeque<Entry>>,
}

impl State {
    pub fn new(snapshots: Arc<Snapshots>, settings: Settings) -> Self {
        Self {
            settings,
            snapshots,
            tasks: Tasks::default(),
            looks: Arc::default(),
            noted: Mutex::default(),
        }
    }

    /// The deployment.
    pub async fn open(&self) -> Result<Arc<dyn Deployment>, String> {
        self.snapshots.open().await
    }

    /// Something was changed: what was known before is not shown any more.
    pub async fn forget(&self) {
        self.looks.forget();
        self.snapshots.forget().await;
    }

    /// Keeps what a person did, who, why, and how it ended: in the deployment's log, or in this process where there is none. What is done is
    /// done, whether or not it can be kept.
    pub fn keep(&self, deployment: &dyn Deployment, what: &str, (by, why): (&str, Option<&str>), how: &str) {
        let now = deployment.parts().ledger.clock().now();
        let begun = Entry {
            in_console: true,
            ..Entry::begin(now, std::process::id(), what, (by, why))
        };
        let entry = begun.ended(now, how);
        match deployment.log() {
            Some(log) => {
                if let Err(error) = log.write(&entry) {
                    tracing::warn!(%error, "the log of what people did cannot be written");
                }
            }
            None => {
                let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
                noted.push_front(entry);
                noted.truncate(NOTED);
            }
        }
    }

    /// What is kept in this process, the newest first.
    pub fn noted(&self) -> Vec<Entry> {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.iter().cloned().collect()
    }
}
