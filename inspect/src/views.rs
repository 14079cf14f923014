//! Rows, events and receipts as programs get them, the same everywhere.

use daybook_schema::{
    Attempt, BucketName, CloudEvent, EventId, Kind, ObjectEvent, ObjectId, ObjectKey, Outcome, Receipt, Row,
    Sequencer, SourceName, Status, Subject, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;

/// A status as programs get it, the same word that `--status` takes.
pub fn status_word(status: Status) -> String {
    status.as_str().to_lowercase()
}

/// A row of the ledger. Of a row that this release cannot read only what the index says of it is known.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct RowOutput<'a> {
    /// The event's id, the key of the ledger.
    id: String,
    /// `pending`, `claimed` or `parked`.
    status: Option<String>,
    /// The earliest time of the next attempt; of a claimed row the end of its lease, of a parked one since when.
    due_at: Option<Timestamp>,
    /// When the row was written.
    recorded_at: Option<Timestamp>,
    /// Attempts used; of a claimed row, the one under way.
    attempt: Option<Attempt>,
    /// Attempts that it has.
    max_attempts: Option<u32>,
    /// Messages sent for this attempt; 0 while a worker holds the row.
    deliveries: Option<u32>,
    /// Whether it was sent five times or more for this attempt, and nothing took it.
    undelivered: Option<bool>,
    /// How often the lease was moved on because the queue was slow.
    lease_moves: Option<u32>,
    /// Who claimed it, unique per claim.
    claim_token: Option<String>,
    /// The batch that it was claimed into, 32 hexadecimal digits; only claimed rows have one.
    batch: Option<String>,
    /// Whether it is run by itself, because it failed together with others.
    alone: Option<bool>,
    /// Since when its target runs in the `daybook up` of this machine; null where it does not, or that is not known.
    running_since: Option<Timestamp>,
    /// In which process.
    running_in: Option<u32>,
    /// Why the last attempt failed.
    last_error: Option<&'a str>,
    /// Who did something to it by hand, and why.
    note: Option<&'a str>,
    /// What was odd in the notification (docs/notifications.md).
    caveat: Option<&'a str>,
    /// The X-Ray trace of the notification.
    trace: Option<&'a str>,
    /// The payload of a notification that is not an object event.
    raw: Option<&'a str>,
    /// Why this release cannot read the row; then only id, status and due_at are known.
    unreadable: Option<&'a str>,
    #[serde(flatten)]
    event: EventOutput<'a>,
}

impl<'a> From<&'a Row> for RowOutput<'a> {
    fn from(row: &'a Row) -> Self {
        let (event, raw) = match &row.subject {
            Subject::Event(event) => (EventOutput::from(&**event), None),
            Subject::Raw { payload, source, .. } => {
                let none = EventOutput {
                    source: Some(source),
                    ..EventOutput::default()
                };
                (none, Some(payload.as_str()))
            }
        };
        Self {
            id: row.id.to_string(),
            status: Some(status_word(row.status)),
            due_at: Some(row.due_at),
            recorded_at: Some(row.recorded_at),
            attempt: Some(row.attempt),
            max_attempts: Some(row.max_attempts),
            deliveries: Some(row.deliveries),
            undelivered: Some(row.is_undelivered()),
            lease_moves: Some(row.lease_moves),
            claim_token: row.claim_token.map(|token| token.to_string()),
            batch: row.batch.map(|batch| batch.to_string()),
            alone: Some(row.alone),
            running_since: None,
            running_in: None,
            last_error: row.last_error.as_deref(),
            note: row.note.as_deref(),
            caveat: row.caveat.as_deref(),
            trace: row.trace.as_deref(),
            raw,
            unreadable: None,
            event,
        }
    }
}

impl<'a> RowOutput<'a> {
    /// With since when it runs, and in which process, if it does.
    pub fn running(self, run: Option<(Timestamp, u32)>) -> Self {
        Self {
            running_since: run.map(|(since, _)| since),
            running_in: run.map(|(_, pid)| pid),
            ..self
        }
    }

    /// A row that this release cannot read: what the index says of it, and why.
    pub fn unreadable(id: String, seen: Option<(Status, Timestamp)>, why: &'a str) -> Self {
        Self {
            id,
            status: seen.map(|(status, _)| status_word(status)),
            due_at: seen.map(|(_, due_at)| due_at),
            unreadable: Some(why),
            ..Self::default()
        }
    }
}

