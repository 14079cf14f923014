//! Batches: names, inputs, messages, and what an output says of the events that failed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use daybook_schema::{
    BATCH_ROW_VERSION, BatchId, BatchInput, BatchMessage, BatchName, DispatchMessage, EventId,
    ExecutionInput, ItemFailures, QueueMessage, ROW_VERSION, Row, RunName, Status, Timestamp,
};
use serde_json::json;
use uuid::Uuid;

const BATCH: BatchId = BatchId(Uuid::from_u128(0x0b8f_7a52_9c5e_4a06_8d6c_0d6f_1a3e_9a11));

fn now() -> Timestamp {
    "2026-11-20T10:15:00Z".parse().unwrap()
}

/// A row that was claimed into the batch.
fn row(key: &str) -> Row {
    let notification = json!({"Records": [{
        "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "eventTime": "2026-11-20T10:15:00Z",
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "size": 5, "eTag": "e", "sequencer": "0068B5C2F4A1E3D200"}},
    }]});
    let read = daybook_schema::notification::read(&notification.to_string(), &Default::default());
    let event = read.events.into_iter().next().unwrap();
    let recorded = Row::recorded(event, 5, None, now());
    Row {
        status: Status::Claimed,
        attempt: recorded.attempt.next(),
        deliveries: 1,
        batch: Some(BATCH),
        ..recorded
    }
}

fn whole() -> BatchName {
    BatchName {
        batch: BATCH,
        alone: None,
    }
}

#[test]
fn names_have_one_spelling_each_and_fit_into_80_characters() {
    let row = row("k");
    let alone = Row {
        alone: true,
        ..row.clone()
    };
    let single = Row {
        batch: None,
        ..row.clone()
    };
    let written = [&row, &alone, &single].map(|row| row.run_name().to_string());
    assert_eq!(written[0], "b-0b8f7a529c5e4a068d6c0d6f1a3e9a11");
    assert_eq!(written[1], format!("{}-{}", written[0], row.id));
    assert_eq!(written[2], format!("{}-1", row.id));
    for (row, name) in [&row, &alone, &single].into_iter().zip(&written) {
        assert!(name.len() <= 80, "{name}");
        assert_eq!(name.parse::<RunName>().unwrap(), row.run_name());
    }
    let long = format!("{}-1", written[1]);
    let upper = written[0].to_uppercase();
    for other in [
        "b-",
        "b-17",
        "c-1",
        "b-0b8f7a52-9c5e-4a06-8d6c-0d6f1a3e9a11",
        &long,
        &upper,
    ] {
        assert!(other.parse::<RunName>().is_err(), "{other}");
    }
}

