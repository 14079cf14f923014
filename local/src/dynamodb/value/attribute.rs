//! One value, and an item of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::dynamodb::value::invalid::Invalid;
use crate::dynamodb::value::number::Number;

/// How deep a value may be nested: a leaf in 31 maps or lists is taken, one in 32 is not.
const MAX_LEVELS: usize = 32;

pub(crate) const TOO_DEEP: &str = "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit";

/// One attribute's value. Sets have no member twice and are never empty where they came from the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    S(String),
    N(Number),
    B(Vec<u8>),
    Bool(bool),
    Null,
    M(Item),
    L(Vec<Value>),
    Ss(BTreeSet<String>),
    Ns(BTreeSet<Number>),
    Bs(BTreeSet<Vec<u8>>),
}

/// Attributes by name.
pub(crate) type Item = BTreeMap<String, Value>;

impl Value {
    /// The type's name on the wire.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::M(_) => "M",
            Self::L(_) => "L",
            Self::Ss(_) => "SS",
            Self::Ns(_) => "NS",
            Self::Bs(_) => "BS",
        }
    }

    /// # Errors
    /// When it is nested deeper than 32 levels, itself included.
    pub(crate) fn check_nesting(&self) -> Result<(), Invalid> {
        match self.is_within(MAX_LEVELS) {
            true => Ok(()),
            false => Err(Invalid::new(TOO_DEEP)),
        }
    }

    fn is_within(&self, levels: usize) -> bool {
        let Some(below) = levels.checked_sub(1) else {
            return false;
        };
        match self {
            Self::M(map) => map.values().all(|value| value.is_within(below)),
            Self::L(list) => list.iter().all(|value| value.is_within(below)),
            _ => true,
        }
    }
}

/// # Errors
/// When a value of it is nested deeper than 32 levels.
pub(crate) fn check_nesting(item: &Item) -> Result<(), Invalid> {
    item.values().try_for_each(Value::check_nesting)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_in_31_lists_is_taken_and_one_in_32_is_not() {
        let nested = |levels| (0..levels).fold(Value::Null, |value, _| Value::L(vec![value]));
        assert!(nested(31).check_nesting().is_ok());
        assert_eq!(nested(32).check_nesting().unwrap_err().into_message(), TOO_DEEP);
        let item = Item::from([("a".to_owned(), nested(32))]);
        assert!(check_nesting(&item).is_err());
    }
}
