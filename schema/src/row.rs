//! A row of the ledger: one event that has not been processed yet.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::batch::{BatchId, BatchName, RunName};
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

/// The version that this code writes. It reads this one and all older ones, and [`BATCH_ROW_VERSION`]. A field that older code may
/// ignore needs no new version; a change of meaning does.
pub const ROW_VERSION: u32 = 2;

/// The version of a row while it is in a batch: older code would start it by itself, beside the batch's execution. Only CLAIMED rows
/// have it, and whatever leaves CLAIMED takes batch and version back.
pub const BATCH_ROW_VERSION: u32 = 3;

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
    /// An object event.
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

    /// The version that the row is stored with.
    fn version(&self) -> u32 {
        match self.batch {
            None => ROW_VERSION,
            Some(_) => BATCH_ROW_VERSION,
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

    /// The object event, unless the row keeps a payload that could not be read.
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
        "row {id} was written by a newer Daybook (v = {version}; this one knows up to {BATCH_ROW_VERSION}): use that release"
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
            Subject::Event(event) => {
                stored.source = event.source;
                stored.bucket = Some(event.bucket);
                stored.key = Some(event.key);
                stored.version_id = event.version_id;
                stored.kind = Some(event.kind);
                stored.etag = event.etag;
                stored.size = event.size;
                stored.sequencer = event.sequencer;
                stored.event_name = Some(event.event_name);
                stored.event_time = event.event_time;
                stored.region = event.region;
                match event.origin {
                    Origin::Notification => {}
                    Origin::Listing { covers_until } => stored.covers_until = Some(covers_until),
                    Origin::Replay { nonce } => stored.replay = Some(nonce),
                }
            }
        }
        stored
    }
}

impl TryFrom<StoredRow> for Row {
    type Error = InvalidRow;

    fn try_from(stored: StoredRow) -> Result<Self, InvalidRow> {
        let id = stored.id;
        if stored.v > BATCH_ROW_VERSION {
            return Err(InvalidRow::Newer {
                id,
                version: stored.v,
            });
        }
        let missing = |attribute| InvalidRow::Missing { id, attribute };
        let subject = match stored.raw {
            Some(payload) => Subject::Raw {
                payload,
                source: stored.source,
                keys: stored.keys,
            },
            None => Subject::Event(Box::new(ObjectEvent {
                id,
                source: stored.source,
                bucket: stored.bucket.ok_or(missing("bucket"))?,
                key: stored.key.ok_or(missing("key"))?,
                version_id: stored.version_id,
                kind: stored.kind.ok_or(missing("kind"))?,
                etag: stored.etag,
                size: stored.size,
                sequencer: stored.sequencer,
                event_name: stored.event_name.unwrap_or_default(),
                event_time: stored.event_time,
                region: stored.region,
                origin: match (stored.replay, stored.covers_until) {
                    (Some(nonce), _) => Origin::Replay { nonce },
                    (None, Some(covers_until)) => Origin::Listing { covers_until },
                    (None, None) => Origin::Notification,
                },
            })),
        };
        Ok(Self {
            id,
            status: stored.status,
            due_at: stored.due_at,
            recorded_at: stored.recorded_at,
            attempt: stored.attempt,
            max_attempts: stored.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS),
            deliveries: stored.deliveries,
            lease_moves: stored.lease_moves,
            deaths: stored.deaths,
            claim_token: stored.claim_token,
            batch: stored.batch,
            alone: stored.alone,
            last_error: stored.last_error,
            note: stored.note,
            caveat: stored.caveat,
            trace: stored.trace,
            subject,
        })
    }
}
