//! What a run of the scheduler reads for the runs after it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_manager::{ScheduleReport, Scheduler};
use daybook_schema::Attempt;
use daybook_tests::notifications::uploads;
use daybook_tests::{Fault, Request, Stage, StageOptions};

use crate::acting::{Actor, minutes, stage};
use crate::asking::watched;
use crate::handed::Process;

/// One look through the index.
const LOOK: usize = 16;

const RUN: Duration = Duration::from_millis(100);

/// A process with two workers, and the index queries that are made; sixty events are due.
async fn beginning(
    policy: impl FnMut(&Request) -> Fault + Send + 'static,
) -> (Stage, Actor, Process, Arc<Mutex<Vec<i64>>>) {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, RUN);
    let process = Process::start(&stage, &target, 2);
    stage.record(&uploads(60)).await;
    stage.pass(Duration::from_millis(1)).await;
    let queries = watched(&stage, "Query", policy);
    (stage, target, process, queries)
}

async fn run(stage: &Stage, scheduler: &Scheduler) -> ScheduleReport {
    scheduler.run(stage.window(), stage.deadline()).await.unwrap()
}

/// Until all is done: each event had its one attempt.
async fn all_run_once(stage: &Stage, scheduler: &Scheduler, target: &Actor) {
    for _ in 0..60 {
        stage.pass(2 * RUN).await;
        run(stage, scheduler).await;
    }
    assert!(stage.rows().await.is_empty());
    let runs = target.runs();
    assert_eq!(runs.len(), 60);
    assert!(runs.values().all(|runs| runs.len() == 1), "{runs:?}");
}

#[tokio::test(start_paused = true)]
async fn the_next_rows_are_claimed_without_a_look_through_the_index_for_a_second() {
    let (stage, target, process, queries) = beginning(|_| Fault::None).await;
    let scheduler = process.scheduler();
    let asked = || queries.lock().unwrap().len();
    let mut sent = 0;
    for round in 1..4 {
        let report = run(&stage, &scheduler).await;
        assert!(report.sent > 0 && report.left_behind, "run {round}: {report:?}");
        assert_eq!((report.lost, asked()), (0, LOOK), "run {round}");
        stage.pass(2 * RUN).await;
        sent += report.sent as usize;
        assert_eq!(target.runs().len(), sent);
    }
    stage.pass(Duration::from_secs(1)).await;
    assert!(run(&stage, &scheduler).await.sent > 0);
    assert_eq!(asked(), 2 * LOOK, "what was read is too old");
    all_run_once(&stage, &scheduler, &target).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rows_that_others_took_after_they_were_read_are_replaced_by_the_next() {
    let (stage, target, process, queries) = beginning(|_| Fault::None).await;
    let (scheduler, other) = (process.scheduler(), process.scheduler());
    let first = run(&stage, &scheduler).await.sent;
    stage.pass(2 * RUN).await;
    let taken = run(&stage, &other).await.sent;
    assert!(first > 0 && taken > 0);
    stage.pass(2 * RUN).await;
    let report = run(&stage, &scheduler).await;
    assert_eq!(report.lost, taken);
    assert_eq!(
        report.sent, report.granted,
        "others took their places: {report:?}"
    );
    assert_eq!(queries.lock().unwrap().len(), 2 * LOOK, "one look of each");
    stage.pass(2 * RUN).await;
    assert_eq!(target.runs().len() as u32, first + taken + report.sent);
    all_run_once(&stage, &scheduler, &target).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_look_that_left_out_a_shard_is_not_kept() {
    let mut queries = 0;
    let first = move |request: &Request| {
        queries += usize::from(request.operation == "Query");
        match request.operation == "Query" && queries == 1 {
            true => Fault::Invalid,
            false => Fault::None,
        }
    };
    let (stage, target, process, queries) = beginning(first).await;
    let scheduler = process.scheduler();
    let report = run(&stage, &scheduler).await;
    assert_eq!((report.failures.len(), report.oldest_due_seconds), (1, None));
    stage.pass(2 * RUN).await;
    run(&stage, &scheduler).await;
    assert_eq!(queries.lock().unwrap().len(), 2 * LOOK);
    all_run_once(&stage, &scheduler, &target).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rows_read_ahead_that_the_window_has_no_room_for_are_the_first_of_the_next() {
    let stage = stage().await;
    let mut dispatch = stage.options.dispatch.clone();
    dispatch.per_window = 3;
    let stage = Stage::new(StageOptions {
        dispatch,
        ..stage.options.clone()
    })
    .await;
    let target = Actor::succeeding(&stage, RUN);
    let process = Process::start(&stage, &target, 2);
    stage.record(&uploads(10)).await;
    stage.pass(Duration::from_millis(1)).await;
    let scheduler = process.scheduler();
    let mut sent = BTreeSet::new();
    for (window, expected) in [(0, 2), (0, 1), (0, 0), (1, 2), (1, 1), (1, 0)] {
        let report = run(&stage, &scheduler).await;
        assert_eq!(report.sent, expected, "window {window}: {report:?}");
        stage.pass(2 * RUN).await;
        sent.extend(target.runs().into_keys());
        if expected == 0 {
            stage.pass(minutes(1)).await;
        }
    }
    assert_eq!(sent.len(), 6);
    let rows = stage.rows().await;
    assert!(
        rows.len() == 4 && rows.values().all(|row| row.attempt == Attempt(0)),
        "{rows:?}"
    );
    process.stop().await;
}
