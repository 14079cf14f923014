//! Which event is which, and which object is which.
//!
//! Two deliveries of one S3 event have one [`EventId`]; two uploads never share one as far as anything that was sent tells them
//! apart, not even of the same content to the same key. An [`ObjectId`] names what a receipt speaks of.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::kind::Kind;
use crate::names::{BucketName, ObjectKey, SourceName};
use crate::sequencer::Sequencer;
use crate::time::Timestamp;

/// The namespace of Daybook's version 5 UUIDs. Fixed for ever: another value would make every event a new one.
const NAMESPACE: Uuid = Uuid::from_u128(0x6e1f_0c7a_8d5b_5a52_9d55_2b6c_f0a3_11e4);

/// A text that is no id of Daybook's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id: a lower-case UUID with hyphens is expected")]
pub struct InvalidId(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// The UUID.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;

            // Only the hyphenated lower-case form: an id has one spelling, in keys and in execution names.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text)
                    .ok()
                    .filter(|id| id.hyphenated().to_string() == text)
                    .map(Self)
                    .ok_or_else(|| InvalidId(text.chars().take(80).collect()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    };
}

id!(
    /// An event's identity: a version 5 UUID, the ledger's partition key.
    EventId
);
id!(
    /// An object's identity: a version 5 UUID of (source, bucket, key, version id, kind), the receipts' partition key.
    ObjectId
);

/// What identifies the object that an event speaks of.
#[derive(Clone, Copy, Debug)]
pub struct ObjectParts<'a> {
    /// Which S3 it is in.
    pub source: &'a SourceName,
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The decoded key.
    pub key: &'a ObjectKey,
    /// The version, where the bucket has versions.
    pub version_id: Option<&'a str>,
    /// What happened to it.
    pub kind: &'a Kind,
}

/// What tells one event of an object from another.
#[derive(Clone, Copy, Debug)]
pub enum EventBasis<'a> {
    /// The sequencer, which all deliveries of one event share, and the etag, so that two contents under one sequencer are two
    /// events. The etag of a removal says nothing and is left out: not every delivery of one has it.
    Sequencer {
        /// The sequencer.
        sequencer: &'a Sequencer,
        /// The etag without quotes.
        etag: Option<&'a str>,
    },
    /// For servers whose sequencer is missing or not to be relied on: all that a sender may tell two uploads apart by. Two
    /// uploads that differ in any of these are two events.
    Sent(Sent<'a>),
    /// For what S3 itself sends without a sequencer (tags, access lists, restores, transitions): its notification tells the
    /// millisecond, its EventBridge event the second, and both the request.
    Request {
        /// When it happened; counted to the second.
        event_time: Timestamp,
        /// The request that caused it.
        request_id: &'a str,
    },
    /// For an event that tells nothing that could differ between two uploads: its bytes, and the message that it came in.
    Delivery {
        /// What came, byte for byte.
        record: &'a str,
        /// The id of the queue's message, the same each time that the queue delivers it; none where there is no queue.
        message_id: Option<&'a str>,
    },
    /// An object found by listing the bucket: its etag and last-modified time. The version id, where there is one, takes
    /// the etag's place.
    Listing {
        /// The listing's etag without quotes.
        etag: Option<&'a str>,
        /// The listing's last-modified time.
        last_modified: Timestamp,
    },
    /// A replay on purpose.
    Replay {
        /// Chosen by whoever asks for the replay; the same nonce is the same replay.
        nonce: &'a str,
    },
}

/// What an event without a usable sequencer was sent with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent<'a> {
    /// The event's time, in full precision; as it was sent where it cannot be read as a time.
    pub time: Option<&'a str>,
    /// The request that caused it.
    pub request_id: Option<&'a str>,
    /// The etag without quotes.
    pub etag: Option<&'a str>,
    /// Bytes.
    pub size: Option<u64>,
    /// The sequencer as it was sent, in a form that gives no order.
    pub sequencer: Option<&'a str>,
}

impl Sent<'_> {
    /// Whether there is something in which two uploads of the same content may differ.
    pub fn is_telling(&self) -> bool {
        self.time.is_some() || self.request_id.is_some() || self.sequencer.is_some()
    }
}

