//! Values as JSON on the wire, and what is wrong with a request's JSON.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::dynamodb::value::{Invalid, Item, Number, TOO_DEEP, Value, storage};

/// In front of what is a ValidationException, in the text of a reader's error.
const VALIDATION: &str = "ValidationException: ";

/// Which error a request is answered with that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A ValidationException.
    Invalid(Invalid),
    /// A SerializationException with this message.
    Unreadable(String),
}

/// Which error a request's JSON is answered with.
pub(crate) fn refusal(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    if let Some(message) = text.strip_prefix(VALIDATION) {
        return Refusal::Invalid(Invalid::new(message));
    }
    if text.starts_with("recursion limit exceeded") {
        return Refusal::Invalid(Invalid::new(TOO_DEEP));
    }
    let invalid = ["missing field", "unknown variant", "invalid type: null"];
    match error.is_data() && invalid.iter().any(|words| text.starts_with(words)) {
        true => Refusal::Invalid(Invalid::new(text)),
        false => Refusal::Unreadable(text.to_owned()),
    }
}

/// An error of a reader that [`refusal`] takes for a ValidationException.
pub(crate) fn invalid<E: Error>(message: impl Display) -> E {
    E::custom(format_args!("{VALIDATION}{message}"))
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return storage::serialize(self, serializer);
        }
        let mut json = serializer.serialize_map(Some(1))?;
        let name = self.type_name();
        match self {
            Self::S(text) => json.serialize_entry(name, text),
            Self::N(number) => json.serialize_entry(name, &Digits(*number)),
            Self::B(bytes) => json.serialize_entry(name, &Base64(bytes)),
            Self::Bool(is) => json.serialize_entry(name, is),
            Self::Null => json.serialize_entry(name, &true),
            Self::M(map) => json.serialize_entry(name, map),
            Self::L(list) => json.serialize_entry(name, list),
            Self::Ss(set) => json.serialize_entry(name, set),
            Self::Ns(set) => json.serialize_entry(name, &set.iter().copied().map(Digits).collect::<Vec<_>>()),
            Self::Bs(set) => {
                json.serialize_entry(name, &set.iter().map(|bytes| Base64(bytes)).collect::<Vec<_>>())
            }
        }?;
        json.end()
    }
}

/// A number as text.
struct Digits(Number);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Bytes as text.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_map(Wire),
            false => storage::deserialize(deserializer),
        }
    }
}

struct Wire;

impl<'de> Visitor<'de> for Wire {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an attribute value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut json: A) -> Result<Value, A::Error> {
        let mut found = None;
        while let Some(name) = json.next_key::<String>()? {
            let Some(value) = typed(&name, &mut json)? else {
                continue;
            };
            if found.replace(value).is_some() {
                return Err(invalid(
                    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes",
                ));
            }
        }
        found.ok_or_else(|| {
            invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
        })
    }
}

/// The value under a type's name; `None` under another name, and for JSON's null.
fn typed<'de, A: MapAccess<'de>>(name: &str, json: &mut A) -> Result<Option<Value>, A::Error> {
    Ok(match name {
        "S" => json.next_value::<Option<String>>()?.map(Value::S),
        "N" => json
            .next_value::<Option<String>>()?
            .map(|text| number(&text))
            .transpose()?
            .map(Value::N),
        "B" => json
            .next_value::<Option<String>>()?
            .map(|text| bytes(&text))
            .transpose()?
            .map(Value::B),
        "BOOL" => json.next_value::<Option<bool>>()?.map(Value::Bool),
        "NULL" => match json.next_value::<Option<bool>>()? {
            Some(false) => {
                let reason = "Null attribute value types must have the value of true";
                return Err(invalid(Invalid::parameter(reason)));
            }
            is => is.map(|_| Value::Null),
        },
        "M" => json.next_value::<Option<Item>>()?.map(Value::M),
        "L" => json.next_value::<Option<Vec<Value>>>()?.map(Value::L),
        "SS" => json
            .next_value::<Option<Vec<String>>>()?
            .map(|members| {
                set(members, "An string set  may not be empty", |texts| {
                    format!("Input collection [{}] contains duplicates.", texts.join(", "))
                })
            })
            .transpose()?
            .map(Value::Ss),
        "NS" => json
            .next_value::<Option<Vec<String>>>()?
            .map(|members| {
                let members = members
                    .iter()
                    .map(|text| number(text))
                    .collect::<Result<Vec<_>, A::Error>>()?;
                set(members, "An number set  may not be empty", |_| {
                    "Input collection contains duplicates.".to_owned()
                })
            })
            .transpose()?
            .map(Value::Ns),
        "BS" => json
            .next_value::<Option<Vec<String>>>()?
            .map(|texts| {
                let members = texts
                    .iter()
                    .map(|text| bytes(text))
                    .collect::<Result<Vec<_>, A::Error>>()?;
                set(members, "Binary sets should not be empty", |_| {
                    format!(
                        "Input collection [{}]of type BS contains duplicates.",
                        texts.join(", ")
                    )
                })
            })
            .transpose()?
            .map(Value::Bs),
        _ => json.next_value::<IgnoredAny>().map(|_| None)?,
    })
}

