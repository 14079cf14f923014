//! Open rows as they are read and shown.

use std::collections::BTreeMap;

use daybook_ledger::{IndexKey, Ledger, LedgerError, OpenRows, RowFilter};
use daybook_schema::{EventId, Row, Status, Timestamp};
use futures::StreamExt;

use crate::aws::failure::Failure;
use crate::object_ref::ObjectText;
use crate::parts::Runs;
use crate::views::RowOutput;

/// Rows looked up one by one at the same time.
const CONCURRENCY: usize = 8;

/// Keys that a FilterExpression may compare with: operands of an IN (DynamoDB Developer Guide, "Comparison operator and function reference").
const MOST_KEYS: usize = 100;

/// A row as it was found.
pub enum Listed {
    /// As it is.
    Row(Box<Row>),
    /// In the table, and this release cannot read it.
    Unreadable {
        /// What the index says.
        key: IndexKey,
        /// Why.
        why: String,
    },
}

impl Listed {
    /// Its id.
    pub fn id(&self) -> EventId {
        match self {
            Self::Row(row) => row.id,
            Self::Unreadable { key, .. } => key.id,
        }
    }

    /// Its status, as far as it is known.
    pub fn status(&self) -> Status {
        match self {
            Self::Row(row) => row.status,
            Self::Unreadable { key, .. } => key.status_shard.status,
        }
    }

    /// When it is due, as far as it is known.
    pub fn due_at(&self) -> Timestamp {
        match self {
            Self::Row(row) => row.due_at,
            Self::Unreadable { key, .. } => key.due_at,
        }
    }

    /// Since when its target runs in a process of this machine, and in which, if it is known to.
    pub fn run(&self, runs: Option<Runs<'_>>) -> Option<(Timestamp, u32)> {
        match self {
            Self::Row(row) => runs.and_then(|runs| runs.of(row)),
            Self::Unreadable { .. } => None,
        }
    }

    /// For programs.
    pub fn output(&self, runs: Option<Runs<'_>>) -> RowOutput<'_> {
        match self {
            Self::Row(row) => RowOutput::from(&**row).running(self.run(runs)),
            Self::Unreadable { key, why } => RowOutput::unreadable(
                key.id.to_string(),
                Some((key.status_shard.status, key.due_at)),
                why,
            ),
        }
    }
}

/// What a consistent read says about an id.
pub enum RowRead {
    /// A row.
    Row(Box<Row>),
    /// There certainly is no row.
    Gone,
    /// A row that this release cannot read, and why.
    Unreadable(String),
}

/// Reads rows by their ids; an id that could not be asked for is not in the map, and the failures say why.
pub async fn read(ledger: &Ledger, ids: &[EventId]) -> (BTreeMap<EventId, RowRead>, Vec<Failure>) {
    let mut answers = BTreeMap::new();
    let mut failures = Vec::new();
    for answer in ledger.get_many(ids).await {
        match answer {
            Ok(row) => drop(answers.insert(row.id, RowRead::Row(Box::new(row)))),
            Err(error) => match unreadable(error) {
                Ok((id, why)) => drop(answers.insert(id, why)),
                Err(error) => failures.push(Failure::of_ledger(error)),
            },
        }
    }
    // Absent from the answer may mean gone, or left unprocessed: one by one it is certain. After a failure it is not worth it.
    let missing: Vec<EventId> = match failures.is_empty() {
        true => ids
            .iter()
            .copied()
            .filter(|id| !answers.contains_key(id))
            .collect(),
        false => Vec::new(),
    };
    let mut asked = futures::stream::iter(missing)
        .map(async |id| (id, ledger.get(id).await))
        .buffer_unordered(CONCURRENCY);
    while let Some((id, answer)) = asked.next().await {
        match answer {
            Ok(Some(row)) => drop(answers.insert(id, RowRead::Row(Box::new(row)))),
            Ok(None) => drop(answers.insert(id, RowRead::Gone)),
            Err(error) => match unreadable(error) {
                Ok((id, why)) => drop(answers.insert(id, why)),
                Err(error) => failures.push(Failure::of_ledger(error)),
            },
        }
    }
    drop(asked);
    (answers, failures)
}

/// The row that an error is about, if it is about one that cannot be read.
fn unreadable(error: LedgerError) -> Result<(EventId, RowRead), LedgerError> {
    let answer = error
        .unreadable()
        .and_then(|(id, why)| Some((id.parse().ok()?, RowRead::Unreadable(why))));
    answer.ok_or(error)
}

/// The open rows that may be about one of these objects; [`ObjectText::is_of`] tells.
pub fn of_objects<'a, 'b>(ledger: &'a Ledger, objects: impl Iterator<Item = &'b ObjectText>) -> OpenRows<'a> {
    let filters: Vec<RowFilter> = objects.map(ObjectText::rows).collect();
    let keys: Vec<String> = filters.iter().flat_map(|filter| filter.keys.clone()).collect();
    if keys.len() > MOST_KEYS {
        return ledger.open_rows();
    }
    let first = filters.first().and_then(|filter| filter.bucket.clone());
    let bucket = first.filter(|_| filters.iter().all(|filter| filter.bucket == filters[0].bucket));
    ledger.open_rows_matching(&RowFilter {
        bucket,
        keys,
        ..RowFilter::default()
    })
}

/// The rows of these keys, in their order; rows that are gone are left out. And why rows could not be read.
pub async fn of_keys(ledger: &Ledger, keys: &[IndexKey]) -> (Vec<Listed>, Vec<Failure>) {
    let ids: Vec<EventId> = keys.iter().map(|key| key.id).collect();
    let (mut answers, failures) = read(ledger, &ids).await;
    let listed = keys.iter().filter_map(|key| match answers.remove(&key.id)? {
        RowRead::Row(row) => Some(Listed::Row(row)),
        RowRead::Gone => None,
        RowRead::Unreadable(why) => Some(Listed::Unreadable { key: *key, why }),
    });
    (listed.collect(), failures)
}
