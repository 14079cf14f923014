//! No step changes a row that a newer release wrote; every step takes rows of all older versions.

use std::sync::{Arc, Mutex};

use daybook_ledger::{Blame, Deleted, Hand, IndexKey, RetryPolicy};
use daybook_schema::{Attempt, DispatchMessage, Outcome, ROW_VERSION, Row, Status, Step};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::{item, newer_item, row_item};
use daybook_tests::{Fault, Stage};

use crate::conditions::{APPLIES, LEASE, PERSON, in_a_batch, pending_key, seen, states, take};
use crate::name_of;

/// What the step says that it did, as somebody who last saw `seen`.
async fn says(stage: &Stage, step: Step, seen: &Row) -> String {
    let (ledger, deadline, rows) = (&stage.ledger, stage.deadline(), [seen.clone()]);
    let policy = RetryPolicy::default();
    match step {
        Step::Claim => {
            let key = IndexKey {
                due_at: seen.due_at,
                id: seen.id,
                status_shard: seen.status_shard(),
            };
            format!("{:?}", ledger.claim(&[key], Hand::Queue, LEASE, deadline).await)
        }
        Step::Release => format!("{:?}", ledger.release(&rows, deadline).await),
        Step::Renew => format!(
            "{:?}",
            ledger.renew(&[name_of(seen)], None, LEASE, deadline).await
        ),
        Step::MoveLease => format!("{:?}", ledger.move_leases(&rows, LEASE, deadline).await),
        Step::Redeliver => format!("{:?}", ledger.redeliver(&rows, LEASE, deadline).await),
        Step::Unsend => format!("{:?}", ledger.unsend(&rows, deadline).await),
        Step::Retry => {
            let taken = ledger.fail_taken(seen, Blame::Own, "no", &policy, deadline).await;
            let told = ledger.fail(name_of(seen), None, "no", &policy, deadline).await;
            let by_person = ledger.fail_rows(&rows, PERSON, &policy, deadline).await;
            assert!(taken.is_err() && told.is_err(), "{taken:?} {told:?}");
            format!("{by_person:?}")
        }
        Step::Park => format!("{:?}", ledger.park(name_of(seen), None, "no", deadline).await),
        Step::Redrive => format!(
            "{:?}",
            ledger.redrive_rows(&rows, 5, Some(PERSON), deadline).await
        ),
        Step::Take => {
            let message = DispatchMessage::for_row(seen).unwrap();
            format!("{:?}", ledger.take(&message, None, LEASE, deadline).await)
        }
        Step::Extend => format!("{:?}", ledger.extend(seen, LEASE, deadline).await),
        Step::Postpone => format!("{:?}", ledger.postpone(seen, LEASE, None, deadline).await),
        Step::PutBack => format!("{:?}", ledger.put_back(&rows, deadline).await),
        Step::Free => format!("{:?}", ledger.free_rows(&rows, PERSON, deadline).await),
        Step::EndLease => {
            let ended = ledger.free_rows(&[in_a_batch(seen)], PERSON, deadline).await;
            format!("{ended:?}")
        }
        Step::BringForward => format!("{:?}", ledger.bring_forward(&[pending_key(seen)], deadline).await),
    }
}

/// The row that the step expects, whatever version it has.
fn expected(stage: &Stage, step: Step) -> Row {
    Row {
        status: step.from(),
        ..seen(stage)
    }
}

