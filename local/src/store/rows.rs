//! Rows in the database engine, and changes with what undoes them.
//!
//! All maps are in one of the engine's tables, their keys behind a byte that says which: a commit writes one tree less per map.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{
    Database, ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    WriteTransaction,
};

use crate::store::error::StoreError;
use crate::store::maps::{Change, Look, Map, Range, Visit};
use crate::store::memory::is_empty;

type Bytes = &'static [u8];

const ROWS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("rows");

/// What a look sees: one commit.
pub(super) struct Snapshot(ReadOnlyTable<Bytes, Bytes>);

/// One commit's changes.
pub(super) struct Changes<'txn> {
    rows: Table<'txn, Bytes, Bytes>,
    /// What undoes the change that runs: its rows as they were, the last first.
    undo: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// How many rows were put and removed, and not undone.
    written: Written,
    /// The same, when the change began that runs.
    written_before: Written,
    /// Whether the engine is changing a row: a panic then is its own.
    inside: bool,
}

/// How many rows were put and removed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    pub(super) put: u64,
    pub(super) removed: u64,
}

/// Makes a place for rows.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), redb::TableError> {
    transaction.open_table(ROWS).map(drop)
}

impl Snapshot {
    pub(super) fn new(database: &Database) -> Result<Self, StoreError> {
        let begin = || -> Result<_, redb::Error> { Ok(database.begin_read()?.open_table(ROWS)?) };
        guarded(begin).map(Self)
    }
}

impl<'txn> Changes<'txn> {
    pub(super) fn new(transaction: &'txn WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            rows: transaction.open_table(ROWS).map_err(engine)?,
            undo: Vec::new(),
            written: Written::default(),
            written_before: Written::default(),
            inside: false,
        })
    }

    /// The next change begins: what was changed so far stays.
    pub(super) fn begin(&mut self) {
        self.undo.clear();
        self.written_before = self.written;
    }

    /// Takes back what the change has done that runs.
    pub(super) fn undo(&mut self) -> Result<(), StoreError> {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.rows.insert(key.as_slice(), value.as_slice()),
                None => self.rows.remove(key.as_slice()),
            }
            .map_err(engine)?;
        }
        self.written = self.written_before;
        Ok(())
    }

    /// How many rows were put and removed.
    pub(super) fn written(&self) -> Written {
        self.written
    }

    /// Whether a panic came from within the engine, whose state is not known then.
    pub(super) fn panicked_inside(&self) -> bool {
        self.inside
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> Result<u64, StoreError> {
        self.rows.len().map_err(engine)
    }
}

impl Look for Snapshot {
    fn get(&self, map: Map, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.0, map, key)
    }

    fn visit(
        &self,
        map: Map,
        range: Range<'_>,
        backwards: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        walk(&self.0, map, range, backwards, visit)
    }
}

impl Look for Changes<'_> {
    fn get(&self, map: Map, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.rows, map, key)
    }

    fn visit(
        &self,
        map: Map,
        range: Range<'_>,
        backwards: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        walk(&self.rows, map, range, backwards, visit)
    }
}

impl Change for Changes<'_> {
    fn put(&mut self, map: Map, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let key = key_in(map, key);
        self.inside = true;
        let before = self.rows.insert(key.as_slice(), value).map_err(engine)?;
        let before = before.map(|before| before.value().to_vec());
        self.inside = false;
        self.undo.push((key, before));
        self.written.put += 1;
        Ok(())
    }

    fn remove(&mut self, map: Map, key: &[u8]) -> Result<(), StoreError> {
        let key = key_in(map, key);
        self.inside = true;
        let before = self.rows.remove(key.as_slice()).map_err(engine)?;
        let before = before.map(|before| before.value().to_vec());
        self.inside = false;
        if before.is_some() {
            self.undo.push((key, before));
            self.written.removed += 1;
        }
        Ok(())
    }
}

fn key_in(map: Map, key: &[u8]) -> Vec<u8> {
    [&[map as u8], key].concat()
}

fn get(
    table: &impl ReadableTable<Bytes, Bytes>,
    map: Map,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let key = key_in(map, key);
    let Some(found) = guarded(|| table.get(key.as_slice()))? else {
        return Ok(None);
    };
    guarded(|| Ok::<_, redb::Error>(Some(found.value().to_vec())))
}

fn walk(
    table: &impl ReadableTable<Bytes, Bytes>,
    map: Map,
    (from, to): Range<'_>,
    backwards: bool,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    if is_empty((from, to)) {
        return Ok(());
    }
    let from = match from {
        Bound::Unbounded => Bound::Included(key_in(map, &[])),
        bound => bound.map(|key| key_in(map, key)),
    };
    let to = match to {
        Bound::Unbounded => Bound::Excluded(vec![map as u8 + 1]),
        bound => bound.map(|key| key_in(map, key)),
    };
    let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
    let mut rows = guarded(|| table.range::<&[u8]>(range))?;
    let mut next = || {
        guarded(|| match backwards {
            true => rows.next_back().transpose(),
            false => rows.next().transpose(),
        })
    };
    while let Some((key, value)) = next()? {
        let (key, value) = guarded(|| Ok::<_, redb::Error>((key.value(), value.value())))?;
        if visit(&key[1..], value).is_break() {
            break;
        }
    }
    Ok(())
}

/// What the engine read. Should it panic over what it reads, that says the same as its error.
fn guarded<T, E: Into<redb::Error>>(read: impl FnOnce() -> Result<T, E>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(engine),
        Err(_) => Err(StoreError::new("the database engine cannot read a page")),
    }
}

/// What the engine said.
pub(super) fn engine(error: impl Into<redb::Error>) -> StoreError {
    StoreError::new(error.into().to_string())
}
