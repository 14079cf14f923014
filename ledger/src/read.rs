//! Reading rows: one, by status in the order of their due times, and counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, Select};
use daybook_schema::tables::BY_STATUS;
use daybook_schema::tables::attribute::ID;
use daybook_schema::{EventId, Row, Shard, Status, StatusShard, Timestamp};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::cause::{Cause, describe};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::receipts::KEYS_PER_READ;
use crate::statement::{Item, id_of, text};
use crate::version;

/// Queries under way at once: one per shard.
const CONCURRENCY: usize = Shard::COUNT as usize;

/// Single reads under way at once.
const READS_AT_ONCE: usize = 16;

/// The most keys that are read from a shard at once.
const LARGEST_PAGE: i32 = 1000;

/// Rows that are looked at together while there are rows of a newer release to pass.
const PASSED_AT_ONCE: usize = 3200;

/// A row as the index shows it: all that a conditional write needs. The index is eventually consistent, so the row may have
/// moved on, or be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct IndexKey {
    /// The due time; first, so that keys sort by it.
    pub due_at: Timestamp,
    /// The row.
    pub id: EventId,
    /// Its status and shard.
    pub status_shard: StatusShard,
}

/// The rows of one status in the order of their due times, across all shards; read from the index in pages as they are asked
/// for.
#[derive(Debug)]
pub struct DueRows {
    ledger: Ledger,
    range: DueRange,
    page: i32,
    shards: Vec<ShardRows>,
    own: Own,
}

/// Where a reader stands that wants no rows of a newer release.
#[derive(Debug, Default)]
struct Own {
    /// Whether the row that comes first was looked at.
    begun: bool,
    /// Whether rows of a newer release were met: from then on every row is looked at.
    wary: bool,
    /// Rows that were looked at and not asked for yet.
    ready: VecDeque<IndexKey>,
    newer: u32,
    failure: Option<Cause>,
}

#[derive(Debug)]
struct ShardRows {
    key: StatusShard,
    rows: VecDeque<IndexKey>,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Start,
    After(Item),
    End,
    Failed(Cause),
}

/// Which rows of a status, by their due times.
#[derive(Clone, Copy, Debug)]
enum DueRange {
    All,
    Until(Timestamp),
    After(Timestamp),
}

/// A count of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Count {
    /// So many were counted.
    pub rows: u64,
    /// Whether these are all; otherwise there are at least so many.
    pub exact: bool,
}

impl DueRows {
    /// The next rows, oldest due first, up to `n`, no row twice; fewer when there are no more. Shards that could not be read are
    /// left out and named by [`DueRows::failures`]: one throttled shard does not hold up the others.
    pub async fn next(&mut self, n: usize) -> Vec<IndexKey> {
        let mut taken: Vec<IndexKey> = Vec::new();
        let mut places: BTreeMap<EventId, usize> = BTreeMap::new();
        while taken.len() < n {
            self.fill().await;
            let oldest = self
                .shards
                .iter_mut()
                .filter(|shard| !shard.rows.is_empty())
                .min_by_key(|shard| shard.rows.front().copied());
            match oldest.and_then(|shard| shard.rows.pop_front()) {
                // A row whose due time is moved on between two pages is in both. The later page knows it better.
                Some(key) => match places.get(&key.id) {
                    Some(place) => taken[*place] = key,
                    None => {
                        places.insert(key.id, taken.len());
                        taken.push(key);
                    }
                },
                None => break,
            }
        }
        taken
    }

