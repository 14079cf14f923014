//! What general events cost: as much as an object's, and more only where their data makes the row larger.

use std::time::Duration;

use daybook_ledger::{Claim, Failed, Hand, NewRow, Recorded, RetryPolicy};
use daybook_schema::{ObjectEvent, SourceName, notification};
use daybook_tests::rows::row_item;
use daybook_tests::{Stage, StageOptions};
use serde_json::{Value, json};

use crate::{a_normal_event, item_bytes, name_of, used};

/// A page view in full dress, with that data.
fn view(id: u64, data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": format!("0191b1c4-7e6b-7c3a-9d5e-{id:012}"), "source": "https://shop.example.com/web/eu",
        "type": "com.example.shop.page-view", "subject": "user/0191b1c4-7e6b-7c3a", "time": "2026-11-21T00:00:00.000Z",
        "datacontenttype": "application/json", "partitionkey": "user/0191b1c4-7e6b-7c3a", "data": data,
    })
}

fn small() -> Value {
    json!({"page": "/cart", "referrer": "/products/4711", "width": 1280})
}

fn read(message: &Value) -> ObjectEvent {
    let read = notification::read(&message.to_string(), &SourceName::default());
    assert!(read.unreadable.is_empty(), "{read:?}");
    read.events.into_iter().next().unwrap()
}

async fn record(stage: &Stage, events: &[Value]) -> Vec<Recorded> {
    let new = |event: &Value| NewRow::Event {
        event: read(event),
        max_attempts: 5,
        trace: None,
        caveat: None,
        at_once: false,
    };
    let rows = events.iter().map(new).collect();
    stage.ledger.record(rows, stage.deadline()).await
}

#[tokio::test(start_paused = true)]
async fn a_general_event_costs_eight_write_units_with_receipts_and_seven_without() {
    let message = view(1, &small()).to_string();
    assert_eq!(
        a_normal_event(&Stage::usual().await, message.clone()).await.0,
        8.0
    );
    let options = StageOptions {
        receipts: None,
        ..StageOptions::default()
    };
    assert_eq!(a_normal_event(&Stage::new(options).await, message).await.0, 7.0);
}

/// Table and index for the insert, the claim and the deletion: r + 1, r + 2 and r + 1 units for a row of r KB. The receipt has no data.
#[tokio::test(start_paused = true)]
async fn each_further_kilobyte_of_data_costs_three_write_units() {
    for (bytes, kilobytes) in [(2_000, 3.0), (10_000, 11.0)] {
        let message = view(1, &json!("x".repeat(bytes))).to_string();
        let stage = Stage::usual().await;
        record(&stage, &[view(2, &json!("x".repeat(bytes)))]).await;
        let row = stage.rows().await.into_values().next().unwrap();
        assert_eq!(item_bytes(&row_item(&row)).div_ceil(1024) as f64, kilobytes);
        let (units, _) = a_normal_event(&Stage::usual().await, message).await;
        assert_eq!(units, 3.0 * kilobytes + 5.0, "{bytes} bytes of data");
    }
}

#[tokio::test(start_paused = true)]
async fn each_step_of_a_general_event_costs_what_it_costs_an_object() {
    let stage = Stage::usual().await;
    let before = stage.ledger.consumed();
    assert_eq!(record(&stage, &[view(1, &small())]).await, [Recorded::Recorded]);
    assert_eq!(used(&stage, before), (2.0, 2), "one read of receipts, one batch");
    let before = stage.ledger.consumed();
    assert_eq!(
        record(&stage, &[view(1, &small())]).await,
        [Recorded::AlreadyThere]
    );
    // AWS charges a refused insert one unit; the embedded DynamoDB does not meter refused statements.
    assert!(used(&stage, before).0 <= 1.0);

    let keys = stage.due_keys().await;
    let before = stage.ledger.consumed();
    let lease = Duration::from_secs(900);
    let claims = stage
        .ledger
        .claim(&keys, Hand::Queue, lease, stage.deadline())
        .await;
    let [Claim::Claimed(row)] = &claims[..] else {
        panic!("{claims:?}")
    };
    assert_eq!(used(&stage, before), (3.0, 1));

    let before = stage.ledger.consumed();
    let policy = RetryPolicy::default();
    let failed = stage
        .ledger
        .fail(name_of(row), None, "no", &policy, stage.deadline());
    assert!(matches!(failed.await, Ok(Failed::Retry(_))));
    assert_eq!(used(&stage, before), (3.0, 2), "one read, one write");

    let before = stage.ledger.consumed();
    let event = read(&view(1, &small()));
    stage.ledger.complete(&event, row.attempt, "arn").await.unwrap();
    assert_eq!(used(&stage, before), (3.0, 2), "receipt 1, row 1, index 1");
    let before = stage.ledger.consumed();
    assert_eq!(record(&stage, &[view(1, &small())]).await, [Recorded::Covered]);
    assert_eq!(
        used(&stage, before).0,
        0.0,
        "a receipt is read, and nothing is written"
    );
}

#[tokio::test(start_paused = true)]
async fn general_events_are_recorded_and_claimed_25_in_a_request() {
    let stage = Stage::usual().await;
    let events: Vec<Value> = (0..100).map(|id| view(id, &small())).collect();
    let before = stage.ledger.consumed();
    let recorded = record(&stage, &events).await;
    assert!(recorded.iter().all(|outcome| *outcome == Recorded::Recorded));
    assert_eq!(used(&stage, before), (200.0, 1 + 4));
    assert_eq!(
        (stage.ledger.consumed() - before).read_units,
        50.0,
        "half a read unit per event"
    );

    let before = stage.ledger.consumed();
    let report = stage.schedule().await;
    let n = stage.options.dispatch.per_window;
    assert_eq!((report.claimed, report.sent), (n, n));
    assert_eq!(used(&stage, before).0, f64::from(n) * 3.0 + 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_general_events_row_is_smaller_than_one_write_unit_in_every_state() {
    let stage = Stage::usual().await;
    let event = view(1, &small());
    record(&stage, std::slice::from_ref(&event)).await;
    let id = read(&event).id;
    let pending = stage.row(id).await.unwrap();
    let row = stage.claim_due().await.remove(0);
    let why = "x".repeat(4000);
    stage
        .ledger
        .park(name_of(&row), None, &why, stage.deadline())
        .await
        .unwrap();
    for row in [pending, row, stage.row(id).await.unwrap()] {
        let bytes = item_bytes(&row_item(&row));
        assert!((500..1024).contains(&bytes), "{}: {bytes} bytes", row.status);
    }
}
