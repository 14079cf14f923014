//! CloudEvents as they come in: structured, in batches, inside of other envelopes, and with what is hostile in them.
//!
//! The ids were computed from the definition of the identity by a second implementation (another language).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use daybook_schema::cloud_event::{Attribute, Data};
use daybook_schema::notification::{Notification, read};
use daybook_schema::{
    Attempt, CloudEvent, DispatchMessage, ExecutionInput, ObjectEvent, Origin, Row, SourceName,
};
use proptest::prelude::*;
use serde_json::{Value, json};

#[path = "stored/any.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod any;

fn reading(payload: &Value) -> Notification {
    read(&payload.to_string(), &SourceName::default())
}

fn view() -> Value {
    json!({
        "specversion": "1.0", "id": "A234-1234-1234", "source": "https://shop.example/web", "type": "com.example.page-view",
        "subject": "user/42", "time": "2026-11-21T01:02:00.5Z", "datacontenttype": "application/json",
        "partitionkey": "user-42", "sampled": true, "data": {"page": "/cart"},
    })
}

fn with(mut event: Value, name: &str, value: Value) -> Value {
    event[name] = value;
    event
}

fn only(notification: Notification) -> ObjectEvent {
    assert_eq!(
        (notification.records(), notification.events.len()),
        (1, 1),
        "{notification:?}"
    );
    notification.events.into_iter().next().unwrap()
}

fn general(notification: Notification) -> CloudEvent {
    *only(notification).general.unwrap()
}

fn why(payload: &Value) -> String {
    let notification = reading(payload);
    assert_eq!(
        (notification.records(), notification.unreadable.len()),
        (1, 1),
        "{notification:?}"
    );
    notification.unreadable[0].why.clone()
}

