//! What is observed of a deployment's limits.

use daybook_ledger::{Control, Count, Ledger, LedgerError};
use daybook_schema::{Status, Timestamp};

use crate::activity::Stretch;
use crate::limits::Observed;
use crate::parts::LocalFolder;
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

impl Observed {
    /// Of a deployment: what the process of its folder says, if it is in one, and these.
    pub fn of(
        folder: Option<LocalFolder<'_>>,
        control: Option<&Control>,
        rate: Rate,
        (due, claimed): (Option<Count>, Option<Count>),
        now: Timestamp,
    ) -> Self {
        let workers = folder.and_then(|folder| folder.running).and_then(|up| up.workers);
        let activity = folder.and_then(|folder| folder.activity);
        let seen = Self {
            due,
            claimed,
            rate,
            cap: workers.and_then(|workers| workers.most_in_flight),
            workers,
            is_stopped: folder.is_some() && workers.is_none(),
            minute: activity.map(|activity| activity.lately(now, Stretch::Minute).ends),
            outage: activity.and_then(|activity| activity.outage(now)),
            youngest_run: folder
                .and_then(LocalFolder::runs)
                .and_then(|runs| runs.running.values().map(|run| run.since).max()),
            mean_run: activity.and_then(|activity| activity.mean_run(now)),
            ..Self::default()
        };
        seen.with_control(control, now)
    }
}
