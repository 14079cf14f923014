//! Stored items of which only some attributes matter: the others are passed over without being built.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::dynamodb::value::size::NESTED;
use crate::dynamodb::value::storage::{StorageError, of_form};
use crate::dynamodb::value::{Item, Number, Value};

/// Some attributes of one stored item after the other.
pub(crate) struct Part {
    /// Their names, in order.
    names: Vec<String>,
    item: Item,
}

impl Part {
    pub(crate) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        Self {
            names,
            item: Item::new(),
        }
    }

    /// Reads these attributes of the item in `bytes`, in place of the item before. Returns the size of the whole item.
    ///
    /// # Errors
    /// As [`decode`](crate::dynamodb::value::decode), but that texts of other attributes may be damaged.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<usize, StorageError> {
        let damaged = |error: postcard::Error| StorageError::Damaged(error.to_string());
        let mut stored = postcard::Deserializer::from_bytes(of_form(bytes)?);
        let size = stored.deserialize_map(Reading(self)).map_err(damaged)?;
        match stored.finalize().map_err(damaged)?.len() {
            0 => Ok(size),
            bytes => Err(StorageError::Damaged(format!("{bytes} bytes behind its end"))),
        }
    }

    /// The attributes that were read last.
    pub(crate) fn item(&self) -> &Item {
        &self.item
    }

    /// Sets an attribute; what is there keeps its place and its name.
    fn set(&mut self, at: usize, value: Value) {
        let name = &self.names[at];
        match self.item.get_mut(name) {
            Some(place) => *place = value,
            None => drop(self.item.insert(name.clone(), value)),
        }
    }
}

struct Reading<'p>(&'p mut Part);

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    /// Both the stored attributes and the wanted names are in order.
    fn visit_map<A: MapAccess<'de>>(self, mut attributes: A) -> Result<usize, A::Error> {
        let Self(part) = self;
        let (mut size, mut at) = (0, 0);
        while let Some(name) = attributes.next_key::<&[u8]>()? {
            while part.names.get(at).is_some_and(|wanted| wanted.as_bytes() < name) {
                part.item.remove(&part.names[at]);
                at += 1;
            }
            let value = match part.names.get(at).is_some_and(|wanted| wanted.as_bytes() == name) {
                true => {
                    let value: Value = attributes.next_value()?;
                    let size = value.size();
                    part.set(at, value);
                    at += 1;
                    size
                }
                false => attributes.next_value::<Passed<'de>>()?.size(),
            };
            size += name.len() + value;
        }
        for name in &part.names[at..] {
            part.item.remove(name);
        }
        Ok(size)
    }
}

/// A value that nobody asks for, in the form of [`storage`](super::storage).
#[derive(Deserialize)]
enum Passed<'a> {
    #[serde(borrow)]
    S(&'a [u8]),
    N(Number),
    B(&'a [u8]),
    #[expect(dead_code, reason = "it is read over, not read")]
    Bool(bool),
    Null,
    M(BTreeMap<&'a [u8], Passed<'a>>),
    L(Vec<Passed<'a>>),
    Ss(Vec<&'a [u8]>),
    Ns(Vec<Number>),
    Bs(Vec<&'a [u8]>),
}

impl Passed<'_> {
    /// As [`Value::size`].
    fn size(&self) -> usize {
        match self {
            Self::S(bytes) | Self::B(bytes) => bytes.len(),
            Self::N(number) => number.size(),
            Self::Bool(_) | Self::Null => 1,
            Self::M(map) => {
                let members = map.iter().map(|(name, value)| 1 + name.len() + value.size());
                NESTED + members.sum::<usize>()
            }
            Self::L(list) => NESTED + list.iter().map(|value| 1 + value.size()).sum::<usize>(),
            Self::Ss(set) | Self::Bs(set) => set.iter().map(|member| member.len()).sum(),
            Self::Ns(set) => set.iter().map(|number| number.size()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dynamodb::value::{encode, item_size};

    fn item(json: serde_json::Value) -> Item {
        serde_json::from_value(json).unwrap()
    }

    fn whole() -> Item {
        item(serde_json::json!({
            "id": {"S": "é"},
            "n": {"N": "-12.5"},
            "bytes": {"B": "AAEC/w=="},
            "l": {"L": [{"B": "AAEC"}, {"BOOL": true}, {"NULL": true}, {"M": {"k": {"SS": ["a", "bc"]}, "j": {"L": []}}}]},
            "ns": {"NS": ["1", "-2.75"]},
            "bs": {"BS": ["AA==", "AQI="]},
            "z": {"NULL": true},
        }))
    }

    #[test]
    fn some_attributes_are_built_and_all_are_counted() {
        let whole = whole();
        let none = &mut Part::new([]);
        assert_eq!(none.read(&encode(&whole)).unwrap(), item_size(&whole));
        assert!(none.item().is_empty());
        for name in whole.keys() {
            let mut part = Part::new([name.as_str(), "absent", name.as_str()]);
            assert_eq!(part.read(&encode(&whole)).unwrap(), item_size(&whole), "{name}");
            let expected = Item::from([(name.clone(), whole[name].clone())]);
            assert_eq!(*part.item(), expected, "{name}");
        }
        let mut all = Part::new(whole.keys().map(String::as_str));
        all.read(&encode(&whole)).unwrap();
        assert_eq!(*all.item(), whole);
    }

    #[test]
    fn an_item_leaves_nothing_to_the_next() {
        let mut part = Part::new(["a", "b", "c"]);
        let items = [
            serde_json::json!({"a": {"S": "1"}, "b": {"S": "2"}, "c": {"S": "3"}}),
            serde_json::json!({"b": {"N": "2"}}),
            serde_json::json!({"a": {"S": "1"}, "d": {"S": "3"}}),
            serde_json::json!({}),
        ];
        for json in items {
            let mut item = item(json);
            part.read(&encode(&item)).unwrap();
            item.remove("d");
            assert_eq!(*part.item(), item);
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = encode(&whole());
        let mut part = Part::new(["id"]);
        assert!(matches!(part.read(&[]), Err(StorageError::Damaged(_))));
        assert!(matches!(part.read(&[2, 0]), Err(StorageError::UnknownForm(2))));
        for end in 1..bytes.len() {
            assert!(
                matches!(part.read(&bytes[..end]), Err(StorageError::Damaged(_))),
                "{end}"
            );
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(part.read(&longer), Err(StorageError::Damaged(_))));
    }
}
