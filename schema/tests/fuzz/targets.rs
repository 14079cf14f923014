//! What must hold of any bytes at all. Each target panics when it does not. The corpus and the fuzzer call these.

use daybook_schema::{
    DispatchMessage, EventId, ExecutionInput, ExecutionName, Receipt, Row, SourceName, Timestamp,
    notification,
};
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A name, and what is called with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 5] = [
    ("notification", notification),
    ("message", message),
    ("row", row),
    ("receipt", receipt),
    ("execution_name", execution_name),
];

/// Recorded then, in every run.
fn now() -> Timestamp {
    Timestamp::from_unix_millis(1_795_219_200_000).unwrap()
}

/// A payload is read without a panic; nothing of it vanishes; every event can be stored, sent and run.
pub fn notification(bytes: &[u8]) {
    // The door refuses what is no text, and queues carry none.
    let Ok(payload) = std::str::from_utf8(bytes) else {
        return;
    };
    let source = SourceName::default();
    let read = notification::read(payload, &source);
    assert!(read.records() > 0, "a payload without a trace");
    assert_eq!(
        read,
        notification::read(payload, &source),
        "it reads the same again"
    );
    if let Some(records) = plain_records(payload) {
        assert!(
            read.records() >= records,
            "{} of {records} records",
            read.records()
        );
    }
    for part in &read.unreadable {
        assert!(!part.why.is_empty());
        // What is kept can be read again once the cause is mended; until then it is kept again.
        assert!(
            notification::read(&part.raw, &source).records() > 0,
            "{:?}",
            part.raw
        );
        let row = Row::unreadable(&source, part.raw.clone(), part.why.clone(), None, now());
        stored(&row);
        assert_eq!(row.id, EventId::of_raw_payload(&source, &part.raw));
    }
    for event in &read.events {
        let key = event.key.as_str();
        assert!(
            !key.is_empty() && key.len() <= 1024,
            "a key of {} bytes",
            key.len()
        );
        let mut row = Row::recorded(event.clone(), 5, None, now());
        stored(&row);
        (row.attempt.0, row.deliveries) = (1, 1);
        let message = DispatchMessage::for_row(&row).expect("an event has something to run");
        let body = message.to_json();
        assert_eq!(
            DispatchMessage::from_json(&body).expect("our own message"),
            message
        );
        assert_eq!(message.input.event(), *event, "an execution knows its event");
        assert!(
            !body.contains(['\u{fffe}', '\u{ffff}']),
            "SQS refuses the message"
        );
    }
    // Whatever carries it, it is the same.
    if read.unreadable.is_empty() {
        let sns = serde_json::json!({"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": payload});
        let carried = notification::read(&sns.to_string(), &source);
        if carried.unreadable.is_empty() {
            assert_eq!(carried, read);
        }
    }
}

/// How many records a plain notification has, by a parser of no other interest. A payload that names its records twice has no
/// plain number of them: where the two differ, it is kept whole.
fn plain_records(payload: &str) -> Option<usize> {
    let Fields(fields) = serde_json::from_str(payload).ok()?;
    let mut named = fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Records"));
    let (only, more) = (named.next()?, named.next());
    match more {
        None => only.1.as_array().map(Vec::len),
        Some(_) => None,
    }
}

/// The fields of a JSON object, one that is given twice as often as it is given.
struct Fields(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        from.deserialize_map(Object)
    }
}

/// A message is refused, or it is the same after it was sent once more.
pub fn message(bytes: &[u8]) {
    let Ok(body) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(message) = DispatchMessage::from_json(body) {
        let again = message.to_json();
        assert_eq!(
            DispatchMessage::from_json(&again).expect("our own message"),
            message
        );
        let name = message.input.name();
        assert_eq!(name.to_string().parse(), Ok(name));
        let input = message.input.to_json();
        let read: ExecutionInput = serde_json::from_str(&input).expect("our own input");
        assert_eq!(read.to_json(), input, "an input's bytes never change");
        assert_eq!(ExecutionInput::new(&read.event(), read.attempt).to_json(), input);
    }
}

/// An item is refused, or it is the same row after it was stored once more.
pub fn row(bytes: &[u8]) {
    if let Ok(row) = serde_json::from_slice::<Row>(bytes) {
        stored(&row);
        if let Some(message) = DispatchMessage::for_row(&row) {
            let body = message.to_json();
            assert_eq!(
                DispatchMessage::from_json(&body).expect("our own message"),
                message
            );
        }
    }
}

/// The same for receipts.
pub fn receipt(bytes: &[u8]) {
    if let Ok(receipt) = serde_json::from_slice::<Receipt>(bytes) {
        stored(&receipt);
    }
}

/// A name is refused, or it has this one spelling.
pub fn execution_name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match text.parse::<ExecutionName>() {
        Ok(name) => {
            assert_eq!(name.to_string(), text);
            assert!(text.len() <= 80, "StartExecution refuses it");
        }
        Err(foreign) => assert!(foreign.to_string().chars().count() < 4000),
    }
}

/// It is what it was after it was an item of a table.
fn stored<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(it: &T) {
    let item: serde_dynamo::Item = serde_dynamo::to_item(it).expect("it can be stored");
    let again: T = serde_dynamo::from_item(item).expect("what was stored can be read");
    assert_eq!(again, *it);
}