/// An event, as its notification described it.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct EventOutput<'a> {
    /// The S3 that the object is in, as it is called at ingest.
    source: Option<&'a SourceName>,
    /// The bucket.
    bucket: Option<&'a BucketName>,
    /// The key.
    key: Option<&'a ObjectKey>,
    /// The version, where the bucket has versions.
    version_id: Option<&'a str>,
    /// What happened: `created`, `removed`, `restored` and so on, or the event name's own words.
    kind: Option<&'a Kind>,
    /// The object's etag, without quotes.
    etag: Option<&'a str>,
    /// Bytes.
    size: Option<u64>,
    /// What orders the events of one key, where the sender is known to keep it.
    sequencer: Option<&'a Sequencer>,
    /// The event's name as it was sent.
    event_name: Option<&'a str>,
    /// When it happened, as S3 says.
    event_time: Option<Timestamp>,
    /// The region, as the notification says.
    region: Option<&'a str>,
    /// What a general event is about, within its source: the CloudEvent's `subject`.
    subject: Option<&'a str>,
    /// A general event, in the JSON format of CloudEvents 1.0, with its data; bucket and key are null.
    cloud_event: Option<&'a CloudEvent>,
}

impl<'a> From<&'a ObjectEvent> for EventOutput<'a> {
    fn from(event: &'a ObjectEvent) -> Self {
        Self {
            source: Some(&event.source),
            bucket: Some(&event.bucket).filter(|_| event.is_of_object()),
            key: Some(&event.key).filter(|_| event.is_of_object()),
            version_id: event.version_id.as_deref(),
            kind: Some(&event.kind),
            etag: event.etag.as_deref(),
            size: event.size,
            sequencer: event.sequencer.as_ref(),
            event_name: Some(&event.event_name),
            event_time: event.event_time,
            region: event.region.as_deref(),
            subject: event.subject(),
            cloud_event: event.general.as_deref(),
        }
    }
}

/// What is kept of a processed or removed event.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReceiptOutput<'a> {
    /// The event.
    event_id: EventId,
    /// The object, the key of the receipts table; of a general event its own id.
    object_id: ObjectId,
    /// The S3 that the object is in.
    source: &'a SourceName,
    /// The bucket; null: it is of a general event.
    bucket: Option<&'a BucketName>,
    /// The key; null: it is of a general event.
    key: Option<&'a ObjectKey>,
    /// Of a general event: the CloudEvent's `id`.
    cloud_event_id: Option<&'a str>,
    /// Of a general event: the CloudEvent's `source`.
    cloud_event_source: Option<&'a str>,
    /// Of a general event: the CloudEvent's `type`.
    cloud_event_type: Option<&'a str>,
    /// Of a general event: the CloudEvent's `subject`.
    subject: Option<&'a str>,
    /// The version, where the bucket has versions.
    version_id: Option<&'a str>,
    /// What happened to the object.
    kind: &'a Kind,
    /// The object's etag, without quotes.
    etag: Option<&'a str>,
    /// Bytes.
    size: Option<u64>,
    /// The event's sequencer.
    sequencer: Option<&'a Sequencer>,
    /// When the event happened, as S3 says.
    event_time: Option<Timestamp>,
    /// Uploads of the object up to this time are covered, where an audit found the object.
    covers_until: Option<Timestamp>,
    /// The attempt that ended it.
    attempt: Attempt,
    /// How it ended.
    outcome: Outcome,
    /// What or who ended it.
    by: &'a str,
    /// And why, where a person did.
    why: Option<&'a str>,
    /// What people did to the event before it was done: when, what, who and why, the last of it first.
    note: Option<&'a str>,
    /// When.
    completed_at: Timestamp,
    /// When DynamoDB may delete the receipt.
    expires_at: Option<Timestamp>,
}

impl<'a> From<&'a Receipt> for ReceiptOutput<'a> {
    fn from(receipt: &'a Receipt) -> Self {
        let is_of_object = receipt.is_of_object();
        Self {
            event_id: receipt.event_id,
            object_id: receipt.id,
            source: &receipt.source,
            bucket: Some(&receipt.bucket).filter(|_| is_of_object),
            key: Some(&receipt.key).filter(|_| is_of_object),
            cloud_event_id: Some(receipt.key.as_str()).filter(|_| !is_of_object),
            cloud_event_source: receipt.event_source.as_deref(),
            cloud_event_type: receipt.event_type.as_deref(),
            subject: receipt.subject.as_deref(),
            version_id: receipt.version_id.as_deref(),
            kind: &receipt.kind,
            etag: receipt.etag.as_deref(),
            size: receipt.size,
            sequencer: receipt.sequencer.as_ref(),
            event_time: receipt.event_time,
            covers_until: receipt.covers_until,
            attempt: receipt.attempt,
            outcome: receipt.outcome,
            by: &receipt.by,
            why: receipt.why.as_deref(),
            note: receipt.note.as_deref(),
            completed_at: receipt.completed_at,
            expires_at: expires_at(receipt),
        }
    }
}

/// When DynamoDB may delete a receipt.
pub fn expires_at(receipt: &Receipt) -> Option<Timestamp> {
    Timestamp::from_unix_millis(receipt.expires_at.saturating_mul(1000))
}
