//! Every delivery form of an S3 event, and what is not one.
//!
//! The ids in the fixtures were computed from the definition of the identity by a second implementation
//! (another language), not by this crate.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use aws_lambda_events::event::{eventbridge::EventBridgeEvent, s3::S3Event, sns::SnsEvent, sqs::SqsEvent};
use daybook_schema::notification::{Notification, read};
use daybook_schema::{Kind, SourceName};
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
struct Fixture {
    about: String,
    source: SourceName,
    payload: Box<RawValue>,
    expected: Value,
}

fn fixture(name: &str) -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/notifications")
        .join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn aws() -> SourceName {
    SourceName::default()
}

fn found(notification: &Notification) -> Value {
    json!({
        "events": (0..notification.events.len()).map(|n| event(notification, n)).collect::<Vec<_>>(),
        "unreadable": notification.unreadable.iter().map(|record| &record.why).collect::<Vec<_>>(),
        "test_events": notification.test_events,
    })
}

fn event(notification: &Notification, n: usize) -> Value {
    let event = &notification.events[n];
    let mut json = json!({
        "id": event.id,
        "object_id": event.object_id(),
        "bucket": event.bucket,
        "key": event.key,
        "version_id": event.version_id,
        "kind": event.kind,
        "etag": event.etag,
        "size": event.size,
        "sequencer": event.sequencer,
        "event_name": event.event_name,
        "event_time": event.event_time,
        "region": event.region,
    });
    if let Some(caveat) = notification.caveats.get(&n) {
        json["caveat"] = caveat.as_str().into();
    }
    json
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

/// What is said of the only event of a payload.
fn caveat(notification: &Notification) -> &str {
    assert_eq!(notification.events.len(), 1, "{notification:?}");
    notification.caveats.get(&0).map_or("", String::as_str)
}

/// Sets what a JSON pointer points to.
fn with(mut record: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    record.pointer_mut(parent).unwrap()[member] = value;
    record
}

#[test]
fn every_fixture_reads_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/notifications");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 33, "fixtures are missing: {names:?}");
    for name in names {
        let Fixture {
            about,
            source,
            payload,
            expected,
        } = fixture(&name);
        let notification = read(payload.get(), &source);
        let (is, should) = (found(&notification), expected);
        assert_eq!(
            format!("{is:#}"),
            format!("{should:#}"),
            "{name}: {about}\nleft is what was read, right what was expected"
        );
        assert!(
            notification.events.iter().all(|event| event.source == source),
            "{name}"
        );
    }
}

#[test]
fn what_could_not_be_read_reads_again_and_fails_for_the_same_reason() {
    for name in [
        "aws_some_records_unreadable",
        "eventbridge_unreadable",
        "no_known_form",
        "sqs_event",
        "sns_confirmation",
    ] {
        let Fixture { source, payload, .. } = fixture(&format!("{name}.json"));
        for record in read(payload.get(), &source).unreadable {
            assert_eq!(read(&record.raw, &source).unreadable, [record], "{name}");
        }
    }
}

