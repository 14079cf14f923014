//! Executions of events that were cancelled: they are stopped, and those that may go on are kept for whoever is to know.

use daybook_ledger::Cause;
use daybook_manager::Executions;
use daybook_schema::Row;
use futures::future::join_all;

use crate::operate::action::Applied;
use crate::wording::escape::escaped;

/// How many executions are told one by one.
const TOLD: usize = 5;

/// What may go on.
#[derive(Debug, Default)]
pub struct StillRunning {
    /// Executions that could not be stopped, and why.
    pub executions: Vec<(String, Cause)>,
    /// Events in batches, whose executions are left alone.
    pub in_batches: usize,
}

/// Stops the executions of those rows that were cancelled. One that has not started, or ended, is stopped.
pub async fn stop(executions: &Executions, rows: &[Row], outcomes: &[Applied]) -> StillRunning {
    let is_done = |outcome: &Applied| matches!(outcome, Applied::Done(_));
    let cancelled = rows.iter().zip(outcomes).filter(|(_, outcome)| is_done(outcome));
    let (in_batches, single): (Vec<&Row>, Vec<&Row>) =
        cancelled.map(|(row, _)| row).partition(|row| row.batch.is_some());
    let stops = single
        .into_iter()
        .map(|row| executions.stop(row.run_name(), "cancelled by a person"));
    let stopped = join_all(stops).await;
    StillRunning {
        executions: stopped.into_iter().filter_map(Result::err).collect(),
        in_batches: in_batches.len(),
    }
}

impl StillRunning {
    /// And these.
    pub fn add(&mut self, other: Self) {
        self.executions.extend(other.executions);
        self.in_batches += other.in_batches;
    }

    /// What may go on, and what to do, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let told = self.executions.iter().take(TOLD).map(|(arn, cause)| {
            format!(
                "an execution may still run: {}; `aws stepfunctions stop-execution --execution-arn {arn}` stops it, with the \
                 permission states:StopExecution",
                escaped(cause.words())
            )
        });
        let mut notes: Vec<String> = told.collect();
        if let Some(more) = self.executions.len().checked_sub(TOLD + 1) {
            notes.push(format!("and {} more executions may still run", more + 1));
        }
        if self.in_batches > 0 {
            notes.push(format!(
                "{} of them were in batches, whose executions go on: an event that succeeds there is done",
                self.in_batches
            ));
        }
        notes
    }
}
