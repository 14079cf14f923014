//! What holds for every payload: none panics, none vanishes, every key comes back.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use daybook_schema::SourceName;
use daybook_schema::notification::{Notification, read};
use proptest::prelude::*;
use serde_json::{Value, json};

fn aws() -> SourceName {
    SourceName::default()
}

/// One record that reads well, as the base of records that do not.
fn record(key: &str) -> Value {
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

fn read_record(record: &Value) -> Notification {
    read(&json!({"Records": [record]}).to_string(), &aws())
}

/// Why the only record of a payload cannot be read.
fn why(notification: &Notification) -> &str {
    assert_eq!(
        (notification.records(), notification.unreadable.len()),
        (1, 1),
        "{notification:?}"
    );
    &notification.unreadable[0].why
}

/// Sets what a JSON pointer points to.
fn with(mut record: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    record.pointer_mut(parent).unwrap()[member] = value;
    record
}

fn encoded(key: &str) -> String {
    form_urlencoded::byte_serialize(key.as_bytes()).collect()
}

/// A text of at most 1,024 bytes, not empty.
fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ +%a-f0-9/&=;?\"]{1,40}",
        "\\PC{1,300}",
        "[가-힣🚀\u{0}-\u{1f}]{1,250}"
    ]
    .prop_map(|text| {
        let mut end = text.len().min(1024);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if end == 0 {
            "k".to_owned()
        } else {
            text[..end].to_owned()
        }
    })
}

/// Any JSON, with the members that mean something among the others.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "aws:s3",
            "aws:sqs",
            "aws:sns",
            "ceph:s3",
            "minio:s3",
            "2.1",
            "3.0",
            "s3:TestEvent",
            "Object Created",
            "0.000000",
            "ObjectCreated:Put",
            "Notification",
            "SubscriptionConfirmation",
            "F7E6D75DC742D108",
            "0068B5C2F4A1E3D200",
            "1763791200478",
            "2026-11-20T10:15:00Z",
            "k+%41",
            "1.0",
            "AAAA",
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let names = prop::sample::select(vec![
            "Records",
            "s3",
            "bucket",
            "object",
            "name",
            "key",
            "sequencer",
            "size",
            "eTag",
            "eventName",
            "eventTime",
            "Sns",
            "eventSource",
            "eventVersion",
            "body",
            "Message",
            "Type",
            "TopicArn",
            "detail-type",
            "detail",
            "Event",
            "time",
            "x",
            "responseElements",
            "version-id",
            "specversion",
            "id",
            "source",
            "type",
            "subject",
            "data",
            "data_base64",
            "partitionkey",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((names, inner.clone()), 0..8).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
            // A document inside a text, as in SNS and SQS.
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

/// One record, and in which list of a notification it belongs.
fn any_record() -> impl Strategy<Value = (Value, usize)> {
    let good = any_key().prop_map(|key| (record(&encoded(&key)), 0));
    let bad = prop_oneof![
        Just(json!(7)),
        Just(json!({})),
        Just(with(record("k"), "/eventVersion", json!("3.0"))),
        Just(with(record("k"), "/s3/object/key", json!("%ff"))),
        Just(with(record("k"), "/s3/object", json!([]))),
        Just(with(record("k"), "/s3/bucket/name", json!("a/b"))),
    ];
    let test = Just((
        json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}),
        2,
    ));
    prop_oneof![4 => good, 2 => bad.prop_map(|record| (record, 1)), 1 => test]
}

