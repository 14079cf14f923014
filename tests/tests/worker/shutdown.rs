//! Draining: what runs may finish, what does not is put back, and no attempt is lost.

use std::time::Duration;

use daybook_manager::worker::WorkerSettings;
use daybook_schema::{Attempt, Status};
use daybook_tests::Fault;
use daybook_tests::notifications::uploads;

use crate::acting::{Actor, LEASE, cron, minutes, settings, stage, start, start_with};

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_short_runs_finish_and_receives_no_more() {
    let stage = stage().await;
    stage.record(&uploads(20)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(15));
    let worker = start(&stage, &target);
    stage.pass(Duration::from_secs(5)).await;
    let asked = stage.now();
    let report = worker.stop().await;
    assert_eq!((report.received, report.completed, report.stopped), (8, 8, 0));
    assert_eq!(stage.now().since(asked).as_secs(), 10, "it ends when its runs do");
    assert_eq!(stage.dispatched().len(), 12);
    assert_eq!(stage.rows().await.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_shuts_down_at_once() {
    let stage = stage().await;
    let worker = start(&stage, &Actor::succeeding(&stage, Duration::ZERO));
    stage.pass(minutes(1)).await;
    let asked = stage.now();
    worker.stop().await;
    assert_eq!(stage.now(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_outlasts_the_grace_is_stopped_and_its_event_waits_for_the_next_tick_at_no_cost() {
    let stage = stage().await;
    stage.record(&uploads(5)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, minutes(60));
    let worker = start(&stage, &target);
    stage.pass(minutes(1)).await;
    let asked = stage.now();
    let report = worker.stop().await;
    assert_eq!((report.stopped, report.completed, report.abandoned), (5, 0, 0));
    assert_eq!(stage.now().since(asked), settings().grace);
    for row in stage.rows().await.values() {
        assert_eq!(
            (row.status, row.attempt, &row.last_error),
            (Status::Pending, Attempt(0), &None)
        );
        assert!(row.due_at <= stage.now());
    }
    assert!(stage.dispatched().is_empty(), "their messages are gone");

    let target = Actor::succeeding(&stage, minutes(1));
    let worker = start(&stage, &target);
    cron(&stage, minutes(3)).await;
    assert_eq!(worker.stop().await.completed, 5);
}

#[tokio::test(start_paused = true)]
async fn messages_that_arrive_while_the_worker_drains_are_given_back_at_once() {
    let stage = stage().await;
    stage.record(&uploads(1)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(15));
    let worker = start(&stage, &target);
    stage.pass(Duration::from_secs(5)).await;
    // A long poll is under way when the shutdown begins, and these answer it.
    let stopping = tokio::spawn(worker.stop());
    stage.pass(Duration::from_secs(1)).await;
    stage.record(&uploads(4)[1..]).await;
    stage.schedule().await;
    let report = stopping.await.unwrap();
    assert_eq!((report.completed, report.received, report.returned), (1, 4, 3));
    let worker = start(&stage, &target);
    stage.pass(Duration::from_secs(30)).await;
    assert_eq!(
        worker.stop().await.completed,
        3,
        "nobody waited for a visibility timeout"
    );
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_without_a_ledger_ends_in_time_and_leases_bring_the_events_back() {
    let stage = stage().await;
    stage.record(&uploads(3)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, minutes(4));
    let worker = start(&stage, &target);
    stage.pass(minutes(1)).await;
    stage.wire.inject_always("BatchExecuteStatement", Fault::Hang);
    let asked = stage.now();
    let report = worker.stop().await;
    assert_eq!(report.abandoned, 3);
    let WorkerSettings { grace, stopping, .. } = settings();
    assert_eq!(
        stage.now().since(asked),
        grace + stopping + Duration::from_secs(10)
    );
    stage.wire.heal();
    let worker = start_with(&stage, &target, settings());
    cron(&stage, LEASE + minutes(10)).await;
    assert!(stage.rows().await.is_empty());
    let report = worker.stop().await;
    assert_eq!((report.completed, report.failed), (3, 0));
}
