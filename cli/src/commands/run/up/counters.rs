//! What `daybook up` counts while it runs.

use std::sync::atomic::{AtomicU64, Ordering};

use daybook_ledger::{Ledger, Recorded};
use daybook_manager::Ingested;
use daybook_schema::Status;
use tokio::sync::Notify;

/// Rows are counted up to about this many per shard: telling must not cost more than moving.
const ENOUGH: u32 = 1000;

/// What the recorder has done so far, and whom it tells.
#[derive(Debug, Default)]
pub struct Recording {
    /// Events and unreadable parts that became rows.
    pub recorded: AtomicU64,
    /// Of these the unreadable parts.
    pub unreadable: AtomicU64,
    /// Events that were in the ledger already, or done.
    pub known: AtomicU64,
    /// Events that the ledger did not certainly take: throttled, or with an unknown outcome. Those it will never take are not among them:
    /// they say nothing of its health.
    pub refused: AtomicU64,
    /// Rung when there is something new to dispatch.
    pub news: Notify,
}

impl Recording {
    /// Counts what came of a body; how many of its events became rows.
    pub fn count(&self, ingested: &Ingested) -> usize {
        let recorded = ingested.count(|row| *row == Recorded::Recorded);
        let known = ingested.count(|row| matches!(row, Recorded::AlreadyThere | Recorded::Covered));
        let parts = ingested.rows.len() - ingested.unreadable;
        let unreadable = ingested.rows[parts..]
            .iter()
            .filter(|row| **row == Recorded::Recorded)
            .count();
        let refused = ingested.count(|row| matches!(row, Recorded::Throttled(_) | Recorded::Unknown(_)));
        for (counter, n) in [
            (&self.refused, refused),
            (&self.recorded, recorded),
            (&self.known, known),
            (&self.unreadable, unreadable),
        ] {
            counter.fetch_add(n as u64, Ordering::Relaxed);
        }
        recorded - unreadable
    }
}

/// The open rows of a ledger in words, such as `3 open (2 pending, 1 claimed)`.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn open(ledger: &Ledger) -> Result<String, daybook_ledger::LedgerError> {
    let (mut total, mut exact, mut parts) = (0, true, Vec::new());
    for status in Status::ALL {
        let count = ledger.count(status, None, Some(ENOUGH)).await?;
        total += count.rows;
        exact &= count.exact;
        if count.rows > 0 {
            let at_least = if count.exact { "" } else { "at least " };
            parts.push(format!(
                "{at_least}{} {}",
                count.rows,
                status.as_str().to_lowercase()
            ));
        }
    }
    let at_least = if exact { "" } else { "at least " };
    Ok(match parts.is_empty() {
        true => "none open".to_owned(),
        false => format!("{at_least}{total} open ({})", parts.join(", ")),
    })
}
