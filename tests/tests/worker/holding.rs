//! Holding row and message together while the work lasts, and what happens when that ends.

use std::time::Duration;

use daybook_manager::worker::TargetAnswer;
use daybook_schema::{Attempt, Row, Status};
use daybook_tests::Fault;
use daybook_tests::notifications::{Upload, uploads};
use uuid::Uuid;

use crate::acting::{Actor, LEASE, cron, minutes, stage, start};

#[tokio::test(start_paused = true)]
async fn a_run_three_leases_long_keeps_its_row_and_its_message_while_the_sweep_runs_each_minute() {
    let stage = stage().await;
    stage.record(&uploads(3)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, LEASE * 3 + minutes(1));
    let (worker, other) = (start(&stage, &target), start(&stage, &target));
    for _ in 0..16 {
        stage.pass(minutes(1)).await;
        let swept = stage.sweep().await;
        assert_eq!(swept.stale, 0, "{swept:?}");
        let rows = stage.rows().await;
        assert!(
            rows.values()
                .all(|row| row.due_at > stage.now() && row.attempt == Attempt(1))
        );
    }
    cron(&stage, minutes(5)).await;
    assert!(stage.rows().await.is_empty());
    assert!(
        target.runs().values().all(|runs| runs.len() == 1),
        "{:?}",
        target.runs()
    );
    let (one, two) = (worker.stop().await, other.stop().await);
    assert_eq!(one.received + two.received, 3, "no message was seen twice");
}

