//! What a person does to rows: redrive and remove.

use daybook_ledger::{Recorded, Redriven, Removed};
use daybook_schema::{Attempt, EventId, Outcome, Row, SourceName, Status};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Stage};
use serde_json::json;

fn upload() -> Upload {
    Upload::new("a.json", 1, "e")
}

/// Puts a parked row that keeps this payload, as if an older release could not read it.
fn park_payload(stage: &Stage, payload: &str) -> EventId {
    let source = SourceName::default();
    let row = Row::unreadable(
        &source,
        payload.into(),
        "not known yet".into(),
        Some("Root=1".into()),
        stage.now(),
    );
    stage.put_rows([&row]);
    row.id
}

#[tokio::test(start_paused = true)]
async fn a_redriven_row_has_another_round_of_attempts_and_runs_under_a_new_name() {
    let stage = Stage::usual().await;
    let parked = row_in(Status::Parked, &upload(), stage.now());
    stage.put_rows([&parked]);
    assert_eq!(
        stage
            .ledger
            .redrive(parked.id, 5, stage.deadline())
            .await
            .unwrap(),
        Redriven::Redriven
    );
    let row = stage.row(parked.id).await.unwrap();
    assert_eq!(
        (row.status, row.attempt, row.max_attempts),
        (Status::Pending, Attempt(5), 10)
    );
    stage.schedule().await;
    stage.invoke_all().await;
    assert_eq!(stage.execution_names(), [format!("{}-6", parked.id)]);
    assert_eq!(
        stage
            .ledger
            .redrive(parked.id, 5, stage.deadline())
            .await
            .unwrap(),
        Redriven::NotParked
    );
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_reads_now_becomes_its_events_and_is_gone() {
    let stage = Stage::usual().await;
    let payload = json!({"Records": [upload().record(), Upload::new("b.json", 2, "e").record()]}).to_string();
    let id = park_payload(&stage, &payload);
    let redriven = stage.ledger.redrive(id, 7, stage.deadline()).await.unwrap();
    assert_eq!(redriven, Redriven::Parsed { events: 2 });
    let rows = stage.rows().await;
    assert_eq!(rows.len(), 2);
    assert!(!rows.contains_key(&id));
    for row in rows.values() {
        assert_eq!(
            (row.status, row.max_attempts, row.trace.as_deref()),
            (Status::Pending, 7, Some("Root=1"))
        );
    }
    assert_eq!(
        stage.ledger.redrive(id, 7, stage.deadline()).await.unwrap(),
        Redriven::NotParked
    );
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_still_cannot_be_read_stays_as_it_is() {
    let stage = Stage::usual().await;
    for payload in ["hello", "{}", r#"{"Records":[{"eventSource":"aws:s3"}]}"#] {
        let id = park_payload(&stage, payload);
        let before = stage.row(id).await;
        let redriven = stage.ledger.redrive(id, 5, stage.deadline()).await.unwrap();
        assert!(
            matches!(redriven, Redriven::StillUnreadable(_)),
            "{payload}: {redriven:?}"
        );
        assert_eq!(stage.row(id).await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_reads_in_parts_becomes_events_and_smaller_payloads() {
    let stage = Stage::usual().await;
    let payload = json!({"Records": [upload().record(), {"eventSource": "aws:s3", "odd": true}]}).to_string();
    let id = park_payload(&stage, &payload);
    let redriven = stage.ledger.redrive(id, 5, stage.deadline()).await.unwrap();
    assert_eq!(redriven, Redriven::Parsed { events: 1 });
    let rows = stage.rows().await;
    assert!(!rows.contains_key(&id), "{rows:?}");
    assert_eq!(rows[&upload().event().id].status, Status::Pending);
    let rest: Vec<&Row> = rows.values().filter(|row| row.event().is_none()).collect();
    assert_eq!((rows.len(), rest.len(), rest[0].status), (2, 1, Status::Parked));
}

#[tokio::test(start_paused = true)]
async fn a_payload_stays_until_all_of_its_events_are_recorded() {
    let stage = Stage::usual().await;
    let payload = upload().notification();
    let id = park_payload(&stage, &payload);
    stage
        .wire
        .inject_always("BatchExecuteStatement", Fault::AnswerLost);
    assert!(stage.ledger.redrive(id, 5, stage.deadline()).await.is_err());
    assert!(stage.row(id).await.is_some());
    stage.wire.heal();
    let redriven = stage.ledger.redrive(id, 5, stage.deadline()).await.unwrap();
    assert_eq!(redriven, Redriven::Parsed { events: 1 });
    assert_eq!(stage.rows().await.len(), 1, "the event, once");
}

#[tokio::test(start_paused = true)]
async fn a_removal_leaves_a_receipt_that_says_who_and_why_and_covers_its_own_event_only() {
    let stage = Stage::usual().await;
    for status in Status::ALL {
        let row = row_in(status, &upload(), stage.now());
        stage.put_rows([&row]);
        assert_eq!(
            stage.ledger.remove(row.id, "kim", "corrupt").await.unwrap(),
            Removed::Removed
        );
        assert_eq!(stage.row(row.id).await, None);
        let receipt = stage.receipt(&upload().event()).await.unwrap();
        assert_eq!((receipt.outcome, receipt.event_id), (Outcome::Removed, row.id));
        assert_eq!(
            (receipt.by.as_str(), receipt.why.as_deref()),
            ("kim", Some("corrupt"))
        );
        assert_eq!(
            stage.ledger.remove(row.id, "kim", "corrupt").await.unwrap(),
            Removed::NoRow
        );
    }
    let older = Upload::new("a.json", 0, "e");
    let newer = Upload::new("a.json", 2, "e");
    let recorded = stage.record(&[upload(), older, newer]).await;
    assert_eq!(
        recorded,
        [Recorded::Covered, Recorded::Recorded, Recorded::Recorded]
    );
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_dies_before_the_deletion_can_be_repeated() {
    let stage = Stage::usual().await;
    stage.record(&[upload()]).await;
    let id = upload().event().id;
    stage.wire.inject_always("DeleteItem", Fault::Throttled);
    assert!(stage.ledger.remove(id, "kim", "corrupt").await.is_err());
    stage.wire.heal();
    assert_eq!(
        stage.ledger.remove(id, "kim", "corrupt").await.unwrap(),
        Removed::Removed
    );
    assert_eq!(stage.row(id).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_removed_payload_leaves_no_receipt_and_no_row() {
    let stage = Stage::usual().await;
    let id = park_payload(&stage, "hello");
    assert_eq!(
        stage.ledger.remove(id, "kim", "a test").await.unwrap(),
        Removed::Removed
    );
    assert!(stage.rows().await.is_empty());
    assert_eq!(stage.wire.operations().get("PutItem"), None);
}
