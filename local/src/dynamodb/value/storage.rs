//! Items as bytes in the store: a byte that says the form, and the item in it.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::dynamodb::value::{Item, Number, Value};

/// Postcard, the types in the order of [`Stored`].
const FORM: u8 = 1;

/// Why stored bytes are not an item.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    #[error(
        "the item is stored in form {0}, which this build does not know: use the build that wrote it, or a newer one"
    )]
    UnknownForm(u8),
    #[error("the stored item cannot be read: {0}")]
    Damaged(String),
}

pub(crate) fn encode(item: &Item) -> Vec<u8> {
    postcard::to_extend(item, vec![FORM]).expect("every item has a form in bytes")
}

/// # Errors
/// When the bytes are not one whole item in a form that this build knows.
pub(crate) fn decode(bytes: &[u8]) -> Result<Item, StorageError> {
    let (item, rest) = postcard::take_from_bytes(of_form(bytes)?)
        .map_err(|error| StorageError::Damaged(error.to_string()))?;
    match rest.len() {
        0 => Ok(item),
        bytes => Err(StorageError::Damaged(format!("{bytes} bytes behind its end"))),
    }
}

/// The item's bytes behind those that say their form.
pub(super) fn of_form(bytes: &[u8]) -> Result<&[u8], StorageError> {
    match bytes.split_first() {
        Some((&FORM, bytes)) => Ok(bytes),
        Some((&form, _)) => Err(StorageError::UnknownForm(form)),
        None => Err(StorageError::Damaged("no byte of it is there".to_owned())),
    }
}

/// The variants by their numbers: new ones go to the end.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Value")]
enum Stored {
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

pub(super) fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    Stored::serialize(value, serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Stored::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        serde_json::from_value(serde_json::json!({
            "id": {"S": "x"},
            "n": {"N": "-12.5"},
            "all": {"L": [{"B": "AAEC"}, {"BOOL": true}, {"NULL": true}, {"M": {"k": {"SS": ["a", "b"]}}}]},
            "ns": {"NS": ["1", "-2"]},
            "bs": {"BS": ["AA=="]},
        }))
        .unwrap()
    }

    #[test]
    fn an_item_comes_back_from_its_bytes() {
        let bytes = encode(&item());
        assert_eq!(bytes[0], 1);
        assert_eq!(decode(&bytes).unwrap(), item());
    }

    #[test]
    fn the_form_is_what_a_later_build_will_find() {
        let item = Item::from([
            ("a".to_owned(), Value::S("x".to_owned())),
            ("b".to_owned(), Value::N(Number::from(250))),
        ]);
        assert_eq!(encode(&item), [1, 2, 1, b'a', 0, 1, b'x', 1, b'b', 1, 50, 2]);
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = encode(&item());
        assert!(matches!(decode(&[]), Err(StorageError::Damaged(_))));
        assert!(matches!(decode(&[2, 0]), Err(StorageError::UnknownForm(2))));
        for end in 1..bytes.len() {
            assert!(
                matches!(decode(&bytes[..end]), Err(StorageError::Damaged(_))),
                "{end}"
            );
        }
        assert!(matches!(
            decode(&[bytes.as_slice(), &[0]].concat()),
            Err(StorageError::Damaged(_))
        ));
    }
}
