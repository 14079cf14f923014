//! General events: CloudEvents 1.0, in Daybook's own copy of the JSON format.
//!
//! What a sender sent becomes one JSON text, the same in whichever mode it came (structured, in a batch, in HTTP headers). That text is
//! what a row keeps and what a target is given, so its bytes never change for one event.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::names::BucketName;
use crate::queue_text::queue_safe_json;
use crate::time::Timestamp;

/// The version of the specification.
pub const SPEC_VERSION: &str = "1.0";

/// Bytes of an event in this form, data included. With its row's other attributes it fits into an item of DynamoDB (400 KB), and with
/// id and attempt into the input of an execution (256 KiB), so that every target can be given it.
pub const LONGEST_CLOUD_EVENT: usize = 200 * 1000;

/// Bytes of an event's `id`: as of an object's key.
pub const LONGEST_ID: usize = 1024;

/// The extension that names the group in which order is kept ("Partitioning", CloudEvents extensions).
pub const PARTITION_KEY: &str = "partitionkey";

/// Where an object event has its bucket. No server has a bucket of that name: colons are not allowed in names of buckets.
const NO_BUCKET: &str = ":event";

/// A general event: the attributes of the specification, and extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudEvent {
    /// `id`, which with `source` is unique.
    pub id: String,
    /// `source`, a URI reference.
    pub source: String,
    /// `type`.
    pub event_type: String,
    /// `subject`: what the event is about, within its source.
    pub subject: Option<String>,
    /// `time`, as it was sent.
    pub time: Option<String>,
    /// `datacontenttype`.
    pub data_content_type: Option<String>,
    /// `dataschema`.
    pub data_schema: Option<String>,
    /// Extension attributes by name.
    pub extensions: BTreeMap<String, Attribute>,
    /// `data` or `data_base64`.
    pub data: Option<Data>,
}

/// The value of an extension attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attribute {
    /// A Boolean.
    Boolean(bool),
    /// An Integer, of 32 bits.
    Integer(i32),
    /// A text: any other type.
    Text(String),
}

/// What an event carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A JSON value, the text as it was sent.
    Json(JsonText),
    /// Bytes, in Base64.
    Base64(String),
}

/// The text of a JSON value that every JSON parser reads, and that every queue takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonText(String);

/// How deeply data may be nested. Parsers give up between 100 and 1,000, and Daybook's own at 128 with what is around it.
const DEEPEST: usize = 100;

/// A text that is not JSON that every parser reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJson {
    /// Not in JSON's syntax, a number beyond every type, or half of a surrogate pair.
    #[error("{0}")]
    Syntax(String),
    /// Nested too deeply.
    #[error("it is nested more than {DEEPEST} deep")]
    TooDeep,
}

impl TryFrom<String> for JsonText {
    type Error = InvalidJson;

    fn try_from(text: String) -> Result<Self, InvalidJson> {
        if deepest(&text) > DEEPEST {
            return Err(InvalidJson::TooDeep);
        }
        // Read to the end: what one parser takes and another does not would stop a batch for ever.
        if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
            return Err(InvalidJson::Syntax(error.to_string()));
        }
        let text = text.trim();
        // They can only stand inside of a string, where an escape means the same.
        Ok(Self(
            text.replace('\u{fffe}', "\\uFFFE").replace('\u{ffff}', "\\uFFFF"),
        ))
    }
}

impl JsonText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many lists and objects are open at once.
fn deepest(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl CloudEvent {
    /// The group in which order is kept, by the extension `partitionkey`.
    pub fn partition_key(&self) -> Option<&str> {
        match self.extensions.get(PARTITION_KEY)? {
            Attribute::Text(text) => Some(text),
            Attribute::Boolean(_) | Attribute::Integer(_) => None,
        }
    }

    /// When it happened, as far as `time` says so.
    pub fn at(&self) -> Option<Timestamp> {
        self.time.as_deref()?.parse().ok()
    }

    /// The event as JSON, byte-stable.
    pub fn to_json(&self) -> String {
        queue_safe_json(self)
    }

    /// Where an object event has its bucket.
    pub(crate) fn no_bucket() -> BucketName {
        NO_BUCKET.parse().expect("a name in the form of a bucket's")
    }
}

impl fmt::Display for CloudEvent {
    /// The type, the subject and what identifies it, on one line: untrusted text, to be escaped where it is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.event_type)?;
        if let Some(subject) = &self.subject {
            write!(f, " {subject}")?;
        }
        write!(f, " ({} {})", self.source, self.id)
    }
}

impl Serialize for CloudEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("specversion", SPEC_VERSION)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("source", &self.source)?;
        map.serialize_entry("type", &self.event_type)?;
        let optional = [
            ("subject", &self.subject),
            ("time", &self.time),
            ("datacontenttype", &self.data_content_type),
            ("dataschema", &self.data_schema),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in &self.extensions {
            map.serialize_entry(name, value)?;
        }
        match &self.data {
            None => {}
            Some(Data::Json(json)) => {
                let raw: &RawValue = serde_json::from_str(&json.0).map_err(S::Error::custom)?;
                map.serialize_entry("data", raw)?;
            }
            Some(Data::Base64(text)) => map.serialize_entry("data_base64", text)?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for CloudEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = CloudEvent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CloudEvent")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CloudEvent, A::Error> {
                let (mut texts, mut extensions, mut data) = (BTreeMap::new(), BTreeMap::new(), None);
                while let Some(name) = map.next_key::<String>()? {
                    match name.as_str() {
                        "data" => {
                            let raw = map.next_value::<Box<RawValue>>()?;
                            let json = JsonText::try_from(raw.get().to_owned()).map_err(A::Error::custom)?;
                            data = Some(Data::Json(json));
                        }
                        "data_base64" => data = Some(Data::Base64(map.next_value()?)),
                        "specversion" | "id" | "source" | "type" | "subject" | "time" | "datacontenttype"
                        | "dataschema" => drop(texts.insert(name, map.next_value::<String>()?)),
                        _ => drop(extensions.insert(name, map.next_value()?)),
                    }
                }
                let mut required = |name| texts.remove(name).ok_or_else(|| A::Error::missing_field(name));
                Ok(CloudEvent {
                    id: required("id")?,
                    source: required("source")?,
                    event_type: required("type")?,
                    subject: texts.remove("subject"),
                    time: texts.remove("time"),
                    data_content_type: texts.remove("datacontenttype"),
                    data_schema: texts.remove("dataschema"),
                    extensions,
                    data,
                })
            }
        }

        deserializer.deserialize_map(Members)
    }
}
