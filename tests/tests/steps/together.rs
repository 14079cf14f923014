//! Receipt and deletion in one transaction, as on one machine: the same end for every event, and never a row gone without its receipt.

use daybook_ledger::{Deleted, LedgerError, Success};
use daybook_schema::{Attempt, ObjectEvent, Row, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::{item, newer_item, row_in};
use daybook_tests::{Fault, Stage};
use serde_json::Value;

const TOGETHER: &str = "TransactWriteItems";

async fn stage_together() -> Stage {
    let stage = Stage::usual().await;
    Stage {
        ledger: stage.ledger.clone().ending_together(),
        ..stage
    }
}

fn events(uploads: &[Upload]) -> Vec<ObjectEvent> {
    uploads.iter().map(Upload::event).collect()
}

fn claimed(stage: &Stage, uploads: &[Upload]) -> Vec<Row> {
    let row = |upload| row_in(Status::Claimed, upload, stage.now());
    uploads.iter().map(row).collect()
}

async fn complete(stage: &Stage, events: &[ObjectEvent]) -> Vec<Result<Deleted, LedgerError>> {
    let success = |event| Success {
        event,
        attempt: Attempt(1),
        by: "worker",
    };
    let successes: Vec<_> = events.iter().map(success).collect();
    stage.ledger.complete_many(&successes, stage.deadline()).await
}

fn is_unknown(outcome: &Result<Deleted, LedgerError>) -> bool {
    matches!(outcome, Err(LedgerError::Request { unknown: true, .. }))
}

#[tokio::test(start_paused = true)]
async fn fifty_events_end_in_one_request_that_leaves_no_token() {
    for (n, requests) in [(1, 1), (2, 1), (50, 1), (51, 2), (120, 3)] {
        let stage = stage_together().await;
        let uploads = uploads(n);
        stage.put_rows(&claimed(&stage, &uploads));
        stage.wire.keep_log();
        let outcomes = complete(&stage, &events(&uploads)).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let log = stage.wire.log();
        assert_eq!(log.len(), requests, "{n}");
        for (request, status, _) in &log {
            assert_eq!((request.operation.as_str(), *status), (TOGETHER, 200));
            assert_eq!(request.body.get("ClientRequestToken"), None);
        }
        assert!(stage.rows().await.is_empty());
        for event in events(&uploads) {
            assert_eq!(stage.receipt(&event).await.unwrap().event_id, event.id);
        }
    }
}

/// Re-uploads of objects that are done, older and newer ones; rows of older and newer releases, one with a note, and one that is gone;
/// an event twice, and two of one object.
async fn of_all_kinds(stage: &Stage) -> Vec<ObjectEvent> {
    let mut uploads = uploads(6);
    uploads.extend([
        Upload::new("older.json", 5, "e5"),
        Upload::new("newer.json", 5, "e5"),
        Upload::new("twice.json", 1, "e1"),
        Upload::new("twice.json", 2, "e2"),
    ]);
    for before in [
        Upload::new("older.json", 1, "e1"),
        Upload::new("newer.json", 9, "e9"),
    ] {
        let event = before.event();
        stage.ledger.complete(&event, Attempt(1), "arn").await.unwrap();
    }
    let mut rows = claimed(stage, &uploads);
    let mut old = serde_json::to_value(&rows[1]).unwrap();
    drop(old.as_object_mut().unwrap().remove("v"));
    let newer = newer_item(&rows[2]);
    rows[4].note = Some("redriven by kim: mended".to_owned());
    let usual = [0, 4, 5, 6, 7, 8, 9].map(|n| rows[n].clone());
    stage.put_rows(&usual);
    stage.put_items("ledger", vec![item(old), newer]);
    let mut events = events(&uploads);
    events.push(events[5].clone());
    events
}

#[tokio::test(start_paused = true)]
async fn every_event_ends_as_it_does_in_two_rounds() {
    let (together, apart) = (stage_together().await, Stage::usual().await);
    let mut ends = Vec::new();
    for stage in [&together, &apart] {
        let events = of_all_kinds(stage).await;
        stage.wire.keep_log();
        let outcomes: Vec<_> = complete(stage, &events)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(
            outcomes.iter().filter(|one| **one == Deleted::LeftNewer).count(),
            1
        );
        let mut left: Vec<(Option<Value>, Value)> = Vec::new();
        for event in &events {
            let receipt = stage.receipt(event).await.unwrap();
            left.push((
                stage.row_as_stored(event.id).await,
                serde_json::to_value(receipt).unwrap(),
            ));
        }
        ends.push((outcomes, left));
    }
    assert_eq!(ends[0], ends[1]);
    let is_tried = |stage: &Stage| {
        stage
            .wire
            .log()
            .iter()
            .any(|(request, ..)| request.operation == TOGETHER)
    };
    assert!(is_tried(&together) && !is_tried(&apart));
}

/// Whatever happens to the request, a row that is gone has its receipt, what is said to be done is, and a second report ends the rest.
#[tokio::test(start_paused = true)]
async fn whatever_happens_to_the_request_no_row_is_gone_without_its_receipt() {
    let faults = [
        Fault::NotSent,
        Fault::AnswerLost,
        Fault::Throttled,
        Fault::Invalid,
        Fault::ServerError,
        Fault::ServerErrorAfter,
        Fault::Hang,
        Fault::HangAfter,
    ];
    for fault in faults {
        for always in [false, true] {
            let stage = stage_together().await;
            let uploads = uploads(30);
            stage.put_rows(&claimed(&stage, &uploads));
            match always {
                true => stage.wire.inject_always(TOGETHER, fault.clone()),
                false => stage.wire.inject_next(TOGETHER, [fault.clone()]),
            }
            let events = events(&uploads);
            let outcomes = complete(&stage, &events).await;
            for (event, outcome) in events.iter().zip(&outcomes) {
                let (row, receipt) = (stage.row(event.id).await, stage.receipt(event).await);
                assert_eq!(row.is_none(), receipt.is_some(), "{fault:?}");
                assert!(
                    row.is_none() || is_unknown(outcome),
                    "{fault:?} {always}: {outcome:?}"
                );
            }
            // A single fault is overcome by the SDK's retry, or by the way in two rounds.
            assert!(always || outcomes.iter().all(Result::is_ok), "{fault:?}");
            stage.wire.heal();
            let outcomes = complete(&stage, &events).await;
            assert!(outcomes.iter().all(Result::is_ok), "{fault:?}: {outcomes:?}");
            assert!(stage.rows().await.is_empty(), "{fault:?}");
        }
    }
}
