//! Completing many events at once: in few requests, and each event as if it were alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_ledger::{Deadline, Deleted, LedgerError, Success};
use daybook_schema::{Attempt, ObjectEvent, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::{item, newer_item, row_in};
use daybook_tests::{Fault, Request, Stage, StageOptions};
use futures::StreamExt;
use serde_json::Value;

const BATCH: &str = "BatchExecuteStatement";

type Outcomes = Vec<Result<Deleted, LedgerError>>;

fn successes(events: &[ObjectEvent]) -> Vec<Success<'_>> {
    let success = |event| Success {
        event,
        attempt: Attempt(1),
        by: "arn",
    };
    events.iter().map(success).collect()
}

fn events(uploads: &[Upload]) -> Vec<ObjectEvent> {
    uploads.iter().map(Upload::event).collect()
}

async fn complete(stage: &Stage, events: &[ObjectEvent]) -> Outcomes {
    stage
        .ledger
        .complete_many(&successes(events), stage.deadline())
        .await
}

/// A stage with that many claimed rows, and their events.
async fn claimed(n: usize) -> (Stage, Vec<ObjectEvent>) {
    let stage = Stage::usual().await;
    let uploads = uploads(n);
    let rows: Vec<_> = uploads
        .iter()
        .map(|upload| row_in(Status::Claimed, upload, stage.now()))
        .collect();
    stage.put_rows(&rows);
    (stage, events(&uploads))
}

fn inserts(request: &Request) -> bool {
    let first = request.body["Statements"][0]["Statement"].as_str();
    first.is_some_and(|text| text.starts_with("INSERT"))
}

/// The first batch of receipts, or of deletions, meets that fault; other requests meet none.
fn strike(stage: &Stage, receipts: bool, fault: Fault) {
    let mut fault = Some(fault);
    stage.wire.inject(
        move |request| match request.operation == BATCH && inserts(request) == receipts {
            true => fault.take().unwrap_or(Fault::None),
            false => Fault::None,
        },
    );
}

fn is_unknown(outcome: &Result<Deleted, LedgerError>) -> bool {
    matches!(outcome, Err(LedgerError::Request { unknown: true, .. }))
}

