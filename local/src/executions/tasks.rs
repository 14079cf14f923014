//! The tasks of executions that run.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::task::AbortHandle;

/// What runs, by execution. Dropping it stops everything.
#[derive(Default)]
pub(super) struct Tasks {
    pub(super) running: Mutex<BTreeMap<usize, AbortHandle>>,
}

impl Tasks {
    /// Stops the execution's task, if it has one that runs.
    pub(super) fn abort(&self, index: usize) {
        if let Some(task) = self.take(index) {
            task.abort();
        }
    }

    pub(super) fn take(&self, index: usize) -> Option<AbortHandle> {
        self.running
            .lock()
            .expect("no code panics while it holds the tasks")
            .remove(&index)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        if let Ok(running) = self.running.get_mut() {
            running.values().for_each(AbortHandle::abort);
        }
    }
}