#[tokio::test(start_paused = true)]
async fn every_step_leaves_a_row_of_a_newer_release_as_it_is_and_says_so() {
    for (step, _) in APPLIES {
        for meanwhile in [false, true] {
            let stage = Stage::usual().await;
            let seen = expected(&stage, step);
            let newer = newer_item(&seen);
            stage.put_items("ledger", vec![newer.clone()]);
            let before = stage.row_as_stored(seen.id).await;
            if meanwhile {
                // A step that reads first reads it as it was.
                stage.put_rows([&seen]);
                let other = stage.clone();
                stage.wire.inject(move |request| {
                    if request.operation == "BatchExecuteStatement" {
                        other.put_items("ledger", vec![newer.clone()]);
                    }
                    Fault::None
                });
            }
            let said = match step {
                // A holder that finds it so has lost it, and must stop.
                Step::Extend => says(&stage, step, &seen).await.replace("Stale", "Newer"),
                _ => says(&stage, step, &seen).await,
            };
            assert!(
                said.contains("Newer")
                    || said.contains(
                        "was written by a newer Daybook (v = 6; this one knows up to 5): use that release"
                    ),
                "{step:?}: {said}"
            );
            assert_eq!(stage.row_as_stored(seen.id).await, before, "{step:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_step_applies_to_rows_of_older_versions_as_to_those_of_its_own() {
    for (step, applies) in APPLIES {
        for version in [None, Some(1), Some(ROW_VERSION)] {
            let stage = Stage::usual().await;
            let seen = seen(&stage);
            for (name, state) in states(&stage) {
                let Some(row) = state else { continue };
                let mut stored = serde_json::to_value(&row).unwrap();
                match version {
                    Some(version) => stored["v"] = version.into(),
                    None => drop(stored.as_object_mut().unwrap().remove("v")),
                }
                stage.put_items("ledger", vec![item(stored)]);
                let applied = take(&stage, step, &seen).await;
                assert_eq!(applied, applies.contains(&name), "{step:?}, {name}, {version:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_completes_and_removes_rows_of_older_versions_and_those_that_are_gone() {
    for version in [None, Some(1), Some(ROW_VERSION)] {
        for outcome in [Outcome::Succeeded, Outcome::Removed] {
            let stage = Stage::usual().await;
            let (seen, deadline) = (seen(&stage), stage.deadline());
            let mut stored = serde_json::to_value(&seen).unwrap();
            match version {
                Some(version) => stored["v"] = version.into(),
                None => drop(stored.as_object_mut().unwrap().remove("v")),
            }
            stage.put_items("ledger", vec![item(stored)]);
            // The second time the row is gone.
            for _ in 0..2 {
                let closed = stage
                    .ledger
                    .close_rows(std::slice::from_ref(&seen), outcome, PERSON, deadline)
                    .await
                    .remove(0);
                assert!(closed.is_ok(), "{version:?}: {closed:?}");
                assert_eq!(stage.row_as_stored(seen.id).await, None, "{version:?}");
            }
        }
    }
}

/// That DynamoDB takes an OR beside the key of an UPDATE or a DELETE is not documented.
#[tokio::test(start_paused = true)]
async fn no_statement_has_an_or_beside_its_key() {
    let statements = Arc::new(Mutex::new(0));
    for (step, _) in APPLIES {
        let stage = Stage::usual().await;
        let seen = expected(&stage, step);
        let mut stored = serde_json::to_value(&seen).unwrap();
        drop(stored.as_object_mut().unwrap().remove("v"));
        stage.put_items("ledger", vec![item(stored)]);
        let counted = statements.clone();
        stage.wire.inject(move |request| {
            for statement in request.body["Statements"].as_array().into_iter().flatten() {
                let text = statement["Statement"].as_str().unwrap();
                assert!(!text.contains(" OR "), "{step:?}: {text}");
                *counted.lock().unwrap() += 1;
            }
            Fault::None
        });
        take(&stage, step, &seen).await;
        stage
            .ledger
            .close_rows(&[seen], Outcome::Removed, PERSON, stage.deadline())
            .await;
    }
    let statements = *statements.lock().unwrap();
    assert!(
        statements > APPLIES.len(),
        "only {statements} statements were seen"
    );
}

#[tokio::test(start_paused = true)]
async fn a_success_of_a_row_of_a_newer_release_leaves_its_receipt_and_the_row() {
    let stage = Stage::usual().await;
    let seen = seen(&stage);
    let event = Upload::new("a.json", 1, "e").event();
    stage.put_items("ledger", vec![newer_item(&seen)]);
    let before = stage.row_as_stored(seen.id).await;
    let completed = stage.ledger.complete(&event, Attempt(1), "arn").await.unwrap();
    assert_eq!(completed, Deleted::LeftNewer);
    assert_eq!(stage.receipt(&event).await.unwrap().event_id, event.id);
    assert_eq!(stage.ledger.delete_done(&seen).await.unwrap(), Deleted::LeftNewer);
    assert_eq!(stage.row_as_stored(seen.id).await, before);
    // The newer release knows what else there is to do; with the row as it would leave it, the second half is done.
    stage.put_items("ledger", vec![row_item(&seen)]);
    assert_eq!(stage.ledger.delete_done(&seen).await.unwrap(), Deleted::Deleted);
    assert_eq!(stage.row_as_stored(seen.id).await, None);
    // Done twice is done.
    assert_eq!(stage.ledger.delete_done(&seen).await.unwrap(), Deleted::Deleted);
}

#[tokio::test(start_paused = true)]
async fn with_receipts_off_a_success_of_a_row_of_a_newer_release_is_an_error() {
    let stage = Stage::new(daybook_tests::StageOptions {
        receipts: None,
        ..daybook_tests::StageOptions::default()
    })
    .await;
    let seen = seen(&stage);
    stage.put_items("ledger", vec![newer_item(&seen)]);
    let completed = stage
        .ledger
        .complete(seen.event().unwrap(), Attempt(1), "arn")
        .await;
    assert!(
        matches!(completed, Err(daybook_ledger::LedgerError::Newer(_))),
        "{completed:?}"
    );
    assert!(stage.row_as_stored(seen.id).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_person_can_neither_complete_nor_remove_a_row_of_a_newer_release() {
    let stage = Stage::usual().await;
    let (seen, deadline) = (seen(&stage), stage.deadline());
    let parked = Row {
        status: Status::Parked,
        ..seen.clone()
    };
    stage.put_items("ledger", vec![newer_item(&parked)]);
    let before = stage.row_as_stored(seen.id).await;
    let words = format!(
        "row {} was written by a newer Daybook (v = 6; this one knows up to 5): use that release",
        seen.id
    );
    let removed = stage.ledger.remove(seen.id, "kim", "no").await;
    assert_eq!(removed.unwrap_err().to_string(), words);
    let redriven = stage.ledger.redrive(seen.id, 5, deadline).await;
    assert_eq!(redriven.unwrap_err().to_string(), words);
    assert_eq!(
        stage.receipt(seen.event().unwrap()).await,
        None,
        "refused before its receipt"
    );
    for outcome in [Outcome::Succeeded, Outcome::Removed] {
        let closed = stage
            .ledger
            .close_rows(std::slice::from_ref(&seen), outcome, PERSON, deadline)
            .await
            .remove(0);
        assert_eq!(closed.unwrap_err().to_string(), words);
    }
    assert_eq!(stage.row_as_stored(seen.id).await, before);
}
