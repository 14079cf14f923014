//! JSON objects whose members stay as they came until they are asked for.
//!
//! What nobody asks for is checked for syntax only, so an odd member (deeply nested, a number beyond every
//! type, half of a surrogate pair) harms nothing but itself, and a record can be handed on byte for byte.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::fault::Fault;

/// One JSON object. Fields are looked up without regard to ASCII case, hyphens and underscores, because servers and
/// tools differ in them (`eventName`, `event_name`, `EventName`); `null` counts as absent. A field is named by its path
/// for messages; the last part of the path is the member's name.
pub(super) struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// # Errors
    /// When the value is no object, or a member's name is no valid text.
    pub fn parse(value: &'a RawValue) -> Result<Self, Fault> {
        serde_json::from_str(value.get()).map_err(Fault::NotJson)
    }

    /// Whether the field is there.
    pub fn has(&self, field: &'static str) -> bool {
        self.members(field).next().is_some()
    }

    /// Whether there are members, `null` or not, and all are among these.
    pub fn has_only(&self, fields: &[&'static str]) -> bool {
        let known = |member: &str| fields.iter().any(|field| member.eq_ignore_ascii_case(field));
        !self.0.is_empty() && self.0.iter().all(|(member, _)| known(member))
    }

    /// All members in their order, `null`s left out.
    pub fn all(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        let members = self.0.iter().filter(|(_, value)| value.get() != "null");
        members.map(|(member, value)| (member.as_str(), *value))
    }

    /// The field's value. It may be there twice with the same value, or once with a value and once empty.
    ///
    /// # Errors
    /// When it is there twice with different values: parsers differ in which one they take, so none is taken.
    pub fn value(&self, field: &'static str) -> Result<Option<&'a RawValue>, Fault> {
        let mut members = self.members(field).filter(|value| value.get() != "\"\"");
        let Some(value) = members.next() else {
            return Ok(self.members(field).next());
        };
        match members.all(|other| is_same(value, other)) {
            true => Ok(Some(value)),
            false => Err(Fault::Twice(field)),
        }
    }

    /// The field's value, an object.
    pub fn object(&self, field: &'static str) -> Result<Option<Object<'a>>, Fault> {
        let wrong = |_| Fault::Wrong {
            field,
            expected: "an object",
        };
        self.value(field)?
            .map(|value| serde_json::from_str(value.get()).map_err(wrong))
            .transpose()
    }

    /// The field's value, a list.
    pub fn list(&self, field: &'static str) -> Result<Option<Vec<&'a RawValue>>, Fault> {
        let wrong = |_| Fault::Wrong {
            field,
            expected: "a list",
        };
        self.value(field)?
            .map(|value| list(value).map_err(wrong))
            .transpose()
    }

    /// The field's text of at most `limit` bytes. Empty counts as absent: servers send an empty text for what
    /// they do not know.
    pub fn text(&self, field: &'static str, limit: usize) -> Result<Option<String>, Fault> {
        let Some(value) = self.value(field)? else {
            return Ok(None);
        };
        let wrong = |_| Fault::Wrong {
            field,
            expected: "a valid text",
        };
        bounded(field, limit, serde_json::from_str(value.get()).map_err(wrong)?)
    }

    /// The field's text or the digits of its number, at most `limit` bytes.
    pub fn text_or_number(&self, field: &'static str, limit: usize) -> Result<Option<String>, Fault> {
        match self.value(field)? {
            Some(value) if is_number(value) => bounded(field, limit, value.get().to_owned()),
            _ => self.text(field, limit),
        }
    }

    fn members(&self, field: &'static str) -> impl Iterator<Item = &'a RawValue> {
        let name = field.rsplit('.').next().unwrap_or(field);
        self.0
            .iter()
            .filter(move |(member, value)| is_named(member, name) && value.get() != "null")
            .map(|(_, value)| *value)
    }
}

/// Whether the value is a number.
pub(super) fn is_number(value: &RawValue) -> bool {
    value
        .get()
        .starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// The values of a JSON list.
pub(super) fn list(value: &RawValue) -> Result<Vec<&RawValue>, Fault> {
    serde_json::from_str(value.get()).map_err(Fault::NotJson)
}

fn is_named(member: &str, name: &str) -> bool {
    letters(member).eq(letters(name))
}

/// A name's letters and digits in lower case.
fn letters(name: &str) -> impl Iterator<Item = u8> {
    let bytes = name.bytes().filter(|byte| !matches!(byte, b'_' | b'-'));
    bytes.map(|byte| byte.to_ascii_lowercase())
}

/// Whether two values are one, however they are spelt.
fn is_same(a: &RawValue, b: &RawValue) -> bool {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    a.get() == b.get() || value(a).is_some_and(|a| value(b) == Some(a))
}

fn bounded(field: &'static str, limit: usize, text: String) -> Result<Option<String>, Fault> {
    match text.len() {
        0 => Ok(None),
        found if found > limit => Err(Fault::TooLong { field, limit, found }),
        _ => Ok(Some(text)),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
