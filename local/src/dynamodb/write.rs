//! The conditional write of one item, with its index entries and what it costs: planned, and then applied. All writes go through it.

use std::sync::Arc;

use crate::dynamodb::capacity::{Units, write_units};
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::expression::Updated;
use crate::dynamodb::keys::{self, Entry};
use crate::dynamodb::tables::schema::{Index, Table};
use crate::dynamodb::value::{Item, MAX_ITEM_BYTES, Value, check_nesting, item_size};
use crate::store::{Change, Look, Map, StoreError};

/// What the item becomes; `None` is that it is removed, or stays away. Gets what is there.
pub(crate) type Make = Box<dyn FnOnce(Option<&Item>) -> Result<Becomes, Refusal> + Send>;

/// What is to be there.
pub(crate) enum Becomes {
    /// What is there now: a check.
    Same,
    Item(Item),
    Updated(Updated),
    Nothing,
}

/// Whether the item may be written, as it stands.
pub(crate) type MayWrite = Box<dyn FnOnce(Option<&Item>) -> Result<bool, Refusal> + Send>;

/// One item's write, as any operation asks for it.
pub(crate) struct Write {
    pub(crate) may_write: MayWrite,
    pub(crate) make: Make,
    /// What is said of an item that is too large.
    pub(crate) too_large: &'static str,
}

pub(crate) const PUT_TOO_LARGE: &str = "Item size has exceeded the maximum allowed size";
pub(crate) const UPDATE_TOO_LARGE: &str = "Item size to update has exceeded the maximum allowed size";

/// A write that may be made: nothing of it is in the store yet.
pub(crate) struct Planned {
    table: Arc<Table>,
    key: Vec<u8>,
    pub(crate) old: Option<Item>,
    pub(crate) new: Option<Item>,
    updated: Option<(Item, Item)>,
    /// What is there stays there.
    is_check: bool,
}

/// What one write did.
pub(crate) struct Written {
    pub(crate) old: Option<Item>,
    pub(crate) new: Option<Item>,
    /// What an update speaks of, before and after.
    pub(crate) updated: Option<(Item, Item)>,
    pub(crate) units: Units,
}

/// Whether this write may be made, and what becomes of the item at that key of the table then.
///
/// # Errors
/// A refused condition has the item with it.
pub(crate) fn plan(
    look: &(impl Look + ?Sized),
    table: &Arc<Table>,
    key: Vec<u8>,
    write: Write,
) -> Result<Planned, Failure> {
    let old = keys::item_at(look, &key)?;
    if !(write.may_write)(old.as_ref())? {
        return Err(Refusal::condition_failed(old).into());
    }
    let becomes = (write.make)(old.as_ref())?;
    let is_check = matches!(becomes, Becomes::Same);
    let (new, updated) = match becomes {
        Becomes::Same | Becomes::Nothing => (None, None),
        Becomes::Item(item) => (Some(item), None),
        Becomes::Updated(Updated {
            item,
            updated_old,
            updated_new,
        }) => (Some(item), Some((updated_old, updated_new))),
    };
    if let Some(item) = &new {
        check_nesting(item)?;
        keys::check_index_keys(table, item)?;
        if item_size(item) > MAX_ITEM_BYTES {
            return Err(Refusal::validation(write.too_large).into());
        }
    }
    Ok(Planned {
        table: Arc::clone(table),
        key,
        old,
        new,
        updated,
        is_check,
    })
}

