//! One thing that happened to one object.

use crate::identity::{EventBasis, EventId, ObjectId, ObjectParts};
use crate::kind::Kind;
use crate::names::{BucketName, ObjectKey, SourceName};
use crate::sequencer::Sequencer;
use crate::time::Timestamp;

/// One thing that happened to one object, in the form that everything after parsing uses.
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
}

impl ObjectEvent {
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

    /// The receipts' key for the object.
    pub fn object_id(&self) -> ObjectId {
        self.object_parts().object_id()
    }

    /// The same about the same object once more, on purpose: an event of its own, that no receipt covers. The same nonce for the
    /// same object (bucket, key, version, kind) is the same event.
    pub fn replayed(&self, nonce: &str) -> Self {
        Self {
            id: self.object_parts().event_id(EventBasis::Replay { nonce }),
            origin: Origin::Replay {
                nonce: nonce.to_owned(),
            },
            ..self.clone()
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
