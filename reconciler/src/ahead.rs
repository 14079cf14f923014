//! Rows that were written while the clock was ahead, and are due when it gets there: in hours, or in years.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_ledger::{Deadline, IndexKey, Ledger, Moved, chain};
use daybook_schema::{EventId, Row, Status};

/// Rows that are read and brought forward together.
const CHUNK: usize = 500;

/// Clocks of one machine's processes differ by less, and so does one clock that is corrected as usual.
const SLACK: Duration = Duration::from_secs(60);

/// No event is put off for so long: 7 days are the longest backoff.
const NEVER: Duration = Duration::from_secs(8 * 24 * 3600);

/// What was done about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BroughtForward {
    /// Rows that are due now.
    pub rows: u32,
    /// What went wrong, each cause once.
    pub failures: Vec<String>,
}

impl BroughtForward {
    fn failure(&mut self, cause: impl ToString) {
        let cause = cause.to_string();
        if !self.failures.contains(&cause) {
            self.failures.push(cause);
        }
    }
}

/// Makes PENDING rows due now that a wrong clock put off: those that were recorded later than now and are due no earlier than that,
/// and those that are due in more than 8 days. One that was recorded later than now and is due before that was put off by a right
/// clock since, as after a failure: it waits. Reads all PENDING rows that are not due yet, so it is for whoever knows that the clock
/// was set back, or does not know what it was before. One read unit for each, three write units for each that is brought forward.
pub async fn bring_forward(ledger: &Ledger, deadline: Deadline) -> BroughtForward {
    let mut done = BroughtForward::default();
    let now = ledger.clock().now();
    let mut waiting = ledger.due_after(Status::Pending, now.plus(SLACK), CHUNK);
    while !deadline.is_over(ledger.clock()) {
        let keys = waiting.next(CHUNK).await;
        if keys.is_empty() {
            break;
        }
        let ids: Vec<EventId> = keys.iter().map(|key| key.id).collect();
        let mut early = BTreeSet::new();
        let is_early = |row: &Row| row.recorded_at > now.plus(SLACK) && row.due_at >= row.recorded_at;
        for row in ledger.get_many(&ids).await {
            match row {
                Ok(row) if is_early(&row) => drop(early.insert(row.id)),
                Ok(_) => {}
                Err(error) => done.failure(chain(&error)),
            }
        }
        let is_wrong = |key: &IndexKey| early.contains(&key.id) || key.due_at > now.plus(NEVER);
        let wrong: Vec<IndexKey> = keys.into_iter().filter(is_wrong).collect();
        for outcome in ledger.bring_forward(&wrong, deadline).await {
            match outcome {
                Moved::Moved => done.rows += 1,
                Moved::Stale => {}
                Moved::Left(cause) => done.failure(cause),
            }
        }
    }
    for cause in waiting.failures() {
        done.failure(cause);
    }
    done
}
