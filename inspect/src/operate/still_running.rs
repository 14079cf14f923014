//! Executions of events that were cancelled: they are stopped, and those that may go on are kept for whoever is to know.

use daybook_ledger::Cause;
use daybook_manager::Executions;
use daybook_schema::Row;
use futures::future::join_all;

use crate::operate::action::Applied;

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
}
