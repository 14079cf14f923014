//! What the claimed rows tell whose leases end first.

use daybook_schema::{EventId, Status, Timestamp};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::read::Count;

/// Claimed rows that are looked at, those whose leases end first: in the index it does not stand how often a row was sent.
const LOOKED_AT: usize = 300;

/// What the claimed rows whose leases end first tell; the counts are exact where there are no more than 300.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedFirst {
    /// Sent five times or more without a sign.
    pub undelivered: Count,
    /// In the hands of a worker.
    pub held: Count,
    /// When the first lease ends, or ended; `None` when no row is claimed.
    pub first_lease_end: Option<Timestamp>,
}

impl Ledger {
    /// Looks at them. Rows of a newer release are passed over; another one that this release cannot read is in neither count.
    ///
    /// # Errors
    /// When not all of them can be read.
    pub async fn claimed_first(&self) -> Result<ClaimedFirst, LedgerError> {
        let mut rows = self.due(Status::Claimed, None, LOOKED_AT);
        let keys = rows.next_own(LOOKED_AT).await;
        if let Some((_, cause)) = rows.shard_failures().into_iter().next() {
            return Err(self.read_error("Query", cause));
        }
        let ids: Vec<EventId> = keys.iter().map(|key| key.id).collect();
        let (mut undelivered, mut held) = (0, 0);
        for row in self.get_many(&ids).await {
            match row {
                Ok(row) => {
                    undelivered += u64::from(row.is_undelivered());
                    held += u64::from(row.is_held());
                }
                Err(error) if error.unreadable().is_some() => {}
                Err(error) => return Err(error),
            }
        }
        let exact = keys.len() < LOOKED_AT;
        let count = |rows| Count { rows, exact };
        Ok(ClaimedFirst {
            undelivered: count(undelivered),
            held: count(held),
            first_lease_end: keys.first().map(|key| key.due_at),
        })
    }
}
