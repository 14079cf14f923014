//! Rows that a newer release wrote: this one changes none of them, and counts them.
//!
//! The condition stands here once. A row without `v` is of version 1.
//!
//! A statement asks for `v <= ?`, which is false for a row without `v`; such a row is asked for once more, by `v IS
//! MISSING`. That costs one refused write per step of such a row, in the days after an upgrade. One condition with an OR
//! would do, but DynamoDB's documentation does not say that an UPDATE may have one beside its key, and MiniStack, which
//! imitates DynamoDB, refuses it.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_schema::{EventId, InvalidRow, ROW_VERSION, Status};
use futures::StreamExt;

use crate::read::IndexKey;
use crate::receipts::KEYS_PER_READ;
use crate::statement::{Item, Statement, Written, id_of, number, text};
use crate::{Count, Ledger, LedgerError};

/// The attribute.
const VERSION: &str = "v";

/// What every PartiQL statement that changes a row asks for; its one parameter is [`mine`], the statement's last.
pub(crate) const KNOWN: &str = "\"v\" <= ?";

/// The same of a row of version 1, which has no `v`.
const VERSION_ONE: &str = "\"v\" IS MISSING";

/// The same as a condition expression, with the value `:mine`.
pub(crate) const KNOWN_EXPRESSION: &str = "attribute_not_exists(v) OR v <= :mine";

/// Rows that are looked at in each status, those that are due first.
const LOOKED_AT: usize = 300;

/// Requests under way at once: a run that has many rows to pass must still get to its own.
const CONCURRENCY: usize = 16;

/// The version that this release writes, as a parameter.
pub(crate) fn mine() -> AttributeValue {
    number(ROW_VERSION)
}

/// The statement as it is to be tried again, where it was refused for a row of version 1.
pub(crate) fn for_version_one(statement: &Statement, outcome: &Written) -> Option<Statement> {
    let Written::ConditionFailed(Some(item)) = outcome else {
        return None;
    };
    if item.contains_key(VERSION) {
        return None;
    }
    let (before, after) = statement.text.split_once(KNOWN)?;
    let (_mine, parameters) = statement.parameters.split_last()?;
    Some(Statement {
        text: format!("{before}{VERSION_ONE}{after}"),
        parameters: parameters.to_vec(),
    })
}

/// Why a stored item may not be changed by this release, if a newer one wrote it.
pub(crate) fn newer(item: &Item) -> Option<InvalidRow> {
    let version = match item.get(VERSION)? {
        AttributeValue::N(version) => version.parse().ok()?,
        _ => return None,
    };
    let id = id_of(item).parse().ok()?;
    (version > ROW_VERSION).then_some(InvalidRow::Newer { id, version })
}

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
                if let Some(InvalidRow::Newer { id, .. }) = newer(&item) {
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
