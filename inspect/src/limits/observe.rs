//! What is observed of a deployment's limits.

use daybook_ledger::{Cause, Control, Count, Ledger, LedgerError};
use daybook_schema::{Status, Timestamp};

use crate::activity::Stretch;
use crate::aws::failure;
use crate::limits::Observed;
use crate::parts::{LocalFolder, Parts};
use crate::rate::Rate;

/// Rows are counted up to about so many per shard: no more workers are in one process.
const ENOUGH: u32 = 1000;

/// Claimed rows, as exactly as limits need it.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn claimed(ledger: &Ledger) -> Result<Count, LedgerError> {
    ledger.count(Status::Claimed, None, Some(ENOUGH)).await
}

/// The due time of the row of that status that is due first, if it is due; rows of a newer release wait for that release.
///
/// # Errors
/// When a shard cannot be read.
pub async fn oldest(ledger: &Ledger, status: Status, now: Timestamp) -> Result<Option<Timestamp>, Cause> {
    let mut rows = ledger.due(status, Some(now), 1);
    let first = rows.next_own(1).await;
    match failure::shard_failures(&rows).into_iter().next() {
        Some(failure) => Err(failure.cause),
        None => Ok(first.first().map(|key| key.due_at)),
    }
}

/// Since when a row of this release is due, as far as it is known: how old the backlog is. Nothing is asked where nobody knows what ended
/// lately, as on AWS: then no pace follows from it.
pub async fn due_since(parts: &Parts<'_>, now: Timestamp) -> Option<Timestamp> {
    parts.folder?.activity?;
    oldest(parts.ledger, Status::Pending, now).await.ok().flatten()
}

/// What was counted of the rows, as far as it was.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows {
    /// Pending rows that are due.
    pub due: Option<Count>,
    /// Since when the first of them is, or one that is known.
    pub due_since: Option<Timestamp>,
    /// Claimed rows.
    pub claimed: Option<Count>,
}

impl Observed {
    /// Of a deployment: what the process of its folder says, if it is in one, and these.
    pub fn of(
        folder: Option<LocalFolder<'_>>,
        control: Option<&Control>,
        rate: Rate,
        rows: Rows,
        now: Timestamp,
    ) -> Self {
        let workers = folder.and_then(|folder| folder.running).and_then(|up| up.workers);
        let activity = folder.and_then(|folder| folder.activity);
        let seen = Self {
            due: rows.due,
            claimed: rows.claimed,
            rate,
            cap: workers.and_then(|workers| workers.most_in_flight),
            workers,
            is_stopped: folder.is_some() && workers.is_none(),
            takes_no_writes: folder.is_some_and(|folder| folder.trouble.is_some()),
            minute: activity.map(|activity| activity.lately(now, Stretch::Minute).ends),
            outage: activity.and_then(|activity| activity.outage(now)),
            youngest_run: folder
                .and_then(LocalFolder::runs)
                .and_then(|runs| runs.running.values().map(|run| run.since).max()),
            mean_run: activity.and_then(|activity| activity.mean_run(now)),
            pace: activity
                .zip(rows.due_since)
                .and_then(|(activity, since)| activity.pace(since, now)),
            ..Self::default()
        };
        seen.with_control(control, now)
    }
}