#[tokio::test(start_paused = true)]
async fn a_message_outlives_the_twelve_hours_that_sqs_allows_and_the_row_is_still_held() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, minutes(13 * 60));
    stage.wire.inject(|request| {
        let shows = request.body["VisibilityTimeout"] == 0;
        assert!(!shows, "a message is shown that is still worked on");
        Fault::None
    });
    let settings = daybook_manager::worker::WorkerSettings {
        timeout: minutes(14 * 60),
        ..crate::acting::settings()
    };
    let (worker, other) = (
        crate::acting::start_with(&stage, &target, settings.clone()),
        crate::acting::start_with(&stage, &target, settings),
    );
    for _ in 0..28 {
        stage.pass(minutes(30)).await;
        assert_eq!(stage.sweep().await.stale, 0);
    }
    assert_eq!(target.only().len(), 1);
    assert!(stage.rows().await.is_empty());
    let (one, two) = (worker.stop().await, other.stop().await);
    assert_eq!((one.completed + two.completed, one.dropped + two.dropped), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn when_a_worker_dies_its_message_comes_back_when_the_lease_is_over_and_the_event_completes() {
    let stage = stage().await;
    stage.record(&uploads(8)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, minutes(4));
    let worker = start(&stage, &target);
    cron(&stage, minutes(3)).await;
    worker.kill().await;
    let died = stage.now();
    let worker = start(&stage, &target);
    cron(&stage, minutes(15)).await;
    assert!(stage.rows().await.is_empty());
    for runs in target.runs().values() {
        assert_eq!(runs.len(), 2);
        assert!(!runs[0].answered && runs[0].ended == Some(died));
        // The last extension was in the second minute; no wait for a redelivery.
        assert!(runs[1].started.since(died) <= LEASE + minutes(1), "{runs:?}");
    }
    let report = worker.stop().await;
    assert_eq!(
        (report.completed, report.failed),
        (8, 0),
        "a death alone uses no attempt"
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_workers_died_three_times_is_a_failed_attempt_at_the_fourth() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    stage.schedule().await;
    let target = Actor::new(&stage, |_, before| match before {
        // It takes the worker down.
        0..3 => (minutes(600), TargetAnswer::Success),
        _ => (Duration::from_secs(1), TargetAnswer::Success),
    });
    for _ in 0..3 {
        let worker = start(&stage, &target);
        cron(&stage, minutes(7)).await;
        worker.kill().await;
        assert_eq!(
            stage.rows().await.into_values().next().unwrap().attempt,
            Attempt(1)
        );
    }
    assert_eq!(target.only().len(), 3);
    // A tick would claim it again within minutes.
    let worker = start(&stage, &target);
    stage.sweep_for(minutes(7)).await;
    let row = stage.rows().await.into_values().next().unwrap();
    assert_eq!((row.status, row.attempt), (Status::Pending, Attempt(1)));
    let why = row.last_error.unwrap();
    assert!(why.starts_with("3 workers that had it died"), "{why}");
    assert_eq!(target.only().len(), 3, "it is not run a fourth time");
    cron(&stage, minutes(5)).await;
    assert!(stage.rows().await.is_empty(), "the next attempt may succeed");
    let report = worker.stop().await;
    assert_eq!((report.failed, report.completed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_returned_while_the_ledger_is_down_use_no_attempt_however_often() {
    let stage = stage().await;
    stage.record(&uploads(4)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(1));
    stage.wire.inject(|request| match request.operation.as_str() {
        "BatchExecuteStatement" => Fault::Throttled,
        _ => Fault::None,
    });
    let worker = start(&stage, &target);
    stage.pass(minutes(10)).await;
    stage.wire.heal();
    cron(&stage, minutes(20)).await;
    let report = worker.stop().await;
    assert!(report.returned > 4 * 4, "{report:?}");
    assert_eq!((report.completed, report.failed), (4, 0));
    assert!(target.runs().values().all(|runs| runs.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn many_receives_and_a_take_whose_answer_is_lost_use_no_attempt_of_a_target_that_never_ran() {
    let stage = stage().await;
    stage.record(&uploads(1)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(1));
    // The ledger takes nothing until the message was returned six times; then it takes all, and no answer arrives.
    let mut returned = 0;
    stage
        .wire
        .inject(move |request| match request.operation.as_str() {
            "ChangeMessageVisibility" => {
                returned += 1;
                Fault::None
            }
            "BatchExecuteStatement" if returned < 6 => Fault::Throttled,
            "BatchExecuteStatement" => Fault::AnswerLost,
            _ => Fault::None,
        });
    let worker = start(&stage, &target);
    stage.pass(minutes(60)).await;
    let row = stage.rows().await.into_values().next().unwrap();
    assert_eq!((row.is_held(), row.deaths), (true, 0), "{row:?}");
    assert!(target.only().is_empty(), "nobody knows that the row is taken");
    stage.wire.heal();
    stage.pass(LEASE * 2).await;
    let report = worker.stop().await;
    assert!(report.returned > 6, "{report:?}");
    assert_eq!((report.failed, report.completed), (0, 1), "{report:?}");
    assert_eq!(target.only().len(), 1);
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_loses_its_lease_stops_its_work_and_reports_nothing() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, minutes(60));
    let worker = start(&stage, &target);
    stage.pass(minutes(1)).await;
    // Another worker has it, by whatever fault.
    let row = stage.rows().await.into_values().next().unwrap();
    let stolen = Row {
        claim_token: Some(Uuid::from_u128(0x57013)),
        due_at: stage.now().plus(minutes(60)),
        ..row
    };
    stage.put_rows([&stolen]);
    stage.pass(LEASE / 3).await;
    assert!(target.only()[0].ended.is_some(), "stopped at the next extension");
    assert_eq!(stage.row(stolen.id).await, Some(stolen), "nothing is reported");
    assert_eq!(worker.stop().await.lost, 1);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_extend_stops_before_its_lease_ends_and_nothing_is_lost() {
    let stage = stage().await;
    stage.record(&uploads(3)).await;
    stage.schedule().await;
    let target = Actor::new(&stage, |_, before| match before {
        0 => (minutes(30), TargetAnswer::Success),
        _ => (minutes(1), TargetAnswer::Success),
    });
    let (worker, other) = (start(&stage, &target), start(&stage, &target));
    stage.pass(minutes(1)).await;
    let leases_end = stage.rows().await.values().map(|row| row.due_at).min().unwrap();
    stage.wire.inject_always("BatchExecuteStatement", Fault::Hang);
    stage.pass(LEASE).await;
    for runs in target.runs().values() {
        assert!(
            runs.len() == 1 && runs[0].ended.unwrap() < leases_end,
            "{runs:?} {leases_end}"
        );
    }
    stage.wire.heal();
    cron(&stage, minutes(20)).await;
    assert!(stage.rows().await.is_empty());
    target.assert_no_overlap();
    let (one, two) = (worker.stop().await, other.stop().await);
    assert_eq!(
        (
            one.lost + two.lost,
            one.failed + two.failed,
            one.completed + two.completed
        ),
        (3, 0, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_receipt_is_written_is_not_run_again() {
    let stage = stage().await;
    let upload = Upload::new("a.json", 1, "e");
    stage.record(std::slice::from_ref(&upload)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(1));
    stage.wire.inject_always("DeleteItem", Fault::NotSent);
    let worker = start(&stage, &target);
    stage.pass(minutes(1)).await;
    assert!(stage.receipt(&upload.event()).await.is_some());
    // It dies between receipt and deletion. No sweep comes to delete the row.
    worker.kill().await;
    stage.wire.heal();
    let worker = start(&stage, &target);
    stage.pass(LEASE * 2).await;
    assert!(stage.rows().await.is_empty());
    assert_eq!(target.only().len(), 1);
    assert_eq!(worker.stop().await.dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waited_longer_than_its_lease_is_run_when_it_comes() {
    let stage = stage().await;
    stage.record(&uploads(3)).await;
    stage.schedule().await;
    // Nobody receives for a while; the sweep sees a slow queue, moves leases, and sends again at last.
    cron(&stage, minutes(60)).await;
    assert!(stage.rows().await.values().all(|row| row.lease_moves > 0));
    let target = Actor::succeeding(&stage, minutes(2));
    let worker = start(&stage, &target);
    cron(&stage, minutes(5)).await;
    assert!(stage.rows().await.is_empty());
    let report = worker.stop().await;
    assert_eq!(report.completed, 3);
    assert!(target.runs().values().all(|runs| runs.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn a_take_that_is_perhaps_applied_keeps_its_message_hidden_until_that_lease_is_over() {
    let stage = stage().await;
    stage.record(&uploads(1)).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(1));
    stage
        .wire
        .inject_always("BatchExecuteStatement", Fault::AnswerLost);
    let worker = start(&stage, &target);
    stage.pass(minutes(1)).await;
    stage.wire.heal();
    // No sweep comes to send it again: the message itself must not be dropped.
    stage.pass(LEASE).await;
    let report = worker.stop().await;
    assert_eq!((report.returned, report.dropped, report.completed), (1, 0, 1));
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn deaths_are_counted_on_the_row_when_it_is_taken_again_and_not_by_the_workers_that_live() {
    let stage = stage().await;
    stage.record(&uploads(1)).await;
    stage.schedule().await;
    let target = Actor::new(&stage, |_, before| match before {
        0..2 => (minutes(600), TargetAnswer::Success),
        _ => (Duration::from_secs(1), TargetAnswer::Failed { why: "no".into() }),
    });
    let mut deaths = Vec::new();
    let mut worker = start(&stage, &target);
    for _ in 0..2 {
        stage.pass(minutes(7)).await;
        deaths.push(stage.rows().await.into_values().next().unwrap().deaths);
        worker.kill().await;
        worker = start(&stage, &target);
    }
    stage.pass(minutes(7)).await;
    let row = stage.rows().await.into_values().next().unwrap();
    assert_eq!(deaths, [0, 1]);
    assert_eq!(
        (row.status, row.deaths, row.last_error.as_deref()),
        (Status::Pending, 0, Some("no")),
        "a failed attempt begins the count again"
    );
    assert_eq!(target.only().len(), 3);
    worker.stop().await;
}