#[test]
fn an_event_is_read_with_all_that_it_says() {
    let notification = reading(&view());
    assert!(notification.caveats.is_empty());
    let event = only(notification);
    assert_eq!(event.id.to_string(), "49cfeb28-a5df-5080-b184-6933673c85d5");
    assert_eq!(
        event.replayed("ticket-4711").id.to_string(),
        "c7998124-b5e7-51cf-864e-9087eaf6d011"
    );
    assert_eq!(event.event_name, "com.example.page-view");
    let general = event.general.unwrap();
    assert_eq!(general.subject.as_deref(), Some("user/42"));
    assert_eq!(general.extensions["sampled"], Attribute::Boolean(true));
    let Some(Data::Json(data)) = general.data else {
        panic!("{:?}", general.data)
    };
    assert_eq!(data.as_str(), r#"{"page":"/cart"}"#);
    let smallest = json!({"specversion": "1.0", "id": "이벤트 1", "source": "/도시", "type": "t"});
    assert_eq!(
        only(reading(&smallest)).id.to_string(),
        "f58f8b95-c702-5142-b477-03aa237c47a9"
    );
}

/// "source and id together are unique for each distinct event": nothing else makes another event of it, no envelope either.
#[test]
fn source_and_id_are_the_identity() {
    let id = only(reading(&view())).id;
    let text = view().to_string();
    let same = [
        with(view(), "data", json!("another")),
        with(view(), "type", json!("another")),
        with(view(), "subject", json!(null)),
        json!([view()]),
        json!({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": text}),
        json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": text}]}),
    ];
    for payload in same {
        assert_eq!(only(reading(&payload)).id, id, "{payload}");
    }
    let elsewhere = read(&view().to_string(), &"minio-seoul".parse().unwrap());
    assert_eq!(only(elsewhere).id, id);
    for (name, value) in [("id", "a234-1234-1234"), ("source", "https://shop.example/web/")] {
        assert_ne!(only(reading(&with(view(), name, json!(value)))).id, id, "{name}");
    }
    // The border between the two is not in the text.
    let pair = |source: &str, id: &str| {
        let event = json!({"specversion": "1.0", "id": id, "source": source, "type": "t"});
        only(reading(&event)).id
    };
    assert_ne!(pair("ab", "c"), pair("a", "bc"));
}

#[test]
fn a_batch_is_read_event_by_event() {
    let batch = json!([
        view(),
        with(view(), "id", json!("2")),
        with(view(), "id", json!("")),
        with(view(), "id", json!("3"))
    ]);
    let notification = reading(&batch);
    assert_eq!((notification.events.len(), notification.unreadable.len()), (3, 1));
    assert_eq!(notification.unreadable[0].why, "id is missing");
}

#[test]
fn what_is_required_is_asked_for_and_a_replay_of_what_is_kept_says_the_same() {
    let long = "i".repeat(1025);
    let bad = [
        (with(view(), "id", json!(null)), "id is missing"),
        (with(view(), "id", json!(7)), "id must be a valid text"),
        (
            with(view(), "id", json!(long)),
            "id may have 1024 bytes, and this one has 1025",
        ),
        (with(view(), "source", json!("")), "source is missing"),
        (with(view(), "type", json!(null)), "type is missing"),
        (with(view(), "type", json!(["t"])), "type must be a valid text"),
        (
            with(view(), "specversion", json!("0.3")),
            "specversion must be 1.0",
        ),
        (with(view(), "specversion", json!(1.0)), "specversion must be 1.0"),
        (
            with(view(), "data_base64", json!("AAAA")),
            "data and data_base64 are both there, so what is meant is unknown",
        ),
        (
            with(with(view(), "data", json!(null)), "data_base64", json!("AAA")),
            "data_base64 must be Base64",
        ),
        (
            with(
                with(view(), "data", json!(null)),
                "data_base64",
                json!("A\u{0}=="),
            ),
            "data_base64 must be Base64",
        ),
    ];
    for (event, expected) in bad {
        assert_eq!(why(&event), expected, "{event}");
        let kept = &reading(&event).unreadable[0];
        assert_eq!(
            &read(&kept.raw, &SourceName::default()).unreadable,
            std::slice::from_ref(kept)
        );
    }
}

#[test]
fn what_else_is_odd_is_left_out_and_said() {
    let odd = [
        (
            with(view(), "subject", json!({"a": 1})),
            "not readable, so left out: subject",
        ),
        (
            with(view(), "time", json!("yesterday")),
            "not readable, so left out: time",
        ),
        (
            with(view(), "Upper_case", json!("x")),
            "attributes that CloudEvents does not allow were left out",
        ),
        (
            with(view(), "list", json!(["x"])),
            "attributes that CloudEvents does not allow were left out",
        ),
        (
            with(view(), "fraction", json!(1.5)),
            "attributes that CloudEvents does not allow were left out",
        ),
        (
            with(view(), "much", json!(1_u64 << 40)),
            "attributes that CloudEvents does not allow were left out",
        ),
    ];
    for (event, expected) in odd {
        let notification = reading(&event);
        assert_eq!(
            notification.caveats.get(&0).map(String::as_str),
            Some(expected),
            "{event}"
        );
        only(notification);
    }
    let twice = view()
        .to_string()
        .replacen('{', r#"{"region":"a","region":"b","#, 1);
    let event = general(read(&twice, &SourceName::default()));
    assert!(!event.extensions.contains_key("region"), "{event:?}");
    let mixed = view().to_string().replacen('{', r#"{"id":"another","#, 1);
    let mixed = read(&mixed, &SourceName::default());
    assert_eq!(
        mixed.unreadable[0].why,
        "id is there twice with different values, so what is meant is unknown"
    );
}

/// What one parser reads and another does not would be in a batch's input, which nobody could read any more.
#[test]
fn data_that_not_every_parser_reads_is_kept_as_it_came() {
    let event = |data: &str| view().to_string().replace(r#"{"page":"/cart"}"#, data);
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for data in [r#""\ud800""#, "1e999", "-1e999", &deep(101), &deep(100_000)] {
        let notification = read(&event(data), &SourceName::default());
        let short = &data[..data.len().min(20)];
        assert_eq!(notification.unreadable.len(), 1, "{short}");
        let why = &notification.unreadable[0].why;
        assert!(
            why.starts_with("data is JSON that not every program can read: "),
            "{short}: {why}"
        );
    }
    for data in [
        r#""\ud83d\ude00""#,
        "18446744073709551615",
        "1.0e10",
        &deep(100),
        r#"{"a":1,"a":2}"#,
        "\"\u{ffff}\u{0301}\"",
    ] {
        let event = only(read(&event(data), &SourceName::default()));
        let message = DispatchMessage::for_row(&Row::recorded(event, 5, None, at())).unwrap();
        assert_eq!(DispatchMessage::from_json(&message.to_json()).unwrap(), message);
        assert!(
            !message.to_json().contains(['\u{fffe}', '\u{ffff}']),
            "SQS refuses it"
        );
    }
}

fn at() -> daybook_schema::Timestamp {
    "2026-11-21T01:05:00.000Z".parse().unwrap()
}

/// EventBridge's events are read as ever, and so is an event of S3 that is the data of a CloudEvent.
#[test]
fn an_event_of_s3_stays_one_whatever_carries_it() {
    let object = json!({"key": "a b.jpg", "sequencer": "0068B5C2F4A1E3D200", "etag": "e", "size": 5});
    let eventbridge = json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created", "source": "aws.s3",
        "time": "2026-11-20T10:15:00Z", "detail": {"bucket": {"name": "device-uploads"}, "object": object},
    });
    let plain = only(reading(&eventbridge));
    assert!(plain.is_of_object());
    let mut envelope = eventbridge.clone();
    (envelope["specversion"], envelope["type"]) = (json!("1.0"), json!("aws.s3.object.created"));
    assert_eq!(only(reading(&envelope)), plain, "an envelope with both");
    assert_eq!(only(reading(&with(view(), "data", eventbridge.clone()))), plain);
    let record = json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-11-20T10:15:00Z", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "device-uploads"}, "object": {"key": "a+b.jpg", "sequencer": "0068B5C2F4A1E3D200", "eTag": "e"}},
    });
    for data in [json!({"Records": [record]}), record.clone()] {
        assert_eq!(only(reading(&with(view(), "data", data))).id, plain.id);
    }
    // As a text it is one too, and an odd record costs none of the good ones its bucket and key.
    let text = json!({"Records": [record]}).to_string();
    assert_eq!(only(reading(&with(view(), "data", json!(text)))).id, plain.id);
    let odd = reading(&with(view(), "data", json!({"Records": [record, 7]})));
    assert_eq!(
        (odd.events[0].id, odd.events.len(), odd.unreadable.len()),
        (plain.id, 1, 1)
    );
    // Whatever has nothing of S3 is the event that it says it is.
    for data in [
        json!({"Records": [7]}),
        json!("{\"Records\": [7]}"),
        json!({"Records": []}),
        json!({"detail-type": "Object"}),
        json!({"s3": 1}),
    ] {
        assert!(!only(reading(&with(view(), "data", data))).is_of_object());
    }
    // Other events of EventBridge are as unreadable as they were.
    let other =
        json!({"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "detail": {}});
    assert!(why(&other).starts_with("this EventBridge event is none of an S3 object"));
}

/// A name that a CloudEvent may give to an extension is no envelope.
#[test]
fn extensions_named_like_parts_of_other_forms_change_nothing() {
    for name in ["message", "body", "event", "eventname", "messageid"] {
        let event = general(reading(&with(view(), name, json!("{}"))));
        assert_eq!(event.extensions[name], Attribute::Text("{}".into()));
    }
}

proptest! {
    #[test]
    fn an_event_comes_back_as_it_was_sent(event in any::cloud_event()) {
        let notification = read(&event.to_json(), &SourceName::default());
        prop_assert!(notification.caveats.is_empty(), "{:?}", notification.caveats);
        prop_assert_eq!(general(notification), event);
    }

    #[test]
    fn an_input_gives_the_event_back(event in any::cloud_event()) {
        let event = ObjectEvent::of_cloud_event("aws".parse().unwrap(), event).unwrap();
        let input = ExecutionInput::new(&event, Attempt(1)).to_json();
        let read: ExecutionInput = serde_json::from_str(&input).unwrap();
        prop_assert_eq!(&read.event(), &event);
        prop_assert_eq!(read.to_json(), input);
        prop_assert_eq!(&event.origin, &Origin::Notification);
    }

    #[test]
    fn hostile_attributes_never_panic_and_never_vanish(
        id in any::<String>(), source in any::<String>(), kind in any::<String>(), subject in any::<String>(), data in any::<String>(),
    ) {
        let event = json!({"specversion": "1.0", "id": id, "source": source, "type": kind, "subject": subject, "data": data});
        let notification = reading(&event);
        prop_assert_eq!(notification.records(), 1);
        let is_whole = !id.is_empty() && !source.is_empty() && !kind.is_empty();
        prop_assert_eq!(notification.events.len(), usize::from(is_whole));
        for event in notification.events {
            let general = event.general.as_ref().unwrap();
            prop_assert_eq!((&general.id, &general.source), (&id, &source));
            let row = Row::recorded(event, 5, None, at());
            let text = serde_json::to_string(&row).unwrap();
            prop_assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
        }
    }
}
