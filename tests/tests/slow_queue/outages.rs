//! Queues that are missing, refuse, or do not answer.

use std::time::Duration;

use daybook_manager::{DispatchQueue, Scheduler};
use daybook_reconciler::{SweepSettings, Sweeper};
use daybook_schema::{Attempt, Status};
use daybook_tests::notifications::uploads;
use daybook_tests::rows::{item, row_in};
use daybook_tests::{Fault, Stage};

use crate::{one_dispatched, one_running, the_row, upload};

const MINUTE: Duration = Duration::from_secs(60);

fn missing_queue(stage: &Stage) -> DispatchQueue {
    DispatchQueue::new(
        stage.sqs.clone(),
        stage.dispatch_queue.replace("dispatch", "missing"),
    )
}

fn sweeper(stage: &Stage, queue: DispatchQueue) -> Sweeper {
    let executions = Some(stage.executions());
    let settings = SweepSettings::default();
    Sweeper::new(
        stage.ledger.clone(),
        queue,
        executions,
        stage.options.dispatch.clone(),
        settings,
    )
}

#[tokio::test(start_paused = true)]
async fn without_the_dispatch_queue_every_claim_is_given_back_and_no_attempt_used() {
    let stage = Stage::usual().await;
    stage.record(&uploads(25)).await;
    let scheduler = Scheduler::new(
        stage.ledger.clone(),
        missing_queue(&stage),
        stage.options.dispatch.clone(),
    );
    let report = scheduler.run(stage.window(), stage.deadline()).await.unwrap();
    assert_eq!(
        (report.claimed, report.sent, report.released, report.unknown),
        (25, 0, 25, 0)
    );
    assert_eq!(report.failures.len(), 1, "{:?}", report.failures);
    let code = report.failures[0].code();
    assert!(
        matches!(
            code,
            Some("QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue")
        ),
        "{code:?}"
    );
    for row in stage.rows().await.values() {
        assert_eq!(
            (row.status, row.attempt, row.deliveries),
            (Status::Pending, Attempt(0), 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn exactly_the_entries_that_the_queue_refuses_are_given_back() {
    let stage = Stage::usual().await;
    stage.record(&uploads(10)).await;
    stage
        .wire
        .inject_next("SendMessageBatch", [Fault::Partial(vec![0, 4, 9])]);
    let report = stage.schedule().await;
    assert_eq!(
        (report.claimed, report.sent, report.released, report.unknown),
        (10, 7, 3, 0)
    );
    let rows = stage.rows().await;
    let sent: Vec<_> = stage
        .dispatched()
        .iter()
        .map(|message| message.input.id)
        .collect();
    for (id, row) in &rows {
        let expected = if sent.contains(id) {
            Status::Claimed
        } else {
            Status::Pending
        };
        assert_eq!(row.status, expected);
    }
    // The next window sends the three, at the same attempt.
    stage.pass(MINUTE).await;
    assert_eq!(stage.schedule().await.sent, 3);
    assert!(
        stage
            .dispatched()
            .iter()
            .all(|message| message.input.attempt == Attempt(1))
    );
}

#[tokio::test(start_paused = true)]
async fn rows_whose_send_is_unknown_stay_claimed_whether_the_queue_has_them_or_not() {
    for (fault, in_queue) in [
        (Fault::AnswerLost, 5),
        (Fault::NotSent, 0),
        (Fault::Hang, 0),
        (Fault::HangAfter, 5),
    ] {
        let stage = Stage::usual().await;
        stage.record(&uploads(5)).await;
        stage.wire.inject_always("SendMessageBatch", fault.clone());
        let report = stage.schedule().await;
        assert_eq!(
            (report.claimed, report.sent, report.released, report.unknown),
            (5, 0, 0, 5),
            "{fault:?}"
        );
        assert_eq!(stage.dispatched().len(), in_queue, "{fault:?}");
        assert!(
            stage
                .rows()
                .await
                .values()
                .all(|row| row.status == Status::Claimed),
            "{fault:?}"
        );
        // Their leases bring back those that are not there, and only those.
        stage.wire.heal();
        stage.pass(stage.options.dispatch.lease + MINUTE).await;
        assert_eq!(
            stage.sweep().await.redelivered as usize,
            5 - in_queue,
            "{fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn redeliveries_that_the_queue_refuses_are_taken_back_and_leases_stay_short() {
    let (stage, _) = one_dispatched().await;
    stage.aws.sqs().purge(&stage.dispatch_queue).unwrap();
    stage.pass(stage.options.dispatch.lease).await;
    stage.wire.inject_always("SendMessageBatch", Fault::Throttled);
    for _ in 0..30 {
        let swept = stage.sweep().await;
        assert_eq!(
            (swept.redelivered, swept.unsent, swept.unknown),
            (0, 1, 0),
            "{swept:?}"
        );
        let row = the_row(&stage).await;
        assert_eq!(
            (row.deliveries, row.attempt, row.status),
            (1, Attempt(1), Status::Claimed)
        );
        assert!(row.due_at <= stage.now(), "the next sweep tries again");
        stage.pass(MINUTE).await;
    }
    stage.wire.heal();
    assert_eq!(stage.sweep().await.redelivered, 1);
    let row = the_row(&stage).await;
    assert_eq!(row.deliveries, 2);
    assert_eq!(row.due_at, stage.now().plus(stage.options.dispatch.lease * 2));
}

#[tokio::test(start_paused = true)]
async fn while_the_queue_cannot_be_asked_nothing_is_sent_and_what_runs_or_is_done_is_still_seen_to() {
    let (stage, _) = one_running().await;
    let now = stage.now();
    let lost = row_in(
        Status::Claimed,
        &daybook_tests::notifications::Upload::new("lost.json", 2, "e"),
        now,
    );
    let done = row_in(
        Status::Claimed,
        &daybook_tests::notifications::Upload::new("done.json", 3, "e"),
        now,
    );
    stage
        .ledger
        .complete(done.event().unwrap(), Attempt(1), "arn")
        .await
        .unwrap();
    stage.put_rows([&lost, &done]);
    stage.pass(stage.options.dispatch.lease).await;
    let swept = sweeper(&stage, missing_queue(&stage))
        .run(stage.window(), stage.deadline())
        .await
        .unwrap();
    assert_eq!(
        (swept.stale, swept.renewed, swept.deleted, swept.left),
        (3, 1, 1, 1),
        "{swept:?}"
    );
    assert_eq!(
        (swept.redelivered, swept.moved, swept.failures.len()),
        (0, 0, 1),
        "{swept:?}"
    );
    assert_eq!(stage.row(lost.id).await, Some(lost));
    assert_eq!(stage.row(done.id).await, None);
    assert_eq!(
        stage.row(upload().event().id).await.unwrap().due_at,
        stage.now().plus(stage.options.dispatch.lease)
    );
}

#[tokio::test(start_paused = true)]
async fn while_executions_cannot_be_listed_each_is_asked_for_by_itself() {
    let (stage, _) = one_running().await;
    stage.pass(stage.options.dispatch.lease).await;
    stage.wire.inject_always("ListExecutions", Fault::Throttled);
    let swept = stage.sweep().await;
    assert_eq!(
        (swept.renewed, swept.redelivered, swept.failures.len()),
        (1, 0, 1),
        "{swept:?}"
    );
    assert!(swept.incomplete, "{swept:?}");
    assert_eq!(stage.execution_names().len(), 1);
    let row = the_row(&stage).await;
    assert_eq!(
        (row.status, row.attempt, row.deliveries),
        (Status::Claimed, Attempt(1), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_row_that_this_release_cannot_read_does_not_keep_the_sweep_from_the_others() {
    let stage = Stage::usual().await;
    let uploads = uploads(2);
    let rows: Vec<_> = uploads
        .iter()
        .map(|upload| row_in(Status::Claimed, upload, stage.now()))
        .collect();
    let mut broken = serde_json::to_value(&rows[0]).unwrap();
    broken.as_object_mut().unwrap().remove("bucket");
    stage.put_items("ledger", vec![item(broken)]);
    stage.put_rows([&rows[1]]);
    let report = stage.sweep().await;
    assert_eq!((report.stale, report.redelivered), (2, 1));
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert_eq!(stage.row(rows[1].id).await.unwrap().deliveries, 2);
}
