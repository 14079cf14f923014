//! Every delivery form of an S3 event, read into object events; and CloudEvents, which are about whatever their senders like.
//!
//! | form | AWS page |
//! |---|---|
//! | `Records` with `s3`; MinIO, Ceph and RustFS send it too | "Event message structure", S3 User Guide |
//! | EventBridge event "Object …" | "EventBridge event message structure", S3 User Guide |
//! | SNS message with one of these in `Message` | "Parsing Amazon SNS message formats", SNS Developer Guide |
//! | SNS's event for a function, `Records` with `Sns` | "Using Lambda with Amazon SNS", Lambda Developer Guide |
//! | SQS's event for a function, one of these in `body` | "Using Lambda with Amazon SQS", Lambda Developer Guide |
//! | ReceiveMessage's answer, or a message or `Body` of it, as the AWS CLI prints them | "ReceiveMessage", SQS API Reference |
//! | CloudEvents 1.0: an event as JSON, or a batch of them | "JSON Event Format for CloudEvents", cloudevents/spec |
//! | a list of any of these, or one record by itself | none: relays and pipes send them |
//!
//! The forms are told apart by their members, not by where they came from, so any of them may be inside any
//! other. `aws_lambda_events` has types for most of them. They are not used here, because each fails as a
//! whole when one record of many is odd, and because they demand members that other servers leave out.

mod cloud_event;
mod envelope;
mod event_name;
mod eventbridge;
mod fault;
mod fields;
mod json;
mod kept;
mod keys;
mod record;
mod server;
mod side;

use std::collections::BTreeMap;

use fault::Fault;
use fields::Delivered;
use json::Object;
pub use kept::Unreadable;
use kept::{Part, Parts, Wrap};
pub use keys::{InvalidKeyEncoding, KeyEncoding, is_ambiguous};
use serde_json::value::RawValue;
use side::Caveats;

use crate::event::ObjectEvent;
use crate::names::SourceName;

/// How many envelopes may be around an event. The deepest form in use has five: a list of SQS events with SNS
/// messages.
const MAX_DEPTH: usize = 8;

/// Bytes of a queue message's id; SQS's have 36.
const MESSAGE_ID: usize = 128;

/// What one payload held. Every record of it is in exactly one of the lists, or counted as skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// The events, in the order of the payload; duplicates are kept.
    pub events: Vec<ObjectEvent>,
    /// The records that could not be read, each by itself up to 1,000 of them; more are kept together, as few as fit into rows.
    pub unreadable: Vec<Unreadable>,
    /// `s3:TestEvent`s, which S3 sends when notifications are configured.
    pub test_events: usize,
    /// By position in `events` what was not as it should be in the event, for people: side fields that could not be read, an
    /// ambiguous key. At most 160 characters each. It names fields, never a value.
    pub caveats: BTreeMap<usize, String>,
}

impl Notification {
    /// How many events, unreadable parts and test events the payload had; parts that are kept together count as one. None
    /// only where the form allows for it, as an empty list of `Records` and an answer of ReceiveMessage without messages do:
    /// any other payload without records is unreadable as a whole.
    pub fn records(&self) -> usize {
        self.events.len() + self.unreadable.len() + self.test_events
    }
}

/// How the payloads of a source are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Where they come from.
    pub source: SourceName,
    /// How the source sends keys.
    pub keys: KeyEncoding,
}

impl Reading {
    /// Reads one payload: the body of a queue message, of a webhook call, or a function's event. Never fails as a
    /// whole for one bad record, and never panics. Bucket, key and kind of an event decide; what else of it cannot be read is
    /// left out, and said in [`Notification::caveats`].
    ///
    /// Two deliveries of one event give the same [`EventId`](crate::identity::EventId), whatever form each came in. Only for an
    /// event that bears neither a sequencer nor a time nor a request's id does the `message_id` count that the queue gave,
    /// where there is a queue.
    pub fn read(&self, payload: &str, message_id: Option<&str>) -> Notification {
        let mut reader = Reader {
            reading: self,
            message_id: message_id.map(str::to_owned),
            found: Notification::default(),
            unreadable: Parts::default(),
        };
        reader.payload(payload, 0);
        Notification {
            unreadable: reader.unreadable.kept(),
            ..reader.found
        }
    }
}

/// Reads one payload of a source about which nothing is set, and that comes from no queue ([`Reading::read`]).
pub fn read(payload: &str, source: &SourceName) -> Notification {
    let reading = Reading {
        source: source.clone(),
        keys: KeyEncoding::Auto,
    };
    reading.read(payload, None)
}

