//! One page of a query or a scan: never more is read than it has.

use std::ops::{Bound, ControlFlow};

use crate::dynamodb::error::Failure;
use crate::dynamodb::expression::Condition;
use crate::dynamodb::keys;
use crate::dynamodb::tables::schema::{Index, Projection, Table};
use crate::dynamodb::value::{Item, Part, item_size};
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
    /// What must hold for an item that is answered.
    pub(crate) filter: Option<&'a Condition>,
    /// Items are counted, and none is answered.
    pub(crate) only_count: bool,
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
        match self.index {
            None => keys::decode(value),
            Some(_) => keys::decode(&self.behind_entry(look, key, value)?),
        }
    }

    /// The item that an entry of the index is of, as it is kept.
    fn behind_entry(&self, look: &dyn Look, key: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let of_item = keys::behind_entry(self.table, key, value)?;
        let bytes = look.get(Map::Items, &of_item)?;
        bytes.ok_or_else(|| StoreError::new("an index has an entry of an item that is not there"))
    }

    /// The attributes that say whether an item is answered, and how large it is, where that takes less than all of them: most items are
    /// passed over. Those of an index are all that is answered of it.
    fn part(&self) -> Option<Part> {
        match self.index.map(|index| (index, &index.projection)) {
            None => {
                let is_passed_over = self.filter.is_some() || self.only_count;
                is_passed_over.then(|| Part::new(self.filter.into_iter().flat_map(Condition::attributes)))
            }
            Some((_, Projection::All)) => None,
            Some(_) if self.whole => None,
            Some((index, projection)) => {
                let keys = index.keys.iter().chain(self.table.keys.iter());
                let keys = keys.map(|key| key.name.as_str());
                let others = match projection {
                    Projection::Include(names) => names.as_slice(),
                    Projection::All | Projection::KeysOnly => &[],
                };
                Some(Part::new(keys.chain(others.iter().map(String::as_str))))
            }
        }
    }

    /// Reads a page. `answer` says what is answered of an item that the filter lets through.
    pub(crate) fn read(
        &self,
        look: &dyn Look,
        mut answer: impl FnMut(Item) -> Item,
    ) -> Result<Page, Failure> {
        let mut page = Page::default();
        let range = (
            self.from.as_ref().map(Vec::as_slice),
            self.to.as_ref().map(Vec::as_slice),
        );
        let (mut failed, mut last_key, mut is_cut) = (None, Vec::new(), false);
        let mut part = self.part();
        look.visit(self.map(), range, self.backwards, &mut |key, value| {
            let stepped = match self.index {
                None => self.step(&mut page, part.as_mut(), value, &mut answer),
                Some(_) => self
                    .behind_entry(look, key, value)
                    .and_then(|bytes| self.step(&mut page, part.as_mut(), &bytes, &mut answer)),
            };
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
            return Err(error.into());
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

    /// Takes the kept item into the page, unless that is full.
    fn step(
        &self,
        page: &mut Page,
        part: Option<&mut Part>,
        kept: &[u8],
        answer: &mut impl FnMut(Item) -> Item,
    ) -> Result<bool, StoreError> {
        let Some(part) = part else {
            return self.step_whole(page, keys::decode(kept)?, answer);
        };
        let whole = part.read(kept).map_err(keys::unread)?;
        let bytes = match self.index {
            Some(_) => item_size(part.item()),
            None => whole,
        };
        if !page.take(bytes, 0) {
            return Ok(false);
        }
        if self.lets_through(part.item()) {
            page.count += 1;
            if !self.only_count {
                page.items.push(answer(match self.index {
                    Some(_) => part.item().clone(),
                    None => keys::decode(kept)?,
                }));
            }
        }
        Ok(true)
    }

    fn step_whole(
        &self,
        page: &mut Page,
        item: Item,
        answer: &mut impl FnMut(Item) -> Item,
    ) -> Result<bool, StoreError> {
        let whole_bytes = if self.whole { item_size(&item) } else { 0 };
        let bytes = match self.index {
            Some(index) => projected_size(self.table, index, &item),
            None => item_size(&item),
        };
        if !page.take(bytes, whole_bytes) {
            return Ok(false);
        }
        let item = self.projected(item);
        if self.lets_through(&item) {
            page.count += 1;
            if !self.only_count {
                page.items.push(answer(item));
            }
        }
        Ok(true)
    }

    fn lets_through(&self, item: &Item) -> bool {
        self.filter.is_none_or(|filter| filter.holds(Some(item)))
    }
}

impl Page {
    /// Counts an item that is read, unless the page is full.
    fn take(&mut self, bytes: usize, whole_bytes: usize) -> bool {
        if self.scanned > 0 && self.bytes.max(self.whole_bytes) + bytes.max(whole_bytes) > MOST_BYTES {
            return false;
        }
        self.scanned += 1;
        self.bytes += bytes;
        self.whole_bytes += whole_bytes;
        true
    }
}
