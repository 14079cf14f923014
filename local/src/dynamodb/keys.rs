//! Where items and index entries are in the store.
//!
//! An item is under its table's name, a 0, its place: three bytes of the partition key's hash, the partition key and the sort key. So a
//! scan goes in the order of hashes, as AWS's does, and a segment of it reads only its own part. An index entry is under its table's name, a 0,
//! the index's name, a 0, its place by the index's keys, and then the table's keys, which are all its value says the lengths of.

use std::ops::{Bound, ControlFlow};

use md5::{Digest, Md5};

use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::tables::schema::{Definition, Index, Keys, Table};
use crate::dynamodb::value::{Item, KeyType, StorageError, Value, append_key};
use crate::store::{Change, Look, Map, StoreError};

/// How many bytes of a hash there are.
const HASH_BYTES: usize = 3;

/// The largest partition key, in bytes.
const MOST_PARTITION_BYTES: usize = 2048;

/// The largest sort key, in bytes.
const MOST_SORT_BYTES: usize = 1024;

/// What the keys of a table's items and entries begin with.
pub(crate) fn of_table(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// What the keys of an index's entries begin with.
pub(crate) fn of_index(table: &str, index: &str) -> Vec<u8> {
    [table.as_bytes(), &[0], index.as_bytes(), &[0]].concat()
}

/// Appends where the items of one partition are.
pub(crate) fn append_partition(to: &mut Vec<u8>, partition: &Value) -> Result<(), Refusal> {
    let hashed = to.len();
    to.extend([0; HASH_BYTES]);
    append(to, partition)?;
    let is_number = matches!(partition, Value::N(_));
    let hash = hash(&to[hashed + HASH_BYTES..], is_number);
    to[hashed..hashed + HASH_BYTES].copy_from_slice(&hash);
    Ok(())
}

/// The hash that AWS has been seen to order partitions by, of a partition key's bytes; numbers it hashes in another form.
fn hash(key: &[u8], is_number: bool) -> [u8; HASH_BYTES] {
    let mut hashing = Md5::new_with_prefix(b"Outliers");
    match key.strip_suffix(&[0, 0]) {
        Some(text) if !is_number => {
            // Behind each 0 is a 255 that is not of the text.
            for (index, part) in text.split_inclusive(|byte| *byte == 0).enumerate() {
                hashing.update(&part[usize::from(index > 0)..]);
            }
        }
        _ => hashing.update(key),
    }
    let hash = hashing.finalize();
    [hash[0], hash[1], hash[2]]
}

/// Where the part of a scan begins and ends: the items of these first hash bits.
pub(crate) fn of_segment(prefix: &[u8], segment: u64, segments: u64) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let at = |segment: u64| {
        // Twelve bits of the hash, as AWS is taken to have.
        let bucket = (4096 * segment).div_ceil(segments);
        let begin = u32::try_from(bucket << 12).unwrap_or(u32::MAX).to_be_bytes();
        (bucket < 4096).then(|| [prefix, &begin[1..]].concat())
    };
    // A segment that begins behind the last hash is empty.
    let nothing = || [prefix, &[u8::MAX; HASH_BYTES + 1]].concat();
    let from = at(segment).map_or_else(|| Bound::Excluded(nothing()), Bound::Included);
    let to = at(segment + 1).map_or_else(|| after(prefix), Bound::Excluded);
    (from, to)
}

/// Appends a key attribute.
pub(crate) fn append(to: &mut Vec<u8>, value: &Value) -> Result<(), Refusal> {
    Ok(append_key(to, value)?)
}

/// Appends the place of an item that has these keys, as was checked.
fn append_place(to: &mut Vec<u8>, keys: &Keys, item: &Item) -> Result<(), Refusal> {
    let [partition, sort] = values(keys, item);
    if let Some(partition) = partition {
        append_partition(to, partition)?;
    }
    sort.map_or(Ok(()), |sort| append(to, sort))
}

fn values<'a>(keys: &Keys, item: &'a Item) -> [Option<&'a Value>; 2] {
    let value = |key: &Definition| item.get(&key.name);
    [value(&keys.partition), keys.sort.as_ref().and_then(value)]
}

/// The key of the item; its key attributes were checked.
pub(crate) fn of_item(table: &Table, item: &Item) -> Result<Vec<u8>, Refusal> {
    let mut key = of_table(&table.name);
    append_place(&mut key, &table.keys, item)?;
    Ok(key)
}

/// An index entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) value: [u8; 4],
}

/// The item's entry in the index; `None` where it lacks one of the index's keys.
pub(crate) fn of_entry(table: &Table, index: &Index, item: &Item) -> Result<Option<Entry>, Refusal> {
    if !index.keys.iter().all(|key| item.contains_key(&key.name)) {
        return Ok(None);
    }
    let mut key = of_index(&table.name, &index.name);
    append_place(&mut key, &index.keys, item)?;
    let mut lengths = [0; 2];
    for (length, value) in lengths.iter_mut().zip(values(&table.keys, item)) {
        let before = key.len();
        if let Some(value) = value {
            append(&mut key, value)?;
        }
        // Keys are 2 KB at most, and twice that here.
        *length = u16::try_from(key.len() - before).unwrap_or(u16::MAX);
    }
    let ([a, b], [c, d]) = (lengths[0].to_be_bytes(), lengths[1].to_be_bytes());
    Ok(Some(Entry {
        key,
        value: [a, b, c, d],
    }))
}

