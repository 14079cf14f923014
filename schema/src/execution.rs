//! What a Step Functions execution is called and what it is given.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cloud_event::CloudEvent;
use crate::event::{ObjectEvent, Origin};
use crate::identity::EventId;
use crate::kind::Kind;
use crate::names::{BucketName, InvalidName, ObjectKey, SourceName};
use crate::queue_text::queue_safe_json;
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

/// What an execution, a command or an HTTP target is given: the event and the attempt, from the row alone.
///
/// The bytes of [`ExecutionInput::to_json`] never change for one (row, attempt), in no release: the same name with another
/// input is an error to Step Functions, so a redelivered message must carry the very same text. A snapshot test holds it.
///
/// In the input of a general event its `cloud_event` stands in the place of what describes an object, `bucket` to `region`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredInput", into = "StoredInput")]
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
    pub version_id: Option<String>,
    /// What happened.
    pub kind: Kind,
    /// The etag without quotes.
    pub etag: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// S3's order of this key's events.
    pub sequencer: Option<Sequencer>,
    /// S3's name for the event.
    pub event_name: String,
    /// S3's time for the event.
    pub event_time: Option<Timestamp>,
    /// The region.
    pub region: Option<String>,
    /// For an object that the audit found: uploads up to this instant are covered.
    pub covers_until: Option<Timestamp>,
    /// For a replay: its nonce.
    pub replay: Option<String>,
    /// The CloudEvent, of a general event.
    pub general: Option<Box<CloudEvent>>,
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
            general: event.general.clone(),
        }
    }

    /// The name that goes with this input.
    pub fn name(&self) -> ExecutionName {
        ExecutionName {
            id: self.id,
            attempt: self.attempt,
        }
    }

    /// The group in which a general event's order is kept, where it names one: for targets that keep order.
    pub fn partition_key(&self) -> Option<&str> {
        self.general.as_ref()?.partition_key()
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
            general: self.general.clone(),
        }
    }

    /// The JSON text, byte-stable.
    pub fn to_json(&self) -> String {
        queue_safe_json(self)
    }
}

/// The members as they are written, in this order.
#[derive(Clone, Serialize, Deserialize)]
struct StoredInput {
    id: EventId,
    attempt: Attempt,
    source: SourceName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<BucketName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<ObjectKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequencer: Option<Sequencer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_time: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    covers_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cloud_event: Option<Box<CloudEvent>>,
}

impl From<ExecutionInput> for StoredInput {
    fn from(input: ExecutionInput) -> Self {
        let is_of_object = input.general.is_none();
        Self {
            id: input.id,
            attempt: input.attempt,
            source: input.source,
            bucket: is_of_object.then_some(input.bucket),
            key: is_of_object.then_some(input.key),
            version_id: input.version_id,
            kind: is_of_object.then_some(input.kind),
            etag: input.etag,
            size: input.size,
            sequencer: input.sequencer,
            event_name: is_of_object.then_some(input.event_name),
            event_time: input.event_time.filter(|_| is_of_object),
            region: input.region,
            covers_until: input.covers_until,
            replay: input.replay,
            cloud_event: input.general,
        }
    }
}

/// Why an input is not one of Daybook's.
#[derive(Debug, thiserror::Error)]
enum InvalidInput {
    #[error("missing field `{0}`")]
    Missing(&'static str),
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl TryFrom<StoredInput> for ExecutionInput {
    type Error = InvalidInput;

    fn try_from(stored: StoredInput) -> Result<Self, InvalidInput> {
        let missing = InvalidInput::Missing;
        if let Some(general) = stored.cloud_event {
            let event = ObjectEvent::of_cloud_event(stored.source, *general)?;
            let input = Self::new(&event, stored.attempt);
            return Ok(Self {
                id: stored.id,
                covers_until: stored.covers_until,
                replay: stored.replay,
                ..input
            });
        }
        Ok(Self {
            id: stored.id,
            attempt: stored.attempt,
            source: stored.source,
            bucket: stored.bucket.ok_or(missing("bucket"))?,
            key: stored.key.ok_or(missing("key"))?,
            version_id: stored.version_id,
            kind: stored.kind.ok_or(missing("kind"))?,
            etag: stored.etag,
            size: stored.size,
            sequencer: stored.sequencer,
            event_name: stored.event_name.ok_or(missing("event_name"))?,
            event_time: stored.event_time,
            region: stored.region,
            covers_until: stored.covers_until,
            replay: stored.replay,
            general: None,
        })
    }
}