/// The same records in one of the envelopes.
fn enveloped(records: &[Value], envelope: usize) -> Value {
    let s3 = json!({"Records": records});
    let sns = json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": s3.to_string()});
    match envelope {
        0 => s3,
        1 => sns,
        2 => json!({"Records": [{"eventSource": "aws:sqs", "body": s3.to_string()}]}),
        3 => json!({"Records": [{"eventSource": "aws:sqs", "body": sns.to_string()}]}),
        4 => {
            json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": s3.to_string()}}]})
        }
        5 => json!([s3]),
        _ => Value::from(records.to_vec()),
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_none_vanishes(payload in any::<String>()) {
        prop_assert_eq!(read(&payload, &aws()).unreadable.len(), 1);
    }

    #[test]
    fn no_json_panics_and_none_vanishes(payload in any_json()) {
        let payload = payload.to_string();
        let notification = read(&payload, &aws());
        // Only a list of no records holds none.
        prop_assert!(notification.records() >= 1 || payload.to_lowercase().contains("records"));
        for record in notification.unreadable {
            let again = read(&record.raw, &aws());
            prop_assert_eq!(again.unreadable, [record]);
        }
    }

    #[test]
    fn every_record_is_an_event_or_unreadable_or_a_test(
        records in prop::collection::vec(any_record(), 1..12),
        envelope in 0..7_usize,
    ) {
        let (records, lists): (Vec<_>, Vec<_>) = records.into_iter().unzip();
        let notification = read(&enveloped(&records, envelope).to_string(), &aws());
        let count = |list| lists.iter().filter(|l| **l == list).count();
        prop_assert_eq!(notification.records(), records.len());
        prop_assert_eq!(notification.events.len(), count(0));
        prop_assert_eq!(notification.unreadable.len(), count(1));
        prop_assert_eq!(notification.test_events, count(2));
        for record in notification.unreadable {
            prop_assert_eq!(read(&record.raw, &aws()).unreadable, [record]);
        }
    }

    #[test]
    fn every_key_comes_back(key in any_key()) {
        let by_notification = read_record(&record(&encoded(&key)));
        prop_assert_eq!(by_notification.events[0].key.as_str(), &key);
        let ceph = with(record(&key), "/eventSource", json!("ceph:s3"));
        let by_ceph = read_record(&ceph);
        prop_assert_eq!(by_ceph.events[0].key.as_str(), &key);
        let eventbridge = json!({
            "detail-type": "Object Created",
            "detail": {
                "bucket": {"name": "device-uploads"},
                "object": {"key": key, "sequencer": "0068B5C2F4A1E3D200", "etag": "b1946ac92492d2347c6235b4d2611184"},
            },
        });
        let by_eventbridge = read(&eventbridge.to_string(), &aws());
        prop_assert_eq!(by_eventbridge.events[0].id, by_notification.events[0].id);
    }

    #[test]
    fn a_key_with_bytes_that_are_no_text_is_never_repaired(bytes in prop::collection::vec(any::<u8>(), 1..40)) {
        let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
        let notification = read_record(&record(&encoded));
        match String::from_utf8(bytes) {
            Ok(key) => prop_assert_eq!(notification.events[0].key.as_str(), key),
            Err(_) => prop_assert_eq!(why(&notification), "the key is not UTF-8 after decoding"),
        }
    }

    #[test]
    fn sequencers_of_ceph_are_in_the_order_of_its_clock(
        a in 1_700_000_000..1_900_000_000_u32,
        b in 1_700_000_000..1_900_000_000_u32,
        n in 0..1_000_000_000_u32,
        m in 0..1_000_000_000_u32,
    ) {
        let read_one = |seconds: u32, nanoseconds: u32| {
            let bytes = [seconds.to_le_bytes(), nanoseconds.to_le_bytes()].concat();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            let record = with(record("k"), "/eventSource", json!("ceph:s3"));
            let time = chrono::DateTime::from_timestamp(seconds.into(), 0).unwrap().to_rfc3339();
            let record = with(record, "/eventTime", json!(time));
            read_record(&with(record, "/s3/object/sequencer", json!(hex))).events.remove(0).sequencer
        };
        prop_assert_eq!(read_one(a, n).cmp(&read_one(b, m)), (a, n).cmp(&(b, m)));
    }
}