impl ObjectParts<'_> {
    /// The receipt's key for this object.
    pub fn object_id(&self) -> ObjectId {
        ObjectId(self.write(Name::new("object")).uuid())
    }

    /// The ledger's key for an event of this object.
    pub fn event_id(&self, basis: EventBasis<'_>) -> EventId {
        let basis = match basis {
            // A version has one content: its etag says nothing more.
            EventBasis::Listing { last_modified, .. } if self.version_id.is_some() => EventBasis::Listing {
                etag: None,
                last_modified,
            },
            EventBasis::Sequencer { sequencer, .. } if *self.kind == Kind::Removed => EventBasis::Sequencer {
                sequencer,
                etag: None,
            },
            basis => basis,
        };
        EventId(basis.write(self.write(Name::new("event"))).uuid())
    }

    fn write(&self, name: Name) -> Name {
        name.field(Some(self.source.as_str()))
            .field(Some(self.bucket.as_str()))
            .field(Some(self.key.as_str()))
            .field(self.version_id)
            .field(Some(self.kind.as_str()))
    }
}

/// What identifies a general event: "source and id together are unique for each distinct event" (CloudEvents 1.0, `id`). The name of the
/// source of notifications is no part of it.
#[derive(Clone, Copy, Debug)]
pub struct GeneralParts<'a> {
    /// The CloudEvent's `source`.
    pub source: &'a str,
    /// The CloudEvent's `id`.
    pub id: &'a str,
}

impl GeneralParts<'_> {
    /// The ledger's key for the event.
    pub fn event_id(&self) -> EventId {
        EventId(self.write().uuid())
    }

    /// The receipts' key for the event, the same UUID: whoever has an event's id finds its receipt.
    pub fn receipt_id(&self) -> ObjectId {
        ObjectId(self.write().uuid())
    }

    /// The ledger's key for a replay of the event.
    pub fn replay_id(&self, nonce: &str) -> EventId {
        EventId(EventBasis::Replay { nonce }.write(self.write()).uuid())
    }

    fn write(&self) -> Name {
        Name::new("general").field(Some(self.source)).field(Some(self.id))
    }
}

impl ObjectId {
    /// What all general events of that source share that have this partition key.
    pub(crate) fn of_partition(source: &str, key: &str) -> Self {
        let name = Name::new("partition").field(Some(source)).field(Some(key));
        Self(name.uuid())
    }

    /// The receipts' key for a general event of that id.
    pub fn of_general(id: EventId) -> Self {
        Self(id.0)
    }
}

impl EventId {
    /// The id of the row that keeps a payload which could not be read: from the SHA-256 of the payload and the source it
    /// came from. The same payload twice is one row.
    pub fn of_raw_payload(source: &SourceName, payload: &str) -> Self {
        let digest = Sha256::digest(payload.as_bytes());
        let name = Name::new("event")
            .field(Some(source.as_str()))
            .field(Some("raw"))
            .bytes(Some(&digest));
        Self(name.uuid())
    }
}

impl EventBasis<'_> {
    fn write(self, name: Name) -> Name {
        match self {
            Self::Sequencer { sequencer, etag } => name
                .field(Some("sequencer"))
                .field(Some(sequencer.as_str()))
                .field(etag),
            Self::Sent(sent) => name
                .field(Some("sent"))
                .field(sent.time)
                .field(sent.request_id)
                .field(sent.etag)
                .field(sent.size.map(|size| size.to_string()).as_deref())
                .field(sent.sequencer),
            Self::Request {
                event_time,
                request_id,
            } => name
                .field(Some("request"))
                .field(Some(&event_time.truncated_to_seconds().to_string()))
                .field(Some(request_id)),
            Self::Delivery { record, message_id } => name
                .field(Some("delivery"))
                .bytes(Some(&Sha256::digest(record.as_bytes())))
                .field(message_id),
            Self::Listing { etag, last_modified } => name
                .field(Some("listing"))
                .field(etag)
                .field(Some(&last_modified.to_string())),
            Self::Replay { nonce } => name.field(Some("replay")).field(Some(nonce)),
        }
    }
}

/// The bytes that are hashed: every field with its length before it, so that no two tuples have the same bytes.
struct Name(Vec<u8>);

impl Name {
    fn new(domain: &str) -> Self {
        Self(Vec::with_capacity(256)).field(Some(domain))
    }

    fn field(self, text: Option<&str>) -> Self {
        self.bytes(text.map(str::as_bytes))
    }

    fn bytes(mut self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            None => self.0.push(0),
            Some(bytes) => {
                self.0.push(1);
                self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
                self.0.extend_from_slice(bytes);
            }
        }
        self
    }

    fn uuid(&self) -> Uuid {
        Uuid::new_v5(&NAMESPACE, &self.0)
    }
}
