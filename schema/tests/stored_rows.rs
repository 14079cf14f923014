//! What is stored must be readable for ever: rows, receipts and messages of older releases, and bytes that never change.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use daybook_schema::notification::KeyEncoding;
use daybook_schema::row::InvalidRow;
use daybook_schema::{
    Attempt, DispatchMessage, EventId, ExecutionInput, ExecutionName, Kind, ObjectEvent, Origin, Outcome,
    Receipt, Row, Shard, Status, StatusShard, Step, Subject, Timestamp, tables,
};
use proptest::prelude::*;
use serde_json::{Value, json};

#[path = "stored/any.rs"]
mod any;

fn row(text: &str) -> Row {
    serde_json::from_str(text).unwrap()
}

fn event(row: &Row) -> &ObjectEvent {
    row.event().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

macro_rules! stored {
    ($name:literal) => {
        include_str!(concat!("fixtures/stored/", $name, ".json"))
    };
}

#[test]
fn a_pending_row_of_version_1_reads_with_what_it_did_not_say() {
    let row = row(stored!("row_v1_pending"));
    assert_eq!(row.status, Status::Pending);
    assert_eq!((row.attempt, row.max_attempts), (Attempt(0), 5));
    assert_eq!((row.deliveries, row.lease_moves), (0, 0));
    assert_eq!(
        (row.claim_token, &row.last_error, &row.trace),
        (None, &None, &None)
    );
    let event = event(&row);
    assert_eq!(event.id, row.id);
    assert_eq!(event.source.as_str(), "aws");
    assert_eq!(event.key.as_str(), "2026/11/20/camera-17/000123.jpg");
    assert_eq!(event.kind, Kind::Created);
    assert_eq!(event.event_name, "");
    assert_eq!(event.origin, Origin::Notification);
}

#[test]
fn a_claimed_row_of_version_1_reads_and_its_sequencer_gets_the_fixed_width() {
    let row = row(stored!("row_v1_claimed"));
    assert_eq!(
        (row.status, row.attempt, row.deliveries),
        (Status::Claimed, Attempt(2), 0)
    );
    assert_eq!(row.due_at, at("2026-11-21T01:17:03.004Z"));
    let event = event(&row);
    assert_eq!(event.key.as_str(), "a b+c%20d/한글/🎞.jpg");
    assert_eq!(
        event.sequencer.as_ref().unwrap().as_str(),
        "0055AED6DCD90281E500000000000000"
    );
    assert_eq!(event.size, Some(1024));
}

#[test]
fn a_parked_row_of_version_2_reads_whole() {
    let row = row(stored!("row_v2_parked"));
    assert_eq!(
        (row.status, row.attempt, row.max_attempts),
        (Status::Parked, Attempt(5), 5)
    );
    assert_eq!((row.deliveries, row.lease_moves), (2, 3));
    assert_eq!(
        row.last_error.as_deref(),
        Some("FAILED: States.TaskFailed: the camera's clock is wrong")
    );
    assert_eq!(event(&row).kind, Kind::Removed);
    assert_eq!(event(&row).size, Some(0));
    assert_eq!(
        event(&row).version_id.as_deref(),
        Some("096fKKXTRTtl3on89fVO.nfljtsv6qko")
    );
}

#[test]
fn a_row_that_a_person_redrove_says_so_and_still_why_it_was_parked() {
    let row = row(stored!("row_v2_noted"));
    assert_eq!(
        row.note.as_deref(),
        Some("2026-11-21T09:00:00.000Z redriven by kim@busan: the clock is right now")
    );
    assert_eq!(
        row.last_error.as_deref(),
        Some("FAILED: States.TaskFailed: the camera's clock is wrong")
    );
}

#[test]
fn rows_of_version_2_keep_where_they_came_from() {
    let listing = row(stored!("row_v2_listing"));
    let covers_until = at("2026-11-21T01:02:02.000Z");
    assert_eq!(event(&listing).origin, Origin::Listing { covers_until });
    let replay = row(stored!("row_v2_replay"));
    assert_eq!(
        event(&replay).origin,
        Origin::Replay {
            nonce: "ticket-4711".into()
        }
    );
    let raw = row(stored!("row_v2_raw"));
    assert_eq!(raw.event(), None);
    let Subject::Raw {
        payload,
        source,
        keys,
    } = &raw.subject
    else {
        panic!("{raw:?}")
    };
    assert_eq!(
        (payload.as_str(), source.as_str(), *keys),
        ("{\"hello\": \"wörld\"}", "aws", KeyEncoding::Auto)
    );
}

#[test]
fn every_row_of_version_2_is_written_as_it_was_read() {
    for stored in [
        stored!("row_v2_parked"),
        stored!("row_v2_listing"),
        stored!("row_v2_replay"),
        stored!("row_v2_noted"),
        stored!("row_v2_raw"),
    ] {
        let value: Value = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_value(row(stored)).unwrap(), value);
    }
}