    /// As [`DueRows::next`], and passes over rows of a newer release. Nothing moves these, so they come first sooner or later:
    /// usually only the first row of all is looked at (half a read unit), and all others where that one is of a newer release,
    /// or [`DueRows::beware`] was called. What cannot be looked at is taken for this release's own; every write has the
    /// condition besides.
    pub async fn next_own(&mut self, n: usize) -> Vec<IndexKey> {
        if !self.own.begun && n > 0 {
            self.own.begun = true;
            let first = self.next(1).await;
            let own = self.look(first.clone()).await;
            self.own.wary |= own.len() < first.len();
            self.own.ready.extend(own);
        }
        while self.own.ready.len() < n {
            let missing = n - self.own.ready.len();
            if !self.own.wary {
                let keys = self.next(missing).await;
                self.own.ready.extend(keys);
                break;
            }
            // Many at once: there may be any number to pass.
            self.page = LARGEST_PAGE;
            let keys = self.next(missing.max(PASSED_AT_ONCE)).await;
            if keys.is_empty() {
                break;
            }
            let own = self.look(keys).await;
            self.own.ready.extend(own);
        }
        let n = n.min(self.own.ready.len());
        self.own.ready.drain(..n).collect()
    }

    /// Puts rows back that [`DueRows::next_own`] gave last, in their order: they come next.
    pub fn put_back(&mut self, rows: impl DoubleEndedIterator<Item = IndexKey>) {
        for row in rows.rev() {
            self.own.ready.push_front(row);
        }
    }

    /// A row of a newer release was met: from now on [`DueRows::next_own`] looks at every row.
    pub fn beware(&mut self) {
        self.own.wary = true;
    }

    /// How many rows of a newer release were passed over.
    pub fn newer(&self) -> u32 {
        self.own.newer
    }

    async fn look(&mut self, keys: Vec<IndexKey>) -> Vec<IndexKey> {
        match self.ledger.newer_among(&keys).await {
            Ok(newer) => {
                self.own.newer += u32::try_from(newer.len()).unwrap_or(u32::MAX);
                keys.into_iter().filter(|key| !newer.contains(&key.id)).collect()
            }
            Err(error) => {
                self.own.failure = Some(error.into());
                keys
            }
        }
    }

    /// Why shards, or the versions of rows, could not be read, if any could not.
    pub fn failures(&self) -> Vec<Cause> {
        let failures = self.shard_failures().into_iter();
        let with_shard = |(shard, cause): (Option<StatusShard>, Cause)| match shard {
            Some(shard) => cause.of(shard),
            None => cause,
        };
        failures.map(with_shard).collect()
    }

    /// The same, with each shard by itself; `None` is the versions of rows.
    pub fn shard_failures(&self) -> Vec<(Option<StatusShard>, Cause)> {
        let failure = |shard: &ShardRows| match &shard.next {
            Next::Failed(cause) => Some((Some(shard.key), cause.clone())),
            _ => None,
        };
        let shards = self.shards.iter().filter_map(failure);
        let own = self.own.failure.clone().map(|cause| (None, cause));
        shards.chain(own).collect()
    }

    /// Reads the next page of every shard that has none in hand: without it the oldest row is not known.
    async fn fill(&mut self) {
        let (ledger, range, page) = (&self.ledger, self.range, self.page);
        let empty: Vec<_> = self
            .shards
            .iter_mut()
            .filter(|shard| shard.wants_page())
            .map(|shard| shard.read_rows(ledger, range, page))
            .collect();
        futures::stream::iter(empty)
            .buffer_unordered(CONCURRENCY)
            .collect::<()>()
            .await;
    }
}

impl ShardRows {
    fn wants_page(&self) -> bool {
        self.rows.is_empty() && matches!(self.next, Next::Start | Next::After(_))
    }

    /// Reads pages until there is a row, or no more: a page may be empty and yet not the last.
    async fn read_rows(&mut self, ledger: &Ledger, range: DueRange, page: i32) {
        while self.wants_page() {
            self.read_page(ledger, range, page).await;
        }
    }