struct Reader<'s> {
    reading: &'s Reading,
    message_id: Option<String>,
    found: Notification,
    unreadable: Parts,
}

impl Reader<'_> {
    fn payload(&mut self, text: &str, depth: usize) {
        match serde_json::from_str::<&RawValue>(envelope::without_mark(text)) {
            Ok(value) => self.value(value, Wrap::Nothing, depth),
            Err(error) => self.unreadable(text, Wrap::Nothing, Fault::NotJson(error)),
        }
    }

    fn value(&mut self, value: &RawValue, wrap: Wrap, depth: usize) {
        if let Err(fault) = self.try_value(value, depth) {
            self.unreadable(value.get(), wrap, fault);
        }
    }

    /// On an error nothing of the value has been counted; otherwise all of it has.
    fn try_value(&mut self, value: &RawValue, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::TooDeep(MAX_DEPTH));
        }
        match value.get().as_bytes().first() {
            Some(b'{') => self.object(&Object::parse(value)?, value.get(), depth),
            Some(b'[') => {
                let values = json::list(value)?;
                if values.is_empty() {
                    return Err(Fault::EmptyList);
                }
                values
                    .into_iter()
                    .for_each(|value| self.value(value, Wrap::Nothing, depth + 1));
                Ok(())
            }
            Some(b'"') => match serde_json::from_str::<String>(value.get()) {
                Ok(text) if envelope::is_document(&text) => {
                    self.payload(&text, depth + 1);
                    Ok(())
                }
                _ => Err(Fault::UnknownForm),
            },
            _ => Err(Fault::UnknownForm),
        }
    }

    /// An object may hold lists beside an event: all are read. Where the event cannot be, the lists are all the same.
    fn object(&mut self, object: &Object<'_>, text: &str, depth: usize) -> Result<(), Fault> {
        let records = object.list("Records")?;
        let messages = envelope::sqs_messages(object)?;
        let has_list = records.iter().chain(&messages).any(|list| !list.is_empty());
        let is_event = match self.one_event(object, text, depth) {
            Err(fault) if has_list => {
                self.unreadable(text, Wrap::Nothing, fault);
                true
            }
            read => read?,
        };
        // No record at all is a notification of nothing, unless it names an object, as MinIO's do beside their records.
        let has_records = (records.as_ref()).is_some_and(|records| !records.is_empty() || !object.has("Key"));
        if !is_event && messages.is_none() && !has_records {
            return Err(Fault::UnknownForm);
        }
        for message in messages.into_iter().flatten() {
            self.value(message, Wrap::Nothing, depth + 1);
        }
        for record in records.into_iter().flatten() {
            self.value(record, Wrap::Records, depth + 1);
        }
        Ok(())
    }

    /// Reads the event that the object itself is or carries, if it does.
    fn one_event(&mut self, object: &Object<'_>, text: &str, depth: usize) -> Result<bool, Fault> {
        let (mut caveats, reading) = (Caveats::default(), self.reading);
        let delivered = Delivered {
            source: &reading.source,
            record: text,
            message_id: self.message_id.as_deref(),
        };
        if object.has("detail-type") {
            let event = eventbridge::read(object, delivered, &mut caveats)?;
            self.event(event, &caveats);
        } else if cloud_event::is_one(object) {
            match cloud_event::object_events(object) {
                // The same event has one identity, whatever carries it.
                Some(data) => self.payload(&data, depth + 1),
                None => {
                    let event = cloud_event::read(object, &reading.source, &mut caveats)?;
                    self.event(event, &caveats);
                }
            }
        } else if let Some(message) = envelope::sns_message(object)? {
            self.payload(&message, depth + 1);
        } else if let Some(body) = envelope::sqs_body(object)? {
            let outer = self.message_id.clone();
            self.message_id = object
                .text("messageId", MESSAGE_ID)
                .ok()
                .flatten()
                .or(outer.clone());
            self.payload(&body, depth + 1);
            self.message_id = outer;
        } else if record::is_test_event(object) {
            self.found.test_events += 1;
        } else if object.has("s3") {
            let event = record::read(object, reading.keys, delivered, &mut caveats)?;
            self.event(event, &caveats);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn event(&mut self, event: ObjectEvent, caveats: &Caveats) {
        if let Some(caveat) = caveats.text() {
            self.found.caveats.insert(self.found.events.len(), caveat);
        }
        self.found.events.push(event);
    }

    fn unreadable(&mut self, text: &str, wrap: Wrap, fault: Fault) {
        let text = text.to_owned();
        self.unreadable.push(Part { text, wrap, fault });
    }
}
