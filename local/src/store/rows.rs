//! Rows in the database engine: each value with a checksum, each change with what undoes it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    WriteTransaction,
};

use crate::store::memory::is_empty;
use crate::store::{Change, Look, Map, Range, StoreError, Visit};

type Bytes = &'static [u8];

const DEFINITIONS: [TableDefinition<'_, Bytes, Bytes>; Map::ALL.len()] = [
    TableDefinition::new("tables"),
    TableDefinition::new("items"),
    TableDefinition::new("entries"),
];

/// CRC-32 of map, key and value, behind every value. The engine checks its pages' checksums when a file is opened, and not when it reads
/// them again.
const CHECKSUM_BYTES: usize = 4;

/// What a look sees: one commit.
pub(super) struct Snapshot {
    tables: [ReadOnlyTable<Bytes, Bytes>; Map::ALL.len()],
}

/// One commit's changes.
pub(super) struct Changes<'txn> {
    tables: [Table<'txn, Bytes, Bytes>; Map::ALL.len()],
    /// What undoes the change that runs: its rows as they were, the last first.
    undo: Vec<(Map, Vec<u8>, Option<Vec<u8>>)>,
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

/// Makes the maps.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), redb::TableError> {
    DEFINITIONS
        .into_iter()
        .try_for_each(|map| transaction.open_table(map).map(drop))
}

impl Snapshot {
    pub(super) fn new(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        let open = |map: Map| transaction.open_table(DEFINITIONS[map as usize]).map_err(engine);
        Ok(Self {
            tables: [open(Map::Tables)?, open(Map::Items)?, open(Map::Entries)?],
        })
    }
}

impl<'txn> Changes<'txn> {
    pub(super) fn new(transaction: &'txn WriteTransaction) -> Result<Self, StoreError> {
        let open = |map: Map| transaction.open_table(DEFINITIONS[map as usize]).map_err(engine);
        Ok(Self {
            tables: [open(Map::Tables)?, open(Map::Items)?, open(Map::Entries)?],
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
        while let Some((map, key, before)) = self.undo.pop() {
            let table = &mut self.tables[map as usize];
            match before {
                Some(value) => drop(table.insert(key.as_slice(), value.as_slice()).map_err(engine)?),
                None => drop(table.remove(key.as_slice()).map_err(engine)?),
            }
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
        self.tables
            .iter()
            .try_fold(0, |rows, table| Ok(rows + table.len().map_err(engine)?))
    }
}

impl Look for Snapshot {
    fn get(&self, map: Map, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.tables[map as usize], map, key)
    }

    fn visit(
        &self,
        map: Map,
        range: Range<'_>,
        backwards: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        walk(&self.tables[map as usize], map, range, backwards, visit)
    }
}

impl Look for Changes<'_> {
    fn get(&self, map: Map, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.tables[map as usize], map, key)
    }

    fn visit(
        &self,
        map: Map,
        range: Range<'_>,
        backwards: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        walk(&self.tables[map as usize], map, range, backwards, visit)
    }
}

impl Change for Changes<'_> {
    fn put(&mut self, map: Map, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let sealed = seal(map, key, value);
        self.inside = true;
        let table = &mut self.tables[map as usize];
        let before = table.insert(key, sealed.as_slice()).map_err(engine)?;
        let before = before.map(|before| before.value().to_vec());
        self.inside = false;
        self.undo.push((map, key.to_vec(), before));
        self.written.put += 1;
        Ok(())
    }

    fn remove(&mut self, map: Map, key: &[u8]) -> Result<(), StoreError> {
        self.inside = true;
        let before = self.tables[map as usize].remove(key).map_err(engine)?;
        let before = before.map(|before| before.value().to_vec());
        self.inside = false;
        if before.is_some() {
            self.undo.push((map, key.to_vec(), before));
            self.written.removed += 1;
        }
        Ok(())
    }
}

fn get(
    table: &impl ReadableTable<Bytes, Bytes>,
    map: Map,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let found = guarded(|| table.get(key))?;
    found
        .map(|found| Ok(unseal(map, key, found.value())?.to_vec()))
        .transpose()
}

fn walk(
    table: &impl ReadableTable<Bytes, Bytes>,
    map: Map,
    range: Range<'_>,
    backwards: bool,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    if is_empty(range) {
        return Ok(());
    }
    let mut rows = guarded(|| table.range::<&[u8]>(range))?;
    let mut next = || {
        guarded(|| match backwards {
            true => rows.next_back().transpose(),
            false => rows.next().transpose(),
        })
    };
    while let Some((key, value)) = next()? {
        let key = key.value();
        if visit(key, unseal(map, key, value.value())?).is_break() {
            break;
        }
    }
    Ok(())
}

/// What the engine read. Should it panic over a page that is not what was written, that says the same as its error.
fn guarded<T>(read: impl FnOnce() -> Result<T, redb::StorageError>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(engine),
        Err(_) => Err(StoreError::new("the database engine cannot read a page")),
    }
}

fn checksum(map: Map, key: &[u8], value: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[map as u8]);
    // Where the key ends is told by its length, so that no byte can pass from the one to the other.
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().to_le_bytes()
}

fn seal(map: Map, key: &[u8], value: &[u8]) -> Vec<u8> {
    [value, &checksum(map, key, value)].concat()
}

fn unseal<'a>(map: Map, key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], StoreError> {
    sealed
        .split_last_chunk()
        .filter(|(value, sum)| **sum == checksum(map, key, value))
        .map(|(value, _)| value)
        .ok_or_else(|| StoreError::new("a row is not what was written: its checksum does not match"))
}

/// What the engine said.
pub(super) fn engine(error: impl Into<redb::Error>) -> StoreError {
    StoreError::new(error.into().to_string())
}