#[test]
fn a_row_of_a_newer_release_is_an_error_that_names_row_and_versions() {
    let mut stored: Value = serde_json::from_str(stored!("row_v2_parked")).unwrap();
    stored["v"] = json!(6);
    let error = serde_json::from_value::<Row>(stored).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11 was written by a newer Daybook (v = 6; this one knows up to 5): use that release"
    );
}

#[test]
fn a_row_without_a_bucket_a_key_or_a_kind_is_an_error_that_names_what_is_missing() {
    for attribute in ["bucket", "key", "kind"] {
        let mut stored: Value = serde_json::from_str(stored!("row_v1_claimed")).unwrap();
        stored.as_object_mut().unwrap().remove(attribute);
        let error = serde_json::from_value::<Row>(stored).unwrap_err();
        let expected = InvalidRow::Missing {
            id: "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11".parse().unwrap(),
            attribute,
        };
        assert_eq!(error.to_string(), expected.to_string());
        assert!(error.to_string().contains(attribute));
    }
}

#[test]
fn receipts_of_version_1_read_with_and_without_what_is_optional() {
    let done: Receipt = serde_json::from_str(stored!("receipt_v1_succeeded")).unwrap();
    assert_eq!(
        (done.v, done.outcome, done.attempt),
        (1, Outcome::Succeeded, Attempt(2))
    );
    assert_eq!(done.order_at, Some(at("2026-11-21T01:02:00.000Z")));
    assert_eq!(done.expires_at, 1_796_432_700);
    let removed: Receipt = serde_json::from_str(stored!("receipt_v1_removed")).unwrap();
    assert_eq!(
        (removed.outcome, removed.why.as_deref()),
        (Outcome::Removed, Some("corrupt upload"))
    );
    assert_eq!((removed.sequencer, removed.order_at), (None, None));
    // Receipts of earlier releases say nothing of what people did before.
    assert_eq!((done.note, removed.note), (None, None));
    let mut noted: Value = serde_json::from_str(stored!("receipt_v1_succeeded")).unwrap();
    noted["note"] = "2026-11-21T09:00:00.000Z redriven by kim: mended".into();
    let read: Receipt = serde_json::from_value(noted.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap()["note"], noted["note"]);
}

#[test]
fn messages_of_version_1_read_and_are_written_as_they_were_read() {
    for stored in [stored!("message_v1"), stored!("message_v1_smallest")] {
        let message = DispatchMessage::from_json(stored).unwrap();
        let value: Value = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&message.to_json()).unwrap(), value);
    }
    let message = DispatchMessage::from_json(stored!("message_v1")).unwrap();
    assert_eq!((message.delivery, message.input.attempt), (2, Attempt(2)));
    assert_eq!(message.input.key.as_str(), "a b+c%20d/한글/🎞.jpg");
}

#[test]
fn a_message_of_a_newer_release_is_an_error_even_when_nothing_else_in_it_is_known() {
    let error = DispatchMessage::from_json(r#"{"v": 3, "rows": []}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the dispatch message has version 3; this release reads versions up to 2"
    );
    for other in ["", "{}", "[]", r#"{"v": 1}"#, "hello"] {
        let error = DispatchMessage::from_json(other).unwrap_err();
        assert_eq!(error.to_string(), "the dispatch message is not in Daybook's form");
    }
}

/// These bytes must never change: a redelivery with other bytes would be another input to Step Functions.
#[test]
fn an_executions_input_has_these_very_bytes() {
    let input = |stored: &str| {
        let row = row(stored);
        ExecutionInput::new(event(&row), row.attempt.next()).to_json()
    };
    assert_eq!(
        input(stored!("row_v1_claimed")),
        r#"{"id":"0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11","attempt":3,"source":"aws","bucket":"device-uploads","key":"a b+c%20d/한글/🎞.jpg","kind":"created","etag":"d41d8cd98f00b204e9800998ecf8427e","size":1024,"sequencer":"0055AED6DCD90281E500000000000000","event_name":"ObjectCreated:Put","event_time":"2026-11-21T01:02:00.000Z","region":"eu-west-1"}"#
    );
    assert_eq!(
        input(stored!("row_v2_parked")),
        r#"{"id":"0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11","attempt":6,"source":"minio-seoul","bucket":"device-uploads","key":"2026/11/20/camera-17/000123.jpg","version_id":"096fKKXTRTtl3on89fVO.nfljtsv6qko","kind":"removed","etag":"d41d8cd98f00b204e9800998ecf8427e","size":0,"sequencer":"0055AED6DCD90281E500000000000000","event_name":"ObjectRemoved:DeleteMarkerCreated","event_time":"2026-11-21T01:02:00.000Z","region":"eu-west-1"}"#
    );
    assert_eq!(
        input(stored!("row_v2_listing")),
        r#"{"id":"0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11","attempt":1,"source":"aws","bucket":"device-uploads","key":"found.jpg","kind":"created","etag":"d41d8cd98f00b204e9800998ecf8427e","size":7,"event_name":"listing","event_time":"2026-11-20T23:00:00.000Z","covers_until":"2026-11-21T01:02:02.000Z"}"#
    );
    assert_eq!(
        input(stored!("row_v2_replay")),
        r#"{"id":"0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11","attempt":1,"source":"aws","bucket":"device-uploads","key":"again.jpg","kind":"created","event_name":"replay","replay":"ticket-4711"}"#
    );
}