#[test]
fn a_record_that_could_not_be_read_is_kept_byte_for_byte() {
    let odd = r#"{ "eventVersion":"3.0",  "huge":1e999, "long":0.10000000000000000000000001, "half":"\ud800", "a":1, "a":2 }"#;
    let good = record("k");
    let notification = read(&format!(r#"{{"Records":[{good},{odd},{good}]}}"#), &aws());
    assert_eq!(notification.events.len(), 2);
    assert_eq!(
        notification.unreadable[0].raw,
        format!(r#"{{"Records":[{odd}]}}"#)
    );
}

#[test]
fn a_payload_that_is_no_json_is_kept_as_it_is() {
    for payload in ["", " ", "hello", "{", "{\"Records\":[", "\0", "{\"a\":1}x", "nul"] {
        let notification = read(payload, &aws());
        assert!(
            why(&notification).starts_with("this is not JSON: "),
            "{payload:?}: {}",
            why(&notification)
        );
        assert_eq!(notification.unreadable[0].raw, payload);
    }
}

#[test]
fn a_reason_names_the_field_and_never_the_value() {
    let secret = "patient-4711";
    let cases = [
        (
            "/s3/object/key",
            json!(secret.repeat(100)),
            "an object key must be 1 to 1,024 bytes, and this one has 1200 bytes",
        ),
        (
            "/s3/object/key",
            json!({"a": secret}),
            "s3.object.key must be a valid text",
        ),
        ("/s3/object", json!(secret), "s3.object must be an object"),
        ("/s3/bucket", json!([secret]), "s3.bucket must be an object"),
        ("/s3", json!(secret), "s3 must be an object"),
        (
            "/eventName",
            json!(secret.repeat(11)),
            "eventName may have 128 bytes, and this one has 132",
        ),
        ("/eventName", json!(null), "eventName is missing"),
        ("/s3/object/key", json!(""), "s3.object.key is missing"),
    ];
    for (pointer, value, expected) in cases {
        let notification = read_record(&with(record("k"), pointer, value));
        assert_eq!(why(&notification), expected, "{pointer}");
        assert!(!why(&notification).contains(secret));
    }
}

#[test]
fn versions_are_equal_on_major_and_at_least_on_minor() {
    for good in [
        json!("2.0"),
        json!("2.1"),
        json!("2.6"),
        json!("2.99"),
        json!("2.1.0"),
        json!("2"),
        json!("2.x"),
        json!(2),
        json!(2.3),
        json!(null),
        json!(""),
    ] {
        let notification = read_record(&with(record("k"), "/eventVersion", good.clone()));
        assert_eq!(notification.events.len(), 1, "{good}");
        assert!(notification.caveats.is_empty(), "{good}");
    }
    for other in [json!("3.0"), json!("1.0"), json!("20.1"), json!(3)] {
        why(&read_record(&with(record("k"), "/eventVersion", other)));
    }
    for none in [json!("v2.1"), json!("-2.1"), json!("latest"), json!([2])] {
        let notification = read_record(&with(record("k"), "/eventVersion", none));
        assert_eq!(caveat(&notification), "not readable, so left out: eventVersion");
    }
}

#[test]
fn names_of_members_may_differ_in_case() {
    let text = record("k").to_string();
    let odd = text
        .replace("eTag", "etag")
        .replace("x-amz-request-id", "X-AMZ-Request-Id")
        .replace("awsRegion", "AwsRegion");
    assert_eq!(read(&odd, &aws()), read(&text, &aws()));
}

#[test]
fn odd_json_harms_only_itself() {
    let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let good = record("k").to_string();
    let payload = format!(
        r#"{{"Records":[{},{good},{{"s3":"\ud800"}},{{"\ud800":1}},1e999,{}]}}"#,
        good.replacen('{', &format!(r#"{{"deep":{},"#, deep(100_000)), 1),
        deep(100_000)
    );
    let notification = read(&payload, &aws());
    assert_eq!((notification.events.len(), notification.unreadable.len()), (2, 4));
    assert_eq!(
        why(&read(&deep(100_000), &aws())),
        "more than 8 envelopes are around the event"
    );
    assert!(why(&read(&"[".repeat(1_000_000), &aws())).starts_with("this is not JSON"));
}

#[test]
fn envelopes_are_opened_to_a_bounded_depth() {
    let wrap = |n: usize| {
        (0..n).fold(record("k").to_string(), |inner, _| {
            json!({"eventSource": "aws:sqs", "body": inner}).to_string()
        })
    };
    assert_eq!(read(&wrap(8), &aws()).events.len(), 1);
    let notification = read(&wrap(9), &aws());
    assert_eq!(why(&notification), "more than 8 envelopes are around the event");
    assert_eq!(
        read(&notification.unreadable[0].raw, &aws()).events.len(),
        1,
        "what is left is the innermost payload"
    );
}

#[test]
fn one_event_has_one_id_by_notification_and_by_eventbridge() {
    let pairs = [
        (
            "ObjectCreated:Put",
            "Object Created",
            "PutObject",
            Some("0068B5C2F4A1E3D200"),
        ),
        (
            "ObjectRemoved:DeleteMarkerCreated",
            "Object Deleted",
            "DeleteObject",
            Some("0068B5C2F4A1E3D300"),
        ),
        (
            "LifecycleExpiration:Delete",
            "Object Deleted",
            "Lifecycle Expiration",
            Some("0068B5C2F4A1E3D400"),
        ),
        ("ObjectRestore:Post", "Object Restore Initiated", "", None),
        ("ObjectRestore:Completed", "Object Restore Completed", "", None),
        ("ObjectRestore:Delete", "Object Restore Expired", "", None),
        ("ObjectTagging:Put", "Object Tags Added", "", None),
        ("ObjectTagging:Delete", "Object Tags Deleted", "", None),
        ("ObjectAcl:Put", "Object ACL Updated", "", None),
        ("LifecycleTransition", "Object Storage Class Changed", "", None),
        ("IntelligentTiering", "Object Access Tier Changed", "", None),
    ];
    for (event_name, detail_type, reason, sequencer) in pairs {
        let notification = with(record("a%2Bb+c"), "/eventName", json!(event_name));
        let notification = with(notification, "/s3/object/sequencer", json!(sequencer));
        let eventbridge = json!({
            "detail-type": detail_type, "source": "aws.s3", "time": "2026-11-20T10:15:00Z", "region": "eu-central-1",
            "detail": {
                "bucket": {"name": "device-uploads"}, "reason": reason, "request-id": "C3D13FE58DE4C810",
                "object": {"key": "a+b c", "sequencer": sequencer, "etag": "b1946ac92492d2347c6235b4d2611184"},
            },
        });
        let a = read_record(&notification).events.remove(0);
        let b = read(&eventbridge.to_string(), &aws()).events.remove(0);
        assert_eq!(
            (a.id, a.object_id(), &a.kind),
            (b.id, b.object_id(), &b.kind),
            "{event_name}"
        );
        assert!(!matches!(a.kind, Kind::Other(_)), "{event_name}");
    }
}

/// The types that AWS's runtime for Rust uses are another reader of the same fixtures.
#[test]
fn aws_lambda_events_reads_the_same_from_what_aws_sends() {
    for name in [
        "aws_keys.json",
        "aws_created_and_removed.json",
        "aws_without_sequencer.json",
    ] {
        let payload = fixture(name).payload;
        let theirs: S3Event = serde_json::from_str(payload.get()).unwrap();
        let ours = read(payload.get(), &aws()).events;
        assert_eq!(ours.len(), theirs.records.len());
        for (ours, theirs) in ours.iter().zip(theirs.records) {
            assert_eq!(Some(ours.bucket.as_str()), theirs.s3.bucket.name.as_deref());
            assert_eq!(Some(&ours.event_name), theirs.event_name.as_ref());
            assert_eq!(
                ours.size,
                theirs.s3.object.size.map(|size| size.try_into().unwrap())
            );
            assert_eq!(
                ours.event_time.unwrap().unix_millis(),
                theirs.event_time.timestamp_millis()
            );
            assert_eq!(ours.region, theirs.aws_region);
        }
    }
    let payload = fixture("eventbridge_keys.json").payload;
    let theirs: Vec<EventBridgeEvent> = serde_json::from_str(payload.get()).unwrap();
    for (ours, theirs) in read(payload.get(), &aws()).events.iter().zip(theirs) {
        assert_eq!(json!(ours.key), theirs.detail["object"]["key"]);
        assert_eq!(
            ours.event_time.unwrap().unix_millis(),
            theirs.time.unwrap().timestamp_millis()
        );
    }
    // What their types write, ours read.
    for name in ["sqs_event.json", "sns_event.json"] {
        let Fixture {
            payload, expected, ..
        } = fixture(name);
        let again = match name {
            "sqs_event.json" => {
                serde_json::to_string(&serde_json::from_str::<SqsEvent>(payload.get()).unwrap())
            }
            _ => serde_json::to_string(&serde_json::from_str::<SnsEvent>(payload.get()).unwrap()),
        };
        assert_eq!(found(&read(&again.unwrap(), &aws())), expected, "{name}");
    }
}
