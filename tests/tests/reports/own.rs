//! What a target's own report on the completion queue does to rows.

use daybook_manager::{Completed, SettledBatch};
use daybook_schema::{BatchId, Row, Status};
use daybook_tests::rows::delivered;
use daybook_tests::{Fault, Stage};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rows;

async fn claimed(count: usize) -> (Stage, Vec<Row>) {
    let stage = Stage::usual().await;
    let rows = rows(&stage, Status::Claimed, count).await;
    stage.put_rows(&rows);
    (stage, rows)
}

async fn report(stage: &Stage, detail: Value) -> Completed {
    let body = json!({"source": "daybook.report", "detail": detail}).to_string();
    let mut completed = stage
        .completer()
        .handle(&[delivered("m", body)], stage.deadline())
        .await;
    completed.remove(0)
}

#[tokio::test(start_paused = true)]
async fn each_event_of_a_report_ends_as_it_says_and_again_changes_nothing() {
    let (stage, rows) = claimed(3).await;
    let detail = json!({"events": [
        {"id": rows[0].id, "attempt": rows[0].attempt},
        {"id": rows[1].id, "attempt": rows[1].attempt, "failed": "no such table"},
        // An attempt that is not the row's own fails nothing.
        {"id": rows[2].id, "attempt": 4, "failed": "late"},
    ]});
    let settled = SettledBatch {
        completed: 1,
        retried: 1,
        stale: 1,
        ..SettledBatch::default()
    };
    assert_eq!(
        report(&stage, detail.clone()).await,
        Completed::SettledBatch(settled)
    );
    assert_eq!(stage.row(rows[0].id).await, None);
    assert!(stage.receipt(rows[0].event().unwrap()).await.is_some());
    let failed = stage.row(rows[1].id).await.unwrap();
    assert_eq!(failed.status, Status::Pending);
    assert_eq!(failed.last_error.as_deref(), Some("no such table"));
    assert_eq!(stage.row(rows[2].id).await.as_ref(), Some(&rows[2]));
    let again = SettledBatch {
        stale: 3,
        ..SettledBatch::default()
    };
    assert_eq!(report(&stage, detail).await, Completed::SettledBatch(again));
}

/// Failures of one report are read side by side and written 25 in a request, each with its own cause; an event that is named twice fails once.
#[tokio::test(start_paused = true)]
async fn the_failures_of_a_report_are_written_together() {
    for batch in [None, Some(BatchId(Uuid::from_u128(7)))] {
        let (stage, rows) = claimed(60).await;
        let rows: Vec<Row> = rows.into_iter().map(|row| Row { batch, ..row }).collect();
        stage.put_rows(&rows);
        let failed =
            |row: &Row| json!({"id": row.id, "attempt": row.attempt, "failed": format!("of {}", row.id)});
        let mut events: Vec<Value> = rows.iter().map(failed).collect();
        events.push(json!({"id": rows[0].id, "attempt": rows[0].attempt, "failed": "again"}));
        let mut detail = json!({"events": events});
        if let Some(batch) = batch {
            detail["batch"] = json!(batch);
        }
        let settled = SettledBatch {
            retried: 60,
            stale: 1,
            ..SettledBatch::default()
        };
        assert_eq!(report(&stage, detail).await, Completed::SettledBatch(settled));
        assert_eq!(stage.wire.operations()["BatchExecuteStatement"], 3);
        for row in &rows {
            let failed = stage.row(row.id).await.unwrap();
            assert_eq!(failed.last_error, Some(format!("of {}", row.id)));
            assert_eq!((failed.status, failed.alone), (Status::Pending, batch.is_some()));
        }
    }
}

/// It was never sent, so that nothing can have done it: the row stays for a person, and the report is counted.
#[tokio::test(start_paused = true)]
async fn a_report_of_a_payload_that_cannot_be_read_changes_nothing_and_is_counted() {
    let stage = Stage::usual().await;
    stage.ingest_all(&["<html>".to_owned()]).await;
    let rows: Vec<Row> = stage.rows().await.into_values().collect();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    for event in [
        json!({"id": row.id, "attempt": row.attempt}),
        json!({"id": row.id, "attempt": row.attempt, "failed": "why"}),
    ] {
        let settled = SettledBatch {
            stale: 1,
            ..SettledBatch::default()
        };
        let detail = json!({"events": [event]});
        assert_eq!(report(&stage, detail).await, Completed::SettledBatch(settled));
        assert_eq!(stage.row(row.id).await.as_ref(), Some(row));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_a_batch_needs_the_batch() {
    let (stage, rows) = claimed(1).await;
    let batch = BatchId(Uuid::from_u128(7));
    let row = Row {
        batch: Some(batch),
        ..rows[0].clone()
    };
    stage.put_rows([&row]);
    let events = json!([{"id": row.id, "attempt": row.attempt, "failed": "why"}]);
    let stranger = BatchId(Uuid::from_u128(8));
    for detail in [
        json!({"events": events}),
        json!({"batch": stranger, "events": events}),
    ] {
        let stale = SettledBatch {
            stale: 1,
            ..SettledBatch::default()
        };
        assert_eq!(report(&stage, detail).await, Completed::SettledBatch(stale));
        assert_eq!(stage.row(row.id).await.as_ref(), Some(&row));
    }
    report(&stage, json!({"batch": batch, "events": events})).await;
    let failed = stage.row(row.id).await.unwrap();
    assert_eq!((failed.status, failed.alone), (Status::Pending, true));
}

#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_be_read_or_certainly_settled_is_returned() {
    let (stage, rows) = claimed(1).await;
    let id = rows[0].id;
    for detail in [
        json!({}),
        json!({"events": [{"id": id}]}),
        json!({"events": [{"id": id, "attempt": 1, "faild": "misspelt"}]}),
        json!({"events": [{"id": id, "attempt": 1, "failed": true}]}),
    ] {
        let completed = report(&stage, detail.clone()).await;
        assert!(
            matches!(completed, Completed::Returned(_)),
            "{detail}: {completed:?}"
        );
    }
    stage.wire.inject_always("GetItem", Fault::NotSent);
    let detail = json!({"events": [{"id": id, "attempt": rows[0].attempt}]});
    let completed = report(&stage, detail).await;
    assert!(matches!(completed, Completed::Returned(_)), "{completed:?}");
    stage.wire.inject(|_| Fault::None);
    assert_eq!(stage.row(id).await.as_ref(), Some(&rows[0]));
}