    async fn read_page(&mut self, ledger: &Ledger, range: DueRange, page: i32) {
        let after = match std::mem::replace(&mut self.next, Next::End) {
            Next::After(key) => Some(key),
            _ => None,
        };
        let request = ledger
            .query(self.key, range)
            .limit(page)
            .set_exclusive_start_key(after);
        match request.send().await {
            Ok(answer) => {
                ledger.meter.read(answer.consumed_capacity.as_ref());
                let keys: Result<Vec<IndexKey>, _> =
                    serde_dynamo::from_items(answer.items.unwrap_or_default());
                match keys {
                    Ok(keys) => self.rows.extend(keys),
                    Err(error) => {
                        self.next = Next::Failed(error.to_string().into());
                        return;
                    }
                }
                self.next = answer.last_evaluated_key.map_or(Next::End, Next::After);
            }
            Err(error) => self.next = Next::Failed(describe(&error)),
        }
    }
}

impl Ledger {
    /// One row, read consistently (one read unit).
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn get(&self, id: EventId) -> Result<Option<Row>, LedgerError> {
        let answer = self
            .client
            .get_item()
            .table_name(self.table.as_str())
            .key(ID, text(id))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| self.read_error("GetItem", describe(&error)))?;
        self.meter.read(answer.consumed_capacity.as_ref());
        answer.item.map(|item| self.row(item)).transpose()
    }

    /// Each of these rows by itself, in their order: for whoever must tell a row that is gone from one that was not read.
    pub async fn get_each(&self, ids: &[EventId]) -> Vec<Result<Option<Row>, LedgerError>> {
        let rows: Vec<_> = ids.iter().map(|id| self.get(*id)).collect();
        futures::stream::iter(rows)
            .buffered(READS_AT_ONCE)
            .collect()
            .await
    }

    /// Rows by their ids, read consistently, in no order, each once however often it is asked for. One that this release cannot read is an error of its own, and so is
    /// a request of up to 100 rows that fails: the others are there all the same. Missing rows, and keys that DynamoDB leaves
    /// unprocessed, are left out: absence proves nothing here.
    pub async fn get_many(&self, ids: &[EventId]) -> Vec<Result<Row, LedgerError>> {
        let table = self.table.as_str();
        // DynamoDB refuses a request that has a key twice, and with it 99 other rows.
        let mut asked = BTreeSet::new();
        let ids: Vec<EventId> = ids.iter().copied().filter(|id| asked.insert(*id)).collect();
        let requests: Vec<_> = ids
            .chunks(KEYS_PER_READ)
            .map(|chunk| self.read_items(table, chunk.iter().map(text).collect(), true))
            .collect();
        let pages: Vec<_> = futures::stream::iter(requests).buffered(4).collect().await;
        let mut rows = Vec::new();
        for page in pages {
            match page {
                Ok(items) => rows.extend(items.into_iter().map(|item| self.row(item))),
                Err(error) => rows.push(Err(error)),
            }
        }
        rows
    }

    /// The rows of a status, oldest due first; with `until`, those due by then. Pages are sized for taking about `n` of
    /// them, so that what is read depends on `n` and not on how many rows there are.
    pub fn due(&self, status: Status, until: Option<Timestamp>, n: usize) -> DueRows {
        self.due_in(status, until.map_or(DueRange::All, DueRange::Until), n)
    }

    /// The rows of a status that are due after that time, as [`Ledger::due`] gives those due by then.
    pub fn due_after(&self, status: Status, after: Timestamp, n: usize) -> DueRows {
        self.due_in(status, DueRange::After(after), n)
    }

    fn due_in(&self, status: Status, range: DueRange, n: usize) -> DueRows {
        // An even spread puts n/16 into a shard; twice that plus a few makes a second page rare.
        let page = i32::try_from(n.div_ceil(usize::from(Shard::COUNT)) * 2 + 4).unwrap_or(LARGEST_PAGE);
        let shard = |shard: Shard| ShardRows {
            key: shard.with(status),
            rows: VecDeque::new(),
            next: Next::Start,
        };
        DueRows {
            ledger: self.clone(),
            range,
            page: page.min(LARGEST_PAGE),
            shards: Shard::all().map(shard).collect(),
            own: Own::default(),
        }
    }

    /// Counts the rows of a status, with `until` those due by then, in the eventually consistent index. With `enough` every
    /// shard stops once it has counted so many: the count is then at least `enough`, or exact.
    ///
    /// # Errors
    /// When a shard cannot be read: part of a count is no count.
    pub async fn count(
        &self,
        status: Status,
        until: Option<Timestamp>,
        enough: Option<u32>,
    ) -> Result<Count, LedgerError> {
        let range = until.map_or(DueRange::All, DueRange::Until);
        self.count_range(status, range, enough).await
    }

    /// Counts the rows of a status that are due after that time, as [`Ledger::count`] counts those due by then.
    ///
    /// # Errors
    /// As [`Ledger::count`].
    pub async fn count_after(
        &self,
        status: Status,
        after: Timestamp,
        enough: Option<u32>,
    ) -> Result<Count, LedgerError> {
        self.count_range(status, DueRange::After(after), enough).await
    }

    async fn count_range(
        &self,
        status: Status,
        range: DueRange,
        enough: Option<u32>,
    ) -> Result<Count, LedgerError> {
        let requests: Vec<_> = Shard::all()
            .map(|shard| self.count_shard(shard.with(status), range, enough))
            .collect();
        let counts: Vec<_> = futures::stream::iter(requests)
            .buffered(CONCURRENCY)
            .collect()
            .await;
        let mut total = Count { rows: 0, exact: true };
        for count in counts {
            let count = count?;
            total = Count {
                rows: total.rows + count.rows,
                exact: total.exact && count.exact,
            };
        }
        Ok(total)
    }

    async fn count_shard(
        &self,
        key: StatusShard,
        range: DueRange,
        enough: Option<u32>,
    ) -> Result<Count, LedgerError> {
        let mut rows = 0;
        let mut after = None;
        loop {
            // Without a limit DynamoDB counts 1 MB of keys at a time.
            let answer = self
                .query(key, range)
                .select(Select::Count)
                .set_limit(enough.map(|enough| i32::try_from(enough.max(1)).unwrap_or(i32::MAX)))
                .set_exclusive_start_key(after.take())
                .send()
                .await
                .map_err(|error| self.read_error("Query", describe(&error)))?;
            self.meter.read(answer.consumed_capacity.as_ref());
            rows += u64::try_from(answer.count).unwrap_or(0);
            after = answer.last_evaluated_key;
            if after.is_none() || enough.is_some_and(|enough| rows >= u64::from(enough)) {
                return Ok(Count {
                    rows,
                    exact: after.is_none(),
                });
            }
        }
    }

    fn query(
        &self,
        key: StatusShard,
        range: DueRange,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        let request = self
            .client
            .query()
            .table_name(self.table.as_str())
            .index_name(BY_STATUS)
            .expression_attribute_values(":key", text(key))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes);
        let (condition, at) = match range {
            DueRange::All => return request.key_condition_expression("status_shard = :key"),
            DueRange::Until(at) => ("status_shard = :key AND due_at <= :at", at),
            DueRange::After(at) => ("status_shard = :key AND due_at > :at", at),
        };
        request
            .key_condition_expression(condition)
            .expression_attribute_values(":at", text(at))
    }

    pub(crate) fn row(&self, item: Item) -> Result<Row, LedgerError> {
        // The version first: a newer form may differ in everything else.
        if let Some(newer) = version::newer(&item) {
            return Err(LedgerError::Newer(newer));
        }
        let id = id_of(&item);
        serde_dynamo::from_item(item).map_err(|source| LedgerError::Item {
            table: self.table.to_string(),
            id,
            source,
        })
    }

    pub(crate) fn read_error(&self, operation: &'static str, cause: Cause) -> LedgerError {
        LedgerError::Request {
            operation,
            table: self.table.to_string(),
            cause,
            unknown: false,
        }
    }
}
