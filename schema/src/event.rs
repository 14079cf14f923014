//! One thing that happened: to one object, or whatever else a CloudEvent says.

use std::fmt;

use crate::cloud_event::CloudEvent;
use crate::identity::{EventBasis, EventId, GeneralParts, ObjectId, ObjectParts};
use crate::kind::Kind;
use crate::names::{BucketName, InvalidName, ObjectKey, SourceName};
use crate::sequencer::Sequencer;
use crate::time::Timestamp;

/// One thing that happened, in the form that everything after parsing uses: mostly to an object.
///
/// A general event (`general`) is about no object. It goes the same way: what asks for a bucket finds one that no server has, and its
/// key is the CloudEvent's `id`. Neither is ever stored in a row or given to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEvent {
    /// The event's identity; computed where the event is read, never changed.
    pub id: EventId,
    /// Which S3 it came from.
    pub source: SourceName,
    /// The bucket.
    pub bucket: BucketName,
    /// The key, decoded exactly once.
    pub key: ObjectKey,
    /// The version; S3's "null" counts as none.
    pub version_id: Option<String>,
    /// What happened.
    pub kind: Kind,
    /// The entity tag without quotes.
    pub etag: Option<String>,
    /// The object's size in bytes.
    pub size: Option<u64>,
    /// S3's order of the events of this key.
    pub sequencer: Option<Sequencer>,
    /// The name as S3 gave it, such as `ObjectCreated:Put`.
    pub event_name: String,
    /// When S3 says that it happened.
    pub event_time: Option<Timestamp>,
    /// The region.
    pub region: Option<String>,
    /// How Daybook came to know of it.
    pub origin: Origin,
    /// The CloudEvent, of a general event.
    pub general: Option<Box<CloudEvent>>,
}

impl ObjectEvent {
    /// A general event, of that source of notifications.
    ///
    /// # Errors
    /// When its id is empty or longer than 1,024 bytes.
    pub fn of_cloud_event(source: SourceName, event: CloudEvent) -> Result<Self, InvalidName> {
        let key = ObjectKey::try_from(event.id.clone())?;
        let parts = GeneralParts {
            source: &event.source,
            id: &event.id,
        };
        Ok(Self {
            id: parts.event_id(),
            source,
            bucket: CloudEvent::no_bucket(),
            key,
            version_id: None,
            kind: Kind::Other(KIND.to_owned()),
            etag: None,
            size: None,
            sequencer: None,
            event_name: event.event_type.clone(),
            event_time: event.at(),
            region: None,
            origin: Origin::Notification,
            general: Some(Box::new(event)),
        })
    }

    /// Whether it is about an object.
    pub fn is_of_object(&self) -> bool {
        self.general.is_none()
    }

    /// What a general event is about, within its source.
    pub fn subject(&self) -> Option<&str> {
        self.general.as_ref()?.subject.as_deref()
    }

    /// The group in which a general event's order is kept, where it names one.
    pub fn partition_key(&self) -> Option<&str> {
        self.general.as_ref()?.partition_key()
    }

    /// What identifies the object.
    pub fn object_parts(&self) -> ObjectParts<'_> {
        ObjectParts {
            source: &self.source,
            bucket: &self.bucket,
            key: &self.key,
            version_id: self.version_id.as_deref(),
            kind: &self.kind,
        }
    }

    fn general_parts(&self) -> Option<GeneralParts<'_>> {
        let event = self.general.as_ref()?;
        Some(GeneralParts {
            source: &event.source,
            id: &event.id,
        })
    }

    /// The receipts' key for the object; of a general event, for itself.
    pub fn object_id(&self) -> ObjectId {
        match self.general_parts() {
            Some(parts) => parts.receipt_id(),
            None => self.object_parts().object_id(),
        }
    }

    /// In whose messages order is kept, where a queue can: the object's; of general events of one source, those with one partition key.
    pub fn order_id(&self) -> ObjectId {
        match (&self.general, self.partition_key()) {
            (Some(event), Some(key)) => ObjectId::of_partition(&event.source, key),
            _ => self.object_id(),
        }
    }

    /// The same about the same object once more, on purpose: an event of its own, that no receipt covers. The same nonce for the
    /// same object (bucket, key, version, kind) is the same event.
    pub fn replayed(&self, nonce: &str) -> Self {
        let basis = EventBasis::Replay { nonce };
        Self {
            id: match self.general_parts() {
                Some(parts) => parts.replay_id(nonce),
                None => self.object_parts().event_id(basis),
            },
            origin: Origin::Replay {
                nonce: nonce.to_owned(),
            },
            ..self.clone()
        }
    }
}

/// The kind of a general event.
pub(crate) const KIND: &str = "event";

impl fmt::Display for ObjectEvent {
    /// What it is about, on one line: untrusted text, to be escaped where it is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.general {
            Some(event) => event.fmt(f),
            None => write!(f, "s3://{}/{}", self.bucket, self.key),
        }
    }
}

/// How Daybook came to know of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// S3 sent a notification.
    #[default]
    Notification,
    /// The audit found the object in a listing.
    Listing {
        /// Uploads up to this instant are covered by the listing: its response's Date less one second.
        covers_until: Timestamp,
    },
    /// A person asked for it again. No receipt covers a replay.
    Replay {
        /// What makes this replay a new event.
        nonce: String,
    },
}