/// The key of the item that an entry is of.
pub(crate) fn behind_entry(table: &Table, key: &[u8], value: &[u8]) -> Result<Vec<u8>, StoreError> {
    let damaged = || StoreError::new("an index entry cannot be read");
    let lengths: [u8; 4] = value.try_into().map_err(|_| damaged())?;
    let [a, b, c, d] = lengths;
    let (partition, sort) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let (partition, sort) = (usize::from(partition), usize::from(sort));
    let begin = key.len().checked_sub(partition + sort).ok_or_else(damaged)?;
    let (partition, sort) = key[begin..].split_at(partition);
    let hash = hash(partition, table.keys.partition.kind == KeyType::N);
    Ok([table.name.as_bytes(), &[0], &hash, partition, sort].concat())
}

/// The keys that begin so, as a range; keys never begin with 255 alone, so there is an end.
pub(crate) fn beginning_with(prefix: Vec<u8>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let end = after(&prefix);
    (Bound::Included(prefix), end)
}

/// Where the keys that begin so end.
pub(crate) fn after(prefix: &[u8]) -> Bound<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX);
    last.map_or(Bound::Unbounded, |last| {
        let mut end = prefix[..=last].to_vec();
        end[last] += 1;
        Bound::Excluded(end)
    })
}

/// Removes all keys that begin so.
pub(crate) fn remove_all(
    change: &mut (impl Change + ?Sized),
    map: Map,
    prefix: &[u8],
) -> Result<(), StoreError> {
    let (from, to) = beginning_with(prefix.to_vec());
    let mut keys = Vec::new();
    let range = (from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
    change.visit(map, range, false, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    keys.iter().try_for_each(|key| change.remove(map, key))
}

/// Whether this is a key of the table and nothing else.
pub(crate) fn check_key(keys: &Keys, key: &Item) -> Result<(), Refusal> {
    let fits = |definition: &Definition| {
        let value = key.get(&definition.name);
        value.is_some_and(|value| definition.kind.is_of(value))
    };
    if key.len() != keys.iter().count() || !keys.iter().all(fits) {
        return Err(Refusal::validation(
            "The provided key element does not match the schema",
        ));
    }
    check_values(keys, key)
}

/// Whether the item has the keys of the table and of its indexes as they must be.
pub(crate) fn check_item(table: &Table, item: &Item) -> Result<(), Refusal> {
    for key in table.keys.iter() {
        let Some(value) = item.get(&key.name) else {
            return Err(Refusal::validation(format!(
                "One or more parameter values were invalid: Missing the key {} in the item",
                key.name
            )));
        };
        if !key.kind.is_of(value) {
            return Err(Refusal::validation(format!(
                "One or more parameter values were invalid: Type mismatch for key {} expected: {} actual: {}",
                key.name,
                key.kind.name(),
                value.type_name()
            )));
        }
    }
    check_values(&table.keys, item)?;
    check_index_keys(table, item)
}

/// Whether the item's attributes that are keys of indexes are as they must be.
pub(crate) fn check_index_keys(table: &Table, item: &Item) -> Result<(), Refusal> {
    for index in &table.indexes {
        for key in index.keys.iter() {
            let Some(value) = item.get(&key.name) else {
                continue;
            };
            if !key.kind.is_of(value) {
                return Err(Refusal::validation(format!(
                    "One or more parameter values were invalid: Type mismatch for Index Key {} Expected: {} Actual: {} \
                     IndexName: {}",
                    key.name,
                    key.kind.name(),
                    value.type_name(),
                    index.name
                )));
            }
            if let Some(kind) = empty(value) {
                return Err(Refusal::validation(format!(
                    "One or more parameter values are not valid. A value specified for a secondary index key is not \
                     supported. The AttributeValue for a key attribute cannot contain an empty {kind} value. IndexName: \
                     {}, IndexKey: {}",
                    index.name, key.name
                )));
            }
        }
        check_sizes(&index.keys, item)?;
    }
    Ok(())
}

fn check_values(keys: &Keys, item: &Item) -> Result<(), Refusal> {
    for key in keys.iter() {
        if let Some(kind) = item.get(&key.name).and_then(empty) {
            return Err(Refusal::validation(format!(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an \
                 empty {kind} value. Key: {}",
                key.name
            )));
        }
    }
    check_sizes(keys, item)
}

fn check_sizes(keys: &Keys, item: &Item) -> Result<(), Refusal> {
    let [partition, sort] = values(keys, item).map(|value| value.map_or(0, Value::size));
    if partition > MOST_PARTITION_BYTES {
        return Err(Refusal::validation(
            "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        ));
    }
    if sort > MOST_SORT_BYTES {
        return Err(Refusal::validation(
            "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of \
             1024 bytes",
        ));
    }
    Ok(())
}

fn empty(value: &Value) -> Option<&'static str> {
    match value {
        Value::S(text) if text.is_empty() => Some("string"),
        Value::B(bytes) if bytes.is_empty() => Some("binary"),
        _ => None,
    }
}

/// The attributes of the item that are its keys in the table, and in the index where one is read.
pub(crate) fn keys_of(table: &Table, index: Option<&Index>, item: &Item) -> Item {
    let names = (table.keys.iter()).chain(index.iter().flat_map(|index| index.keys.iter()));
    names
        .filter_map(|key| Some((key.name.clone(), item.get(&key.name)?.clone())))
        .collect()
}

/// The item under that key.
pub(crate) fn item_at(look: &(impl Look + ?Sized), key: &[u8]) -> Result<Option<Item>, Failure> {
    match look.get(Map::Items, key)? {
        Some(bytes) => Ok(Some(decode(&bytes)?)),
        None => Ok(None),
    }
}

/// An item as it is kept.
pub(crate) fn decode(bytes: &[u8]) -> Result<Item, StoreError> {
    crate::dynamodb::value::decode(bytes).map_err(unread)
}

/// A kept item that cannot be read.
pub(crate) fn unread(error: StorageError) -> StoreError {
    StoreError::new(error.to_string())
}