#[test]
fn an_input_is_the_same_text_whatever_the_order_of_its_rows() {
    let rows = [row("a"), row("b"), row("c")];
    let input = |rows: Vec<&Row>| BatchMessage::for_rows(whole(), rows).unwrap().input().to_json();
    let text = input(rows.iter().collect());
    assert_eq!(text, input(rows.iter().rev().collect()));
    let named = BatchInput::named_by(&text, BATCH).unwrap();
    let mut expected: Vec<ExecutionInput> = rows
        .iter()
        .map(|row| DispatchMessage::for_row(row).unwrap().input)
        .collect();
    expected.sort_by_key(|input| input.id);
    assert_eq!(named, expected);
    let one = BatchMessage::for_rows(whole(), [&rows[0]])
        .unwrap()
        .input()
        .to_json();
    let single = DispatchMessage::for_row(&rows[0]).unwrap().input.to_json();
    assert_eq!(
        one,
        format!(r#"{{"batch":"0b8f7a529c5e4a068d6c0d6f1a3e9a11","events":[{single}]}}"#)
    );
}

#[test]
fn an_input_names_nobody_where_somebody_else_gave_it_and_is_unknown_where_it_cannot_be_read() {
    let names = |text: &str| BatchInput::named_by(text, BATCH).map(|named| named.len());
    let ours = BatchInput::new(BATCH, Vec::new()).to_json();
    assert_eq!(names(&ours), Some(0), "it only took the name");
    let message = BatchMessage::for_rows(whole(), [&row("a")]).unwrap();
    let other = BatchInput::new(BatchId(Uuid::from_u128(7)), message.input().events).to_json();
    for foreign in ["{}", "[]", "7", r#"{"batch":7,"events":[]}"#, &other] {
        assert_eq!(names(foreign), Some(0), "{foreign}");
    }
    let newer = ours.replace("[]", r#"[{"what":"is this"}]"#);
    for unreadable in ["", "{", &ours[..ours.len() - 1], &newer] {
        assert_eq!(names(unreadable), None, "{unreadable}");
    }
}

#[test]
fn a_message_goes_round_and_keeps_each_rows_delivery() {
    let mut again = row("b");
    again.deliveries = 3;
    again.trace = Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned());
    let message = BatchMessage::for_rows(whole(), [&row("a"), &again]).unwrap();
    assert_eq!((message.name(), message.is_repeated()), (whole(), true));
    assert_eq!(message.trace, again.trace);
    let read = QueueMessage::from_json(&message.to_json()).unwrap();
    assert_eq!(read, QueueMessage::Batch(message.clone()));
    let error = DispatchMessage::from_json(&message.to_json()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the dispatch message is for the batch b-0b8f7a529c5e4a068d6c0d6f1a3e9a11"
    );
    let parts = message.parts();
    let deliveries: BTreeSet<(EventId, u32)> =
        parts.iter().map(|part| (part.input.id, part.delivery)).collect();
    assert_eq!(deliveries, BTreeSet::from([(row("a").id, 1), (again.id, 3)]));
    let alone = BatchName {
        alone: Some(again.id),
        ..whole()
    };
    assert_eq!(BatchMessage::for_rows(alone, [&again]).unwrap().name(), alone);
    assert_eq!(BatchMessage::for_rows(whole(), []), None);
}

/// Older code would start it by itself.
#[test]
fn a_row_is_of_another_version_while_it_is_in_a_batch() {
    let version = |row: &Row| serde_json::to_value(row).unwrap()["v"].clone();
    let row = row("a");
    assert_eq!(version(&row), json!(BATCH_ROW_VERSION));
    let stored = serde_json::to_value(&row).unwrap();
    assert_eq!(stored["batch"], json!(BATCH));
    assert_eq!(serde_json::from_value::<Row>(stored).unwrap(), row);
    let single = Row { batch: None, ..row };
    let stored = serde_json::to_value(&single).unwrap();
    assert_eq!(stored["v"], json!(ROW_VERSION));
    assert!(
        stored.get("batch").is_none() && stored.get("alone").is_none(),
        "{stored}"
    );
}

#[test]
fn an_output_lists_the_events_that_failed_as_lambdas_does() {
    let ids: Vec<EventId> = ["a", "b", "c"].map(|key| row(key).id).to_vec();
    let named = BTreeSet::from([ids[0], ids[1]]);
    let read = |output: serde_json::Value| ItemFailures::read(&output.to_string(), &named);
    let none = ItemFailures::Listed(BTreeSet::new());
    for output in [
        json!(null),
        json!("done"),
        json!([1]),
        json!({}),
        json!({"batchItemFailures": null}),
        json!({"batchItemFailures": []}),
    ] {
        assert_eq!(read(output.clone()), none, "{output}");
    }
    assert_eq!(ItemFailures::read("not JSON", &named), none);
    let listed =
        json!({"batchItemFailures": [{"itemIdentifier": ids[1]}, {"itemIdentifier": ids[1]}], "more": 1});
    assert_eq!(read(listed), ItemFailures::Listed(BTreeSet::from([ids[1]])));
    for output in [
        json!({"batchItemFailures": 7}),
        json!({"batchItemFailures": {"itemIdentifier": ids[0]}}),
        json!({"batchItemFailures": [ids[0]]}),
        json!({"batchItemFailures": [{"itemIdentifier": null}]}),
        json!({"batchItemFailures": [{"itemIdentifier": ""}]}),
        json!({"batchItemFailures": [{"id": ids[0]}]}),
        json!({"batchItemFailures": [{"itemIdentifier": ids[0]}, {"itemIdentifier": ids[2]}]}),
    ] {
        assert!(
            matches!(read(output.clone()), ItemFailures::Malformed(_)),
            "{output}"
        );
    }
}
