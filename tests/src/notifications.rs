//! S3 notifications as AWS sends them, built for tests.

use daybook_schema::{ObjectEvent, SourceName, notification};
use serde_json::{Value, json};

/// One upload, in the words that S3 would use of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload {
    /// The bucket.
    pub bucket: String,
    /// The key, not encoded.
    pub key: String,
    /// The etag.
    pub etag: String,
    /// The sequencer, as S3 writes it: 16 hexadecimal digits or so.
    pub sequencer: Option<String>,
    /// When, in milliseconds since 1970.
    pub at_millis: i64,
}

impl Upload {
    /// An upload of `key` to bucket `data`, the `n`th of its key.
    pub fn new(key: &str, n: u64, etag: &str) -> Self {
        Self {
            bucket: "data".into(),
            key: key.into(),
            etag: etag.into(),
            sequencer: Some(format!("{:016X}", 0x0062_E99A_88DC_0000 + n)),
            at_millis: crate::stage::EPOCH_SECONDS * 1000 + i64::try_from(n).unwrap_or(0) * 1000,
        }
    }

    /// Without a sequencer, as some servers send it.
    pub fn without_sequencer(self) -> Self {
        Self {
            sequencer: None,
            ..self
        }
    }

    /// The record of a notification.
    pub fn record(&self) -> Value {
        let key: String = form_urlencoded::byte_serialize(self.key.as_bytes()).collect();
        let at = chrono::DateTime::from_timestamp_millis(self.at_millis).unwrap();
        let mut record = json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
            "eventTime": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "AWS:AROAEXAMPLE:device"},
            "requestParameters": {"sourceIPAddress": "198.51.100.7"},
            "responseElements": {"x-amz-request-id": format!("{:016X}", self.at_millis), "x-amz-id-2": "EXAMPLE123/5678abcdef"},
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "daybook",
                "bucket": {"name": self.bucket, "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                    "arn": format!("arn:aws:s3:::{}", self.bucket)},
                "object": {"key": key, "size": 1024, "eTag": self.etag},
            },
        });
        if let Some(sequencer) = &self.sequencer {
            record["s3"]["object"]["sequencer"] = json!(sequencer);
        }
        record
    }

    /// A notification with this one record.
    pub fn notification(&self) -> String {
        json!({"Records": [self.record()]}).to_string()
    }

    /// The same as EventBridge delivers it.
    pub fn event_bridge(&self) -> String {
        let at = chrono::DateTime::from_timestamp_millis(self.at_millis).unwrap();
        let mut event = json!({
            "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created",
            "source": "aws.s3", "account": "111122223333", "region": "us-east-1",
            "time": at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            "resources": [format!("arn:aws:s3:::{}", self.bucket)],
            "detail": {
                "version": "0", "bucket": {"name": self.bucket},
                "object": {"key": self.key, "size": 1024, "etag": self.etag},
                "request-id": format!("{:016X}", self.at_millis), "requester": "111122223333",
                "source-ip-address": "198.51.100.7", "reason": "PutObject",
            },
        });
        if let Some(sequencer) = &self.sequencer {
            event["detail"]["object"]["sequencer"] = json!(sequencer);
        }
        event.to_string()
    }

    /// The event as `schema` reads it from the notification.
    pub fn event(&self) -> ObjectEvent {
        let read = notification::read(&self.notification(), &SourceName::default());
        assert_eq!((read.events.len(), read.unreadable.len()), (1, 0), "{read:?}");
        read.events.into_iter().next().unwrap()
    }
}

/// `n` different objects, one upload each.
pub fn uploads(n: usize) -> Vec<Upload> {
    (0..n)
        .map(|i| {
            Upload::new(
                &format!("devices/{:03}/2026-11-21/reading-{i}.json", i % 40),
                i as u64,
                &format!("{i:032x}"),
            )
        })
        .collect()
}
