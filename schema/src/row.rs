//! A row of the ledger: one event that has not been processed yet.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::batch::{BatchId, BatchName, RunName};
use crate::cloud_event::CloudEvent;
use crate::event::{ObjectEvent, Origin};
use crate::execution::ExecutionName;
use crate::identity::EventId;
use crate::kind::Kind;
use crate::names::{BucketName, ObjectKey, SourceName};
use crate::notification::KeyEncoding;
use crate::sequencer::Sequencer;
use crate::status::{Attempt, Shard, Status, StatusShard};
use crate::time::Timestamp;

/// From so many deliveries of one attempt a row is shown as undelivered.
const UNDELIVERED: u32 = 5;

/// The version that this code writes for an object event. It reads all versions up to [`NEWEST_ROW_VERSION`]. A field that older code may
/// ignore needs no new version; a change of meaning does.
pub const ROW_VERSION: u32 = 2;

/// The version of a row while it is in a batch: older code would start it by itself, beside the batch's execution. Only CLAIMED rows
/// have it, and whatever leaves CLAIMED takes batch and version back.
pub const BATCH_ROW_VERSION: u32 = 3;

/// The version of a general event's row: older code would give its target an event without what it is about. In a batch it is one more,
/// as an object event's is.
pub const GENERAL_ROW_VERSION: u32 = 4;

/// The newest version that this code writes.
pub const NEWEST_ROW_VERSION: u32 = GENERAL_ROW_VERSION + (BATCH_ROW_VERSION - ROW_VERSION);

/// The attempts of a row that does not say how many it may have: version 1 did not.
const DEFAULT_MAX_ATTEMPTS: u32 = 5;

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredRow", into = "StoredRow")]
pub struct Row {
    /// The event's identity, the partition key.
    pub id: EventId,
    /// Where the row stands.
    pub status: Status,
    /// PENDING: not before. CLAIMED: the lease ends. PARKED: since.
    pub due_at: Timestamp,
    /// When the row was written.
    pub recorded_at: Timestamp,
    /// The current attempt; 0 before the first claim.
    pub attempt: Attempt,
    /// After a failure of this attempt the row is parked.
    pub max_attempts: u32,
    /// How often this attempt was put on the dispatch queue since it last arrived; 0 while a worker has it.
    pub deliveries: u32,
    /// How often the sweep moved the lease on because the queue was slow, since the row was claimed.
    pub lease_moves: u32,
    /// How often a worker that had this attempt ended or lost its lease without a report, as far as anybody noticed; of Express
    /// executions, how often one was started by a repeated delivery.
    pub deaths: u32,
    /// Random per claim call: whose claim this is.
    pub claim_token: Option<Uuid>,
    /// The batch that it was claimed into. Redeliveries keep it; only CLAIMED rows have one.
    pub batch: Option<BatchId>,
    /// Whether it failed together with others: it is run by itself until a person redrives it.
    pub alone: bool,
    /// Why the last attempt failed, for people.
    pub last_error: Option<String>,
    /// What a person did to the row last, for people: when, what, who and why. Not the reason of a failure, so that a redriven
    /// row still says what it was parked for.
    pub note: Option<String>,
    /// What was not as it should be in the event's notification, for people: what was left out because it could not be read,
    /// whether the key was ambiguous. Written with the row and never changed.
    pub caveat: Option<String>,
    /// The X-Ray header, for linking; never part of an execution's input.
    pub trace: Option<String>,
    /// What the row is about.
    pub subject: Subject,
}

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An event, of an object or general.
    Event(Box<ObjectEvent>),
    /// A notification that could not be parsed, as it came. Such a row is PARKED from the start.
    Raw {
        /// The payload.
        payload: String,
        /// Where it came from.
        source: SourceName,
        /// How the source sends keys, for when it is read again.
        keys: KeyEncoding,
    },
}

impl Row {
    /// The row that records an event: PENDING and due now.
    pub fn recorded(event: ObjectEvent, max_attempts: u32, trace: Option<String>, now: Timestamp) -> Self {
        let id = event.id;
        Self::fresh(
            id,
            Status::Pending,
            max_attempts,
            trace,
            now,
            Subject::Event(Box::new(event)),
        )
    }

    /// The row that keeps a payload which could not be read: PARKED, `why` as its last error. Its id is derived from the
    /// payload's SHA-256, so that the same payload delivered twice is one row.
    pub fn unreadable(
        source: &SourceName,
        payload: String,
        why: String,
        trace: Option<String>,
        now: Timestamp,
    ) -> Self {
        let id = EventId::of_raw_payload(source, &payload);
        let subject = Subject::Raw {
            payload,
            source: source.clone(),
            keys: KeyEncoding::Auto,
        };
        Self {
            last_error: Some(why),
            ..Self::fresh(id, Status::Parked, 0, trace, now, subject)
        }
    }

