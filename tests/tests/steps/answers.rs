//! Lost answers, throttles and hangs: what a step says when the wire fails.

use std::time::Duration;

use daybook_ledger::{
    Asker, Claim, Consumed, Control, Deadline, Failed, Grant, GrantRequest, Hand, LedgerError, Lookup,
    Recorded, Redriven, Released,
};
use daybook_schema::{Attempt, ExecutionName, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Stage};

const LEASE: Duration = Duration::from_secs(900);
const BATCH: &str = "BatchExecuteStatement";

fn upload() -> Upload {
    Upload::new("a.json", 1, "e")
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_is_ours_after_the_retry() {
    let stage = Stage::usual().await;
    stage.record(&uploads(3)).await;
    let keys = stage.due_keys().await;
    stage.wire.inject_next(BATCH, [Fault::AnswerLost]);
    let claims = stage
        .ledger
        .claim(&keys, Hand::Queue, LEASE, stage.deadline())
        .await;
    for claim in claims {
        let Claim::Claimed(row) = claim else {
            panic!("{claim:?}")
        };
        assert_eq!(row.attempt, Attempt(1), "once, although it was asked twice");
        assert_eq!(stage.row(row.id).await, Some(*row));
    }
    assert_eq!(stage.wire.faults()["answer_lost"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_answer_is_lost_finds_its_own_row() {
    let stage = Stage::usual().await;
    stage.wire.inject_next(BATCH, [Fault::AnswerLost]);
    assert_eq!(stage.record(&[upload()]).await, [Recorded::AlreadyThere]);
    assert_eq!(stage.rows().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_whose_answer_is_lost_is_ours_and_counted_once() {
    let stage = Stage::usual().await;
    let row = row_in(Status::Claimed, &upload(), stage.now());
    stage.put_rows([&row]);
    stage.wire.inject_next(BATCH, [Fault::AnswerLost]);
    let claims = stage
        .ledger
        .redeliver(std::slice::from_ref(&row), LEASE, stage.deadline())
        .await;
    let [Claim::Claimed(redelivered)] = &claims[..] else {
        panic!("{claims:?}")
    };
    assert_eq!((redelivered.deliveries, redelivered.attempt), (2, Attempt(1)));
    assert_eq!(stage.row(row.id).await.as_ref(), Some(&**redelivered));
}

#[tokio::test(start_paused = true)]
async fn a_release_whose_answer_is_lost_gives_the_row_back_once() {
    let stage = Stage::usual().await;
    stage.record(&[upload()]).await;
    let row = stage.claim_due().await.remove(0);
    stage.wire.inject_next(BATCH, [Fault::AnswerLost]);
    assert_eq!(
        stage
            .ledger
            .release(std::slice::from_ref(&row), stage.deadline())
            .await,
        [Released::Stale]
    );
    let row = stage.row(row.id).await.unwrap();
    assert_eq!((row.status, row.attempt), (Status::Pending, Attempt(0)));
}

#[tokio::test(start_paused = true)]
async fn a_failure_whose_answer_is_lost_says_what_became_of_the_row() {
    let stage = Stage::usual().await;
    let row = row_in(Status::Claimed, &upload(), stage.now());
    stage.put_rows([&row]);
    let name = ExecutionName {
        id: row.id,
        attempt: row.attempt,
    };
    stage.wire.inject_next(BATCH, [Fault::AnswerLost]);
    let policy = stage.options.dispatch.retry;
    let failed = stage
        .ledger
        .fail(name, None, "no", &policy, stage.deadline())
        .await;
    let left = stage.row(row.id).await.unwrap();
    assert_eq!(left.status, Status::Pending);
    assert_eq!(failed.unwrap(), Failed::Retry(left.due_at));
}

#[tokio::test(start_paused = true)]
async fn a_redrive_whose_answer_is_lost_is_done() {
    let stage = Stage::usual().await;
    let row = row_in(Status::Parked, &upload(), stage.now());
    stage.put_rows([&row]);
    stage.wire.inject_next(BATCH, [Fault::AnswerLost]);
    let redriven = stage.ledger.redrive(row.id, 5, stage.deadline()).await;
    assert_eq!(redriven.unwrap(), Redriven::Redriven);
    assert_eq!(stage.row(row.id).await.unwrap().status, Status::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_grant_whose_answer_is_lost_is_ours_and_spent_once() {
    let stage = Stage::usual().await;
    let request = GrantRequest {
        window: stage.window(),
        per_window: 50,
        wanted: 20,
        asker: Asker::Scheduler,
    };
    stage.wire.inject_next("UpdateItem", [Fault::AnswerLost]);
    let seen = stage.ledger.control().await.unwrap();
    assert_eq!(
        stage.ledger.grant(&request, seen).await.unwrap(),
        Grant::Granted(20)
    );
    assert_eq!(stage.control_item().await.unwrap()["granted"], 20);
}

#[tokio::test(start_paused = true)]
async fn without_any_answer_a_step_is_unknown_whether_it_was_applied_or_not() {
    for (fault, applied) in [
        (Fault::AnswerLost, true),
        (Fault::NotSent, false),
        (Fault::Hang, false),
        (Fault::HangAfter, true),
        (Fault::ServerError, false),
        (Fault::ServerErrorAfter, true),
    ] {
        let stage = Stage::usual().await;
        stage.record(&[upload()]).await;
        let keys = stage.due_keys().await;
        stage.wire.inject_always(BATCH, fault.clone());
        let started = stage.now();
        let claims = stage
            .ledger
            .claim(&keys, Hand::Queue, LEASE, stage.deadline())
            .await;
        assert!(
            matches!(&claims[..], [Claim::Unknown(_)]),
            "{fault:?}: {claims:?}"
        );
        let took = stage.now().since(started);
        assert!(took <= Duration::from_secs(20), "{fault:?} took {took:?}");
        let status = stage.row(keys[0].id).await.unwrap().status;
        assert_eq!(status == Status::Claimed, applied, "{fault:?}");
        let recorded = stage.record(&[Upload::new("b.json", 2, "e")]).await;
        assert!(
            matches!(&recorded[..], [Recorded::Unknown(_)]),
            "{fault:?}: {recorded:?}"
        );
        assert!(!recorded[0].is_safe());
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttle_after_a_lost_answer_does_not_make_a_claim_not_applied() {
    let stage = Stage::usual().await;
    stage.record(&[upload()]).await;
    let keys = stage.due_keys().await;
    stage
        .wire
        .inject_next(BATCH, [Fault::AnswerLost, Fault::Throttled, Fault::Throttled]);
    let claims = stage
        .ledger
        .claim(&keys, Hand::Queue, LEASE, stage.deadline())
        .await;
    assert!(matches!(&claims[..], [Claim::Unknown(_)]), "{claims:?}");
    assert_eq!(stage.row(keys[0].id).await.unwrap().status, Status::Claimed);
}

#[tokio::test(start_paused = true)]
async fn a_write_of_the_control_item_without_an_answer_is_an_error_that_says_unknown() {
    let stage = Stage::usual().await;
    stage.wire.inject_always("UpdateItem", Fault::AnswerLost);
    let error = stage.ledger.pause(None, "kim", "why").await.unwrap_err();
    let daybook_ledger::LedgerError::Request {
        unknown, operation, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((*unknown, *operation), (true, "UpdateItem"));
}

/// Whether the failure says that it is not known what was written, and of which operation it speaks.
fn says_unknown<T: std::fmt::Debug>(failed: Result<T, LedgerError>) -> (bool, &'static str) {
    match failed {
        Err(LedgerError::Request {
            unknown, operation, ..
        }) => (unknown, operation),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_of_one_item_says_unknown_without_an_answer_and_not_after_a_throttle() {
    for (fault, unknown) in [(Fault::AnswerLost, true), (Fault::Throttled, false)] {
        let stage = Stage::usual().await;
        let request = GrantRequest {
            window: stage.window(),
            per_window: 50,
            wanted: 20,
            asker: Asker::Scheduler,
        };
        stage.wire.inject_always("UpdateItem", fault.clone());
        let granted = stage.ledger.grant(&request, Control::default()).await;
        assert_eq!(says_unknown(granted), (unknown, "UpdateItem"), "{fault:?}");
        let event = upload().event();
        for operation in ["PutItem", "DeleteItem"] {
            stage.wire.inject_always(operation, fault.clone());
            let completed = stage.ledger.complete(&event, Attempt(1), "arn").await;
            assert_eq!(says_unknown(completed), (unknown, operation), "{fault:?}");
            stage.wire.heal();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_ends_less_than_half_a_second_after_the_deadline_is_heard() {
    let stage = Stage::usual().await;
    let clock = stage.ledger.clock();
    for (millis, heard) in [(400, true), (600, false)] {
        let deadline = Deadline::after(clock, Duration::from_secs(5));
        let ends = tokio::time::sleep(Duration::from_millis(5000 + millis));
        assert_eq!(deadline.bound(clock, ends).await.is_some(), heard, "{millis}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttled_rows_are_retried_with_backoff_until_they_are_in() {
    let stage = Stage::usual().await;
    stage.wire.inject_next(BATCH, vec![Fault::Throttled; 10]);
    let started = stage.now();
    assert_eq!(stage.record(&[upload()]).await, [Recorded::Recorded]);
    assert_eq!(stage.wire.operations()[BATCH], 11);
    assert!(
        stage.now().since(started) >= Duration::from_millis(100),
        "it waited between the tries"
    );
}

#[tokio::test(start_paused = true)]
async fn rows_throttled_until_the_deadline_are_reported_and_certainly_not_there() {
    let stage = Stage::usual().await;
    stage.record(&[Upload::new("claimed.json", 5, "e")]).await;
    let keys = stage.due_keys().await;
    stage.wire.inject_always(BATCH, Fault::Throttled);
    let started = stage.now();
    let recorded = stage.record(&uploads(30)).await;
    let took = stage.now().since(started);
    assert_eq!(recorded.len(), 30);
    assert!(
        recorded
            .iter()
            .all(|outcome| matches!(outcome, Recorded::Throttled(_))),
        "{recorded:?}"
    );
    assert!(
        took > Duration::from_secs(50),
        "it gave up after {took:?} of a minute"
    );
    assert!(took <= Duration::from_millis(60_500), "it went on for {took:?}");
    let claims = stage
        .ledger
        .claim(&keys, Hand::Queue, LEASE, stage.deadline())
        .await;
    assert!(matches!(&claims[..], [Claim::NotApplied(_)]), "{claims:?}");
    assert_eq!(stage.rows().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn throttled_statements_of_a_batch_are_retried_and_the_others_are_not() {
    let stage = Stage::usual().await;
    stage
        .wire
        .inject_next(BATCH, [Fault::Partial(vec![0, 3, 24]), Fault::Partial(vec![1])]);
    let before: Consumed = stage.ledger.consumed();
    let recorded = stage.record(&uploads(25)).await;
    assert!(
        recorded.iter().all(|outcome| *outcome == Recorded::Recorded),
        "{recorded:?}"
    );
    assert_eq!(stage.wire.operations()[BATCH], 3, "25, then 3, then 1");
    assert_eq!(stage.rows().await.len(), 25);
    let used = stage.ledger.consumed() - before;
    assert!(used.write_units <= 50.0, "no row is written twice");
    assert_eq!(used.requests, 4, "the receipts, and three writes");
}

#[tokio::test(start_paused = true)]
async fn receipts_that_cannot_be_read_do_not_keep_an_event_out() {
    let stage = Stage::usual().await;
    stage.wire.inject_always("BatchGetItem", Fault::Throttled);
    assert_eq!(stage.record(&[upload()]).await, [Recorded::Recorded]);
}

#[tokio::test(start_paused = true)]
async fn receipts_that_are_left_unprocessed_are_asked_for_again_and_never_taken_for_absent() {
    let stage = Stage::usual().await;
    let done = upload().event();
    stage.ledger.complete(&done, Attempt(1), "arn").await.unwrap();
    let (done, open) = (
        done.object_id(),
        Upload::new("b.json", 2, "e").event().object_id(),
    );
    let requests = || {
        stage
            .wire
            .operations()
            .get("BatchGetItem")
            .copied()
            .unwrap_or_default()
    };
    let before = requests();
    stage.wire.inject_next(
        "BatchGetItem",
        [Fault::Unprocessed(vec![0, 1]), Fault::Unprocessed(vec![1])],
    );
    let found = stage.ledger.look_up_receipts([done, open]).await;
    assert!(matches!(found[&done], Lookup::Found(_)), "{:?}", found[&done]);
    assert_eq!(found[&open], Lookup::Absent);
    assert_eq!(requests() - before, 3);

    let (before, began) = (requests(), stage.now());
    stage.ledger.look_up_receipts([done, open]).await;
    assert_eq!(
        (requests() - before, stage.now()),
        (1, began),
        "nothing to wait for"
    );

    stage
        .wire
        .inject_always("BatchGetItem", Fault::Unprocessed(vec![0]));
    let before = requests();
    let found = stage.ledger.look_up_receipts([done]).await;
    assert!(matches!(found[&done], Lookup::Unknown(_)), "{:?}", found[&done]);
    assert_eq!(requests() - before, 6);
}
