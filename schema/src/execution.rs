//! What a Step Functions execution is called and what it is given.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::event::{ObjectEvent, Origin};
use crate::identity::EventId;
use crate::kind::Kind;
use crate::names::{BucketName, ObjectKey, SourceName};
use crate::sequencer::Sequencer;
use crate::status::Attempt;
use crate::time::Timestamp;

/// An execution's name, `{event id}-{attempt}`: at most 47 of the 80 characters that StartExecution allows.
///
/// Step Functions runs a name once: a duplicate message finds the name taken and starts nothing, for 90 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionName {
    /// The event.
    pub id: EventId,
    /// Which attempt of it.
    pub attempt: Attempt,
}

impl fmt::Display for ExecutionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.id, self.attempt)
    }
}

/// A name that Daybook did not give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no execution name of Daybook's: an event id, a hyphen and an attempt are expected")]
pub struct ForeignExecution(String);

impl ForeignExecution {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.chars().take(80).collect())
    }
}

impl FromStr for ExecutionName {
    type Err = ForeignExecution;

    fn from_str(text: &str) -> Result<Self, ForeignExecution> {
        let name = text.rsplit_once('-').and_then(|(id, attempt)| {
            Some(Self {
                id: id.parse().ok()?,
                attempt: Attempt(attempt.parse().ok()?),
            })
        });
        // A name has one spelling: `+1` and `01` are somebody else's.
        name.filter(|name| name.to_string() == text)
            .ok_or_else(|| ForeignExecution::new(text))
    }
}

/// What an execution, a command or an HTTP target is given: the object event and the attempt, from the row alone.
///
/// The bytes of [`ExecutionInput::to_json`] never change for one (row, attempt), in no release: the same name with another
/// input is an error to Step Functions, so a redelivered message must carry the very same text. A snapshot test holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionInput {
    /// The event.
    pub id: EventId,
    /// The attempt.
    pub attempt: Attempt,
    /// Which S3.
    pub source: SourceName,
    /// The bucket.
    pub bucket: BucketName,
    /// The decoded key.
    pub key: ObjectKey,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// What happened.
    pub kind: Kind,
    /// The etag without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// S3's order of this key's events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<Sequencer>,
    /// S3's name for the event.
    pub event_name: String,
    /// S3's time for the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Timestamp>,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// For an object that the audit found: uploads up to this instant are covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers_until: Option<Timestamp>,
    /// For a replay: its nonce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
}

impl ExecutionInput {
    /// The input of that attempt of the event.
    pub fn new(event: &ObjectEvent, attempt: Attempt) -> Self {
        let (covers_until, replay) = match &event.origin {
            Origin::Notification => (None, None),
            Origin::Listing { covers_until } => (Some(*covers_until), None),
            Origin::Replay { nonce } => (None, Some(nonce.clone())),
        };
        Self {
            id: event.id,
            attempt,
            source: event.source.clone(),
            bucket: event.bucket.clone(),
            key: event.key.clone(),
            version_id: event.version_id.clone(),
            kind: event.kind.clone(),
            etag: event.etag.clone(),
            size: event.size,
            sequencer: event.sequencer.clone(),
            event_name: event.event_name.clone(),
            event_time: event.event_time,
            region: event.region.clone(),
            covers_until,
            replay,
        }
    }

    /// The name that goes with this input.
    pub fn name(&self) -> ExecutionName {
        ExecutionName {
            id: self.id,
            attempt: self.attempt,
        }
    }

    /// The event that the input was made from.
    pub fn event(&self) -> ObjectEvent {
        ObjectEvent {
            id: self.id,
            source: self.source.clone(),
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            version_id: self.version_id.clone(),
            kind: self.kind.clone(),
            etag: self.etag.clone(),
            size: self.size,
            sequencer: self.sequencer.clone(),
            event_name: self.event_name.clone(),
            event_time: self.event_time,
            region: self.region.clone(),
            origin: match (&self.replay, self.covers_until) {
                (Some(nonce), _) => Origin::Replay { nonce: nonce.clone() },
                (None, Some(covers_until)) => Origin::Listing { covers_until },
                (None, None) => Origin::Notification,
            },
        }
    }

    /// The JSON text, byte-stable.
    pub fn to_json(&self) -> String {
        queue_safe_json(self)
    }
}

/// JSON that every queue takes: SQS refuses a message with U+FFFE or U+FFFF in it (SendMessage, SQS API Reference), and an
/// object's key may have them. Control characters are escaped by JSON itself.
pub(crate) fn queue_safe_json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("texts, numbers and options always serialise");
    match json.contains(['\u{fffe}', '\u{ffff}']) {
        // They can only stand inside of a string, where an escape means the same.
        true => json.replace('\u{fffe}', "\\uFFFE").replace('\u{ffff}', "\\uFFFF"),
        false => json,
    }
}
