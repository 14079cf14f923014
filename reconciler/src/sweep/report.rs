//! What a sweep did.

use daybook_ledger::{Cause, Moved, Refusal, Window};
use daybook_manager::NO_ANSWER;
use serde::Serialize;

/// What one sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct SweepReport {
    /// Rows whose leases had run out, as far as this run looked.
    pub stale: u32,
    /// Of these, rows that a newer release wrote. They stay as they are and hide no other row.
    pub newer: u32,
    /// Whether there may be more.
    pub more: bool,
    /// Rows with new leases, because their executions run.
    pub renewed: u32,
    /// Rows deleted, because receipts cover them.
    pub deleted: u32,
    /// Rows with longer leases, because the queue holds as many messages.
    pub moved: u32,
    /// Rows that the queue has once more.
    pub redelivered: u32,
    /// Redeliveries taken back, because the queue certainly did not take them.
    pub unsent: u32,
    /// Rows left for the next sweep: no budget, paused, out of time, or it is not known whether their executions run.
    pub left: u32,
    /// Rows of which a write or send is unknown.
    pub unknown: u32,
    /// Whether the list of running executions could not be read to its end. Rows that are not on it were asked for one by one.
    pub incomplete: bool,
    /// Whether rows may have been left because the deadline neared.
    pub out_of_time: bool,
    /// Why nothing, or not more, was redelivered.
    pub refusal: Option<Refusal>,
    /// What went wrong, each cause once.
    pub failures: Vec<Cause>,
}

/// A sweep's report beside its window.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct SweepOutput<'a> {
    #[serde(flatten)]
    window: Window,
    #[serde(flatten)]
    report: &'a SweepReport,
}

impl SweepReport {
    /// The report as it is shown, the same from the function and from the command line. The window is the first one whose budget
    /// it had.
    pub fn of(&self, window: Window) -> SweepOutput<'_> {
        SweepOutput { window, report: self }
    }

    pub(super) fn failure(&mut self, cause: impl Into<Cause>) {
        let cause = cause.into();
        if !self.failures.contains(&cause) {
            self.failures.push(cause);
        }
    }

    /// The deadline came before an answer.
    pub(super) fn no_answer(&mut self) {
        self.out_of_time = true;
        self.failure(NO_ANSWER);
    }

    pub(super) fn leave(&mut self, rows: usize) {
        self.left = self.left.saturating_add(u32::try_from(rows).unwrap_or(u32::MAX));
    }

    /// How many leases are new; the others are counted as what they are.
    pub(super) fn leases(&mut self, moved: Vec<Moved>) -> u32 {
        let mut done = 0;
        for outcome in moved {
            match outcome {
                Moved::Moved => done += 1,
                Moved::Stale => {}
                Moved::Left(cause) => {
                    self.left += 1;
                    self.failure(cause);
                }
            }
        }
        done
    }

    /// Whether any row is not stale any more.
    pub(super) fn has_progress(&self) -> bool {
        self.renewed + self.deleted + self.moved + self.redelivered > 0
    }

    /// Both as one: what was left before was looked at once more.
    pub(super) fn followed_by(mut self, next: Self) -> Self {
        // What was left, and what a newer release wrote, is seen again.
        self.stale += next.stale.saturating_sub(self.left + self.newer);
        self.newer = self.newer.max(next.newer);
        self.more = next.more;
        self.renewed += next.renewed;
        self.deleted += next.deleted;
        self.moved += next.moved;
        self.redelivered += next.redelivered;
        self.unsent += next.unsent;
        // One that the deadline ended before it saw a row says nothing of them.
        if next.stale > 0 || !next.out_of_time {
            self.left = next.left;
        }
        self.unknown += next.unknown;
        self.incomplete |= next.incomplete;
        self.out_of_time |= next.out_of_time;
        self.refusal = next.refusal;
        for cause in next.failures {
            self.failure(cause);
        }
        self
    }
}
