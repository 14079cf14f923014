//! What the embedded DynamoDB keeps its tables in: ordered maps from bytes to bytes, in memory or in one file.
//!
//! In the file, changes that wait together are one commit and one flush, no change is acknowledged before that, and a look sees the last
//! commit that is on disk. In memory, a change runs at once, on its caller's thread, which the simulation needs.

mod disk;
mod error;
mod folder;
mod guard;
mod ledger;
mod maps;
mod memory;
mod rows;
mod shrink;
mod sums;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::Arc;

pub(crate) use error::StoreError;
pub use folder::{Found, LEDGER_FILE, flush_directory, look};
pub(crate) use maps::{Change, Look, Map};

use crate::error::LocalError;
use disk::Disk;
use memory::Memory;

/// One folder's (or one memory's) maps. Clones share them.
#[derive(Clone)]
pub(crate) struct Store {
    place: Place,
}

#[derive(Clone)]
enum Place {
    Memory(Arc<Memory>),
    Disk(Arc<Disk>),
}

impl Store {
    /// New, empty maps, which end with their last clone.
    pub(crate) fn in_memory() -> Self {
        Self {
            place: Place::Memory(Arc::default()),
        }
    }

    /// Opens the maps in `directory`, or makes both. Reads the whole file once, and writes nothing to one that is not whole.
    pub(crate) fn open(directory: &Path) -> Result<Self, LocalError> {
        let (path, folder) = (directory.join(folder::LEDGER_FILE), directory.to_owned());
        let disk = Disk::start(&path, move || folder::open(&folder))?;
        Ok(Self {
            place: Place::Disk(Arc::new(disk)),
        })
    }

    /// Whether it ends with its last clone.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// How many times the file was flushed for changes; 0 in memory.
    pub(crate) fn flushes(&self) -> u64 {
        match &self.place {
            Place::Memory(_) => 0,
            Place::Disk(disk) => disk.flushes(),
        }
    }

    /// Runs `look` on the caller's thread, over one commit: the last that is on disk.
    pub(crate) fn look<T>(
        &self,
        look: impl FnOnce(&dyn Look) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match &self.place {
            Place::Memory(memory) => memory.look(look),
            Place::Disk(disk) => disk.look(look),
        }
    }

    /// Runs `change` in the next commit, and returns when that is on disk. What `change` has put is committed whatever it returns, unless
    /// that is an error: then the whole commit fails, as a broken store does. So a request that is refused by its condition puts nothing
    /// and returns `Ok` with the refusal.
    ///
    /// Dropping the future gives up waiting; the change is made all the same.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut dyn Change) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.place {
            Place::Memory(memory) => memory.change(change),
            Place::Disk(disk) => disk.change(change).await,
        }
    }
}
