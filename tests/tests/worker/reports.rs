//! What becomes of an event by what its target answers.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_manager::worker::TargetAnswer;
use daybook_schema::{Attempt, Outcome, Status};
use daybook_tests::Fault;
use daybook_tests::notifications::{Upload, uploads};

use crate::acting::{Actor, LEASE, cron, minutes, settings, stage, stage_with, start, start_with};

#[tokio::test(start_paused = true)]
async fn a_success_leaves_a_receipt_in_the_workers_name_and_nothing_else() {
    let stage = stage().await;
    let upload = Upload::new("a.json", 1, "e");
    stage.record(std::slice::from_ref(&upload)).await;
    let target = Actor::succeeding(&stage, Duration::from_secs(3));
    let worker = start(&stage, &target);
    stage.schedule().await;
    stage.pass(minutes(1)).await;
    let report = worker.stop().await;
    assert_eq!((report.received, report.completed), (1, 1));
    assert!(stage.rows().await.is_empty());
    let receipt = stage.receipt(&upload.event()).await.unwrap();
    assert_eq!(
        (receipt.outcome, receipt.by.as_str()),
        (Outcome::Succeeded, "worker-1")
    );
    assert!(stage.dispatched().is_empty());
    assert_eq!(target.only().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_target_is_tried_with_backoff_until_its_row_is_parked_with_the_reason() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    let target = Actor::failing(&stage, "exit status 1: no such table");
    let worker = start(&stage, &target);
    cron(&stage, minutes(60)).await;
    let report = worker.stop().await;
    assert_eq!((report.failed, report.completed), (5, 0));
    let row = stage.rows().await.into_values().next().unwrap();
    assert_eq!((row.status, row.attempt), (Status::Parked, Attempt(5)));
    assert_eq!(row.last_error.as_deref(), Some("exit status 1: no such table"));
    let runs = target.only();
    let gaps: Vec<u64> = runs
        .windows(2)
        .map(|pair| pair[1].started.since(pair[0].started).as_secs())
        .collect();
    assert!(gaps.len() == 4 && gaps[3] > gaps[0], "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn later_uses_no_attempt_however_often_it_is_said() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    let target = Actor::new(&stage, |input, before| {
        assert_eq!(input.attempt, Attempt(1));
        let later = |after| TargetAnswer::Later {
            after,
            why: "503 Service Unavailable".into(),
        };
        let answer = match before {
            0..5 => later(Some(minutes(10))),
            5..10 => later(None),
            _ => TargetAnswer::Success,
        };
        (Duration::from_secs(1), answer)
    });
    let worker = start(&stage, &target);
    stage.schedule().await;
    stage.pass(minutes(1)).await;
    let row = stage.rows().await.into_values().next().unwrap();
    assert_eq!((row.status, row.attempt), (Status::Pending, Attempt(0)));
    assert_eq!(row.last_error.as_deref(), Some("503 Service Unavailable"));
    let first = &target.only()[0];
    assert_eq!(row.due_at, first.ended.unwrap().plus(minutes(10)));
    cron(&stage, minutes(90)).await;
    let report = worker.stop().await;
    assert_eq!((report.later, report.completed, report.failed), (10, 1, 0));
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_later_of_no_time_waits_a_second_so_that_one_event_does_not_spend_the_budget() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    let target = Actor::new(&stage, |_, _| {
        let later = TargetAnswer::Later {
            after: Some(Duration::ZERO),
            why: "busy".into(),
        };
        (Duration::ZERO, later)
    });
    let worker = start(&stage, &target);
    stage.schedule().await;
    stage.pass(minutes(1)).await;
    let row = stage.rows().await.into_values().next().unwrap();
    let ended = target.only()[0].ended.unwrap();
    assert_eq!(row.due_at, ended.plus(Duration::from_secs(1)));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_stopped_and_its_attempt_has_failed() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    let target = Actor::succeeding(&stage, minutes(60));
    let timeout = Duration::from_secs(90);
    let worker = start_with(
        &stage,
        &target,
        daybook_manager::worker::WorkerSettings {
            timeout,
            ..settings()
        },
    );
    stage.schedule().await;
    stage.pass(minutes(2)).await;
    let row = stage.rows().await.into_values().next().unwrap();
    assert_eq!((row.status, row.attempt), (Status::Pending, Attempt(1)));
    assert_eq!(row.last_error.as_deref(), Some("timed out after 90 s"));
    let run = &target.only()[0];
    assert_eq!(run.ended.unwrap().since(run.started), timeout);
    assert!(!run.answered);
    assert_eq!(worker.stop().await.failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_reason_keeps_its_start_and_its_end() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    let target = Actor::new(&stage, |_, _| {
        let why = format!("exit status 1: {} out of disk", "noise ".repeat(400));
        (Duration::from_secs(1), TargetAnswer::Failed { why })
    });
    let worker = start(&stage, &target);
    stage.schedule().await;
    stage.pass(Duration::from_secs(5)).await;
    let error = stage
        .rows()
        .await
        .into_values()
        .next()
        .unwrap()
        .last_error
        .unwrap();
    assert!(
        error.starts_with("exit status 1: noise") && error.ends_with("noise  out of disk"),
        "{error}"
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_copies_of_one_message_run_once() {
    let stage = stage().await;
    stage.record(&uploads(20)).await;
    stage.schedule().await;
    assert_eq!(stage.aws.sqs().duplicate(&stage.dispatch_queue, |_| true), 20);
    let target = Actor::succeeding(&stage, Duration::from_secs(30));
    let worker = start(&stage, &target);
    cron(&stage, minutes(10)).await;
    let report = worker.stop().await;
    assert_eq!((report.received, report.completed, report.dropped), (40, 20, 20));
    assert!(target.runs().values().all(|runs| runs.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn eight_workers_run_two_thousand_events_once_each_and_eight_at_a_time() {
    let stage = stage().await;
    for chunk in uploads(2000).chunks(500) {
        stage.record(chunk).await;
    }
    let target = Actor::new(&stage, |input, _| {
        let millis = u64::from(input.id.as_uuid().as_bytes()[3]) * 4;
        (Duration::from_millis(millis), TargetAnswer::Success)
    });
    let worker = start(&stage, &target);
    stage.schedule().await;
    cron(&stage, minutes(5)).await;
    let report = worker.stop().await;
    assert_eq!((report.received, report.completed), (2000, 2000), "{report:?}");
    let runs = target.runs();
    assert_eq!(runs.len(), 2000);
    assert!(runs.values().all(|runs| runs.len() == 1));
    assert_eq!(target.most_at_once(), 8);
    assert!(stage.rows().await.is_empty() && stage.dispatched().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fifo_queue_serves_workers_as_well() {
    let stage = stage_with(|options| options.fifo = true).await;
    stage.record(&uploads(50)).await;
    let target = Actor::succeeding(&stage, Duration::from_secs(2));
    let worker = start(&stage, &target);
    cron(&stage, minutes(5)).await;
    assert_eq!(worker.stop().await.completed, 50);
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_success_is_reported_once_the_ledger_answers_again_and_is_not_run_again() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    stage.schedule().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(5));
    let worker = start(&stage, &target);
    stage.pass(Duration::from_secs(3)).await;
    stage
        .wire
        .inject(|request| match request.service.starts_with("DynamoDB") {
            true => Fault::NotSent,
            false => Fault::None,
        });
    stage.pass(Duration::from_secs(100)).await;
    stage.wire.heal();
    cron(&stage, minutes(20)).await;
    assert_eq!(target.only().len(), 1);
    assert_eq!(worker.stop().await.completed, 1);
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_that_nobody_understands_stays_on_the_queue_and_holds_nobody_up() {
    let stage = stage_with(|options| options.queues.dispatch.max_receive_count = 10).await;
    stage.aws.sqs().send(&stage.dispatch_queue, "hello").unwrap();
    stage
        .aws
        .sqs()
        .send(&stage.dispatch_queue, r#"{"v":99}"#)
        .unwrap();
    stage.record(&uploads(5)).await;
    let target = Actor::succeeding(&stage, Duration::from_secs(1));
    let worker = start(&stage, &target);
    cron(&stage, minutes(3)).await;
    assert!(stage.rows().await.is_empty());
    cron(&stage, minutes(10)).await;
    let report = worker.stop().await;
    assert_eq!(report.completed, 5);
    assert_eq!(
        report.returned, 20,
        "each ten times, then the dead-letter queue has them"
    );
    let left = stage.aws.sqs().messages(&stage.dispatch_queue).unwrap();
    assert_eq!(left.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_costs_three_write_units_for_the_take_and_three_for_receipt_and_deletion() {
    let stage = stage().await;
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    stage.schedule().await;
    let before = stage.ledger.consumed();
    let target = Actor::succeeding(&stage, LEASE / 4);
    let worker = start(&stage, &target);
    stage.pass(LEASE).await;
    let used = stage.ledger.consumed() - before;
    assert_eq!((used.write_units, used.requests), (6.0, 3));
    worker.stop().await;
    let calls: BTreeMap<String, u64> = stage.wire.operations();
    assert_eq!(
        calls.get("ChangeMessageVisibility"),
        None,
        "a short run extends nothing"
    );
    assert_eq!(calls.get("DeleteMessage"), Some(&1));
}
