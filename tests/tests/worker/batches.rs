//! Messages of batches: which rows are run together, which by themselves, and when the message goes.

use std::time::Duration;

use daybook_manager::worker::{TargetAnswer, WorkerSettings};
use daybook_schema::{Attempt, Row, Status};
use daybook_tests::{Fault, Stage};

use crate::acting::{LEASE, minutes, settings, stage, stage_with};
use crate::company::{Company, dispatch, keyed, queued, row_of, send, sent, start};

const WRITE: &str = "BatchExecuteStatement";
const SECOND: Duration = Duration::from_secs(1);

/// What stands in a row that went on: status, attempt, attempts allowed, whether it is alone.
pub fn told(row: Option<Row>) -> (Status, u32, u32, bool) {
    let row = row.expect("the row is there");
    assert_eq!(row.batch, None, "{row:?}");
    (row.status, row.attempt.0, row.max_attempts, row.alone)
}

/// Changes that row, which is in a batch, as if somebody had.
pub async fn change(stage: &Stage, key: &str, change: impl FnOnce(&mut Row)) {
    let mut row = row_of(stage, key).await.unwrap();
    change(&mut row);
    stage.put_rows([&row]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_one_call_and_its_message_goes_when_every_row_is_settled() {
    let stage = stage().await;
    let batch = sent(&stage, &["a", "b", "c", "d", "e"]).await;
    let before = stage.ledger.consumed();
    let target = Company::succeeding(&stage, SECOND);
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND * 5).await;
    let calls = target.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        (calls[0].batch, calls[0].keys.join("")),
        (Some(batch), "abcde".into())
    );
    assert!(stage.rows().await.is_empty());
    assert_eq!(queued(&stage), 0);
    // A take, a receipt and a deletion each: as without batches.
    let used = stage.ledger.consumed() - before;
    assert_eq!(used.write_units, (3.0 + 1.0 + 2.0) * 5.0);
    let report = worker.stop().await;
    assert_eq!((report.received, report.completed), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_one_has_the_form_of_a_batch_and_a_failure_of_it_is_its_own() {
    let stage = stage_with(|options| options.dispatch.max_attempts = 1).await;
    let batch = sent(&stage, &["a"]).await;
    let target = Company::poisoned(&stage, "a");
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND * 5).await;
    assert_eq!(target.calls()[0].batch, Some(batch));
    assert_eq!(told(row_of(&stage, "a").await), (Status::Parked, 1, 1, false));
    assert_eq!(queued(&stage), 0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_target_lists_has_failed_and_is_alone_and_the_others_are_done() {
    for (most, expected) in [(5, Status::Pending), (1, Status::Parked)] {
        let stage = stage_with(|options| options.dispatch.max_attempts = most).await;
        sent(&stage, &["a", "bad", "c"]).await;
        let target = Company::listing(&stage, "bad");
        let worker = start(&stage, &target, settings());
        stage.pass(SECOND * 5).await;
        let rows = stage.rows().await;
        assert_eq!(rows.len(), 1);
        assert_eq!(told(row_of(&stage, "bad").await), (expected, 1, most, true));
        let why = rows.into_values().next().unwrap().last_error;
        assert_eq!(why.as_deref(), Some("as it was told"));
        assert_eq!(queued(&stage), 0);
        let report = worker.stop().await;
        assert_eq!((report.completed, report.failed), (2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_several_parks_none_and_each_is_run_by_itself_afterwards() {
    let stage = stage_with(|options| options.dispatch.max_attempts = 1).await;
    sent(&stage, &["a", "bad", "c"]).await;
    let target = Company::poisoned(&stage, "bad");
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND * 5).await;
    for key in ["a", "bad", "c"] {
        assert_eq!(
            told(row_of(&stage, key).await),
            (Status::Pending, 1, 2, true),
            "{key}"
        );
    }
    assert_eq!(queued(&stage), 0);
    stage.pass(minutes(2)).await;
    dispatch(&stage, 100).await;
    stage.pass(SECOND * 10).await;
    let calls = target.calls();
    assert!(
        calls[1..]
            .iter()
            .all(|call| call.keys.len() == 1 && call.batch.is_some())
    );
    assert_eq!(calls.len(), 4);
    assert_eq!(stage.rows().await.len(), 1);
    assert_eq!(told(row_of(&stage, "bad").await), (Status::Parked, 2, 2, true));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn later_puts_off_all_of_them_and_uses_no_attempt() {
    let stage = stage().await;
    sent(&stage, &["a", "b"]).await;
    let later = TargetAnswer::Later {
        after: Some(minutes(10)),
        why: "not now".into(),
    };
    let target = Company::new(&stage, move |_| (SECOND, later.clone()));
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND * 5).await;
    for row in stage.rows().await.values() {
        assert_eq!(
            (row.status, row.attempt, row.alone),
            (Status::Pending, Attempt(0), false)
        );
        assert_eq!(row.due_at, target.calls()[0].ended.unwrap().plus(minutes(10)));
        assert_eq!(row.last_error.as_deref(), Some("not now"));
    }
    assert_eq!(queued(&stage), 0);
    assert_eq!(worker.stop().await.later, 2);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_alone_or_that_a_process_died_with_is_taken_right_before_its_own_run() {
    let stage = stage().await;
    sent(&stage, &["a", "alone", "b", "died", "left"]).await;
    change(&stage, "alone", |row| row.alone = true).await;
    change(&stage, "died", |row| row.deaths = 1).await;
    // One that another worker had, whose lease is over.
    let past = stage.now();
    change(&stage, "left", |row| (row.deliveries, row.due_at) = (0, past)).await;
    stage.pass(SECOND).await;
    let target = Company::succeeding(&stage, minutes(1));
    let worker = start(&stage, &target, settings());
    let mut most_held = Vec::new();
    for _ in 0..30 {
        stage.pass(SECOND * 10).await;
        let rows = stage.rows().await;
        most_held.push(
            rows.values()
                .filter(|row| row.is_held() && row.due_at > stage.now())
                .count(),
        );
    }
    let mut calls = target.keys();
    assert_eq!(calls.remove(0), ["a", "b"], "in company, and first");
    calls.sort();
    assert_eq!(calls, [["alone"], ["died"], ["left"]]);
    assert_eq!(most_held[0], 2);
    assert!(most_held[7..].iter().all(|held| *held <= 1), "{most_held:?}");
    assert!(stage.rows().await.is_empty());
    assert_eq!(queued(&stage), 0);
    assert_eq!(worker.stop().await.completed, 5);
}

#[tokio::test(start_paused = true)]
async fn a_row_with_which_a_worker_died_since_it_was_read_is_put_back_alone() {
    let stage = stage().await;
    sent(&stage, &["a", "died", "b"]).await;
    let row = row_of(&stage, "died").await.unwrap();
    let (other, past) = (stage.clone(), stage.now());
    let mut is_read = false;
    stage.wire.inject(move |request| {
        // After the reads and before the takes another worker takes it, and its lease ends.
        if request.operation == WRITE && !std::mem::replace(&mut is_read, true) {
            other.put_rows([&Row {
                deliveries: 0,
                due_at: past,
                ..row.clone()
            }]);
        }
        Fault::None
    });
    stage.pass(SECOND).await;
    let target = Company::succeeding(&stage, minutes(1));
    let worker = start(&stage, &target, settings());
    stage.pass(minutes(5)).await;
    assert_eq!(target.keys(), [["a", "b"]]);
    let row = row_of(&stage, "died").await.unwrap();
    assert_eq!(
        (row.deaths, row.due_at),
        (1, target.calls()[0].started),
        "it does not wait for the run"
    );
    assert_eq!(told(Some(row)), (Status::Pending, 0, 5, true));
    assert_eq!(queued(&stage), 0, "put back is done with");
    let report = worker.stop().await;
    assert_eq!((report.completed, report.stopped), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_not_run_and_does_not_keep_the_message() {
    let stage = stage().await;
    let batch = sent(&stage, &["a", "gone", "parked", "held", "other"]).await;
    let gone = row_of(&stage, "gone").await.unwrap();
    stage.ledger.delete_done(&gone).await.unwrap();
    change(&stage, "parked", |row| {
        (row.status, row.batch) = (Status::Parked, None)
    })
    .await;
    change(&stage, "held", |row| row.deliveries = 0).await;
    // Put back, and claimed again at the same attempt.
    let another = daybook_schema::BatchId(uuid::Uuid::from_u128(7));
    assert_ne!(batch, another);
    change(&stage, "other", |row| row.batch = Some(another)).await;
    let before = stage.rows().await;
    let target = Company::succeeding(&stage, SECOND);
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND * 5).await;
    assert_eq!(target.keys(), [["a"]]);
    let mut expected = before;
    expected.remove(&keyed(&["a"])[0].event().id);
    assert_eq!(stage.rows().await, expected);
    assert_eq!(queued(&stage), 0);
    let report = worker.stop().await;
    assert_eq!((report.completed, report.dropped), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn while_a_row_cannot_be_taken_the_message_stays_and_brings_only_that_row() {
    for fault in [Fault::Throttled, Fault::AnswerLost] {
        let stage = stage().await;
        sent(&stage, &["a", "b", "c"]).await;
        let id = row_of(&stage, "b").await.unwrap().id.to_string();
        let is_unknown = matches!(fault, Fault::AnswerLost);
        let failing = fault.clone();
        stage
            .wire
            .inject(move |request| match request.body.to_string().contains(&id) {
                true if request.operation == WRITE => failing.clone(),
                _ => Fault::None,
            });
        let target = Company::succeeding(&stage, SECOND);
        let worker = start(&stage, &target, settings());
        stage.pass(minutes(1)).await;
        stage.wire.heal();
        assert_eq!(target.keys(), [["a", "c"]], "{fault:?}");
        assert_eq!(queued(&stage), 1, "{fault:?}");
        stage.pass(LEASE + minutes(1)).await;
        assert_eq!(target.keys().last().unwrap(), &["b"], "{fault:?}");
        let again = target.calls()[1].started.since(target.calls()[0].ended.unwrap());
        assert_eq!(again > LEASE - minutes(1), is_unknown, "{fault:?}: {again:?}");
        assert!(stage.rows().await.is_empty());
        assert_eq!(queued(&stage), 0);
        assert_eq!(worker.stop().await.completed, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_waits_and_the_others_run() {
    let stage = stage().await;
    sent(&stage, &["a", "b"]).await;
    let id = row_of(&stage, "b").await.unwrap().id.to_string();
    stage
        .wire
        .inject(move |request| match request.operation.as_str() {
            "GetItem" if request.body.to_string().contains(&id) => Fault::Invalid,
            _ => Fault::None,
        });
    let target = Company::succeeding(&stage, SECOND);
    let worker = start(&stage, &target, settings());
    stage.pass(minutes(1)).await;
    assert_eq!(target.keys(), [["a"]]);
    stage.wire.heal();
    stage.pass(minutes(1)).await;
    assert_eq!(target.keys(), [["a"], ["b"]]);
    assert_eq!(queued(&stage), 0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_larger_than_the_worker_s_is_run_in_parts_one_after_another() {
    for (size, expected) in [(2, vec![2, 2, 1]), (4, vec![4, 1]), (1, vec![1; 5])] {
        let stage = stage().await;
        let batch = sent(&stage, &["a", "b", "c", "d", "e"]).await;
        let target = Company::succeeding(&stage, minutes(1));
        let settings = WorkerSettings {
            batch_size: size,
            ..settings()
        };
        let worker = start(&stage, &target, settings);
        stage.pass(SECOND * 10).await;
        let held = stage.rows().await.into_values().filter(Row::is_held).count();
        assert_eq!(held, size as usize, "what waits is not held");
        stage.pass(minutes(6)).await;
        let calls = target.calls();
        assert_eq!(
            calls.iter().map(|call| call.keys.len()).collect::<Vec<_>>(),
            expected
        );
        // 1: in the form of a single event.
        let given = (size > 1).then_some(batch);
        assert!(calls.iter().all(|call| call.batch == given), "{calls:?}");
        assert!(stage.rows().await.is_empty());
        assert_eq!(queued(&stage), 0);
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_newer_form_is_returned_and_an_old_one_of_a_single_event_is_run() {
    let stage = stage().await;
    sent(&stage, &["a"]).await;
    let body = stage.aws.sqs().messages(&stage.dispatch_queue).unwrap()[0]
        .body
        .clone();
    let mut message: daybook_schema::BatchMessage = serde_json::from_str(&body).unwrap();
    stage.aws.sqs().lose(&stage.dispatch_queue, |_| true);
    message.v += 1;
    send(&stage, &message).await;
    let target = Company::succeeding(&stage, SECOND);
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND * 10).await;
    assert!(target.calls().is_empty());
    assert_eq!(queued(&stage), 1);
    stage.record(&keyed(&["single"])).await;
    stage.schedule().await;
    stage.pass(SECOND * 10).await;
    assert_eq!(
        (target.keys(), target.calls()[0].batch),
        (vec![vec!["single".to_owned()]], None)
    );
    worker.stop().await;
}