fn number<E: Error>(text: &str) -> Result<Number, E> {
    Number::parse(text).map_err(invalid)
}

fn bytes<E: Error>(text: &str) -> Result<Vec<u8>, E> {
    BASE64
        .decode(text)
        .map_err(|error| E::custom(format_args!("invalid base64: {error}")))
}

/// A set that is not empty and has no member twice.
fn set<T: Ord + Clone, E: Error>(
    members: Vec<T>,
    empty: &str,
    twice: impl FnOnce(&[T]) -> String,
) -> Result<BTreeSet<T>, E> {
    if members.is_empty() {
        return Err(invalid(Invalid::parameter(empty)));
    }
    let set: BTreeSet<T> = members.iter().cloned().collect();
    match set.len() == members.len() {
        true => Ok(set),
        false => Err(invalid(Invalid::parameter(twice(&members)))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: serde_json::Value) -> Result<Value, Refusal> {
        // From text, as on the wire: errors bear a position then.
        serde_json::from_str(&json.to_string()).map_err(|error| refusal(&error))
    }

    fn refused(json: serde_json::Value) -> String {
        match read(json.clone()) {
            Err(Refusal::Invalid(invalid)) => invalid.into_message(),
            other => panic!("{json} was read as {other:?}"),
        }
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        for json in [
            json!({"S": ""}),
            json!({"N": "-1.5"}),
            json!({"B": "AAEC"}),
            json!({"BOOL": false}),
            json!({"NULL": true}),
            json!({"M": {"a": {"L": [{"S": "x"}, {"M": {}}]}}}),
            json!({"SS": ["a", "b"]}),
            json!({"NS": ["-1", "2", "10"]}),
            json!({"BS": ["AA==", "AQ=="]}),
        ] {
            assert_eq!(serde_json::to_value(read(json.clone()).unwrap()).unwrap(), json);
        }
    }

    #[test]
    fn numbers_are_normalised_and_sets_ordered() {
        let value = read(json!({"NS": ["10", "1e0", "-2.50"]})).unwrap();
        assert_eq!(
            serde_json::to_value(value).unwrap(),
            json!({"NS": ["-2.5", "1", "10"]})
        );
    }

    #[test]
    fn members_that_are_null_or_unknown_do_not_count() {
        assert_eq!(
            read(json!({"S": "x", "N": null, "Q": [1]})).unwrap(),
            Value::S("x".to_owned())
        );
    }

    #[test]
    fn what_is_no_value_is_refused_in_the_words_of_aws() {
        let invalid = "One or more parameter values were invalid: ";
        let supplied = "Supplied AttributeValue";
        let exactly = "must contain exactly one of the supported datatypes";
        for (json, words) in [
            (json!({}), format!("{supplied} is empty, {exactly}")),
            (
                json!({"S": "a", "N": "1"}),
                format!("{supplied} has more than one datatypes set, {exactly}"),
            ),
            (
                json!({"NULL": false}),
                format!("{invalid}Null attribute value types must have the value of true"),
            ),
            (
                json!({"SS": []}),
                format!("{invalid}An string set  may not be empty"),
            ),
            (
                json!({"NS": []}),
                format!("{invalid}An number set  may not be empty"),
            ),
            (
                json!({"BS": []}),
                format!("{invalid}Binary sets should not be empty"),
            ),
            (
                json!({"SS": ["a", "a"]}),
                format!("{invalid}Input collection [a, a] contains duplicates."),
            ),
            (
                json!({"NS": ["1", "1.0"]}),
                format!("{invalid}Input collection contains duplicates."),
            ),
            (
                json!({"BS": ["AA==", "AA=="]}),
                format!("{invalid}Input collection [AA==, AA==]of type BS contains duplicates."),
            ),
            (
                json!({"N": "x"}),
                "The parameter cannot be converted to a numeric value: x".to_owned(),
            ),
            (
                json!({"L": [{"N": "1e200"}]}),
                "Number overflow. Attempting to store a number with magnitude larger than supported range"
                    .to_owned(),
            ),
        ] {
            assert_eq!(refused(json.clone()), words, "{json}");
        }
    }

    #[test]
    fn what_is_of_another_json_type_is_unreadable() {
        for json in [
            json!({"S": 1}),
            json!({"N": 1}),
            json!({"B": "?"}),
            json!({"BOOL": "x"}),
            json!("x"),
            json!({"L": {}}),
        ] {
            assert!(
                matches!(read(json.clone()), Err(Refusal::Unreadable(_))),
                "{json}"
            );
        }
    }

    #[test]
    fn hostile_nesting_is_refused_before_the_stack_ends() {
        let text = format!("{}{}", "{\"L\":[".repeat(100_000), "]}".repeat(100_000));
        let error = serde_json::from_str::<Value>(&text).unwrap_err();
        assert_eq!(refusal(&error), Refusal::Invalid(Invalid::new(TOO_DEEP)));
    }
}
