//! Which upload an event is of: with a sequencer that gives an order, and with anything less.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod records;

use std::collections::BTreeSet;

use daybook_schema::EventId;
use daybook_schema::notification::{Reading, read};
use records::{aws, event, record, with};
use serde_json::{Value, json};

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
            ("/s3/object/size", json!(-1)),
            ("/s3/object/size", json!(-2)),
            ("/s3/object/size", json!("1 KB")),
            ("/s3/object/eTag", json!({"md5": 1})),
            ("/s3/object/eTag", json!({"md5": 2})),
            ("/responseElements/x-amz-request-id", json!("1".repeat(300))),
            ("/responseElements/x-amz-request-id", json!("2".repeat(300))),
            ("/responseElements", json!([1])),
            ("/responseElements", json!([2])),
            ("/s3/object/versionId", json!([1])),
            ("/s3/object/versionId", json!([2])),
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

/// moto gives all its EventBridge events the request id of AWS's example. By that and the second, two tags would be one event.
#[test]
fn the_request_of_an_example_tells_no_request_apart() {
    let tagged = |request: &str, etag: &str| {
        let event = json!({
            "detail-type": "Object Tags Added", "source": "aws.s3", "time": "2026-11-20T10:15:00Z",
            "detail": {"bucket": {"name": "b"}, "request-id": request, "object": {"key": "k", "etag": etag, "version-id": "null"}},
        });
        read(&event.to_string(), &aws()).events.remove(0).id
    };
    assert_ne!(tagged("N4N7GDK58NMKJ12R", "a"), tagged("N4N7GDK58NMKJ12R", "b"));
    assert_eq!(
        tagged("N4N7GDK58NMKJ12R", "a"),
        tagged("N4N7GDK58NMKJ12R", "a"),
        "a duplicate"
    );
    assert_eq!(
        tagged("C3D13FE58DE4C810", "a"),
        tagged("C3D13FE58DE4C810", "b"),
        "one request"
    );
}
