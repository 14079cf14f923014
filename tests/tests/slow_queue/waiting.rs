//! Messages that wait, and messages that are gone.

use std::time::Duration;

use daybook_manager::Dispatch;
use daybook_schema::{Attempt, Status};
use daybook_tests::notifications::uploads;
use daybook_tests::{Stage, StageOptions};

use crate::{one_dispatched, the_row};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn messages_that_wait_three_leases_are_not_copied_and_use_no_attempt() {
    let stage = Stage::usual().await;
    stage.record(&uploads(40)).await;
    assert_eq!(stage.schedule().await.sent, 40);
    let lease = stage.options.dispatch.lease;
    let reports = stage.sweep_for(lease * 3).await;
    let moved: u32 = reports.iter().map(|report| report.moved).sum();
    assert_eq!(moved, 40 * 3, "each lease was moved on each time it ended");
    assert!(
        reports
            .iter()
            .all(|report| report.redelivered == 0 && report.failures.is_empty())
    );
    assert_eq!(stage.dispatched().len(), 40, "no copy");
    for row in stage.rows().await.values() {
        assert_eq!(
            (row.status, row.attempt, row.deliveries),
            (Status::Claimed, Attempt(1), 1)
        );
    }
    // The queue gets going: every object runs once.
    stage.invoke_all().await;
    assert_eq!(stage.succeed_running(), 40);
    stage.complete_all().await;
    assert!(stage.rows().await.is_empty());
    assert_eq!(stage.execution_names().len(), 40);
}

/// How many messages one row may have in a queue that nobody receives from for that long: the first one; after the claim's
/// lease and three moves of it a copy; then one whenever the doubled lease of the last copy ends.
fn most_messages(lease: Duration, stuck: Duration) -> usize {
    let longest = Duration::from_secs(6 * 3600);
    let (mut at, mut deliveries) = (lease * 4, 1);
    while at < stuck {
        at += (lease * 2u32.pow(deliveries)).min(longest);
        deliveries += 1;
    }
    deliveries as usize
}

#[tokio::test(start_paused = true)]
async fn in_a_queue_that_is_stuck_for_a_day_copies_stay_bounded() {
    let stage = Stage::usual().await;
    let (rows, day) = (10, Duration::from_secs(24 * 3600));
    stage.record(&uploads(rows)).await;
    stage.schedule().await;
    stage.sweep_every(MINUTE * 5, day).await;
    let most = most_messages(stage.options.dispatch.lease, day);
    assert_eq!(
        most, 8,
        "1 h, 1.5 h, 2.5 h, 4.5 h, 8.5 h, 14.5 h and 20.5 h after the first one"
    );
    let messages = stage.dispatched();
    for row in stage.rows().await.values() {
        let copies = messages
            .iter()
            .filter(|message| message.input.id == row.id)
            .count();
        assert!((2..=most).contains(&copies), "{copies} messages of one row");
        assert_eq!((row.attempt, row.deliveries as usize), (Attempt(1), copies));
    }
    // All of these are one execution each in the end.
    stage.invoke_all().await;
    assert_eq!(stage.execution_names().len(), rows);
    stage.succeed_running();
    stage.complete_all().await;
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_purged_queue_is_filled_again_within_the_budget_and_no_attempt_is_used() {
    let options = StageOptions {
        dispatch: Dispatch {
            per_window: 20,
            ..Dispatch::default()
        },
        ..StageOptions::default()
    };
    let stage = Stage::new(options).await;
    stage.record(&uploads(70)).await;
    for _ in 0..3 {
        assert_eq!(stage.schedule().await.sent, 20);
        stage.pass(MINUTE).await;
    }
    assert_eq!(
        stage
            .aws
            .sqs()
            .purge(&stage.dispatch_queue)
            .unwrap()
            .never_received,
        60
    );
    stage.pass(stage.options.dispatch.lease).await;
    let mut redelivered = 0;
    // Some leases move on meanwhile, because the first window's ten messages might be theirs: one lease later they are due.
    for window in 0..20 {
        // Both want to send in every window, and the sweep's rows are older.
        let scheduled = stage.schedule().await;
        let swept = stage.sweep().await;
        assert!(scheduled.sent + swept.redelivered <= 20, "window {window}");
        redelivered += swept.redelivered;
        stage.invoke_all().await;
        stage.pass(MINUTE).await;
    }
    assert_eq!(redelivered, 60);
    assert_eq!(stage.execution_names().len(), 70, "one for each object");
    let rows = stage.rows().await;
    assert!(
        rows.values()
            .all(|row| (row.status, row.attempt) == (Status::Claimed, Attempt(1)))
    );
    stage.succeed_running();
    stage.complete_all().await;
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_lost_message_behind_a_deep_queue_is_redelivered_after_three_moves() {
    let (stage, body) = one_dispatched().await;
    stage
        .aws
        .sqs()
        .lose(&stage.dispatch_queue, |message| message.body == body);
    // Others keep the queue deep all the time.
    for n in 0..50 {
        stage
            .aws
            .sqs()
            .send(&stage.dispatch_queue, &format!("other {n}"))
            .unwrap();
    }
    let lease = stage.options.dispatch.lease;
    let reports = stage.sweep_for(lease * 4 - MINUTE).await;
    assert_eq!(
        reports
            .iter()
            .map(|report| (report.moved, report.redelivered))
            .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (3, 0)
    );
    let reports = stage.sweep_for(MINUTE * 2).await;
    assert_eq!(reports.iter().map(|report| report.redelivered).sum::<u32>(), 1);
    assert_eq!(the_row(&stage).await.deliveries, 2);
}

#[tokio::test(start_paused = true)]
async fn of_many_messages_only_the_lost_ones_are_sent_again() {
    let stage = Stage::usual().await;
    stage.record(&uploads(30)).await;
    stage.schedule().await;
    let mut nth = 0;
    let lost = stage.aws.sqs().lose(&stage.dispatch_queue, |_| {
        nth += 1;
        nth % 3 == 0
    });
    assert_eq!(lost, 10);
    stage.pass(stage.options.dispatch.lease).await;
    let swept = stage.sweep().await;
    assert_eq!((swept.stale, swept.redelivered, swept.moved), (30, 10, 20));
}
