//! Due rows that a run of the scheduler has read and left to the next one.
//!
//! With them a run claims the oldest rows without a look through the index, which is one request per shard. What has happened to a row
//! meanwhile is found by its claim, as with any row of the index. Rows that came due meanwhile have later due times than those which were
//! read, but for the time that writing them takes: they wait for the next look, which comes when these are used up, or after
//! [`GOOD_FOR`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_ledger::DueRows;
use daybook_schema::Timestamp;

/// How long what was read is good for. So much longer a row waits at most that came due in the meantime and is older.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Where the last run stopped reading, and since when that reading is open. Empty while a run has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ahead(Arc<Mutex<Option<(DueRows, Timestamp)>>>);

impl Ahead {
    /// What was kept, if it is still good.
    pub(crate) fn take(&self, now: Timestamp) -> Option<(DueRows, Timestamp)> {
        let kept = self.lock().take();
        kept.filter(|(_, opened)| now >= *opened && now.since(*opened) < GOOD_FOR)
    }

    /// Keeps it for the next run, unless it left out anything: an older row may be there.
    pub(crate) fn keep(&self, due: DueRows, opened: Timestamp) {
        if due.failures().is_empty() {
            *self.lock() = Some((due, opened));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(DueRows, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
