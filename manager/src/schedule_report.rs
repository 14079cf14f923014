//! What a run of the scheduler did.

use daybook_ledger::{Cause, IndexKey, Pause, Refusal, Window};
use daybook_schema::Timestamp;
use serde::Serialize;

/// What one run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ScheduleReport {
    /// The window that it ran for.
    #[serde(flatten)]
    pub window: Window,
    /// How many rows it was allowed to claim.
    pub granted: u32,
    /// Rows claimed.
    pub claimed: u32,
    /// Claims lost to another run, or to an index behind its table.
    pub lost: u32,
    /// Due rows that a newer release wrote, as far as this run looked. They stay as they are, use up nothing, and hide no
    /// other row.
    pub newer: u32,
    /// Messages that the queue has.
    pub sent: u32,
    /// Rows given back, because the queue certainly did not take their messages.
    pub released: u32,
    /// Rows that stay claimed although their claim, send or release is unknown: their leases bring them back.
    pub unknown: u32,
    /// For how long the oldest due row had been due when the run began, 0 if none was; `None` when that is not known. Rows of a
    /// newer release are not asked.
    #[serde(skip)]
    pub oldest_due_seconds: Option<u64>,
    /// Whether rows that are due were left to the next run, as far as this one looked.
    #[serde(skip)]
    pub left_behind: bool,
    /// Whether rows may have been left because the deadline neared.
    pub out_of_time: bool,
    /// Why nothing, or not more, was granted.
    pub refusal: Option<Refusal>,
    /// What went wrong, each cause once.
    pub failures: Vec<Cause>,
}

impl ScheduleReport {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            granted: 0,
            claimed: 0,
            lost: 0,
            newer: 0,
            sent: 0,
            released: 0,
            unknown: 0,
            oldest_due_seconds: None,
            left_behind: false,
            out_of_time: false,
            refusal: None,
            failures: Vec::new(),
        }
    }

    /// The pause that kept this run from claiming.
    pub fn paused(&self) -> Option<&Pause> {
        match &self.refusal {
            Some(Refusal::Paused(pause)) => Some(pause),
            _ => None,
        }
    }

    /// With a shard unread, an older row may be in it.
    pub(crate) fn see_oldest(&mut self, first: &[IndexKey], failures: &[Cause], now: Timestamp) {
        let seconds = first
            .first()
            .map_or(0, |oldest| now.since(oldest.due_at).as_secs());
        self.oldest_due_seconds = Some(seconds).filter(|_| failures.is_empty());
    }

    pub(crate) fn failure(&mut self, cause: impl Into<Cause>) {
        let cause = cause.into();
        if !self.failures.contains(&cause) {
            self.failures.push(cause);
        }
    }

    pub(crate) fn add(&mut self, other: ScheduleReport) {
        self.claimed += other.claimed;
        self.lost += other.lost;
        self.newer += other.newer;
        self.sent += other.sent;
        self.released += other.released;
        self.unknown += other.unknown;
        self.out_of_time |= other.out_of_time;
        for cause in other.failures {
            self.failure(cause);
        }
    }
}
