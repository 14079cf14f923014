//! What became of notifications, from files or from a queue.

use daybook_ledger::{Cause, Recorded};
use daybook_manager::Ingested;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ui::output;
use crate::ui::output::{Line, Output};

/// Causes that are listed at most.
const CAUSES: usize = 5;

/// What came of the notifications.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct IngestOutput {
    /// Notifications read.
    pub notifications: u64,
    /// Events that are new: rows in the ledger now.
    pub recorded: u64,
    /// Events that were in the ledger, or came twice.
    pub already_there: u64,
    /// Events that a receipt covers.
    pub done_before: u64,
    /// Parts kept as PARKED rows.
    pub unreadable: u64,
    /// `s3:TestEvent`: nothing to record.
    pub test_events: u64,
    /// Events that may not be in the ledger.
    pub not_safe: u64,
    /// Why, each cause once.
    pub failures: Vec<Cause>,
}

impl IngestOutput {
    /// Counts one notification.
    pub fn add(&mut self, ingested: &Ingested) {
        self.notifications += 1;
        self.test_events += ingested.test_events as u64;
        let events = ingested.rows.len() - ingested.unreadable;
        for (position, row) in ingested.rows.iter().enumerate() {
            let counter = match row {
                Recorded::Recorded if position >= events => &mut self.unreadable,
                Recorded::Recorded => &mut self.recorded,
                Recorded::AlreadyThere => &mut self.already_there,
                Recorded::Covered => &mut self.done_before,
                Recorded::Rejected(cause) | Recorded::Throttled(cause) | Recorded::Unknown(cause) => {
                    if !self.failures.contains(cause) && self.failures.len() < CAUSES {
                        self.failures.push(cause.clone());
                    }
                    &mut self.not_safe
                }
            };
            *counter += 1;
        }
    }

    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.notifications += other.notifications;
        self.recorded += other.recorded;
        self.already_there += other.already_there;
        self.done_before += other.done_before;
        self.unreadable += other.unreadable;
        self.test_events += other.test_events;
        self.not_safe += other.not_safe;
        for cause in other.failures {
            if !self.failures.contains(&cause) && self.failures.len() < CAUSES {
                self.failures.push(cause);
            }
        }
        self
    }

    /// Prints it.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn print(&self, output: Output) -> anyhow::Result<()> {
        let count = |n: u64| n.to_string();
        let lines: Vec<Line> = vec![
            ("notifications", count(self.notifications), "read"),
            (
                "recorded",
                count(self.recorded),
                "events that are new: rows in the ledger now",
            ),
            (
                "already there",
                count(self.already_there),
                "events that were in the ledger, or came twice",
            ),
            (
                "done before",
                count(self.done_before),
                "events that a receipt covers",
            ),
            (
                "unreadable",
                count(self.unreadable),
                "parts kept as PARKED rows, for a person to see",
            ),
            (
                "test events",
                count(self.test_events),
                "s3:TestEvent: nothing to record",
            ),
            (
                "not safe",
                count(self.not_safe),
                "may not be in the ledger: files are given again, messages come again",
            ),
        ];
        output::print(output, &lines, self)
    }
}