/// Puts it into the store, with the index entries.
pub(crate) fn apply(change: &mut (impl Change + ?Sized), planned: Planned) -> Result<Written, Failure> {
    let Planned {
        table,
        key,
        old,
        new,
        updated,
        is_check,
    } = planned;
    let mut units = Units::of_table(item_units(old.as_ref(), new.as_ref()));
    if is_check {
        return Ok(Written {
            old,
            new,
            updated,
            units,
        });
    }
    match &new {
        Some(item) => change.put(Map::Items, &key, &crate::dynamodb::value::encode(item))?,
        None if old.is_some() => change.remove(Map::Items, &key)?,
        None => {}
    }
    for index in &table.indexes {
        let entry = |item: &Option<Item>| match item {
            Some(item) => keys::of_entry(&table, index, item),
            None => Ok(None),
        };
        let (before, after) = (entry(&old)?, entry(&new)?);
        let bytes = |item: &Option<Item>| {
            item.as_ref()
                .map_or(0, |item| projected_size(&table, index, item))
        };
        let cost = match (&before, &after) {
            (None, None) => 0.0,
            (None, Some(_)) => write_units(bytes(&new)),
            (Some(_), None) => write_units(bytes(&old)),
            (Some(before), Some(after)) if before.key != after.key => {
                write_units(bytes(&old)) + write_units(bytes(&new))
            }
            (Some(_), Some(_)) if is_unchanged(&table, index, old.as_ref(), new.as_ref()) => 0.0,
            (Some(_), Some(_)) => write_units(bytes(&old)).max(write_units(bytes(&new))),
        };
        move_entry(change, before, after)?;
        if cost > 0.0 {
            units.add(&Units::of_index(&index.name, index.local, cost));
        }
    }
    Ok(Written {
        old,
        new,
        updated,
        units,
    })
}

/// Units of the table for a write, by what was there and what is there then.
fn item_units(old: Option<&Item>, new: Option<&Item>) -> f64 {
    let bytes = |item: Option<&Item>| item.map_or(0, item_size);
    write_units(bytes(old).max(bytes(new)))
}

/// Makes the entries of an index that is added to a table.
pub(crate) fn fill_index(
    change: &mut (impl Change + ?Sized),
    table: &Table,
    index: &Index,
) -> Result<(), Failure> {
    let (from, to) = keys::beginning_with(keys::of_table(&table.name));
    let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
    let (mut entries, mut failed) = (Vec::new(), None);
    change.visit(Map::Items, range, false, &mut |_, bytes| {
        let entry = keys::decode(bytes).map_err(Failure::from).map(|item| {
            let fits = (index.keys.iter()).all(|key| {
                item.get(&key.name)
                    .is_some_and(|value| key.kind.is_of(value) && !is_empty(value))
            });
            // AWS leaves items out whose attribute is not what the index needs.
            if fits {
                keys::of_entry(table, index, &item).ok().flatten()
            } else {
                None
            }
        });
        match entry {
            Ok(entry) => {
                entries.extend(entry);
                std::ops::ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                std::ops::ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    for Entry { key, value } in entries {
        change.put(Map::Entries, &key, &value)?;
    }
    Ok(())
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::S(text) if text.is_empty()) || matches!(value, Value::B(bytes) if bytes.is_empty())
}

fn move_entry(
    change: &mut (impl Change + ?Sized),
    before: Option<Entry>,
    after: Option<Entry>,
) -> Result<(), StoreError> {
    if before == after {
        return Ok(());
    }
    if let Some(before) = before {
        change.remove(Map::Entries, &before.key)?;
    }
    match after {
        Some(after) => change.put(Map::Entries, &after.key, &after.value),
        None => Ok(()),
    }
}

/// How many bytes of the item are in the index.
pub(crate) fn projected_size(table: &Table, index: &Index, item: &Item) -> usize {
    let projected = item.iter().filter(|(name, _)| index.projects(table, name));
    projected.map(|(name, value)| name.len() + value.size()).sum()
}

fn is_unchanged(table: &Table, index: &Index, old: Option<&Item>, new: Option<&Item>) -> bool {
    let (Some(old), Some(new)) = (old, new) else {
        return false;
    };
    let is_in = |(name, _): &(&String, &Value)| index.projects(table, name);
    old.iter().filter(is_in).eq(new.iter().filter(is_in))
}
