//! Notifications as MinIO's webhook sends them.

use daybook_schema::{ObjectEvent, SourceName, notification};
use serde_json::{Value, json};

/// The record of an upload. The number tells uploads of one key apart, and is their order.
pub fn record(key: &str, number: u64) -> Value {
    let encoded: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
    json!({
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": "2026-11-20T14:00:00.010Z",
        "eventName": "s3:ObjectCreated:Put",
        "userIdentity": {"principalId": "gateway"},
        "requestParameters": {"principalId": "gateway", "region": "", "sourceIPAddress": "192.0.2.7"},
        "responseElements": {"x-amz-request-id": format!("1879B2F6C1D0{number:04X}")},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {"name": "data", "ownerIdentity": {"principalId": "gateway"}, "arn": "arn:aws:s3:::data"},
            "object": {
                "key": encoded,
                "size": 1024,
                "eTag": format!("{number:032x}"),
                "contentType": "application/octet-stream",
                "userMetadata": {"content-type": "application/octet-stream"},
                "sequencer": format!("{:016X}", 0x1879_B2F6_0000_0000 + number),
            }
        },
        "source": {"host": "192.0.2.7", "port": "", "userAgent": "MinIO (linux; amd64) minio-go/v7.0.70"}
    })
}

/// A notification with these records.
pub fn notification(records: Vec<Value>) -> Value {
    json!({"EventName": "s3:ObjectCreated:Put", "Key": "data/object", "Records": records})
}

/// The notification of one upload.
pub fn upload(key: &str, number: u64) -> String {
    notification(vec![record(key, number)]).to_string()
}

/// The events of a notification, in the form that they have in a ledger.
pub fn events(body: &str) -> Vec<ObjectEvent> {
    let read = notification::read(body, &SourceName::default());
    assert!(read.unreadable.is_empty(), "{body}");
    read.events
}