#[test]
fn keys_with_quotes_and_control_characters_are_escaped_the_same_way_for_ever() {
    let mut stored: Value = serde_json::from_str(stored!("row_v1_pending")).unwrap();
    stored["key"] = json!("a\"b\\c\n\t\u{1}\u{7f}/é/\u{2028}");
    let row: Row = serde_json::from_value(stored).unwrap();
    assert_eq!(
        ExecutionInput::new(event(&row), Attempt(1)).to_json(),
        "{\"id\":\"0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11\",\"attempt\":1,\"source\":\"aws\",\"bucket\":\"device-uploads\",\
         \"key\":\"a\\\"b\\\\c\\n\\t\\u0001\u{7f}/é/\u{2028}\",\"kind\":\"created\",\"event_name\":\"\"}"
    );
}

#[test]
fn a_key_with_characters_that_sqs_refuses_is_escaped_and_reads_back() {
    let mut stored: Value = serde_json::from_str(stored!("row_v1_pending")).unwrap();
    stored["key"] = json!("a\u{fffe}b\u{ffff}c\\u{fffd}");
    let row: Row = serde_json::from_value(stored).unwrap();
    let message = DispatchMessage::for_row(&row).unwrap();
    for text in [message.to_json(), message.input.to_json()] {
        assert!(text.contains(r#""a\uFFFEb\uFFFFc"#), "{text}");
        assert!(!text.contains(['\u{fffe}', '\u{ffff}']), "{text}");
    }
    assert_eq!(DispatchMessage::from_json(&message.to_json()).unwrap(), message);
}

#[test]
fn the_input_does_not_depend_on_delivery_lease_trace_error_or_note() {
    let row = row(stored!("row_v2_parked"));
    let other = Row {
        deliveries: 9,
        lease_moves: 1,
        deaths: 2,
        due_at: at("2027-01-01T00:00:00.000Z"),
        trace: None,
        last_error: None,
        note: Some("2027-01-01T00:00:00.000Z redriven by kim".into()),
        claim_token: None,
        ..row.clone()
    };
    let message = |row: &Row| DispatchMessage::for_row(row).unwrap();
    assert_eq!(message(&row).input.to_json(), message(&other).input.to_json());
    assert_ne!(message(&row), message(&other));
}

#[test]
fn an_execution_name_is_the_event_and_the_attempt_and_has_one_spelling() {
    let id = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11";
    let name: ExecutionName = format!("{id}-3").parse().unwrap();
    assert_eq!((name.id.to_string().as_str(), name.attempt), (id, Attempt(3)));
    assert_eq!(name.to_string(), format!("{id}-3"));
    let longest = ExecutionName {
        attempt: Attempt(u32::MAX),
        ..name
    };
    assert_eq!(longest.to_string().len(), 47);
    for foreign in [
        "",
        "-",
        "3",
        id,
        &format!("{id}-"),
        &format!("{id}-03"),
        &format!("{id}-+3"),
        &format!("{id}--3"),
        &format!("{id}-3 "),
        &format!("{}-3", id.to_uppercase()),
        &format!("{}-3", id.replace('-', "")),
        &format!("{id}-4294967296"),
        "nightly-report",
        &format!("{{{id}}}-3"),
        &format!("{id}-3-3"),
    ] {
        let error = foreign.parse::<ExecutionName>().unwrap_err();
        assert!(
            error.to_string().contains("is no execution name of Daybook's"),
            "{foreign}: {error}"
        );
    }
}

#[test]
fn the_tables_are_defined_like_this() {
    assert_eq!(
        tables::LEDGER.create_table("stack-ledger"),
        json!({
            "TableName": "stack-ledger",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "status_shard", "AttributeType": "S"},
                {"AttributeName": "due_at", "AttributeType": "S"},
            ],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "GlobalSecondaryIndexes": [{
                "IndexName": "by_status",
                "KeySchema": [
                    {"AttributeName": "status_shard", "KeyType": "HASH"},
                    {"AttributeName": "due_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }],
        })
    );
    assert_eq!(
        tables::LEDGER.enable_ttl("stack-ledger"),
        None,
        "an open row never expires"
    );
    assert_eq!(
        tables::RECEIPTS.create_table("stack-receipts"),
        json!({
            "TableName": "stack-receipts",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        })
    );
    assert_eq!(
        tables::RECEIPTS.enable_ttl("stack-receipts"),
        Some(json!({
            "TableName": "stack-receipts",
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": true},
        }))
    );
}

#[test]
fn every_step_goes_from_one_status_to_one_status() {
    use Status::{Claimed, Parked, Pending};
    let steps = [
        (Step::Claim, Pending, Claimed),
        (Step::Release, Claimed, Pending),
        (Step::Renew, Claimed, Claimed),
        (Step::MoveLease, Claimed, Claimed),
        (Step::Redeliver, Claimed, Claimed),
        (Step::Unsend, Claimed, Claimed),
        (Step::Retry, Claimed, Pending),
        (Step::Park, Claimed, Parked),
        (Step::Redrive, Parked, Pending),
        (Step::Take, Claimed, Claimed),
        (Step::Extend, Claimed, Claimed),
        (Step::Postpone, Claimed, Pending),
        (Step::PutBack, Claimed, Pending),
        (Step::Free, Claimed, Pending),
        (Step::EndLease, Claimed, Claimed),
        (Step::BringForward, Pending, Pending),
    ];
    for (step, from, to) in steps {
        assert_eq!((step.from(), step.to()), (from, to), "{step:?}");
    }
}

#[test]
fn a_status_and_a_shard_are_written_in_one_way_and_nothing_else_reads() {
    for status in Status::ALL {
        assert_eq!(status.as_str().parse::<Status>(), Ok(status));
        for shard in Shard::all() {
            let key = shard.with(status);
            assert_eq!(StatusShard::try_from(key.to_string()), Ok(key));
        }
    }
    let claimed = Shard::all().nth(3).unwrap().with(Status::Claimed);
    assert_eq!(claimed.to_string(), "CLAIMED#3");
    for text in [
        "",
        "CLAIMED",
        "#3",
        "CLAIMED#",
        "CLAIMED#16",
        "CLAIMED#-1",
        "DONE#3",
        "CLAIMED#3#3",
    ] {
        assert!(StatusShard::try_from(text.to_owned()).is_err(), "{text}");
    }
}

#[test]
fn the_shard_of_a_row_never_changes() {
    let id: EventId = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a1f".parse().unwrap();
    assert_eq!(Shard::of(id).number(), 15);
    assert_eq!(
        row(stored!("row_v1_pending")).status_shard().to_string(),
        "PENDING#1"
    );
}

proptest! {
    #[test]
    fn a_row_written_as_json_reads_back_the_same(row in any::row()) {
        let text = serde_json::to_string(&row).unwrap();
        prop_assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    }

    #[test]
    fn a_row_written_as_an_item_reads_back_the_same(row in any::row()) {
        let item: serde_dynamo::Item = serde_dynamo::to_item(&row).unwrap();
        prop_assert!(item.inner().values().all(|value| matches!(
            value,
            serde_dynamo::AttributeValue::S(_)
                | serde_dynamo::AttributeValue::N(_)
                | serde_dynamo::AttributeValue::Bool(true)
        )), "{:?}", item);
        prop_assert_eq!(serde_dynamo::from_item::<_, Row>(item).unwrap(), row);
    }

    #[test]
    fn a_row_is_in_the_index_under_its_own_status_and_shard(row in any::row()) {
        let stored = serde_json::to_value(&row).unwrap();
        prop_assert_eq!(&stored["status_shard"], &json!(format!("{}#{}", row.status, Shard::of(row.id).number())));
        prop_assert_eq!(stored["due_at"].as_str().unwrap().len(), 24);
    }

    #[test]
    fn a_receipt_written_as_json_reads_back_the_same(event in any::event(), attempt in 0u32..9) {
        let now = at("2026-11-21T00:00:00.000Z");
        let keep = Duration::from_secs(60);
        let receipt = Receipt::new(&event, Attempt(attempt), Outcome::Succeeded, "x".into(), None, now, keep);
        let text = serde_json::to_string(&receipt).unwrap();
        prop_assert_eq!(serde_json::from_str::<Receipt>(&text).unwrap(), receipt);
    }

    #[test]
    fn a_message_gives_the_event_back_from_which_it_was_made(row in any::row()) {
        match DispatchMessage::for_row(&row) {
            None => prop_assert!(row.event().is_none()),
            Some(message) => {
                let read = DispatchMessage::from_json(&message.to_json()).unwrap();
                prop_assert_eq!(Some(&read.input.event()), row.event());
                prop_assert_eq!(read.input.to_json(), message.input.to_json());
                prop_assert_eq!(read, message);
            }
        }
    }
}
