//! CloudEvents 1.0 in their JSON format ("JSON Event Format for CloudEvents", cloudevents/spec). HTTP's binary mode is turned into it where
//! it is received.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::eventbridge;
use super::fault::Fault;
use super::json::Object;
use super::side::Caveats;
use crate::cloud_event::{
    Attribute, CloudEvent, Data, JsonText, LONGEST_CLOUD_EVENT, LONGEST_ID, SPEC_VERSION,
};
use crate::event::ObjectEvent;
use crate::names::SourceName;
use crate::time::Timestamp;

/// Bytes of an attribute. The specification asks that 64 KB of event be taken; an attribute of 8 KB fills a line of HTTP's headers.
const ATTRIBUTE: usize = 8 * 1024;
/// Bytes of an attribute's name: the specification's own 20, and some.
const NAME: usize = 64;

/// The attributes that are not extensions.
const KNOWN: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
];

/// Whether it says that it is a CloudEvent, and is not a record of S3.
pub(super) fn is_one(object: &Object<'_>) -> bool {
    object.has("specversion") && !object.has("s3")
}

/// The data of the event, where that is an event of S3 in one of its own forms, or the text of one.
pub(super) fn object_events(object: &Object<'_>) -> Option<String> {
    let data = object.value("data").ok().flatten()?;
    let text = match data.get().starts_with('"') {
        true => serde_json::from_str(data.get()).ok()?,
        false => data.get().to_owned(),
    };
    let is_of_s3 = {
        let value: &RawValue = serde_json::from_str(&text).ok()?;
        is_of_s3(&Object::parse(value).ok()?)
    };
    is_of_s3.then_some(text)
}

fn is_of_s3(data: &Object<'_>) -> bool {
    let text = |field| data.text(field, ATTRIBUTE).ok().flatten();
    let object = |field| data.object(field).ok().flatten();
    let is_record = |record: &Object<'_>| {
        let s3 = record.object("s3").ok().flatten();
        s3.is_some_and(|s3| s3.has("bucket") && s3.has("object"))
    };
    if text("detail-type").is_some_and(|kind| eventbridge::is_of_object(&kind)) {
        return object("detail").is_some_and(|detail| detail.has("bucket") && detail.has("object"));
    }
    match data.list("Records") {
        // One that is none is kept apart, as in any notification.
        Ok(Some(records)) => {
            let mut records = records.into_iter().map(Object::parse);
            records.any(|record| record.is_ok_and(|record| is_record(&record)))
        }
        _ => is_record(data) && data.has("eventName"),
    }
}

/// Reads one event. Id, source and type decide, and its data; what else cannot be read is left out, and said.
pub(super) fn read(
    object: &Object<'_>,
    source: &SourceName,
    caveats: &mut Caveats,
) -> Result<ObjectEvent, Fault> {
    if object.text("specversion", NAME).ok().flatten().as_deref() != Some(SPEC_VERSION) {
        return Err(Fault::SpecVersion);
    }
    let required = |field, limit| object.text(field, limit)?.ok_or(Fault::Missing(field));
    let event = CloudEvent {
        id: required("id", LONGEST_ID)?,
        source: required("source", ATTRIBUTE)?,
        event_type: required("type", ATTRIBUTE)?,
        subject: caveats.kept("subject", object.text("subject", ATTRIBUTE)),
        time: time(object, caveats),
        data_content_type: caveats.kept("datacontenttype", object.text("datacontenttype", ATTRIBUTE)),
        data_schema: caveats.kept("dataschema", object.text("dataschema", ATTRIBUTE)),
        extensions: extensions(object, caveats),
        data: data(object)?,
    };
    let found = event.to_json().len();
    match found > LONGEST_CLOUD_EVENT {
        true => Err(Fault::TooLarge {
            limit: LONGEST_CLOUD_EVENT,
            found,
        }),
        false => Ok(ObjectEvent::of_cloud_event(source.clone(), event)?),
    }
}

/// The time as it was sent, if it is one.
fn time(object: &Object<'_>, caveats: &mut Caveats) -> Option<String> {
    let time = caveats.kept("time", object.text("time", NAME))?;
    if time.parse::<Timestamp>().is_err() {
        caveats.left_out("time");
        return None;
    }
    Some(time)
}

/// The extension attributes; those that CloudEvents does not allow are left out.
fn extensions(object: &Object<'_>, caveats: &mut Caveats) -> BTreeMap<String, Attribute> {
    let mut extensions = BTreeMap::new();
    let mut is_odd = false;
    for (name, value) in object.all() {
        if is_known(name) {
            continue;
        }
        let allowed = name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        let value = Some(value)
            .filter(|value| allowed && (1..=NAME).contains(&name.len()) && value.get().len() <= ATTRIBUTE)
            .and_then(|value| serde_json::from_str::<Attribute>(value.get()).ok());
        // Parsers differ in which one of two they take.
        let is_twice =
            value.is_some() && extensions.contains_key(name) && extensions.get(name) != value.as_ref();
        match value {
            Some(value) if !is_twice => drop(extensions.insert(name.to_owned(), value)),
            _ => {
                extensions.remove(name);
                is_odd = true;
            }
        }
    }
    if is_odd {
        caveats.say("attributes that CloudEvents does not allow were left out");
    }
    extensions
}

/// Whether it is the name of an attribute that is not an extension, in whatever spelling fields are looked up.
fn is_known(name: &str) -> bool {
    let letters = |name: &str| -> String {
        let letters = name.chars().filter(|c| !matches!(c, '_' | '-'));
        letters.map(|c| c.to_ascii_lowercase()).collect()
    };
    KNOWN.iter().any(|known| letters(known) == letters(name))
}

fn data(object: &Object<'_>) -> Result<Option<Data>, Fault> {
    match (object.value("data")?, object.text("data_base64", usize::MAX)?) {
        (Some(_), Some(_)) => Err(Fault::TwoData),
        (None, None) => Ok(None),
        (Some(data), None) => {
            let text = JsonText::try_from(data.get().to_owned()).map_err(Fault::Data)?;
            Ok(Some(Data::Json(text)))
        }
        (None, Some(text)) if is_base64(&text) => Ok(Some(Data::Base64(text))),
        (None, Some(_)) => Err(Fault::Wrong {
            field: "data_base64",
            expected: "Base64",
        }),
    }
}

/// Whether these are whole groups of four of the standard alphabet, padded at the end.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let is_digit = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    text.len().is_multiple_of(4) && text.len() - digits.len() <= 2 && digits.bytes().all(is_digit)
}
