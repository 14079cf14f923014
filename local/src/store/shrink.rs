//! When the file is made smaller.
//!
//! The engine reuses what was removed, and cuts off free pages only where they are at the file's end. So once little of a large file is
//! used, its pages are moved to the front. That takes as long as what is moved, and everybody waits: so it is done only where that is
//! little, at most [`MOVED_BYTES`].

use redb::Database;

use crate::store::error::StoreError;
use crate::store::rows::{Written, engine};

/// A smaller file is left as it is, in bytes.
const SMALL_BYTES: u64 = 4 << 20;

/// The part of the file that may be used for it to be worth it: one in so many.
const USED_PART: u64 = 8;

/// How much is moved at most, in bytes: a tenth of a second or two.
const MOVED_BYTES: u64 = 32 << 20;

/// No row takes less, with its key and what the engine adds.
const ROW_BYTES: u64 = 64;

/// So many rows are removed before it is looked at again.
const REMOVED_ROWS: u64 = 1000;

/// Remembers when it was looked at.
#[derive(Debug)]
pub(super) struct Shrinking {
    small_bytes: u64,
    removed_rows: u64,
    /// How many rows were removed since.
    removed: u64,
}

impl Default for Shrinking {
    fn default() -> Self {
        Self::from(SMALL_BYTES, REMOVED_ROWS)
    }
}

impl Shrinking {
    /// Of files from that length on, once so many rows were removed.
    pub(super) fn from(small_bytes: u64, removed_rows: u64) -> Self {
        Self {
            small_bytes,
            removed_rows,
            removed: 0,
        }
    }

    /// Whether to look at what is used, which costs as much as there are rows.
    pub(super) fn is_due(&mut self, written: Written, rows: u64, length: u64) -> bool {
        self.removed += written.removed;
        let due = length >= self.small_bytes
            && self.removed >= self.removed_rows.max(rows / 2)
            && rows * ROW_BYTES <= (length / USED_PART).min(MOVED_BYTES);
        if due {
            self.removed = 0;
        }
        due
    }

    /// Makes the file smaller, if little enough of it is used.
    pub(super) fn shrink(&self, database: &mut Database, length: u64) -> Result<(), StoreError> {
        let transaction = database.begin_write().map_err(engine)?;
        let stats = transaction.stats().map_err(engine)?;
        let used = stats.stored_bytes() + stats.metadata_bytes();
        transaction.abort().map_err(engine)?;
        if used <= (length / USED_PART).min(MOVED_BYTES) {
            database.compact().map_err(engine)?;
            tracing::debug!(before = length, used, "the ledger's file was made smaller");
        }
        Ok(())
    }
}
