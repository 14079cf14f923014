//! What one run of a relay did.

use daybook_ledger::Cause;
use serde::Serialize;

/// How many causes a report keeps: a relay may run for years.
const CAUSES: usize = 20;

/// What one run did. Each message that was received is in `sent`, `not_sent` or `unknown`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct RelayReport {
    /// Messages taken from the source, at most N.
    pub received: u32,
    /// Messages that the target has.
    pub sent: u32,
    /// Messages that the target certainly does not have. They come again after their visibility timeout.
    pub not_sent: u32,
    /// Messages that the target may have. They come again: what the target has by then it gets twice, unless it is FIFO.
    pub unknown: u32,
    /// Messages that the target has and whose deletion is not confirmed: they may come again, and be sent twice.
    pub not_deleted: u32,
    /// Whether the run ended because a poll found nothing.
    pub empty: bool,
    /// Whether the run ended because its time was up.
    pub out_of_time: bool,
    /// What went wrong, each cause once, the first 20.
    pub failures: Vec<Cause>,
}

impl RelayReport {
    /// Adds what a later run did; whether it ended empty or out of time is the later run's.
    pub fn add(&mut self, later: Self) {
        self.received += later.received;
        self.sent += later.sent;
        self.not_sent += later.not_sent;
        self.unknown += later.unknown;
        self.not_deleted += later.not_deleted;
        self.empty = later.empty;
        self.out_of_time = later.out_of_time;
        for cause in later.failures {
            self.fail(cause);
        }
    }

    pub(super) fn fail(&mut self, cause: Cause) {
        if self.failures.len() < CAUSES && !self.failures.contains(&cause) {
            self.failures.push(cause);
        }
    }
}
