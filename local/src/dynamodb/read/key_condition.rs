//! Which part of a table or an index a query reads.

use std::ops::Bound;

use crate::dynamodb::error::Refusal;
use crate::dynamodb::expression::{Comparator, KeyCondition, SortRange};
use crate::dynamodb::keys;
use crate::dynamodb::value::append_key_prefix;

/// A range of keys.
pub(crate) type Part = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The part that the condition names, of the keys that begin with `prefix`.
pub(crate) fn part(condition: &KeyCondition, mut prefix: Vec<u8>) -> Result<Part, Refusal> {
    keys::append_partition(&mut prefix, &condition.partition)?;
    let at = |value| {
        let mut bytes = prefix.clone();
        keys::append(&mut bytes, value)?;
        Ok::<_, Refusal>(bytes)
    };
    let (begin, end) = keys::beginning_with(prefix.clone());
    match &condition.sort {
        None => Ok((begin, end)),
        Some(SortRange::Between(low, high)) => Ok((Bound::Included(at(low)?), keys::after(&at(high)?))),
        Some(SortRange::BeginsWith(beginning)) => {
            let mut bytes = prefix.clone();
            append_key_prefix(&mut bytes, beginning)?;
            Ok(keys::beginning_with(bytes))
        }
        Some(SortRange::Compare(comparator, value)) => {
            let at = at(value)?;
            Ok(match comparator {
                Comparator::Equal | Comparator::Unequal => keys::beginning_with(at),
                Comparator::Less => (begin, Bound::Excluded(at)),
                Comparator::LessOrEqual => (begin, keys::after(&at)),
                Comparator::Greater => (from_end(keys::after(&at)), end),
                Comparator::GreaterOrEqual => (Bound::Included(at), end),
            })
        }
    }
}

/// Where a range begins that is behind another. Behind a key in an index come the table's keys: all that begins with it is at it.
fn from_end(end: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
    match end {
        Bound::Excluded(end) => Bound::Included(end),
        other => other,
    }
}
