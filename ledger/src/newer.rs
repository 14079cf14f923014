//! How many rows a newer release wrote.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_schema::{EventId, InvalidRow, Status};
use futures::StreamExt;

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::read::{Count, IndexKey};
use crate::receipts::KEYS_PER_READ;
use crate::statement::text;
use crate::version;

/// Rows that are looked at in each status, those that are due first.
const LOOKED_AT: usize = 300;

/// Requests under way at once: a run that has many rows to pass must still get to its own.
const CONCURRENCY: usize = 16;

impl Ledger {
    /// Which of these rows a newer release wrote, as far as an eventually consistent read shows; half a read unit for each.
    pub(crate) async fn newer_among(&self, keys: &[IndexKey]) -> Result<BTreeSet<EventId>, LedgerError> {
        let ids: BTreeSet<EventId> = keys.iter().map(|key| key.id).collect();
        let ids: Vec<AttributeValue> = ids.into_iter().map(text).collect();
        let requests: Vec<_> = ids
            .chunks(KEYS_PER_READ)
            .map(|chunk| self.read_items(self.table.as_str(), chunk.to_vec(), false))
            .collect();
        let pages: Vec<_> = futures::stream::iter(requests)
            .buffered(CONCURRENCY)
            .collect()
            .await;
        let mut found = BTreeSet::new();
        for page in pages {
            for item in page? {
                if let Some(InvalidRow::Newer { id, .. }) = version::newer(&item) {
                    found.insert(id);
                }
            }
        }
        Ok(found)
    }

    /// How many rows a newer release wrote, among the 300 of each status that are due first: exact where no status has more.
    /// Rows that nothing moves come first sooner or later. At most 450 read units.
    ///
    /// # Errors
    /// When not all of them can be read.
    pub async fn newer_rows(&self) -> Result<Count, LedgerError> {
        let mut count = Count { rows: 0, exact: true };
        for status in [Status::Pending, Status::Claimed, Status::Parked] {
            let mut rows = self.due(status, None, LOOKED_AT);
            let keys = rows.next(LOOKED_AT).await;
            if let Some(cause) = rows.failures().into_iter().next() {
                return Err(self.read_error("Query", cause));
            }
            count.rows += self.newer_among(&keys).await?.len() as u64;
            count.exact &= keys.len() < LOOKED_AT;
        }
        Ok(count)
    }
}