    fn fresh(
        id: EventId,
        status: Status,
        max_attempts: u32,
        trace: Option<String>,
        now: Timestamp,
        subject: Subject,
    ) -> Self {
        Self {
            id,
            status,
            due_at: now,
            recorded_at: now,
            attempt: Attempt(0),
            max_attempts,
            deliveries: 0,
            lease_moves: 0,
            deaths: 0,
            claim_token: None,
            batch: None,
            alone: false,
            last_error: None,
            note: None,
            caveat: None,
            trace,
            subject,
        }
    }

    /// The index's partition key for this row.
    pub fn status_shard(&self) -> StatusShard {
        Shard::of(self.id).with(self.status)
    }

    /// Whether a worker has the row: CLAIMED, and no delivery since one took it. Its lease may be over all the same.
    pub fn is_held(&self) -> bool {
        self.status == Status::Claimed && self.deliveries == 0
    }

    /// Whether an attempt was put on the queue suspiciously often, five times or more, and never arrived.
    pub fn is_undelivered(&self) -> bool {
        self.status == Status::Claimed && self.deliveries >= UNDELIVERED
    }

    /// The version that the row is stored with. That of a row in a batch is one more than it has outside of it, whatever it is about.
    pub fn version(&self) -> u32 {
        let single = match self.event() {
            Some(event) if !event.is_of_object() => GENERAL_ROW_VERSION,
            _ => ROW_VERSION,
        };
        match self.batch {
            None => single,
            Some(_) => single + (BATCH_ROW_VERSION - ROW_VERSION),
        }
    }

    /// The name of the execution that the row is for, at its attempt. The row's form decides, not what is set now.
    pub fn run_name(&self) -> RunName {
        match self.batch {
            Some(batch) => RunName::Batch(BatchName {
                batch,
                alone: self.alone.then_some(self.id),
            }),
            None => RunName::Single(ExecutionName {
                id: self.id,
                attempt: self.attempt,
            }),
        }
    }

    /// The event, if it is about an object.
    pub fn object_event(&self) -> Option<&ObjectEvent> {
        self.event().filter(|event| event.is_of_object())
    }

    /// The CloudEvent of a general event.
    pub fn cloud_event(&self) -> Option<&CloudEvent> {
        self.event()?.general.as_deref()
    }

    /// The event, of an object or general, unless the row keeps a payload that could not be read.
    pub fn event(&self) -> Option<&ObjectEvent> {
        match &self.subject {
            Subject::Event(event) => Some(event),
            Subject::Raw { .. } => None,
        }
    }
}

/// A stored item that is no row that this code understands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRow {
    /// It was written by a newer release.
    #[error(
        "row {id} was written by a newer Daybook (v = {version}; this one knows up to {NEWEST_ROW_VERSION}): use that release"
    )]
    Newer {
        /// The row.
        id: EventId,
        /// Its version.
        version: u32,
    },
    /// It is about an object, but an attribute that every such row has is missing.
    #[error("row {id} has no attribute {attribute:?}")]
    Missing {
        /// The row.
        id: EventId,
        /// The attribute.
        attribute: &'static str,
    },
    /// Its general event is not in the form that this code writes.
    #[error("the cloud_event of row {id} is not a CloudEvent in Daybook's form")]
    CloudEvent {
        /// The row.
        id: EventId,
    },
}

/// The attributes as they are in the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredRow {
    id: EventId,
    #[serde(default = "first_version")]
    v: u32,
    status: Status,
    status_shard: StatusShard,
    due_at: Timestamp,
    recorded_at: Timestamp,
    #[serde(default)]
    attempt: Attempt,
    max_attempts: Option<u32>,
    #[serde(default)]
    deliveries: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    lease_moves: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    deaths: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim_token: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch: Option<BatchId>,
    #[serde(default, skip_serializing_if = "is_false")]
    alone: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    caveat: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    #[serde(default)]
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
    /// Origin listing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    covers_until: Option<Timestamp>,
    /// Origin replay: the nonce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    /// A general event, as JSON: in the place of bucket, key, kind, and what else describes an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cloud_event: Option<String>,
    /// Of a raw payload.
    #[serde(default, skip_serializing_if = "is_auto")]
    keys: KeyEncoding,
}

fn is_auto(keys: &KeyEncoding) -> bool {
    *keys == KeyEncoding::Auto
}

