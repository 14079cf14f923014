//! Which items a WHERE clause means by their keys, and what it asks of them besides.

use crate::dynamodb::expression::condition::{Comparator, Condition, Operand};
use crate::dynamodb::expression::key_condition::{KeyCondition, SortRange};
use crate::dynamodb::value::{Invalid, Item, KeyType, Value};

/// How a SELECT finds its items.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lookup {
    /// By these keys, one after another; by none of them the whole table or index is scanned.
    pub(crate) keys: Option<Vec<KeyCondition>>,
    pub(crate) filter: Option<Condition>,
}

/// The key that an UPDATE or a DELETE names, and what else must hold.
///
/// # Errors
/// When the clause does not say what each attribute of the key is, or says what it cannot be.
pub(crate) fn key_of(
    filter: Option<Condition>,
    keys: &[(&str, KeyType)],
) -> Result<(Item, Option<Condition>), Invalid> {
    let mut conditions = all_of(filter);
    let mut key = Item::new();
    for (name, key_type) in keys {
        let Some(at) = conditions
            .iter()
            .position(|condition| equality(condition, name).is_some())
        else {
            return Err(Invalid::new(
                "Where clause does not contain a mandatory equality on all key attributes",
            ));
        };
        let value = equality(&conditions.remove(at), name).cloned();
        let value = value
            .filter(|value| key_type.is_of(value))
            .ok_or_else(|| wrong_type(name))?;
        if conditions
            .iter()
            .any(|condition| equality(condition, name).is_some())
        {
            return Err(Invalid::new(format!(
                "Multiple conditions on same key {name}. Only single item Update/Insert/Delete are supported"
            )));
        }
        key.insert((*name).to_owned(), value);
    }
    Ok((key, together(conditions)))
}

/// How a SELECT with this clause finds its items.
///
/// # Errors
/// When a key has a value of another type.
pub(crate) fn lookup_of(
    filter: Option<Condition>,
    partition: (&str, KeyType),
    sort: Option<(&str, KeyType)>,
) -> Result<Lookup, Invalid> {
    let mut conditions = all_of(filter);
    let values = |condition: &Condition| partitions(condition, partition.0);
    let Some(at) = conditions
        .iter()
        .position(|condition| values(condition).is_some())
    else {
        return Ok(Lookup {
            keys: None,
            filter: together(conditions),
        });
    };
    let partitions = values(&conditions.remove(at)).unwrap_or_default();
    if partitions.iter().any(|value| !partition.1.is_of(value)) {
        return Err(wrong_type(partition.0));
    }
    let mut range = None;
    if let Some((name, key_type)) = sort
        && let Some(at) = conditions
            .iter()
            .position(|condition| sort_range(condition, name).is_some())
    {
        range = sort_range(&conditions.remove(at), name);
        let of_type = |range: &SortRange| match range {
            SortRange::Compare(_, value) | SortRange::BeginsWith(value) => key_type.is_of(value),
            SortRange::Between(low, high) => key_type.is_of(low) && key_type.is_of(high),
        };
        if !range.as_ref().is_some_and(of_type) {
            return Err(wrong_type(name));
        }
    }
    let key = |partition| KeyCondition {
        partition,
        sort: range.clone(),
    };
    Ok(Lookup {
        keys: Some(partitions.into_iter().map(key).collect()),
        filter: together(conditions),
    })
}

fn wrong_type(name: &str) -> Invalid {
    Invalid::new(format!(
        "Key attribute's data type should match its data type in table's schema: Key {name}"
    ))
}

/// The conditions that must all hold.
fn all_of(filter: Option<Condition>) -> Vec<Condition> {
    let mut all = Vec::new();
    let mut open: Vec<Condition> = filter.into_iter().collect();
    while let Some(condition) = open.pop() {
        match condition {
            Condition::And(conditions) => open.extend(conditions.into_iter().rev()),
            other => all.push(other),
        }
    }
    all
}

fn together(mut conditions: Vec<Condition>) -> Option<Condition> {
    match conditions.len() {
        0 | 1 => conditions.pop(),
        _ => Some(Condition::And(conditions)),
    }
}

/// A comparison of a whole attribute with a value, the attribute on the left.
fn comparison<'c>(condition: &'c Condition, name: &str) -> Option<(Comparator, &'c Value)> {
    match condition {
        Condition::Compare(left, comparator, Operand::Value(value)) if is_attribute(left, name) => {
            Some((*comparator, value))
        }
        Condition::Compare(Operand::Value(value), comparator, right) if is_attribute(right, name) => {
            Some((comparator.turned(), value))
        }
        _ => None,
    }
}

fn is_attribute(operand: &Operand, name: &str) -> bool {
    matches!(operand, Operand::Path(path) if path.is_attribute() && path.attribute() == name)
}

fn equality<'c>(condition: &'c Condition, name: &str) -> Option<&'c Value> {
    match comparison(condition, name) {
        Some((Comparator::Equal, value)) => Some(value),
        _ => None,
    }
}

/// The values of the partition key that a condition leaves, each once.
fn partitions(condition: &Condition, name: &str) -> Option<Vec<Value>> {
    if let Some(value) = equality(condition, name) {
        return Some(vec![value.clone()]);
    }
    let Condition::In(operand, among) = condition else {
        return None;
    };
    let value = |operand: &Operand| match operand {
        Operand::Value(value) => Some(value.clone()),
        _ => None,
    };
    let mut values: Vec<Value> = Vec::new();
    for one in among {
        let one = value(one)?;
        if !values.contains(&one) {
            values.push(one);
        }
    }
    is_attribute(operand, name).then_some(values)
}

fn sort_range(condition: &Condition, name: &str) -> Option<SortRange> {
    match condition {
        Condition::Between(operand, Operand::Value(low), Operand::Value(high))
            if is_attribute(operand, name) =>
        {
            Some(SortRange::Between(low.clone(), high.clone()))
        }
        Condition::BeginsWith(operand, Operand::Value(prefix)) if is_attribute(operand, name) => {
            Some(SortRange::BeginsWith(prefix.clone()))
        }
        other => match comparison(other, name)? {
            (Comparator::Unequal, _) => None,
            (comparator, value) => Some(SortRange::Compare(comparator, value.clone())),
        },
    }
}
