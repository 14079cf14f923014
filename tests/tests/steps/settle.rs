//! Failing and completing: backoff, parking, receipts before deletions.

use std::time::Duration;

use daybook_ledger::{Failed, Recorded, RetryPolicy};
use daybook_schema::{Attempt, Outcome, Row, Status, Timestamp};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Stage, StageOptions};

use crate::name_of;

fn upload() -> Upload {
    Upload::new("a.json", 1, "e")
}

fn claimed(stage: &Stage, attempt: u32, max_attempts: u32) -> Row {
    Row {
        attempt: Attempt(attempt),
        max_attempts,
        ..row_in(Status::Claimed, &upload(), stage.now())
    }
}

async fn fail(stage: &Stage, row: &Row, started_at: Option<Timestamp>) -> Failed {
    let policy = RetryPolicy::default();
    stage
        .ledger
        .fail(name_of(row), started_at, "FAILED: no", &policy, stage.deadline())
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn backoff_is_half_to_all_of_thirty_seconds_doubling_to_an_hour() {
    let stage = Stage::usual().await;
    let full = [30u64, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600];
    for (attempt, seconds) in (1u32..).zip(full) {
        let mut delays = Vec::new();
        for _ in 0..20 {
            let row = claimed(&stage, attempt, 100);
            stage.put_rows([&row]);
            let Failed::Retry(due_at) = fail(&stage, &row, None).await else {
                panic!("attempt {attempt} is not retried");
            };
            delays.push(due_at.since(stage.now()));
            let stored = stage.row(row.id).await.unwrap();
            assert_eq!(
                (stored.status, stored.due_at, stored.attempt),
                (Status::Pending, due_at, Attempt(attempt))
            );
            assert_eq!(stored.last_error.as_deref(), Some("FAILED: no"));
        }
        let (least, most) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
        let full = Duration::from_secs(seconds);
        assert!(
            least >= full / 2 && most <= full,
            "attempt {attempt}: {least:?} to {most:?}"
        );
        assert!(
            most - least > full / 8,
            "attempt {attempt}: rows that failed together return together"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_that_fails_parks_the_row_since_now() {
    let stage = Stage::usual().await;
    for (attempt, parked) in [(4, false), (5, true), (6, true)] {
        let row = claimed(&stage, attempt, 5);
        stage.put_rows([&row]);
        stage.pass(Duration::from_secs(5)).await;
        let failed = fail(&stage, &row, None).await;
        assert_eq!(failed == Failed::Parked, parked, "attempt {attempt}: {failed:?}");
        let stored = stage.row(row.id).await.unwrap();
        assert_eq!(
            stored.attempt,
            Attempt(attempt),
            "failing does not count the attempt again"
        );
        if parked {
            assert_eq!((stored.status, stored.due_at), (Status::Parked, stage.now()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_from_before_the_row_costs_the_event_no_attempt() {
    let stage = Stage::usual().await;
    stage.pass(Duration::from_secs(3600)).await;
    let row = Row {
        recorded_at: stage.now(),
        ..claimed(&stage, 5, 5)
    };
    let before = Timestamp::from_unix_millis(row.recorded_at.unix_millis() - 1).unwrap();
    stage.put_rows([&row]);
    assert!(matches!(fail(&stage, &row, Some(before)).await, Failed::Retry(_)));
    assert_eq!(stage.row(row.id).await.unwrap().max_attempts, 6);
    stage.put_rows([&row]);
    assert_eq!(fail(&stage, &row, Some(row.recorded_at)).await, Failed::Parked);
    assert_eq!(stage.row(row.id).await.unwrap().max_attempts, 5);
}

#[tokio::test(start_paused = true)]
async fn the_same_failure_reported_twice_uses_one_attempt() {
    let stage = Stage::usual().await;
    let row = claimed(&stage, 1, 5);
    stage.put_rows([&row]);
    assert!(matches!(fail(&stage, &row, None).await, Failed::Retry(_)));
    let once = stage.row(row.id).await;
    assert_eq!(fail(&stage, &row, None).await, Failed::Stale);
    assert_eq!(stage.row(row.id).await, once);
}

#[tokio::test(start_paused = true)]
async fn a_failure_does_not_reach_the_row_that_its_event_was_recorded_as_again() {
    let stage = Stage::usual().await;
    let row = claimed(&stage, 1, 1);
    let again = Row {
        recorded_at: row.recorded_at.plus(Duration::from_secs(1)),
        max_attempts: 5,
        ..row.clone()
    };
    let policy = RetryPolicy::default();
    for parks in [true, false] {
        stage.put_rows([&row]);
        // Between its read and its write the row is removed, recorded by a late duplicate, and claimed.
        let (meanwhile, next) = (stage.clone(), again.clone());
        stage.wire.inject(move |request| {
            if request.operation == "BatchExecuteStatement" {
                meanwhile.put_rows([&next]);
            }
            Fault::None
        });
        let (name, deadline) = (name_of(&row), stage.deadline());
        let failed = match parks {
            true => {
                stage
                    .ledger
                    .park(name, None, "the input is invalid", deadline)
                    .await
            }
            false => {
                stage
                    .ledger
                    .fail(name, None, "FAILED: no", &policy, deadline)
                    .await
            }
        };
        assert_eq!(failed.unwrap(), Failed::Stale);
        assert_eq!(stage.row(row.id).await.as_ref(), Some(&again));
        stage.wire.heal();
    }
    assert!(matches!(fail(&stage, &again, None).await, Failed::Retry(_)));
}

#[tokio::test(start_paused = true)]
async fn a_failure_without_an_answer_is_an_error_and_can_be_reported_again() {
    let stage = Stage::usual().await;
    let row = claimed(&stage, 1, 5);
    stage.put_rows([&row]);
    stage.wire.inject_always("BatchExecuteStatement", Fault::NotSent);
    let policy = RetryPolicy::default();
    let failed = stage
        .ledger
        .fail(name_of(&row), None, "no", &policy, stage.deadline())
        .await;
    assert!(failed.is_err(), "{failed:?}");
    stage.wire.heal();
    assert!(matches!(fail(&stage, &row, None).await, Failed::Retry(_)));
}

#[tokio::test(start_paused = true)]
async fn done_twice_is_done() {
    let stage = Stage::usual().await;
    stage.record(&[upload()]).await;
    let (event, at) = (upload().event(), stage.now());
    stage.ledger.complete(&event, Attempt(1), "first").await.unwrap();
    stage.pass(Duration::from_secs(60)).await;
    stage.ledger.complete(&event, Attempt(1), "second").await.unwrap();
    let receipt = stage.receipt(&event).await.unwrap();
    assert_eq!(
        (receipt.by.as_str(), receipt.outcome),
        ("first", Outcome::Succeeded)
    );
    assert_eq!(receipt.completed_at, at);
    assert_eq!(stage.row(event.id).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_row_is_never_deleted_before_its_receipt_is_certainly_there() {
    for fault in [
        Fault::NotSent,
        Fault::AnswerLost,
        Fault::Throttled,
        Fault::Hang,
        Fault::HangAfter,
    ] {
        let stage = Stage::usual().await;
        stage.record(&[upload()]).await;
        let event = upload().event();
        stage.wire.inject_always("PutItem", fault.clone());
        let completed = stage.ledger.complete(&event, Attempt(1), "arn").await;
        assert!(completed.is_err(), "{fault:?}");
        assert!(stage.row(event.id).await.is_some(), "{fault:?}");
        assert_eq!(
            stage.wire.operations().get("DeleteItem"),
            None,
            "{fault:?}: nothing was deleted"
        );
        stage.wire.heal();
        stage.ledger.complete(&event, Attempt(1), "arn").await.unwrap();
        assert_eq!(stage.row(event.id).await, None, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_completion_that_dies_before_the_deletion_is_finished_by_the_sweep() {
    let stage = Stage::usual().await;
    stage.record(&[upload()]).await;
    stage.schedule().await;
    stage.invoke_all().await;
    let event = upload().event();
    stage.wire.inject_always("DeleteItem", Fault::NotSent);
    assert!(stage.ledger.complete(&event, Attempt(1), "arn").await.is_err());
    stage.wire.heal();
    assert!(stage.row(event.id).await.is_some());
    stage.pass(stage.options.dispatch.lease).await;
    let swept = stage.sweep().await;
    assert_eq!((swept.deleted, swept.redelivered, swept.renewed), (1, 0, 0));
    assert_eq!(stage.row(event.id).await, None);
}

#[tokio::test(start_paused = true)]
async fn with_receipts_off_a_completion_leaves_nothing_and_a_duplicate_is_recorded_again() {
    let options = StageOptions {
        receipts: None,
        ..StageOptions::default()
    };
    let stage = Stage::new(options).await;
    stage.record(&[upload()]).await;
    stage
        .ledger
        .complete(&upload().event(), Attempt(1), "arn")
        .await
        .unwrap();
    assert_eq!(stage.receipt(&upload().event()).await, None);
    assert_eq!(stage.record(&[upload()]).await, [Recorded::Recorded]);
}
