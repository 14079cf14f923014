//! Batches while they are held: leases and the message, what is lost, what deaths cost, and drains.

use std::time::Duration;

use daybook_manager::worker::TargetAnswer;
use daybook_schema::Status;
use daybook_tests::{Fault, Stage};

use crate::acting::{LEASE, minutes, settings, stage, stage_with};
use crate::batches::{change, told};
use crate::company::{Company, dispatch, queued, row_of, sent, start};

const WRITE: &str = "BatchExecuteStatement";
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn leases_and_message_are_held_through_a_run_three_leases_long() {
    let stage = stage().await;
    sent(&stage, &["a", "b", "c"]).await;
    change(&stage, "c", |row| row.alone = true).await;
    let target = Company::succeeding(&stage, LEASE * 3);
    let workers = [
        start(&stage, &target, settings()),
        start(&stage, &target, settings()),
    ];
    for _ in 0..62 {
        stage.pass(LEASE / 10).await;
        let running: Vec<_> = target
            .calls()
            .into_iter()
            .filter(|call| call.ended.is_none())
            .collect();
        for key in running.iter().flat_map(|call| &call.keys) {
            assert!(row_of(&stage, key).await.unwrap().due_at > stage.now(), "{key}");
        }
        assert!(stage.aws.sqs().depth(&stage.dispatch_queue).unwrap().visible == 0);
    }
    stage.pass(minutes(1)).await;
    assert_eq!(target.keys(), [vec!["a", "b"], vec!["c"]]);
    assert!(stage.rows().await.is_empty());
    let mut received = 0;
    for worker in workers {
        received += worker.stop().await.received;
    }
    assert_eq!(received, 1, "the message was seen once");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_ends_the_run_of_all_and_the_others_are_put_back() {
    let stage = stage().await;
    sent(&stage, &["a", "b", "lost"]).await;
    let id = row_of(&stage, "lost").await.unwrap().id.to_string();
    let target = Company::new(&stage, |input| match input.events().len() {
        1 => (SECOND, TargetAnswer::Success),
        _ => (LEASE * 4, TargetAnswer::Success),
    });
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND).await;
    let taken = stage.now();
    stage
        .wire
        .inject(move |request| match request.body.to_string().contains(&id) {
            true if request.operation == WRITE => Fault::Throttled,
            _ => Fault::None,
        });
    stage.pass(LEASE - SECOND).await;
    let call = &target.calls()[0];
    assert!(
        call.ended.unwrap().since(taken) < LEASE,
        "it stops before the lease is over"
    );
    for key in ["a", "b"] {
        assert_eq!(
            told(row_of(&stage, key).await),
            (Status::Pending, 0, 5, false),
            "{key}"
        );
    }
    assert!(row_of(&stage, "lost").await.unwrap().is_held());
    assert_eq!(queued(&stage), 1, "the message is not done with");
    stage.wire.heal();
    stage.pass(LEASE).await;
    assert_eq!(
        target.keys().last().unwrap(),
        &["lost"],
        "by itself, when its lease was over"
    );
    assert_eq!(queued(&stage), 0);
    dispatch(&stage, 100).await;
    stage.pass(LEASE).await;
    let report = worker.stop().await;
    assert_eq!((report.lost, report.stopped), (1, 2 + 2));
    target.assert_no_overlap();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_there_twice_runs_each_row_once() {
    for seed in 0..8 {
        let stage = stage().await;
        stage.wire.with_latency(seed);
        sent(&stage, &["a", "b", "c", "d"]).await;
        change(&stage, "d", |row| row.alone = true).await;
        stage.aws.sqs().duplicate(&stage.dispatch_queue, |_| true);
        let target = Company::succeeding(&stage, minutes(1));
        let workers = [
            start(&stage, &target, settings()),
            start(&stage, &target, settings()),
        ];
        stage.pass(minutes(10)).await;
        let mut keys = target.keys().concat();
        keys.sort();
        assert_eq!(keys, ["a", "b", "c", "d"], "seed {seed}");
        assert!(stage.rows().await.is_empty());
        assert_eq!(queued(&stage), 0);
        for worker in workers {
            worker.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_leaves_its_rows_to_runs_by_themselves_and_no_attempt_is_used() {
    let stage = stage().await;
    sent(&stage, &["a", "b", "c"]).await;
    let target = Company::succeeding(&stage, minutes(4));
    let worker = start(&stage, &target, settings());
    stage.pass(minutes(1)).await;
    worker.kill().await;
    let worker = start(&stage, &target, settings());
    stage.pass(LEASE * 5).await;
    let mut again = target.keys().split_off(1);
    again.sort();
    assert_eq!(again, [["a"], ["b"], ["c"]]);
    assert!(stage.rows().await.is_empty());
    assert_eq!(queued(&stage), 0);
    let report = worker.stop().await;
    assert_eq!((report.completed, report.failed), (3, 0));
    target.assert_no_overlap();
}

/// The queue's workers die whenever they run that key; how often.
async fn killed_by(stage: &Stage, target: &Company, key: &str, until: impl AsyncFn() -> bool) -> u32 {
    let mut deaths = 0;
    let mut worker = start(stage, target, settings());
    for _ in 0..4000 {
        if until().await {
            worker.kill().await;
            return deaths;
        }
        stage.pass(SECOND * 10).await;
        dispatch(stage, 100).await;
        if target.is_running(key) {
            deaths += 1;
            worker.kill().await;
            worker = start(stage, target, settings());
        }
    }
    panic!("it does not end: {:?}", stage.rows().await);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_ends_every_process_parks_by_itself_and_its_companions_complete() {
    let stage = stage_with(|options| options.dispatch.max_attempts = 2).await;
    sent(&stage, &["a", "b", "c", "d", "e", "kills"]).await;
    let target = Company::new(&stage, |input| {
        let kills = input.events().iter().any(|event| event.key.as_str() == "kills");
        let takes = if kills { minutes(600) } else { SECOND };
        (takes, TargetAnswer::Success)
    });
    let parked = async || {
        let rows = stage.rows().await;
        rows.len() == 1 && rows.values().all(|row| row.status == Status::Parked)
    };
    let deaths = killed_by(&stage, &target, "kills", parked).await;
    let parked = told(row_of(&stage, "kills").await);
    assert_eq!(
        parked,
        (Status::Parked, 2, 2, true),
        "it does not go into company again"
    );
    assert_eq!(deaths, 6, "three in each attempt");
    for key in ["a", "b", "c", "d", "e"] {
        let runs = target
            .keys()
            .into_iter()
            .filter(|keys| keys.contains(&key.to_owned()));
        assert_eq!(runs.count(), 2, "{key}: the one that ended, and one by itself");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_done_by_the_time_its_worker_died_is_not_run_again() {
    let stage = stage().await;
    sent(&stage, &["a", "b"]).await;
    // The receipts are written, and the answers to the deletions never come.
    stage.wire.inject(|request| {
        let deletes = request.body.to_string().contains("DELETE FROM");
        match request.operation == WRITE && deletes {
            true => Fault::Hang,
            false => Fault::None,
        }
    });
    let target = Company::succeeding(&stage, SECOND);
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND * 3).await;
    worker.kill().await;
    stage.wire.heal();
    assert_eq!(stage.rows().await.len(), 2);
    let worker = start(&stage, &target, settings());
    stage.pass(LEASE * 2).await;
    assert_eq!(target.keys(), [["a", "b"]]);
    assert!(stage.rows().await.is_empty());
    assert_eq!(queued(&stage), 0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_the_run_that_lasts_and_gives_back_those_that_were_to_follow() {
    let stage = stage().await;
    sent(&stage, &["a", "b", "alone"]).await;
    change(&stage, "alone", |row| row.alone = true).await;
    let target = Company::succeeding(&stage, SECOND * 10);
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND).await;
    let report = worker.stop().await;
    assert_eq!((report.completed, report.returned, report.abandoned), (2, 1, 0));
    assert_eq!(target.keys(), [["a", "b"]]);
    let depth = stage.aws.sqs().depth(&stage.dispatch_queue).unwrap();
    assert_eq!(depth.visible, 1, "for another worker, at once");
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND * 15).await;
    assert!(stage.rows().await.is_empty());
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_outlasts_the_grace_puts_all_of_its_rows_back() {
    let stage = stage().await;
    sent(&stage, &["a", "b"]).await;
    let target = Company::succeeding(&stage, minutes(60));
    let worker = start(&stage, &target, settings());
    stage.pass(SECOND).await;
    let report = worker.stop().await;
    assert_eq!((report.stopped, report.abandoned), (2, 0));
    for key in ["a", "b"] {
        assert_eq!(told(row_of(&stage, key).await), (Status::Pending, 0, 5, false));
    }
    assert_eq!(queued(&stage), 0);
}

#[tokio::test(start_paused = true)]
async fn leases_are_long_when_a_run_begins_after_slow_takes() {
    let stage = stage().await;
    let keys: Vec<String> = (0..60).map(|n| format!("k{n:02}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    sent(&stage, &keys).await;
    stage.wire.inject(|request| match request.operation == WRITE {
        true => Fault::Slow(Duration::from_secs(4)),
        false => Fault::None,
    });
    let target = Company::succeeding(&stage, SECOND);
    let worker = start(&stage, &target, settings());
    while target.calls().is_empty() {
        stage.pass(SECOND).await;
    }
    for row in stage.rows().await.values().filter(|row| row.is_held()) {
        assert!(row.due_at.since(stage.now()) >= LEASE * 2 / 3, "{row:?}");
    }
    stage.wire.heal();
    stage.pass(LEASE * 2).await;
    assert!(stage.rows().await.is_empty());
    worker.stop().await;
}
