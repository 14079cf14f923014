//! What a worker reports of itself at its end.

use std::time::Duration;

use serde::Serialize;

use super::worked::Worked;

/// How long a shutdown waits, after its runs were stopped, for their rows to be put back.
pub(super) const TIME_TO_PUT_BACK: Duration = Duration::from_secs(10);

/// What a worker did from its start to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct WorkerReport {
    /// Messages received: each is for one event, or for a batch.
    pub received: u64,
    /// Events completed.
    pub completed: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Events that the target put off.
    pub later: u64,
    /// Events of messages that had nothing to say of them any more: their rows had gone on or were another worker's.
    pub dropped: u64,
    /// Events returned to the queue, because the ledger did not answer or the worker shut down.
    pub returned: u64,
    /// Events whose runs were stopped, because their leases were lost.
    pub lost: u64,
    /// Events put back, no attempt used: the shutdown stopped their runs, or they could not be run together with others.
    pub stopped: u64,
    /// Runs that the shutdown could neither end nor put back in time: their leases bring them back.
    pub abandoned: u64,
}

impl WorkerReport {
    pub(super) fn count_each(&mut self, worked: impl IntoIterator<Item = Worked>) {
        worked.into_iter().for_each(|worked| self.count(&worked));
    }

    /// Of how many events it is known what came of them.
    pub(super) fn ended(&self) -> u64 {
        let Self {
            received: _,
            completed,
            failed,
            later,
            dropped,
            returned,
            lost,
            stopped,
            abandoned: _,
        } = self;
        completed + failed + later + dropped + returned + lost + stopped
    }

    fn count(&mut self, worked: &Worked) {
        let counter = match worked {
            Worked::Completed => &mut self.completed,
            Worked::Failed(_) => &mut self.failed,
            Worked::Later(_) => &mut self.later,
            Worked::Dropped => &mut self.dropped,
            Worked::Returned(_) => &mut self.returned,
            Worked::LeaseLost(_) => &mut self.lost,
            Worked::Stopped => &mut self.stopped,
        };
        *counter += 1;
    }
}