fn first_version() -> u32 {
    1
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl From<Row> for StoredRow {
    fn from(row: Row) -> Self {
        let status_shard = row.status_shard();
        let mut stored = Self {
            id: row.id,
            v: row.version(),
            status: row.status,
            status_shard,
            due_at: row.due_at,
            recorded_at: row.recorded_at,
            attempt: row.attempt,
            max_attempts: Some(row.max_attempts),
            deliveries: row.deliveries,
            lease_moves: row.lease_moves,
            deaths: row.deaths,
            claim_token: row.claim_token,
            batch: row.batch,
            alone: row.alone,
            last_error: row.last_error,
            note: row.note,
            caveat: row.caveat,
            trace: row.trace,
            source: SourceName::default(),
            bucket: None,
            key: None,
            version_id: None,
            kind: None,
            etag: None,
            size: None,
            sequencer: None,
            event_name: None,
            event_time: None,
            region: None,
            covers_until: None,
            replay: None,
            raw: None,
            cloud_event: None,
            keys: KeyEncoding::Auto,
        };
        match row.subject {
            Subject::Raw {
                payload,
                source,
                keys,
            } => {
                stored.raw = Some(payload);
                stored.source = source;
                stored.keys = keys;
            }
            Subject::Event(event) => stored.with_event(*event),
        }
        stored
    }
}

impl StoredRow {
    fn with_event(&mut self, event: ObjectEvent) {
        self.source = event.source;
        match event.origin {
            Origin::Notification => {}
            Origin::Listing { covers_until } => self.covers_until = Some(covers_until),
            Origin::Replay { nonce } => self.replay = Some(nonce),
        }
        if let Some(general) = event.general {
            self.cloud_event = Some(general.to_json());
            return;
        }
        self.bucket = Some(event.bucket);
        self.key = Some(event.key);
        self.version_id = event.version_id;
        self.kind = Some(event.kind);
        self.etag = event.etag;
        self.size = event.size;
        self.sequencer = event.sequencer;
        self.event_name = Some(event.event_name);
        self.event_time = event.event_time;
        self.region = event.region;
    }

    /// The event that it is about.
    fn into_event(self) -> Result<ObjectEvent, InvalidRow> {
        let id = self.id;
        let missing = |attribute| InvalidRow::Missing { id, attribute };
        let origin = match (self.replay, self.covers_until) {
            (Some(nonce), _) => Origin::Replay { nonce },
            (None, Some(covers_until)) => Origin::Listing { covers_until },
            (None, None) => Origin::Notification,
        };
        if let Some(text) = self.cloud_event {
            let general = serde_json::from_str(&text).map_err(|_| InvalidRow::CloudEvent { id })?;
            let event = ObjectEvent::of_cloud_event(self.source, general)
                .map_err(|_| InvalidRow::CloudEvent { id })?;
            return Ok(ObjectEvent { id, origin, ..event });
        }
        Ok(ObjectEvent {
            id,
            source: self.source,
            bucket: self.bucket.ok_or(missing("bucket"))?,
            key: self.key.ok_or(missing("key"))?,
            version_id: self.version_id,
            kind: self.kind.ok_or(missing("kind"))?,
            etag: self.etag,
            size: self.size,
            sequencer: self.sequencer,
            event_name: self.event_name.unwrap_or_default(),
            event_time: self.event_time,
            region: self.region,
            origin,
            general: None,
        })
    }
}

impl TryFrom<StoredRow> for Row {
    type Error = InvalidRow;

    fn try_from(mut stored: StoredRow) -> Result<Self, InvalidRow> {
        let id = stored.id;
        if stored.v > NEWEST_ROW_VERSION {
            return Err(InvalidRow::Newer {
                id,
                version: stored.v,
            });
        }
        let (status, due_at, recorded_at) = (stored.status, stored.due_at, stored.recorded_at);
        let (attempt, max_attempts) = (
            stored.attempt,
            stored.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS),
        );
        let (deliveries, lease_moves, deaths) = (stored.deliveries, stored.lease_moves, stored.deaths);
        let (claim_token, batch, alone) = (stored.claim_token, stored.batch, stored.alone);
        let (last_error, note) = (stored.last_error.take(), stored.note.take());
        let (caveat, trace) = (stored.caveat.take(), stored.trace.take());
        let subject = match stored.raw.take() {
            Some(payload) => Subject::Raw {
                payload,
                source: stored.source,
                keys: stored.keys,
            },
            None => Subject::Event(Box::new(stored.into_event()?)),
        };
        Ok(Self {
            id,
            status,
            due_at,
            recorded_at,
            attempt,
            max_attempts,
            deliveries,
            lease_moves,
            deaths,
            claim_token,
            batch,
            alone,
            last_error,
            note,
            caveat,
            trace,
            subject,
        })
    }
}
