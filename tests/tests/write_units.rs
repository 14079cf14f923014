//! What each step costs, as DynamoDB itself reports it, and that typical items stay within one write unit.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "write_units/control_item.rs"]
mod control_item;
#[path = "write_units/general.rs"]
mod general;

use std::time::Duration;

use daybook_ledger::{
    Claim, Consumed, Failed, Hand, Moved, NewRow, Person, Recorded, Released, RetryPolicy, Success,
};
use daybook_manager::{Completed, Settled};
use daybook_schema::{
    Attempt, ExecutionName, ObjectEvent, Outcome, Receipt, Row, SourceName, Status, notification,
};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::{delivered, item, row_in, row_item};
use daybook_tests::{Stage, StageOptions};
use serde_json::{Value, json};

/// What the ledger says that it used since `before`: write units and requests.
fn used(stage: &Stage, before: Consumed) -> (f64, u64) {
    let used = stage.ledger.consumed() - before;
    (used.write_units, used.requests)
}

fn name_of(row: &Row) -> ExecutionName {
    ExecutionName {
        id: row.id,
        attempt: row.attempt,
    }
}

#[tokio::test(start_paused = true)]
async fn an_insert_costs_two_write_units_and_a_duplicate_insert_at_most_one() {
    let stage = Stage::usual().await;
    let upload = Upload::new("a.json", 1, "e");
    let before = stage.ledger.consumed();
    assert_eq!(
        stage.record(std::slice::from_ref(&upload)).await,
        [Recorded::Recorded]
    );
    assert_eq!(used(&stage, before), (2.0, 2), "one read of receipts, one batch");
    let before = stage.ledger.consumed();
    assert_eq!(stage.record(&[upload]).await, [Recorded::AlreadyThere]);
    // AWS charges a refused insert one unit; the embedded DynamoDB does not meter refused statements.
    let (units, requests) = used(&stage, before);
    assert!(units <= 1.0, "{units}");
    assert_eq!(requests, 2, "it is not tried again");
}

