//! Ordered maps, as requests see and change them.

use std::ops::{Bound, ControlFlow};

use crate::store::error::StoreError;

/// Ordered maps from bytes to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Map {
    /// A table's description, by its name.
    Tables,
    /// Items, by table and primary key.
    Items,
    /// Index entries, by table, index, index key and primary key.
    Entries,
}

impl Map {
    pub(super) const ALL: [Self; 3] = [Self::Tables, Self::Items, Self::Entries];
}

/// From which key to which.
pub(crate) type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Gets a key and its value, and says whether to go on.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// What a request sees.
pub(crate) trait Look {
    /// The value under `key`.
    fn get(&self, map: Map, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Calls `visit` in the order of keys, backwards if asked, until it breaks.
    fn visit(
        &self,
        map: Map,
        range: Range<'_>,
        backwards: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;
}

/// What a request sees and changes. What it has put it sees at once.
pub(crate) trait Change: Look {
    /// Sets the value under `key`.
    fn put(&mut self, map: Map, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes `key`, if it is there.
    fn remove(&mut self, map: Map, key: &[u8]) -> Result<(), StoreError>;
}
