//! Sizes in bytes, by which AWS counts capacity and refuses items.

use crate::dynamodb::value::{Item, Value};

/// The largest item: 400 KB.
pub(crate) const MAX_ITEM_BYTES: usize = 400 * 1024;

/// What a list or a map has besides its elements.
pub(super) const NESTED: usize = 3;

/// An item's bytes: each attribute's name and value.
pub(crate) fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value.size()).sum()
}

impl Value {
    /// Its bytes, without the name of its attribute.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::S(text) => text.len(),
            Self::N(number) => number.size(),
            Self::B(bytes) => bytes.len(),
            Self::Bool(_) | Self::Null => 1,
            Self::M(map) => NESTED + map.len() + item_size(map),
            Self::L(list) => NESTED + list.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Self::Ss(set) => set.iter().map(String::len).sum(),
            Self::Ns(set) => set.iter().map(|number| number.size()).sum(),
            Self::Bs(set) => set.iter().map(Vec::len).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_counts_names_values_and_what_nesting_adds() {
        let item: Item = serde_json::from_value(serde_json::json!({
            "id": {"S": "é"},
            "n": {"N": "12.5"},
            "b": {"B": "AAEC"},
            "t": {"BOOL": true},
            "z": {"NULL": true},
            "l": {"L": [{"S": "ab"}, {"NULL": true}]},
            "m": {"M": {"key": {"S": "v"}}},
            "ss": {"SS": ["a", "bc"]},
            "ns": {"NS": ["1", "22"]},
            "bs": {"BS": ["AA==", "AQI="]},
        }))
        .unwrap();
        let sizes: usize = [
            2 + 2,
            1 + 3,
            1 + 3,
            1 + 1,
            1 + 1,
            1 + 3 + 3 + 2,
            1 + 3 + 1 + 4,
            2 + 3,
            2 + 4,
            2 + 3,
        ]
        .iter()
        .sum();
        assert_eq!(item_size(&item), sizes);
    }
}