#[tokio::test(start_paused = true)]
async fn a_claim_costs_three_write_units_and_a_release_as_many() {
    let stage = Stage::usual().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    let keys = stage.due_keys().await;
    let before = stage.ledger.consumed();
    let claims = stage
        .ledger
        .claim(&keys, Hand::Queue, Duration::from_secs(900), stage.deadline())
        .await;
    let [Claim::Claimed(row)] = &claims[..] else {
        panic!("{claims:?}")
    };
    assert_eq!(used(&stage, before), (3.0, 1));
    let before = stage.ledger.consumed();
    let released = stage.ledger.release(&[(**row).clone()], stage.deadline()).await;
    assert_eq!(released, [Released::Released]);
    assert_eq!(used(&stage, before), (3.0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_a_move_and_a_redelivery_cost_three_because_the_index_sorts_by_the_lease() {
    let stage = Stage::usual().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    let lease = Duration::from_secs(900);
    let row = stage.claim_due().await.remove(0);

    stage.pass(lease).await;
    let before = stage.ledger.consumed();
    assert_eq!(stage.renew(name_of(&row)).await, Moved::Moved);
    assert_eq!(used(&stage, before), (3.0, 1));

    stage.pass(lease).await;
    let row = stage.row(row.id).await.unwrap();
    let before = stage.ledger.consumed();
    let moved = stage
        .ledger
        .move_leases(std::slice::from_ref(&row), lease, stage.deadline())
        .await;
    assert_eq!(moved, [Moved::Moved]);
    assert_eq!(used(&stage, before), (3.0, 1));

    stage.pass(lease).await;
    let row = stage.row(row.id).await.unwrap();
    let before = stage.ledger.consumed();
    let claims = stage.ledger.redeliver(&[row], lease, stage.deadline()).await;
    let [Claim::Claimed(row)] = &claims[..] else {
        panic!("{claims:?}")
    };
    assert_eq!(used(&stage, before), (3.0, 1));
    let before = stage.ledger.consumed();
    let unsent = stage.ledger.unsend(&[(**row).clone()], stage.deadline()).await;
    assert_eq!(unsent, [Released::Released]);
    assert_eq!(used(&stage, before), (3.0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_costs_three_write_units_and_a_redrive_too() {
    let stage = Stage::usual().await;
    let policy = RetryPolicy::default();
    stage.record(&uploads(2)).await;
    let rows = stage.claim_due().await;
    let before = stage.ledger.consumed();
    let failed = stage
        .ledger
        .fail(name_of(&rows[0]), None, "no", &policy, stage.deadline())
        .await
        .unwrap();
    assert!(matches!(failed, Failed::Retry(_)), "{failed:?}");
    assert_eq!(used(&stage, before), (3.0, 2), "one read, one write");
    let before = stage.ledger.consumed();
    let parked = stage
        .ledger
        .park(name_of(&rows[1]), None, "no", stage.deadline())
        .await
        .unwrap();
    assert_eq!(parked, Failed::Parked);
    assert_eq!(used(&stage, before), (3.0, 2));
    let before = stage.ledger.consumed();
    stage
        .ledger
        .redrive(rows[1].id, 5, stage.deadline())
        .await
        .unwrap();
    assert_eq!(used(&stage, before), (3.0, 2));
}

#[tokio::test(start_paused = true)]
async fn what_people_do_to_25_rows_costs_three_each_in_one_request_and_a_receipt_each_for_what_is_closed() {
    let stage = Stage::usual().await;
    let (policy, deadline) = (RetryPolicy::default(), stage.deadline());
    let kim = Person {
        by: "kim",
        why: Some("mended"),
    };
    let put = |status| {
        let rows: Vec<Row> = uploads(25)
            .iter()
            .map(|upload| row_in(status, upload, stage.now()))
            .collect();
        stage.put_rows(&rows);
        rows
    };
    let rows = put(Status::Parked);
    let before = stage.ledger.consumed();
    stage.ledger.redrive_rows(&rows, 5, Some(kim), deadline).await;
    assert_eq!(used(&stage, before), (75.0, 1));
    let rows = put(Status::Claimed);
    let before = stage.ledger.consumed();
    stage.ledger.free_rows(&rows, kim, deadline).await;
    assert_eq!(used(&stage, before), (75.0, 1));
    let rows = put(Status::Claimed);
    let before = stage.ledger.consumed();
    stage.ledger.fail_rows(&rows, kim, &policy, deadline).await;
    assert_eq!(used(&stage, before), (75.0, 1));
    let rows = put(Status::Claimed);
    let before = stage.ledger.consumed();
    stage.ledger.cancel_rows(&rows, kim, deadline).await;
    assert_eq!(used(&stage, before), (75.0, 1));
    let rows = put(Status::Parked);
    let before = stage.ledger.consumed();
    stage
        .ledger
        .close_rows(&rows, Outcome::Removed, kim, deadline)
        .await;
    assert_eq!(used(&stage, before), (25.0 + 50.0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_completion_costs_a_receipt_of_one_and_a_deletion_of_two() {
    let stage = Stage::usual().await;
    let upload = Upload::new("a.json", 1, "e");
    stage.record(std::slice::from_ref(&upload)).await;
    stage.claim_due().await;
    let before = stage.ledger.consumed();
    stage
        .ledger
        .complete(&upload.event(), Attempt(1), "arn")
        .await
        .unwrap();
    assert_eq!(used(&stage, before), (3.0, 2), "receipt 1, row 1, index 1");
}

/// Status events of that many executions that succeeded, handled in batches of that size; write units and requests per event.
async fn completions(events: usize, batch: usize) -> (f64, f64) {
    let mut options = StageOptions::default();
    options.dispatch.per_window = 1000;
    let stage = Stage::new(options).await;
    stage.record(&uploads(events)).await;
    assert_eq!(stage.schedule().await.sent as usize, events);
    stage.invoke_all().await;
    stage.succeed_running();
    let messages = stage.aws.sqs().messages(&stage.completion).unwrap();
    let ended: Vec<_> = messages
        .iter()
        .filter(|message| message.body.contains("SUCCEEDED"))
        .map(|message| delivered(&message.id, message.body.clone()))
        .collect();
    assert_eq!(ended.len(), events);
    let before = stage.ledger.consumed();
    for messages in ended.chunks(batch) {
        for completed in stage.completer().handle(messages, stage.deadline()).await {
            assert_eq!(completed, Completed::Settled(Settled::Completed));
        }
    }
    assert!(stage.rows().await.is_empty());
    let (units, requests) = used(&stage, before);
    (units / events as f64, requests as f64 / events as f64)
}

#[tokio::test(start_paused = true)]
async fn in_batches_of_10_a_completion_takes_a_fifth_of_a_request_and_in_batches_of_100_less_than_a_tenth() {
    assert_eq!(completions(100, 1).await, (3.0, 2.0));
    assert_eq!(completions(100, 10).await, (3.0, 0.2));
    assert_eq!(completions(100, 100).await, (3.0, 0.08));
}

#[tokio::test(start_paused = true)]
async fn among_many_a_reuploads_receipt_costs_one_request_more_and_one_unit_more_on_aws() {
    let stage = Stage::usual().await;
    let batch = |n: u64| -> Vec<ObjectEvent> {
        let upload = |k| Upload::new(&format!("{k}.json"), n * 10 + k, &format!("e{n}")).event();
        (0..10).map(upload).collect()
    };
    fn success(event: &ObjectEvent) -> Success<'_> {
        Success {
            event,
            attempt: Attempt(1),
            by: "arn",
        }
    }
    for (events, requests) in [(batch(1), 2), (batch(2), 2 + 10)] {
        let rows: Vec<Row> = events
            .iter()
            .map(|event| Row::recorded(event.clone(), 5, None, stage.now()))
            .collect();
        stage.put_rows(&rows);
        let before = stage.ledger.consumed();
        let successes: Vec<Success<'_>> = events.iter().map(success).collect();
        let outcomes = stage.ledger.complete_many(&successes, stage.deadline()).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        // AWS charges a refused insert one unit; the embedded DynamoDB does not meter refused statements.
        assert_eq!(used(&stage, before), (30.0, requests));
    }
}

/// Records one message of one event, runs it through all movers, and says what the ledger used.
async fn a_normal_event(stage: &Stage, message: String) -> (f64, u64) {
    let before = stage.ledger.consumed();
    stage.ingest_all(&[message]).await;
    let row = stage.claim_due().await.remove(0);
    let sent = stage.queue().send(std::slice::from_ref(&row)).await;
    assert_eq!(sent, [daybook_manager::Sent::Sent]);
    stage.invoke_all().await;
    assert_eq!(stage.succeed_running(), 1);
    stage.complete_all().await;
    assert_eq!(stage.row(row.id).await, None);
    used(stage, before)
}

#[tokio::test(start_paused = true)]
async fn a_normal_event_costs_eight_write_units_with_receipts_and_seven_without() {
    let notification = || Upload::new("devices/7/a.json", 1, "e").notification();
    let (units, _) = a_normal_event(&Stage::usual().await, notification()).await;
    assert_eq!(units, 8.0);
    let options = StageOptions {
        receipts: None,
        ..StageOptions::default()
    };
    let (units, _) = a_normal_event(&Stage::new(options).await, notification()).await;
    assert_eq!(units, 7.0);
}

#[tokio::test(start_paused = true)]
async fn a_tick_adds_one_write_unit_for_its_grant_however_many_rows_it_sends() {
    let stage = Stage::usual().await;
    stage.record(&uploads(40)).await;
    let before = stage.ledger.consumed();
    let report = stage.schedule().await;
    assert_eq!((report.granted, report.claimed, report.sent), (40, 40, 40));
    let (units, requests) = used(&stage, before);
    assert_eq!(units, 40.0 * 3.0 + 1.0);
    // Control item, 16 shards, the version of the first row, grant, 40 claims in two batches.
    assert_eq!(requests, 1 + 16 + 1 + 1 + 2);
}

#[tokio::test(start_paused = true)]
async fn an_idle_tick_and_an_idle_sweep_write_nothing() {
    let stage = Stage::usual().await;
    let before = stage.ledger.consumed();
    let report = stage.schedule().await;
    assert_eq!((report.granted, report.claimed), (0, 0));
    let swept = stage.sweep().await;
    assert_eq!(swept.stale, 0);
    assert_eq!(used(&stage, before).0, 0.0);
    assert_eq!(stage.control_item().await, None, "not even the control item");
    let operations = stage.wire.operations();
    let writes: Vec<_> = operations
        .keys()
        .filter(|name| !matches!(name.as_str(), "GetItem" | "Query"))
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_rows_are_recorded_in_four_requests_and_one_read_of_receipts() {
    let stage = Stage::usual().await;
    let before = stage.ledger.consumed();
    let recorded = stage.record(&uploads(100)).await;
    assert!(recorded.iter().all(|outcome| *outcome == Recorded::Recorded));
    assert_eq!(used(&stage, before), (200.0, 1 + 4));
    let read = (stage.ledger.consumed() - before).read_units;
    assert_eq!(read, 50.0, "half a read unit per object");
}

/// Bytes of an item by DynamoDB's rules ("Item sizes and formats", DynamoDB Developer Guide): names and strings by their UTF-8
/// bytes; a number by about one byte per two significant digits, and one more.
fn item_bytes(item: &Value) -> usize {
    let value = |value: &Value| match (value["S"].as_str(), value["N"].as_str()) {
        (Some(text), None) => text.len(),
        (None, Some(digits)) => digits.len().div_ceil(2) + 1,
        _ => panic!("rows have strings and numbers only: {value}"),
    };
    let attributes = item.as_object().unwrap();
    attributes
        .iter()
        .map(|(name, attribute)| name.len() + value(attribute))
        .sum()
}

/// An upload to a versioned bucket in full dress: a 100-byte key, an 18-digit sequencer, a version id of 32 characters.
fn typical_event() -> ObjectEvent {
    let key = format!("plants/busan-3/lines/07/cameras/2026/11/21/{:0>57}", "frame.jpg");
    assert_eq!(key.len(), 100);
    let mut record = Upload::new(&key, 7, "d41d8cd98f00b204e9800998ecf8427e").record();
    record["s3"]["bucket"]["name"] = json!("acme-production-device-uploads-eu-west-1");
    record["s3"]["object"]["versionId"] = json!("096fKKXTRTtl3on89fVO.nfljtsv6qko");
    record["s3"]["object"]["sequencer"] = json!("0069601A256BF73578");
    record["eventName"] = json!("ObjectCreated:CompleteMultipartUpload");
    let body = json!({"Records": [record]}).to_string();
    let read = notification::read(&body, &SourceName::default());
    assert!(read.unreadable.is_empty(), "{read:?}");
    read.events.into_iter().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_typical_row_is_smaller_than_one_write_unit_in_every_state() {
    let stage = Stage::usual().await;
    let trace =
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a87bd80c:0";
    let event = typical_event();
    let new = NewRow::Event {
        event: event.clone(),
        max_attempts: 5,
        trace: Some(trace.into()),
        caveat: None,
        at_once: false,
    };
    assert_eq!(
        stage.ledger.record(vec![new], stage.deadline()).await,
        [Recorded::Recorded]
    );
    let mut sizes = Vec::new();
    let pending = stage.row(event.id).await.unwrap();
    sizes.push((Status::Pending, item_bytes(&row_item(&pending))));
    // The longest caveat; what it says was left out is not in the row besides.
    let odd = Row {
        caveat: Some("c".repeat(160)),
        ..pending
    };
    sizes.push((Status::Pending, item_bytes(&row_item(&odd))));
    let row = stage.claim_due().await.remove(0);
    sizes.push((Status::Claimed, item_bytes(&row_item(&row))));
    // The longest error that is kept: 256 characters.
    stage
        .ledger
        .park(name_of(&row), None, &"x".repeat(4000), stage.deadline())
        .await
        .unwrap();
    let parked = stage.row(event.id).await.unwrap();
    assert_eq!(parked.last_error.as_deref().map(str::len), Some(256));
    sizes.push((Status::Parked, item_bytes(&row_item(&parked))));
    // The longest note, beside an error of usual length.
    let usual = Row {
        last_error: Some("FAILED: States.TaskFailed: the camera's clock is wrong".into()),
        ..parked
    };
    stage.put_rows([&usual]);
    let (by, why) = ("b".repeat(400), "w".repeat(4000));
    let person = Person {
        by: &by,
        why: Some(&why),
    };
    stage
        .ledger
        .redrive_rows(&[usual], 5, Some(person), stage.deadline())
        .await;
    let redriven = stage.row(event.id).await.unwrap();
    let note = redriven.note.as_deref().unwrap();
    assert!(note.len() > 100 && note.contains("www"), "{note}");
    sizes.push((redriven.status, item_bytes(&row_item(&redriven))));
    for (status, bytes) in &sizes {
        assert!(*bytes < 1024, "{status}: {bytes} bytes");
    }
    assert!(
        sizes[0].1 > 600,
        "the row is typical, so it is not tiny: {sizes:?}"
    );
}

#[test]
fn a_typical_receipt_is_smaller_than_one_write_unit() {
    let name = format!("{}-12", typical_event().id);
    let arn =
        format!("arn:aws:states:eu-west-1:123456789012:execution:acme-production-device-uploads:{name}");
    let now = "2026-11-21T00:00:00.000Z".parse().unwrap();
    let keep = Duration::from_secs(14 * 24 * 3600);
    for (outcome, why) in [
        (Outcome::Succeeded, None),
        (Outcome::Removed, Some("corrupt upload, see ticket 4711".into())),
    ] {
        let receipt = Receipt::new(
            &typical_event(),
            Attempt(12),
            outcome,
            arn.clone(),
            why,
            now,
            keep,
        );
        let bytes = item_bytes(&item(serde_json::to_value(&receipt).unwrap()));
        assert!((500..1024).contains(&bytes), "{outcome:?}: {bytes} bytes");
        let noted = Receipt {
            note: Some("n".repeat(160)),
            ..receipt
        };
        let bytes = item_bytes(&item(serde_json::to_value(&noted).unwrap()));
        assert!(bytes < 1024, "with the longest note, {outcome:?}: {bytes} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_status_event_costs_one_refused_receipt_and_one_empty_deletion() {
    let stage = Stage::usual().await;
    let upload = Upload::new("a.json", 1, "e");
    stage.put_rows(&[row_in(Status::Claimed, &upload, stage.now())]);
    let event = upload.event();
    stage.ledger.complete(&event, Attempt(1), "arn").await.unwrap();
    let requests = stage.wire.requests();
    stage.ledger.complete(&event, Attempt(1), "arn").await.unwrap();
    assert_eq!(stage.wire.requests() - requests, 2);
    let receipt = stage.receipt(&event).await.unwrap();
    assert_eq!(receipt.event_id, event.id);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_for_a_done_event_costs_no_row_write() {
    let stage = Stage::usual().await;
    let upload = Upload::new("a.json", 1, "e");
    stage.record(&[upload]).await;
    stage.schedule().await;
    let body = stage.dispatched()[0].to_json();
    stage.invoke_all().await;
    stage.succeed_running();
    stage.complete_all().await;
    let invoked = stage
        .invoker()
        .handle(&[delivered("again", body)], stage.deadline())
        .await;
    assert_eq!(invoked, [daybook_manager::Invoked::Settled(Settled::Completed)]);
    assert_eq!(stage.execution_names().len(), 1);
    assert!(stage.rows().await.is_empty());
}
