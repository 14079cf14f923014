//! Rows, events and receipts as JSON, the same in every verb.

use daybook_schema::{ObjectEvent, Receipt, Row, Status, Subject, Timestamp};
use serde_json::{Value, json};

/// A status as programs get it, the same word that `--status` takes.
pub fn status_word(status: Status) -> String {
    status.as_str().to_lowercase()
}

/// A row for programs. Every field is always there.
pub fn row_json(row: &Row) -> Value {
    let mut json = json!({
        "id": row.id,
        "status": status_word(row.status),
        "due_at": row.due_at,
        "recorded_at": row.recorded_at,
        "attempt": row.attempt,
        "max_attempts": row.max_attempts,
        "deliveries": row.deliveries,
        "undelivered": row.is_undelivered(),
        "lease_moves": row.lease_moves,
        "claim_token": row.claim_token,
        "last_error": row.last_error,
        "note": row.note,
        "caveat": row.caveat,
        "trace": row.trace,
        "raw": Value::Null,
        "unreadable": Value::Null,
    });
    let subject = match &row.subject {
        Subject::Event(event) => event_json(Some(event)),
        Subject::Raw { payload, source, .. } => {
            json["raw"] = payload.as_str().into();
            let mut none = event_json(None);
            none["source"] = source.as_str().into();
            none
        }
    };
    merge(&mut json, subject);
    json
}

/// A row that this release cannot read, for programs: what the index says of it, and why.
pub fn unreadable_json(id: &str, seen: Option<(Status, Timestamp)>, why: &str) -> Value {
    let mut json = json!({
        "id": id,
        "status": seen.map(|(status, _)| status_word(status)),
        "due_at": seen.map(|(_, due_at)| due_at),
        "recorded_at": Value::Null,
        "attempt": Value::Null,
        "max_attempts": Value::Null,
        "deliveries": Value::Null,
        "undelivered": Value::Null,
        "lease_moves": Value::Null,
        "claim_token": Value::Null,
        "last_error": Value::Null,
        "note": Value::Null,
        "caveat": Value::Null,
        "trace": Value::Null,
        "raw": Value::Null,
        "unreadable": why,
    });
    merge(&mut json, event_json(None));
    json
}

/// An event for programs. Every field is always there.
pub fn event_json(event: Option<&ObjectEvent>) -> Value {
    json!({
        "source": event.map(|event| &event.source),
        "bucket": event.map(|event| &event.bucket),
        "key": event.map(|event| &event.key),
        "version_id": event.and_then(|event| event.version_id.as_ref()),
        "kind": event.map(|event| &event.kind),
        "etag": event.and_then(|event| event.etag.as_ref()),
        "size": event.and_then(|event| event.size),
        "sequencer": event.and_then(|event| event.sequencer.as_ref()),
        "event_name": event.map(|event| &event.event_name),
        "event_time": event.and_then(|event| event.event_time),
        "region": event.and_then(|event| event.region.as_ref()),
    })
}

/// A receipt for programs. Every field is always there.
pub fn receipt_json(receipt: &Receipt) -> Value {
    json!({
        "event_id": receipt.event_id,
        "object_id": receipt.id,
        "source": receipt.source,
        "bucket": receipt.bucket,
        "key": receipt.key,
        "version_id": receipt.version_id,
        "kind": receipt.kind,
        "etag": receipt.etag,
        "size": receipt.size,
        "sequencer": receipt.sequencer,
        "event_time": receipt.event_time,
        "covers_until": receipt.covers_until,
        "attempt": receipt.attempt,
        "outcome": receipt.outcome,
        "by": receipt.by,
        "why": receipt.why,
        "completed_at": receipt.completed_at,
        "expires_at": expires_at(receipt),
    })
}

/// When DynamoDB may delete a receipt.
pub fn expires_at(receipt: &Receipt) -> Option<Timestamp> {
    Timestamp::from_unix_millis(receipt.expires_at.saturating_mul(1000))
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
