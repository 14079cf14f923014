//! What the demo's devices upload, and how S3 tells of it.

use chrono::{DateTime, Duration, SecondsFormat, Utc};
use fastrand::Rng;
use md5::{Digest, Md5};
use serde_json::{Value, json};

const REGION: &str = "eu-central-1";

/// Buckets and the beginnings of keys, with all that real keys have in them.
const DEVICES: [(&str, &str); 8] = [
    ("greenhouse-readings", "greenhouse 07/bed north"),
    ("greenhouse-readings", "greenhouse 07/bed south"),
    ("cold-chain-eu", "trucks/B-KL 4711/cargo+door"),
    ("cold-chain-eu", "trucks/M-XY 0815/cargo+rear"),
    ("city-air", "서울/강남구/센서-3"),
    ("city-air", "Zürich/Höngg/50% humidity"),
    ("city-air", "🌡️ rooftop/station-12"),
    ("boilers", "site-a/boiler-2"),
];

/// One uploaded object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The bucket.
    pub bucket: &'static str,
    /// The key, not encoded.
    pub key: String,
    /// What the device measured, as JSON.
    pub content: String,
    etag: String,
    sequencer: String,
    request_id: String,
    at: DateTime<Utc>,
}

/// How S3's word of an upload reaches the intake queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// S3 sends it to the queue.
    Direct,
    /// S3 sends it to EventBridge, and a rule to the queue.
    EventBridge,
    /// S3 sends it to an SNS topic, and the topic to the queue.
    Sns,
}

impl Form {
    const ALL: [Form; 3] = [Form::Direct, Form::EventBridge, Form::Sns];
}

/// `n` uploads of the last minutes before `now`, each with a key of its own. The same seed gives the same uploads.
pub fn uploads(rng: &mut Rng, n: u32, now: DateTime<Utc>) -> Vec<Object> {
    (0..n).map(|i| upload(rng, i, now)).collect()
}

fn upload(rng: &mut Rng, i: u32, now: DateTime<Utc>) -> Object {
    let (bucket, device) = DEVICES[rng.usize(..DEVICES.len())];
    let at = now - Duration::milliseconds(rng.i64(0..300_000));
    let content = json!({
        "device": device,
        "taken_at": at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "celsius": f64::from(rng.i32(-180..420)) / 10.0,
        "humidity": rng.u8(20..95),
        "battery": rng.u8(5..=100),
        "note": "x".repeat(rng.usize(0..400)),
    })
    .to_string();
    Object {
        bucket,
        key: format!("{device}/{}/reading {i:05}.json", at.format("%Y-%m-%d")),
        etag: hexadecimal(&Md5::digest(content.as_bytes())),
        sequencer: format!(
            "{:016X}{:02X}",
            0x0069_2000_0000_0000_u64 + u64::from(i) * 0x1_0001,
            rng.u8(..)
        ),
        request_id: format!("{:016X}", rng.u64(..)),
        content,
        at,
    }
}

impl Object {
    /// S3's word of this upload in one of its forms. All of them name the same event.
    pub fn notification(&self, rng: &mut Rng) -> String {
        match Form::ALL[rng.usize(..Form::ALL.len())] {
            Form::Direct => self.records().to_string(),
            Form::EventBridge => self.event_bridge(rng).to_string(),
            Form::Sns => self.sns(rng).to_string(),
        }
    }

    /// "Event message structure", Amazon S3 User Guide: the key is form-encoded.
    pub fn records(&self) -> Value {
        let key: String = form_urlencoded::byte_serialize(self.key.as_bytes()).collect();
        json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": REGION,
            "eventTime": self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "AWS:AROAEXAMPLE7QXZ3J5KLM:gateway-17"},
            "requestParameters": {"sourceIPAddress": "203.0.113.24"},
            "responseElements": {"x-amz-request-id": self.request_id, "x-amz-id-2": "FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S"},
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "uploads-to-intake",
                "bucket": {"name": self.bucket, "ownerIdentity": {"principalId": "A3NL1KOZZKExample"},
                    "arn": format!("arn:aws:s3:::{}", self.bucket)},
                "object": {"key": key, "size": self.content.len(), "eTag": self.etag, "sequencer": self.sequencer},
            },
        }]})
    }

    /// "EventBridge event message structure", Amazon S3 User Guide: the key is not encoded.
    fn event_bridge(&self, rng: &mut Rng) -> Value {
        json!({
            "version": "0", "id": id(rng), "detail-type": "Object Created", "source": "aws.s3",
            "account": "111122223333", "region": REGION,
            "time": self.at.to_rfc3339_opts(SecondsFormat::Secs, true),
            "resources": [format!("arn:aws:s3:::{}", self.bucket)],
            "detail": {
                "version": "0", "bucket": {"name": self.bucket},
                "object": {"key": self.key, "size": self.content.len(), "etag": self.etag, "sequencer": self.sequencer},
                "request-id": self.request_id, "requester": "111122223333",
                "source-ip-address": "203.0.113.24", "reason": "PutObject",
            },
        })
    }

    /// "Parsing Amazon SNS message formats", Amazon SNS Developer Guide.
    fn sns(&self, rng: &mut Rng) -> Value {
        json!({
            "Type": "Notification", "MessageId": id(rng),
            "TopicArn": format!("arn:aws:sns:{REGION}:111122223333:uploads"),
            "Subject": "Amazon S3 Notification",
            "Message": self.records().to_string(),
            "Timestamp": self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "SignatureVersion": "1", "Signature": "EXAMPLEpH+DcEwjAPg8O9mY8dReBSwksfg2S7WKQcikcNKWLQjwu6A4VbeS0QHVCkhRS7fUQvi2egU3N858fiTDN6bkkOxYDVrY0Ad8L10Hs3zH81mtnPk5uvvolIC1CXGu43obcgFxeL3khZl8IKvO61GWB6jI9b5+gLPoBc1Q=",
            "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0000000000000000000000.pem",
            "UnsubscribeURL": "https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe",
        })
    }
}

/// A UUID's form.
fn id(rng: &mut Rng) -> String {
    let (a, b) = (rng.u64(..), rng.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a as u32,
        (a >> 32) as u16,
        a >> 52,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

/// Bytes as hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use daybook_schema::{SourceName, notification};

    use super::*;

    #[test]
    fn every_form_names_the_same_event_and_key() {
        let mut rng = Rng::with_seed(7);
        for object in uploads(&mut rng, 50, Utc::now()) {
            let forms = [
                object.records(),
                object.event_bridge(&mut rng),
                object.sns(&mut rng),
            ];
            let mut ids = BTreeSet::new();
            for form in forms {
                let read = notification::read(&form.to_string(), &SourceName::default());
                assert_eq!((read.events.len(), read.unreadable.len()), (1, 0), "{read:?}");
                assert_eq!(read.events[0].key.as_str(), object.key);
                ids.insert(read.events[0].id);
            }
            assert_eq!(ids.len(), 1);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_uploads() {
        let now = Utc::now();
        let some = |seed| uploads(&mut Rng::with_seed(seed), 20, now);
        assert_eq!(some(1), some(1));
        assert_ne!(some(1), some(2));
    }
}
