//! What is left of an event that is done.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::{ObjectEvent, Origin};
use crate::identity::{EventId, ObjectId};
use crate::kind::Kind;
use crate::names::{BucketName, ObjectKey, SourceName};
use crate::sequencer::Sequencer;
use crate::status::Attempt;
use crate::time::Timestamp;

/// The version that this code writes. It reads this one and all older ones.
pub const RECEIPT_VERSION: u32 = 1;

/// Proof that an object was processed, or that a person took it out. One per object, the newest wins; one per general event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The object, the partition key.
    pub id: ObjectId,
    /// The version of this form.
    #[serde(default = "first_version")]
    pub v: u32,
    /// The event that was done.
    pub event_id: EventId,
    /// Which S3.
    pub source: SourceName,
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The version of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// What happened to the object.
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
    /// S3's time for the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Timestamp>,
    /// For an object that the audit found: uploads up to this instant are covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers_until: Option<Timestamp>,
    /// The later of `event_time` and `covers_until`: the order of receipts where a sequencer is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_at: Option<Timestamp>,
    /// Of a general event, which `key` has the id of: the CloudEvent's `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_source: Option<String>,
    /// Of a general event: the CloudEvent's `type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Of a general event: the CloudEvent's `subject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The attempt that did it.
    pub attempt: Attempt,
    /// How it ended.
    pub outcome: Outcome,
    /// By what: an execution's ARN, a worker, a person.
    pub by: String,
    /// Why a person took it out, or says that it is done; a machine's receipt has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What people did to the row before it was done, as the row kept it: when, what, who and why, the last of it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When the receipt was written.
    pub completed_at: Timestamp,
    /// When DynamoDB may delete it, in seconds since 1970 (TTL).
    pub expires_at: i64,
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Processed, as its target or a person says (`by`).
    Succeeded,
    /// Taken out by a person; covers no other event.
    Removed,
}

fn first_version() -> u32 {
    1
}

impl Receipt {
    /// Whether it is of an object, not of a general event.
    pub fn is_of_object(&self) -> bool {
        self.event_source.is_none()
    }

    /// What a general event is about, on one line: untrusted text, to be escaped where it is printed.
    pub fn general_event(&self) -> Option<String> {
        let (source, kind) = (self.event_source.as_ref()?, self.event_type.as_deref());
        let subject = self.subject.as_ref().map(|subject| format!(" {subject}"));
        let (kind, subject) = (kind.unwrap_or_default(), subject.unwrap_or_default());
        Some(format!("{kind}{subject} ({source} {})", self.key))
    }

    /// The receipt for an event that ended `now`, to be kept for `keep`.
    pub fn new(
        event: &ObjectEvent,
        attempt: Attempt,
        outcome: Outcome,
        by: String,
        why: Option<String>,
        now: Timestamp,
        keep: Duration,
    ) -> Self {
        let covers_until = match event.origin {
            Origin::Listing { covers_until } => Some(covers_until),
            Origin::Notification | Origin::Replay { .. } => None,
        };
        Self {
            id: event.object_id(),
            v: RECEIPT_VERSION,
            event_id: event.id,
            source: event.source.clone(),
            bucket: event.bucket.clone(),
            key: event.key.clone(),
            version_id: event.version_id.clone(),
            kind: event.kind.clone(),
            etag: event.etag.clone(),
            size: event.size,
            sequencer: event.sequencer.clone(),
            event_time: event.event_time,
            covers_until,
            order_at: event.event_time.max(covers_until),
            event_source: event.general.as_ref().map(|general| general.source.clone()),
            event_type: event.general.as_ref().map(|general| general.event_type.clone()),
            subject: event.subject().map(str::to_owned),
            attempt,
            outcome,
            by,
            why,
            note: None,
            completed_at: now,
            expires_at: now.plus(keep).unix_seconds(),
        }
    }

    /// Whether this receipt proves that the event needs no processing.
    ///
    /// It does when it is of the same event, or its sequencer is comparable and newer. Where the sequencers do not tell (one has
    /// none, or they come from different kinds of servers), when etag and size are the same and the event happened strictly before the
    /// receipt's time. Two uploads may share a sequencer at a server that sends a constant: an equal one covers only the same
    /// etag. A replay on purpose is never covered, and a receipt of a removal covers only its own event. That of a general event's replay
    /// covers the event.
    pub fn covers(&self, event: &ObjectEvent) -> bool {
        if self.event_id == event.id {
            return true;
        }
        if self.outcome == Outcome::Removed
            || matches!(event.origin, Origin::Replay { .. })
            || self.id != event.object_id()
        {
            return false;
        }
        if !event.is_of_object() {
            return true;
        }
        match (&self.sequencer, &event.sequencer) {
            (Some(done), Some(asked)) if done == asked => self.etag == event.etag,
            (Some(done), Some(asked)) if done.is_comparable(asked) => done > asked,
            _ => {
                let is_other_size =
                    matches!((self.size, event.size), (Some(done), Some(asked)) if done != asked);
                self.etag.is_some()
                    && self.etag == event.etag
                    && !is_other_size
                    && matches!((event.event_time, self.order_at), (Some(asked), Some(done)) if asked < done)
            }
        }
    }
}