#[tokio::test(start_paused = true)]
async fn ten_events_take_two_requests_and_a_hundred_take_eight_at_three_write_units_each() {
    for (n, requests) in [(1, 2), (2, 2), (10, 2), (25, 2), (26, 4), (100, 8)] {
        let (stage, events) = claimed(n).await;
        let before = stage.ledger.consumed();
        let outcomes = complete(&stage, &events).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let used = stage.ledger.consumed() - before;
        assert_eq!(
            (used.write_units, used.requests),
            (3.0 * n as f64, requests),
            "{n}"
        );
        assert!(stage.rows().await.is_empty());
        for event in &events {
            assert_eq!(stage.receipt(event).await.unwrap().event_id, event.id);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_receipts_off_many_rows_are_deleted_in_a_request_and_none_is_asked_for_twice() {
    let options = StageOptions {
        receipts: None,
        ..StageOptions::default()
    };
    let stage = Stage::new(options).await;
    stage.record(&uploads(60)).await;
    let mut events = events(&uploads(60));
    events.push(events[7].clone());
    let before = stage.ledger.consumed();
    let outcomes = complete(&stage, &events).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let used = stage.ledger.consumed() - before;
    // 25, 25, 10, and the same event once more, whose row is gone by then: one unit.
    assert_eq!((used.write_units, used.requests), (121.0, 4));
    assert!(stage.rows().await.is_empty());
}

/// What is stored by a batch of receipts of which one failed: its row stays unless its receipt is certainly there by other means,
/// and its neighbours' rows are gone.
#[tokio::test(start_paused = true)]
async fn a_row_goes_only_when_its_own_receipt_is_certainly_stored_and_the_others_do_not_wait() {
    for (fault, stored, row_stays) in [
        // Not done: put by itself.
        (Fault::Partial(vec![1, 3]), true, false),
        // Perhaps done, and not.
        (Fault::PartialError(vec![1, 3]), false, true),
        // Perhaps done, and done.
        (Fault::PartialAfter(vec![1, 3]), true, true),
    ] {
        let (stage, events) = claimed(5).await;
        strike(&stage, true, fault.clone());
        let outcomes = complete(&stage, &events).await;
        for (n, (event, outcome)) in events.iter().zip(&outcomes).enumerate() {
            let is_hit = n == 1 || n == 3;
            assert_eq!(
                is_unknown(outcome),
                is_hit && row_stays,
                "{fault:?} {n}: {outcome:?}"
            );
            assert_eq!(
                outcome.is_err(),
                is_hit && row_stays,
                "{fault:?} {n}: {outcome:?}"
            );
            let row = stage.row(event.id).await;
            assert_eq!(row.is_some(), is_hit && row_stays, "{fault:?} {n}");
            let receipt = stage.receipt(event).await;
            assert_eq!(receipt.is_some(), !is_hit || stored, "{fault:?} {n}");
        }
        // Reported again, all are done.
        stage.wire.heal();
        let outcomes = complete(&stage, &events).await;
        assert!(outcomes.iter().all(Result::is_ok), "{fault:?}: {outcomes:?}");
        assert!(stage.rows().await.is_empty(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_to_a_batch_of_receipts_no_row_is_deleted() {
    for fault in [Fault::NotSent, Fault::AnswerLost, Fault::Hang, Fault::HangAfter] {
        let (stage, events) = claimed(4).await;
        stage.wire.inject_always(BATCH, fault.clone());
        let outcomes = complete(&stage, &events).await;
        assert!(outcomes.iter().all(is_unknown), "{fault:?}: {outcomes:?}");
        assert_eq!(stage.rows().await.len(), 4, "{fault:?}");
        assert_eq!(stage.wire.operations().get("DeleteItem"), None, "{fault:?}");
        stage.wire.heal();
        let outcomes = complete(&stage, &events).await;
        assert!(outcomes.iter().all(Result::is_ok), "{fault:?}: {outcomes:?}");
        assert!(stage.rows().await.is_empty(), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn receipts_whose_answer_was_lost_are_found_by_the_retry() {
    let (stage, events) = claimed(4).await;
    strike(&stage, true, Fault::AnswerLost);
    let outcomes = complete(&stage, &events).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert!(stage.rows().await.is_empty());
    for event in &events {
        assert_eq!(stage.receipt(event).await.unwrap().event_id, event.id);
    }
}

/// A role that may put receipts and delete rows, and may not do so by PartiQL; or a request that DynamoDB takes for invalid.
#[tokio::test(start_paused = true)]
async fn where_batches_are_refused_events_are_completed_one_by_one() {
    let (stage, events) = claimed(4).await;
    stage.wire.inject_always(BATCH, Fault::Invalid);
    let outcomes = complete(&stage, &events).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert!(stage.rows().await.is_empty());
    assert_eq!(
        (
            stage.wire.operations()["PutItem"],
            stage.wire.operations()["DeleteItem"]
        ),
        (4, 4)
    );
}

#[tokio::test(start_paused = true)]
async fn of_deletions_the_throttled_are_made_one_by_one_and_the_unknown_are_said_to_be_unknown() {
    for (fault, fails) in [
        (Fault::Partial(vec![2]), false),
        (Fault::PartialError(vec![2]), true),
        (Fault::PartialAfter(vec![2]), true),
    ] {
        let (stage, events) = claimed(5).await;
        strike(&stage, false, fault.clone());
        let outcomes = complete(&stage, &events).await;
        for (n, outcome) in outcomes.iter().enumerate() {
            assert_eq!(is_unknown(outcome), fails && n == 2, "{fault:?} {n}: {outcome:?}");
        }
        assert!(complete(&stage, &events).await.iter().all(Result::is_ok));
        assert!(stage.rows().await.is_empty(), "{fault:?}");
    }
}

/// An object's earlier upload is done already, and its receipt is older; or its next one is, and that receipt stays.
#[tokio::test(start_paused = true)]
async fn a_reuploads_receipt_takes_an_older_ones_place_and_never_a_newer_ones() {
    for sequenced in [true, false] {
        let stage = Stage::usual().await;
        let upload = |key, n| match sequenced {
            true => Upload::new(key, n, &format!("e{n}")),
            false => Upload::new(key, n, &format!("e{n}")).without_sequencer(),
        };
        let before = [upload("older.json", 1), upload("newer.json", 9)];
        for event in events(&before) {
            stage.ledger.complete(&event, Attempt(1), "arn").await.unwrap();
        }
        let now = [
            upload("fresh.json", 5),
            upload("older.json", 5),
            upload("newer.json", 5),
            upload("fresh too.json", 5),
        ];
        let rows: Vec<_> = now
            .iter()
            .map(|upload| row_in(Status::Claimed, upload, stage.now()))
            .collect();
        stage.put_rows(&rows);
        let requests = stage.wire.requests();
        let outcomes = complete(&stage, &events(&now)).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert!(stage.rows().await.is_empty());
        for (of, stored) in [(&now[0], &now[0]), (&now[1], &now[1]), (&now[2], &before[1])] {
            let receipt = stage.receipt(&of.event()).await.unwrap();
            assert_eq!(receipt.event_id, stored.event().id, "{}", of.key);
        }
        // The receipts, two of them by themselves, and the deletions: on a wire without latency all are ready at once.
        assert_eq!(stage.wire.requests() - requests, 1 + 2 + 1, "{sequenced}");
    }
}

/// Several uploads of one key, the same event twice, and a replay beside what it replays.
#[tokio::test(start_paused = true)]
async fn no_request_has_a_key_twice_whatever_is_completed_together() {
    let stage = Stage::usual().await;
    let mut uploads = uploads(30);
    uploads.extend((100..130).map(|n| Upload::new("often.json", n, &format!("e{n}"))));
    let mut all = events(&uploads);
    stage.record(&uploads).await;
    let nonce = "ticket-4711";
    let replay = ObjectEvent {
        id: all[3]
            .object_parts()
            .event_id(daybook_schema::identity::EventBasis::Replay { nonce }),
        origin: daybook_schema::Origin::Replay { nonce: nonce.into() },
        ..all[3].clone()
    };
    all.extend([all[5].clone(), all[40].clone(), all[40].clone(), replay]);
    for order in [1, -1] {
        if order < 0 {
            all.reverse();
        }
        let met: Arc<Mutex<(usize, Vec<String>)>> = Arc::default();
        let seen = met.clone();
        stage.wire.inject(move |request| {
            let mut ids = BTreeSet::new();
            for statement in request.body["Statements"].as_array().into_iter().flatten() {
                let parameters = statement["Parameters"].as_array().unwrap();
                let text = statement["Statement"].as_str().unwrap();
                let id = match text.starts_with("INSERT") {
                    // Parameters of an INSERT are in the order of their names.
                    true => {
                        let names = text.split('\'').skip(1).step_by(2);
                        names
                            .zip(parameters)
                            .find(|(name, _)| *name == "id")
                            .unwrap()
                            .1
                            .clone()
                    }
                    false => parameters[0].clone(),
                };
                let mut met = seen.lock().unwrap();
                met.0 += 1;
                if !ids.insert(id.to_string()) {
                    met.1.push(statement.to_string());
                }
            }
            Fault::None
        });
        let outcomes = complete(&stage, &all).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let met = met.lock().unwrap().clone();
        assert!(met.0 > 60 && met.1.is_empty(), "{met:?}");
        assert!(stage.rows().await.is_empty());
        let newest = &uploads[59].event();
        assert_eq!(stage.receipt(newest).await.unwrap().event_id, newest.id);
        stage.wire.heal();
        stage.put_rows(&[row_in(Status::Claimed, &uploads[0], stage.now())]);
    }
}

#[tokio::test(start_paused = true)]
async fn rows_of_older_and_newer_releases_and_missing_ones_end_among_others_as_they_do_alone() {
    for receipts in [true, false] {
        let mut options = StageOptions::default();
        if !receipts {
            options.receipts = None;
        }
        let stage = Stage::new(options).await;
        let uploads = uploads(5);
        let row = |n: usize| row_in(Status::Claimed, &uploads[n], stage.now());
        let mut old = serde_json::to_value(row(1)).unwrap();
        drop(old.as_object_mut().unwrap().remove("v"));
        stage.put_rows(&[row(0), row(4)]);
        stage.put_items("ledger", vec![item(old), newer_item(&row(2))]);
        let outcomes = complete(&stage, &events(&uploads)).await;
        for (n, outcome) in outcomes.iter().enumerate() {
            match (n, receipts) {
                (2, true) => assert!(matches!(outcome, Ok(Deleted::LeftNewer)), "{outcome:?}"),
                (2, false) => assert!(matches!(outcome, Err(LedgerError::Newer(_))), "{outcome:?}"),
                _ => assert!(matches!(outcome, Ok(Deleted::Deleted)), "{n}: {outcome:?}"),
            }
            let stored: Option<Value> = stage.row_as_stored(uploads[n].event().id).await;
            assert_eq!(stored.is_some(), n == 2, "{n}");
        }
    }
}

/// Ten events, of which the first is a re-upload, whose receipt is put by itself and hangs.
async fn one_that_hangs() -> (Stage, Vec<ObjectEvent>) {
    let stage = Stage::usual().await;
    let before = Upload::new("again.json", 1, "e").event();
    stage.ledger.complete(&before, Attempt(1), "arn").await.unwrap();
    let mut now = uploads(9);
    now.insert(0, Upload::new("again.json", 2, "f"));
    stage.record(&now).await;
    stage.wire.inject_always("PutItem", Fault::Hang);
    (stage, events(&now))
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_receipt_that_hangs() {
    let (stage, events) = one_that_hangs().await;
    let began = stage.now();
    let mut ended = BTreeMap::new();
    let mut each = stage.ledger.complete_each(successes(&events));
    while let Some((position, outcome)) = each.next().await {
        ended.insert(position, (outcome.is_ok(), stage.now().since(began)));
    }
    assert_eq!(ended.len(), 10);
    for (position, (is_done, after)) in ended {
        assert_eq!(is_done, position != 0, "{position}");
        assert_eq!(
            after < Duration::from_secs(1),
            position != 0,
            "{position}: {after:?}"
        );
    }
    assert_eq!(stage.rows().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_what_is_done_is_said_to_be_done_and_the_rest_is_unknown() {
    let (stage, events) = one_that_hangs().await;
    let (began, second) = (stage.now(), Duration::from_secs(1));
    let deadline = Deadline::after(stage.ledger.clock(), second);
    let outcomes = stage.ledger.complete_many(&successes(&events), deadline).await;
    assert_eq!(stage.now().since(began), second + second / 2);
    for (position, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_ok(), position != 0, "{position}: {outcome:?}");
        assert_eq!(is_unknown(outcome), position == 0, "{position}: {outcome:?}");
    }
}
