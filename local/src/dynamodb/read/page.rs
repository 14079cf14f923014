//! One page of a query or a scan: never more is read than it has.

use std::ops::{Bound, ControlFlow};

use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::keys;
use crate::dynamodb::tables::schema::{Index, Table};
use crate::dynamodb::value::{Item, item_size};
use crate::dynamodb::write::projected_size;
use crate::store::{Look, Map, StoreError};

/// How many bytes a page reads at most; its first item in any case.
const MOST_BYTES: usize = 1 << 20;

/// What is read.
pub(crate) struct Source<'a> {
    pub(crate) table: &'a Table,
    pub(crate) index: Option<&'a Index>,
    /// Read from the table what a local index lacks.
    pub(crate) whole: bool,
    pub(crate) from: Bound<Vec<u8>>,
    pub(crate) to: Bound<Vec<u8>>,
    pub(crate) backwards: bool,
    pub(crate) limit: Option<usize>,
}

/// What was read.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    pub(crate) count: usize,
    pub(crate) scanned: usize,
    /// The key to go on behind, where it did not end by itself.
    pub(crate) last: Option<Item>,
    /// Of the table's items, or of the index's.
    pub(crate) bytes: usize,
    /// Of the table's items that were read beside a local index's.
    pub(crate) whole_bytes: usize,
}

impl Source<'_> {
    /// The attributes that are in what is read.
    fn projected(&self, item: Item) -> Item {
        match self.index {
            Some(index) if !self.whole => {
                let attributes = item.into_iter();
                attributes
                    .filter(|(name, _)| index.projects(self.table, name))
                    .collect()
            }
            _ => item,
        }
    }

    fn item(&self, look: &dyn Look, key: &[u8], value: &[u8]) -> Result<Item, StoreError> {
        if self.index.is_none() {
            return keys::decode(value);
        }
        let of_item = keys::behind_entry(self.table, key, value)?;
        let bytes = look.get(Map::Items, &of_item)?;
        let bytes =
            bytes.ok_or_else(|| StoreError::new("an index has an entry of an item that is not there"))?;
        keys::decode(&bytes)
    }

    /// Reads a page. `keep` says what is to be answered of an item, if anything: filtered and projected.
    pub(crate) fn read(
        &self,
        look: &dyn Look,
        mut keep: impl FnMut(Item) -> Result<Option<Item>, Refusal>,
    ) -> Result<Page, Failure> {
        let mut page = Page::default();
        let range = (
            self.from.as_ref().map(Vec::as_slice),
            self.to.as_ref().map(Vec::as_slice),
        );
        let (mut failed, mut last_key, mut is_cut) = (None, Vec::new(), false);
        look.visit(self.map(), range, self.backwards, &mut |key, value| {
            let stepped = self
                .item(look, key, value)
                .map_err(Failure::from)
                .and_then(|item| self.step(&mut page, item, &mut keep));
            match stepped {
                // Nothing behind the last item is read.
                Ok(true) if self.limit == Some(page.scanned) => {
                    last_key = key.to_vec();
                    is_cut = true;
                    return ControlFlow::Break(());
                }
                Ok(true) => {
                    last_key.clear();
                    last_key.extend_from_slice(key);
                    return ControlFlow::Continue(());
                }
                Ok(false) => is_cut = true,
                Err(error) => failed = Some(error),
            }
            ControlFlow::Break(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if is_cut {
            let value = look.get(self.map(), &last_key)?.unwrap_or_default();
            let item = self.item(look, &last_key, &value)?;
            page.last = Some(keys::keys_of(self.table, self.index, &item));
        }
        Ok(page)
    }

    fn map(&self) -> Map {
        match self.index {
            Some(_) => Map::Entries,
            None => Map::Items,
        }
    }

    /// Takes the item into the page, unless that is full.
    fn step(
        &self,
        page: &mut Page,
        item: Item,
        keep: &mut impl FnMut(Item) -> Result<Option<Item>, Refusal>,
    ) -> Result<bool, Failure> {
        let whole_bytes = if self.whole { item_size(&item) } else { 0 };
        let bytes = match self.index {
            Some(index) => projected_size(self.table, index, &item),
            None => item_size(&item),
        };
        if page.scanned > 0 && page.bytes.max(page.whole_bytes) + bytes.max(whole_bytes) > MOST_BYTES {
            return Ok(false);
        }
        page.scanned += 1;
        page.bytes += bytes;
        page.whole_bytes += whole_bytes;
        if let Some(kept) = keep(self.projected(item))? {
            page.count += 1;
            page.items.push(kept);
        }
        Ok(true)
    }
}
