//! One record as S3 sends it, its changes, and how it is read.

use daybook_schema::notification::{Notification, read};
use daybook_schema::{ObjectEvent, SourceName};
use serde_json::{Value, json};

pub fn aws() -> SourceName {
    SourceName::default()
}

/// One record as S3 sends it.
pub fn record(key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1",
        "eventTime": "2026-11-20T10:15:00.123Z", "eventName": "ObjectCreated:Put",
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "bucket": {"name": "device-uploads"},
            "object": {"key": key, "size": 5, "eTag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "0068B5C2F4A1E3D200"},
        },
    })
}

/// Sets what JSON pointers point to; null removes it.
pub fn with<const N: usize>(mut record: Value, changes: [(&str, Value); N]) -> Value {
    for (pointer, value) in changes {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        record.pointer_mut(parent).unwrap()[member] = value;
    }
    record
}

pub fn read_text(record: &str) -> Notification {
    read(&format!(r#"{{"Records":[{record}]}}"#), &aws())
}

pub fn event(record: &Value) -> ObjectEvent {
    let mut notification = read_text(&record.to_string());
    assert_eq!(
        (notification.records(), notification.events.len()),
        (1, 1),
        "{notification:?}"
    );
    notification.events.remove(0)
}
