//! General events in the tables and on the queues: bytes that never change, and what they share with object events.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use daybook_schema::cloud_event::LONGEST_CLOUD_EVENT;
use daybook_schema::notification::read;
use daybook_schema::{
    Attempt, BATCH_ROW_VERSION, BatchInput, DispatchMessage, ExecutionInput, GENERAL_ROW_VERSION,
    NEWEST_ROW_VERSION, ObjectEvent, ObjectId, Outcome, ROW_VERSION, Receipt, Row, SourceName,
};
use serde_json::{Value, json};

const ID: &str = "49cfeb28-a5df-5080-b184-6933673c85d5";

macro_rules! stored {
    ($name:literal) => {
        include_str!(concat!("fixtures/stored/", $name, ".json"))
    };
}

fn row(text: &str) -> Row {
    serde_json::from_str(text).unwrap()
}

#[test]
fn rows_messages_and_receipts_are_written_as_they_were_read() {
    for text in [stored!("row_v4_general"), stored!("row_v5_general_in_batch")] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_value(row(text)).unwrap(), value);
    }
    let text = stored!("message_v1_general");
    let message = DispatchMessage::from_json(text).unwrap();
    assert_eq!(message.to_json(), text.trim_end());
    let text = stored!("receipt_v1_general");
    let receipt: Receipt = serde_json::from_str(text).unwrap();
    assert!(!receipt.is_of_object());
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(receipt).unwrap(), value);
}

#[test]
fn a_row_says_what_the_event_is_about_and_in_which_group_it_is() {
    let row = row(stored!("row_v4_general"));
    let event = row.event().unwrap();
    assert_eq!(
        (event.subject(), event.partition_key()),
        (Some("user/42"), Some("user-42"))
    );
    assert_eq!(event.event_time.unwrap().to_string(), "2026-11-21T01:02:00.500Z");
    assert_eq!(
        event.to_string(),
        "com.example.page-view user/42 (https://shop.example/web A234-1234-1234)"
    );
    assert!(row.object_event().is_none() && row.cloud_event().is_some());
    let input = DispatchMessage::for_row(&row).unwrap().input;
    assert_eq!(input.partition_key(), Some("user-42"));
}

/// A release that does not know general events reads versions up to 3, and refuses these whatever batch they are in.
#[test]
fn the_version_tells_older_releases_to_leave_the_row_alone() {
    let general = row(stored!("row_v4_general"));
    let batched = row(stored!("row_v5_general_in_batch"));
    assert_eq!(
        (general.version(), batched.version()),
        (GENERAL_ROW_VERSION, NEWEST_ROW_VERSION)
    );
    assert!(general.version() > BATCH_ROW_VERSION);
    assert_eq!(
        batched.version() - general.version(),
        BATCH_ROW_VERSION - ROW_VERSION
    );
}

/// These bytes must never change: a redelivery with other bytes would be another input to Step Functions.
#[test]
fn an_executions_input_has_these_very_bytes() {
    let row = row(stored!("row_v4_general"));
    let id = row.id;
    let input = ExecutionInput::new(row.event().unwrap(), Attempt(2)).to_json();
    assert_eq!(
        input,
        format!(
            r#"{{"id":"{id}","attempt":2,"source":"aws","cloud_event":{{"specversion":"1.0","id":"A234-1234-1234","source":"https://shop.example/web","type":"com.example.page-view","subject":"user/42","time":"2026-11-21T01:02:00.5Z","datacontenttype":"application/json","partitionkey":"user-42","sampled":true,"data":{{"page": "/cart", "price": 10.50}}}}}}"#
        )
    );
}

#[test]
fn a_batch_of_both_kinds_names_both() {
    let batch = row(stored!("row_v5_general_in_batch")).batch.unwrap();
    let general = row(stored!("row_v5_general_in_batch"));
    let object = row(stored!("row_v2_replay"));
    let inputs = [&general, &object].map(|row| ExecutionInput::new(row.event().unwrap(), Attempt(1)));
    let text = BatchInput::new(batch, inputs.to_vec()).to_json();
    let named = BatchInput::named_by(&text, batch).unwrap();
    assert_eq!(named.len(), 2);
    for input in named {
        let row = [&general, &object]
            .into_iter()
            .find(|row| row.id == input.id)
            .unwrap();
        assert_eq!(input.event().object_id(), row.event().unwrap().object_id());
    }
}

#[test]
fn a_receipt_covers_its_event_and_is_found_by_the_events_id() {
    let row = row(stored!("row_v4_general"));
    let event: &ObjectEvent = row.event().unwrap();
    let now = "2026-11-21T01:05:00.000Z".parse().unwrap();
    let receipt = |event: &ObjectEvent, outcome| {
        Receipt::new(
            event,
            Attempt(1),
            outcome,
            "w".into(),
            None,
            now,
            Duration::from_secs(60),
        )
    };
    let done = receipt(event, Outcome::Succeeded);
    assert_eq!(done.id, ObjectId::of_general(row.id));
    assert_eq!(done.subject.as_deref(), Some("user/42"));
    let replay = event.replayed("ticket-4711");
    assert!(done.covers(event) && !done.covers(&replay));
    assert_ne!(replay.id, event.id);
    // What was replayed and done is done; what was removed in the replay is not.
    assert!(receipt(&replay, Outcome::Succeeded).covers(event));
    assert!(!receipt(&replay, Outcome::Removed).covers(event));
    let mut other = event.clone();
    other.general.as_mut().unwrap().id = "A234-1234-1235".into();
    assert!(
        !done.covers(&ObjectEvent::of_cloud_event(event.source.clone(), *other.general.unwrap()).unwrap())
    );
}

/// The longest that is taken fits into an item (400 KB), and into an execution's input (256 KiB) and its message.
#[test]
fn the_longest_event_fits_into_its_row_and_its_input() {
    let event = |bytes: usize| {
        let event = json!({"specversion": "1.0", "id": "i", "source": "s", "type": "t", "data": "\u{1}".repeat(bytes)});
        read(&event.to_string(), &SourceName::default())
    };
    let fits = event(LONGEST_CLOUD_EVENT / 6 - 20);
    let row = Row::recorded(
        fits.events[0].clone(),
        5,
        None,
        "2026-11-21T01:05:00.000Z".parse().unwrap(),
    );
    let stored = serde_json::to_string(&row.cloud_event().unwrap().to_json()).unwrap();
    assert!(row.cloud_event().unwrap().to_json().len() < LONGEST_CLOUD_EVENT);
    // An item counts the text's own bytes, not JSON's escapes around it.
    assert!(
        stored.len() > LONGEST_CLOUD_EVENT
            && row.cloud_event().unwrap().to_json().len() < 400 * 1024 - 100 * 1024
    );
    assert!(DispatchMessage::for_row(&row).unwrap().to_json().len() < 256 * 1024);
    let beyond = event(LONGEST_CLOUD_EVENT / 6 + 20);
    assert!(beyond.events.is_empty());
    assert!(
        beyond.unreadable[0]
            .why
            .starts_with("the event may have 200000 bytes with its data")
    );
}

#[test]
fn the_id_never_changes() {
    assert_eq!(row(stored!("row_v4_general")).id.to_string(), ID);
}
