//! Notifications of servers and tools that keep to S3's form only nearly: no upload lost, no wrong key, no good event parked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use daybook_schema::notification::{KeyEncoding, Notification, Reading, is_ambiguous, read};
use daybook_schema::{EventId, ObjectEvent, SourceName};
use serde_json::{Value, json};

fn aws() -> SourceName {
    SourceName::default()
}

/// One record as S3 sends it.
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

/// Sets what JSON pointers point to; null removes it.
fn with<const N: usize>(mut record: Value, changes: [(&str, Value); N]) -> Value {
    for (pointer, value) in changes {
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        record.pointer_mut(parent).unwrap()[member] = value;
    }
    record
}

fn read_text(record: &str) -> Notification {
    read(&format!(r#"{{"Records":[{record}]}}"#), &aws())
}

fn event(record: &Value) -> ObjectEvent {
    let mut notification = read_text(&record.to_string());
    assert_eq!(
        (notification.records(), notification.events.len()),
        (1, 1),
        "{notification:?}"
    );
    notification.events.remove(0)
}

fn caveat(record: &str) -> String {
    let notification = read_text(record);
    assert_eq!(notification.events.len(), 1, "{notification:?}");
    notification.caveats.get(&0).cloned().unwrap_or_default()
}

fn ids(records: impl IntoIterator<Item = Value>) -> Vec<EventId> {
    records.into_iter().map(|record| event(&record).id).collect()
}

fn all_differ(ids: &[EventId]) -> bool {
    ids.iter().collect::<BTreeSet<_>>().len() == ids.len()
}

/// Senders whose sequencer gives no order: constants, counters, numbers, clocks in other forms, and none.
fn senders_without_order() -> Vec<Value> {
    let sequencers = [
        json!("0055AED6DCD90281E5"),
        json!("0055aed6dcd90281e5"),
        json!("0062E99A88DC407460"),
        json!("617f08299329d189"),
        json!("0A1B2C3D4E5F678901"),
        json!("1"),
        json!("0000000000000001"),
        json!("00000000000000000001"),
        json!("19aa0b1c2d3"),
        json!("1763791200478"),
        json!(9),
        json!(9.5),
        json!(true),
        json!({"value": "0068B5C2F4A1E3D200"}),
        json!("x".repeat(100)),
        json!("seq-17"),
        json!(""),
        json!(null),
    ];
    let of = |sequencer| with(record("k"), [("/s3/object/sequencer", sequencer)]);
    let unknown = ["acme:s3", "scality:s3", "aws.s3", ""]
        .map(|source| with(record("k"), [("/eventSource", json!(source))]));
    sequencers.into_iter().map(of).chain(unknown).collect()
}

#[test]
fn without_an_order_two_uploads_that_differ_in_anything_are_two_events() {
    for base in senders_without_order() {
        let base_event = event(&base);
        assert_eq!(base_event.sequencer, None, "{base}");
        let other = [
            ("/eventTime", json!("2026-11-20T10:15:00.124Z")),
            ("/eventTime", json!("2026-11-20T10:15:00.1230001Z")),
            ("/eventTime", json!("2026-11-20T10:15:01.123Z")),
            ("/eventTime", json!("a quarter past ten")),
            ("/eventTime", json!("half past ten")),
            ("/eventTime", json!({"millis": 1})),
            ("/eventTime", json!({"millis": 2})),
            ("/responseElements/x-amz-request-id", json!("C3D13FE58DE4C811")),
            ("/responseElements", json!(null)),
            ("/s3/object/eTag", json!("00000000000000000000000000000000")),
            ("/s3/object/size", json!(6)),
        ];
        let others = other.into_iter().map(|change| with(base.clone(), [change]));
        let ids = ids(others.chain([base.clone()]));
        assert!(all_differ(&ids), "{base}");
        assert_eq!(event(&base).id, base_event.id, "and a duplicate is one: {base}");
    }
}

#[test]
fn counters_that_look_alike_when_padded_are_told_apart() {
    let of = |sequencer: &str| with(record("k"), [("/s3/object/sequencer", json!(sequencer))]);
    assert!(all_differ(&ids(["1", "10", "100", "9", "11"].map(of))));
}

#[test]
fn with_an_order_the_sequencer_and_the_etag_make_the_event() {
    let base = record("k");
    for same in [
        ("/eventTime", json!("2026-11-20T10:15:00Z")),
        ("/eventTime", json!(null)),
        ("/responseElements", json!(null)),
        ("/s3/object/size", json!(null)),
        ("/s3/object/eTag", json!("\"b1946ac92492d2347c6235b4d2611184\"")),
        ("/s3/object/sequencer", json!("0068b5c2f4a1e3d200")),
    ] {
        assert_eq!(
            ids([with(base.clone(), [same.clone()])]),
            ids([base.clone()]),
            "{same:?}"
        );
    }
    let other = with(
        base.clone(),
        [("/s3/object/eTag", json!("00000000000000000000000000000000"))],
    );
    assert!(all_differ(&ids([base, other])));
}

/// AWS's sequencers are the same 18 digits in a notification and in its EventBridge event. MinIO, RustFS and Ceph send
/// notifications only.
#[test]
fn real_sequencers_have_one_form_and_their_duplicates_are_recognised() {
    let kinds = [
        ("ObjectCreated:Put", "Object Created"),
        ("ObjectRemoved:Delete", "Object Deleted"),
    ];
    for (name, detail_type) in kinds {
        for sequencer in ["0057D4CA3622203077", "0067B506FB4E9E2775", "0069601A256BF73578"] {
            let notification = with(
                record("a%2Bb+c"),
                [
                    ("/s3/object/sequencer", json!(sequencer)),
                    ("/eventName", json!(name)),
                ],
            );
            let eventbridge = json!({
                "detail-type": detail_type, "source": "aws.s3", "time": "2026-11-20T10:15:01Z",
                "detail": {
                    "bucket": {"name": "device-uploads"}, "request-id": "OTHER",
                    "object": {"key": "a+b c", "etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": sequencer},
                },
            });
            let by_eventbridge = read(&eventbridge.to_string(), &aws()).events.remove(0);
            let by_notification = event(&notification);
            assert_eq!(by_notification.sequencer, by_eventbridge.sequencer);
            assert!(by_notification.sequencer.is_some(), "{sequencer}");
            assert_eq!(by_notification.id, by_eventbridge.id, "{sequencer} {name}");
        }
    }
    for (source, sequencer) in [
        ("minio:s3", "1879B2F6C1D0A300"),
        ("rustfs:s3", "1879B2F6C1D0A300"),
        ("ceph:s3", "806E006B07000000"),
    ] {
        let sent = with(
            record("k"),
            [
                ("/eventSource", json!(source)),
                ("/s3/object/sequencer", json!(sequencer)),
            ],
        );
        let again = with(sent.clone(), [("/eventTime", json!("2026-11-20T16:15:00Z"))]);
        assert!(event(&sent).sequencer.is_some(), "{source}");
        assert_eq!(event(&sent).id, event(&again).id, "{source}");
    }
}

#[test]
fn a_removal_with_and_without_an_etag_is_one_event() {
    let removed = with(
        record("k"),
        [("/eventName", json!("ObjectRemoved:DeleteMarkerCreated"))],
    );
    let without = with(
        removed.clone(),
        [("/s3/object/eTag", json!(null)), ("/s3/object/size", json!(null))],
    );
    assert_eq!(event(&removed).id, event(&without).id);
}

/// Nothing in it could differ between two uploads. What came is all there is, and the message that it came in.
#[test]
fn an_event_that_tells_nothing_apart_is_known_by_its_bytes_and_its_message() {
    let bare = r#"{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}"#;
    let payload = format!(r#"{{"Records":[{bare}]}}"#);
    let id = |payload: &str, message_id| Reading::default().read(payload, message_id).events[0].id;
    assert_eq!(
        id(&payload, Some("m-1")),
        id(&payload, Some("m-1")),
        "delivered again"
    );
    assert_ne!(
        id(&payload, Some("m-1")),
        id(&payload, Some("m-2")),
        "sent again: perhaps an upload"
    );
    assert_eq!(id(&payload, None), id(&payload, None));
    let received = json!({"Messages": [{"MessageId": "m-1", "Body": payload}]}).to_string();
    assert_eq!(
        id(&received, None),
        id(&payload, Some("m-1")),
        "the message may be in the payload"
    );
    let sized = payload.replace(r#""key":"k""#, r#""key":"k","size":2"#);
    assert_ne!(id(&sized, None), id(&payload, None));
    let timed = payload.replace(
        "{\"eventName\"",
        "{\"eventTime\":\"2026-11-20T10:15:00Z\",\"eventName\"",
    );
    assert_eq!(
        id(&timed, Some("m-1")),
        id(&timed, Some("m-2")),
        "a time tells uploads apart"
    );
}

#[test]
fn a_side_field_that_cannot_be_read_is_left_out_and_said() {
    let long = "x".repeat(2000);
    for (pointer, value, name) in [
        ("/s3/object/size", json!(-1), "size"),
        ("/s3/object/size", json!(1.5), "size"),
        ("/s3/object/size", json!("a lot"), "size"),
        ("/s3/object/size", json!([1]), "size"),
        ("/s3/object/eTag", json!({}), "eTag"),
        ("/s3/object/eTag", json!(long), "eTag"),
        ("/s3/object/versionId", json!([]), "versionId"),
        ("/s3/object/versionId", json!(long), "versionId"),
        ("/s3/object/sequencer", json!([1]), "sequencer"),
        ("/eventTime", json!("yesterday"), "eventTime"),
        ("/eventTime", json!(false), "eventTime"),
        ("/awsRegion", json!(17), "awsRegion"),
        ("/eventSource", json!({}), "eventSource"),
        ("/eventVersion", json!("two"), "eventVersion"),
        ("/responseElements", json!(3), "responseElements"),
        (
            "/responseElements/x-amz-request-id",
            json!([]),
            "x-amz-request-id",
        ),
    ] {
        let said = caveat(&with(record("k"), [(pointer, value.clone())]).to_string());
        let expected = format!("not readable, so left out: {name}");
        assert!(said.ends_with(&expected), "{pointer} {value}: {said}");
    }
    assert_eq!(caveat(&record("k").to_string()), "");
}

#[test]
fn a_side_field_is_read_in_every_form_that_says_the_same() {
    let base = event(&record("k"));
    for (pointer, value) in [
        ("/s3/object/size", json!("5")),
        ("/s3/object/size", json!(5.0)),
        ("/s3/object/size", json!("5.0")),
        ("/s3/object/size", json!("5.000")),
        ("/eventTime", json!(1_795_169_700_123_i64)),
        ("/eventTime", json!("1795169700123")),
        ("/eventTime", json!("1795169700.123")),
        ("/eventTime", json!("2026-11-20 11:15:00.123+01:00")),
        ("/eventVersion", json!(2.1)),
        ("/eventVersion", json!("2.1.0")),
        ("/eventVersion", json!(null)),
    ] {
        let changed = with(record("k"), [(pointer, value.clone())]);
        assert_eq!(event(&changed), base, "{pointer} {value}");
        assert_eq!(caveat(&changed.to_string()), "", "{pointer} {value}");
    }
    let exact = with(
        record("k"),
        [("/s3/object/size", json!(18_446_744_073_709_551_615_u64))],
    );
    assert_eq!(event(&exact).size, Some(u64::MAX));
    let rfc = with(
        record("k"),
        [("/eventTime", json!("Fri, 20 Nov 2026 10:15:00 GMT"))],
    );
    assert_eq!(
        event(&rfc).event_time.unwrap().to_string(),
        "2026-11-20T10:15:00.000Z"
    );
}

#[test]
fn a_field_given_twice_with_one_value_is_no_conflict() {
    let text = record("k").to_string();
    let base = event(&record("k"));
    for (given, twice) in [
        (r#""size":5"#, r#""size":5,"Size":5"#),
        (r#""key":"k""#, r#""key":"k","Key":"\u006b""#),
        (
            r#""name":"device-uploads""#,
            r#""name":"device-uploads","name":"device-uploads""#,
        ),
        (
            r#""eventName":"ObjectCreated:Put""#,
            r#""eventName":"ObjectCreated:Put","event_name":"ObjectCreated:Put""#,
        ),
        (r#""key":"k""#, r#""key":"k","key":"","key":null"#),
    ] {
        let text = text.replace(given, twice);
        assert_eq!(read_text(&text).events, std::slice::from_ref(&base), "{twice}");
        assert_eq!(caveat(&text), "", "{twice}");
    }
    for (given, twice, name) in [
        (r#""size":5"#, r#""size":5,"Size":6"#, "size"),
        (
            r#""awsRegion":"eu-central-1""#,
            r#""awsRegion":"eu-central-1","aws_region":"x""#,
            "awsRegion",
        ),
    ] {
        let said = caveat(&text.replace(given, twice));
        assert_eq!(said, format!("not readable, so left out: {name}"));
    }
    for (given, twice, field) in [
        (r#""key":"k""#, r#""key":"k","Key":"l""#, "s3.object.key"),
        (
            r#""name":"device-uploads""#,
            r#""name":"device-uploads","name":"x""#,
            "s3.bucket.name",
        ),
        (
            r#""eventName":"ObjectCreated:Put""#,
            r#""eventName":"ObjectCreated:Put","event_name":"x""#,
            "eventName",
        ),
    ] {
        let notification = read_text(&text.replace(given, twice));
        let expected = format!("{field} is there twice with different values, so what is meant is unknown");
        assert_eq!(notification.unreadable[0].why, expected);
    }
}

/// The same record with all names in snake case, in Pascal case, and in lower case.
#[test]
fn names_may_be_spelt_in_any_case() {
    fn spelt(value: &Value, spell: fn(&str) -> String) -> Value {
        match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (spell(name), spelt(value, spell)))
                .collect(),
            Value::Array(values) => values.iter().map(|value| spelt(value, spell)).collect(),
            other => other.clone(),
        }
    }
    let snake = |name: &str| -> String {
        name.chars()
            .flat_map(|c| {
                c.is_ascii_uppercase()
                    .then_some('_')
                    .into_iter()
                    .chain([c.to_ascii_lowercase()])
            })
            .collect::<String>()
            .replace('-', "_")
    };
    let pascal = |name: &str| {
        let (first, rest) = name.split_at(1);
        format!("{}{}", first.to_uppercase(), rest.replace('-', ""))
    };
    let notification = json!({"Records": [record("a%2Bb")]});
    let eventbridge = json!({
        "detail-type": "Object Created", "time": "2026-11-20T10:15:00Z", "region": "eu-central-1",
        "detail": {
            "event-version": "1.1", "bucket": {"name": "b"}, "request-id": "R",
            "object": {"key": "k", "version-id": "v", "etag": "e", "size": 1, "sequencer": "0068B5C2F4A1E3D200"},
        },
    });
    for payload in [notification, eventbridge] {
        let expected = read(&payload.to_string(), &aws());
        assert_eq!(expected.events.len(), 1);
        for spell in [snake, pascal, str::to_lowercase, str::to_uppercase] {
            let spelt = spelt(&payload, spell);
            assert_eq!(read(&spelt.to_string(), &aws()), expected, "{spelt}");
        }
    }
}

#[test]
fn a_list_of_no_records_is_a_notification_of_nothing() {
    for payload in [
        r#"{"Records":[]}"#,
        r#"{"records": [ ]}"#,
        r#"{"Records":[],"EventName":"x"}"#,
    ] {
        assert_eq!(read(payload, &aws()), Notification::default(), "{payload}");
    }
    assert_eq!(read(r#"{"Records":null}"#, &aws()).unreadable.len(), 1);
}

fn key(source: &str, sequencer: &str, sent: &str, keys: KeyEncoding) -> (String, bool) {
    let record = with(
        record(sent),
        [
            ("/eventSource", json!(source)),
            ("/s3/object/sequencer", json!(sequencer)),
        ],
    );
    let reading = Reading { source: aws(), keys };
    let read = reading.read(&json!({"Records": [record]}).to_string(), None);
    assert_eq!(read.events.len(), 1, "{read:?}");
    let is_doubtful = read.caveats.get(&0).is_some_and(|caveat| is_ambiguous(caveat));
    (read.events[0].key.to_string(), is_doubtful)
}

#[test]
fn a_setting_says_how_keys_are_sent() {
    let (own, other) = ("0068B5C2F4A1E3D200", "7");
    let (auto, encoded, plain) = (KeyEncoding::Auto, KeyEncoding::Encoded, KeyEncoding::Plain);
    for (source, sequencer, sent, keys, expected, is_doubtful) in [
        ("aws:s3", own, "c++/a%20b", auto, "c  /a b", false),
        ("aws:s3", own, "c++/a%20b", plain, "c++/a%20b", false),
        ("aws:s3", other, "c++/a", auto, "c  /a", true),
        ("aws:s3", other, "c%2B%2B/a%20b", auto, "c++/a b", false),
        ("aws:s3", other, "c++/a", plain, "c++/a", false),
        ("minio:s3", other, "a%2Fb+c", auto, "a/b c", false),
        ("rustfs:s3", other, "a%2Fb+c", auto, "a/b c", false),
        ("ceph:s3", other, "a+b%20c", auto, "a+b%20c", false),
        ("ceph:s3", other, "a+b%20c", encoded, "a b c", false),
        ("acme:s3", other, "c++/main.cpp", auto, "c++/main.cpp", true),
        ("acme:s3", other, "c++/main.cpp", encoded, "c  /main.cpp", false),
        ("acme:s3", other, "c++/main.cpp", plain, "c++/main.cpp", false),
        ("acme:s3", other, "a%2Fb.txt", auto, "a/b.txt", true),
        ("acme:s3", other, "a%2Fb.txt", plain, "a%2Fb.txt", false),
        ("acme:s3", other, "caf%E9.txt", auto, "caf%E9.txt", true),
        (
            "acme:s3",
            other,
            "plain/name-1_2.txt",
            auto,
            "plain/name-1_2.txt",
            false,
        ),
        ("", other, "c++/main.cpp", auto, "c++/main.cpp", true),
    ] {
        let found = key(source, sequencer, sent, keys);
        assert_eq!(
            found,
            (expected.to_owned(), is_doubtful),
            "{source} {sent} {keys}"
        );
    }
}

/// Whoever sends it and whatever is set: no form encoder writes these.
#[test]
fn what_cannot_be_form_encoded_text_is_taken_as_sent() {
    for source in ["aws:s3", "minio:s3", "ceph:s3", "acme:s3", ""] {
        for keys in [KeyEncoding::Auto, KeyEncoding::Encoded, KeyEncoding::Plain] {
            for sent in [
                "a b+c", "100%", "5%+5%", "%zz+", "%4", "가+나", "a=b+c", "a,b%20c", "[1]+", "a\"+", "x:y+z",
            ] {
                let found = key(source, "0068B5C2F4A1E3D200", sent, keys);
                assert_eq!(found, (sent.to_owned(), false), "{source} {keys}");
            }
        }
    }
}

#[test]
fn a_key_encoding_is_one_of_three_words() {
    for keys in [KeyEncoding::Auto, KeyEncoding::Encoded, KeyEncoding::Plain] {
        assert_eq!(keys.to_string().parse(), Ok(keys));
    }
    let error = "Plain".parse::<KeyEncoding>().unwrap_err();
    assert_eq!(
        error.to_string(),
        r#""Plain" is not one of auto, encoded and plain"#
    );
}
