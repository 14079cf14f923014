//! Rows that are handed over by their own process and run together: who goes with whom, who waits, and what a death costs.

use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_manager::Batching;
use daybook_manager::worker::{DirectWorker, Handover, Target, TargetAnswer, WorkerSettings};
use daybook_reconciler::{recover, recover_stale};
use daybook_schema::{Attempt, Row, Status};
use daybook_tests::Stage;
use daybook_tests::notifications::{Upload, uploads};

use crate::acting::{LEASE, minutes, settings, stage, stage_with};
use crate::company::{Company, keyed, row_of};
use crate::handed::Process;

const SECOND: Duration = Duration::from_secs(1);

fn size(size: u32) -> Option<Batching> {
    within(Duration::ZERO, size)
}

fn within(window: Duration, size: u32) -> Option<Batching> {
    Batching::of(size, window).unwrap()
}

fn started(stage: &Stage, target: &Company, workers: u32, batching: Option<Batching>) -> Process {
    Process::start_with(stage, Arc::new(target.clone()), workers, batching)
}

fn sizes(target: &Company) -> Vec<usize> {
    target.keys().iter().map(Vec::len).collect()
}

#[tokio::test(start_paused = true)]
async fn what_arrives_together_is_one_call_and_its_id_is_no_token_of_a_row() {
    let stage = stage().await;
    let target = Company::succeeding(&stage, SECOND * 5);
    let process = started(&stage, &target, 4, size(100));
    let before = stage.ledger.consumed();
    process.ingest(&uploads(30)).await;
    stage.pass(SECOND).await;
    assert_eq!(sizes(&target), [30]);
    let batch = target.calls()[0].batch.unwrap();
    for row in stage.rows().await.values() {
        assert!(row.is_held() && row.batch.is_none() && row.claim_token != Some(batch.0));
    }
    stage.pass(SECOND * 10).await;
    assert!(stage.rows().await.is_empty());
    // As without batches.
    let used = stage.ledger.consumed() - before;
    assert_eq!(used.write_units, 5.0 * 30.0 + 1.0);
    process.ingest(&[Upload::new("late", 1, "e")]).await;
    stage.pass(SECOND).await;
    assert_ne!(target.calls()[1].batch, Some(batch));
    let report = process.stop().await;
    assert_eq!((report.received, report.completed, report.abandoned), (31, 31, 0));
}

#[tokio::test(start_paused = true)]
async fn no_call_has_more_than_the_size_and_what_waits_goes_when_a_worker_is_free() {
    let stage = stage().await;
    let target = Company::succeeding(&stage, SECOND);
    let process = started(&stage, &target, 1, size(10));
    process.ingest(&uploads(4)).await;
    stage.pass(Duration::from_millis(10)).await;
    process.ingest(&uploads(25)[4..]).await;
    for _ in 0..30 {
        process.schedule().await;
        stage.pass(Duration::from_millis(200)).await;
    }
    assert!(stage.rows().await.is_empty());
    let sizes = sizes(&target);
    assert_eq!(sizes.iter().sum::<usize>(), 25);
    assert!(
        sizes[0] == 4 && sizes.iter().all(|size| *size <= 10) && sizes.len() <= 4,
        "{sizes:?}"
    );
    target.assert_no_overlap();
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_waits_for_company_as_long_as_it_may_and_a_full_batch_does_not() {
    let stage = stage().await;
    let target = Company::succeeding(&stage, SECOND);
    let process = started(&stage, &target, 4, within(SECOND * 10, 5));
    let began = stage.now();
    process.ingest(&uploads(2)).await;
    stage.pass(SECOND * 4).await;
    process.ingest(&uploads(4)[2..]).await;
    stage.pass(SECOND * 5).await;
    assert!(target.calls().is_empty());
    stage.pass(SECOND * 2).await;
    assert_eq!(sizes(&target), [4]);
    assert_eq!(target.calls()[0].started.since(began), SECOND * 10);
    let full = stage.now();
    process.ingest(&uploads(9)[4..]).await;
    stage.pass(SECOND * 2).await;
    assert_eq!(sizes(&target), [4, 5]);
    assert_eq!(target.calls()[1].started, full, "nobody else can join it");
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_event_at_a_time_keeps_its_form() {
    let stage = stage().await;
    let target = Company::succeeding(&stage, SECOND);
    let process = started(&stage, &target, 4, size(1));
    process.ingest(&uploads(3)).await;
    stage.pass(SECOND * 3).await;
    assert_eq!(sizes(&target), [1, 1, 1]);
    assert!(target.calls().iter().all(|call| call.batch.is_none()));
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_input_of_a_call_stays_below_its_limit() {
    let stage = stage().await;
    let target = Company::new(&stage, |input| {
        assert!(input.to_json().len() <= 240_000, "{}", input.to_json().len());
        (SECOND, TargetAnswer::Success)
    });
    let process = started(&stage, &target, 4, size(100));
    // Each character takes six bytes of JSON.
    let key = |n: usize| format!("{n:03}{}", "\u{1}".repeat(1000));
    let large: Vec<Upload> = (0..90).map(|n| Upload::new(&key(n), 1, "e")).collect();
    for chunk in large.chunks(30) {
        process.ingest(chunk).await;
    }
    for _ in 0..20 {
        process.schedule().await;
        stage.pass(SECOND).await;
    }
    assert!(stage.rows().await.is_empty());
    let sizes = sizes(&target);
    assert_eq!(sizes.iter().sum::<usize>(), 90);
    assert!(sizes.iter().any(|size| *size > 10), "{sizes:?}");
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_listed_or_failed_in_company_runs_by_itself_and_the_poisonous_one_parks_alone() {
    for is_listed in [true, false] {
        let stage = stage_with(|options| options.dispatch.max_attempts = 1).await;
        let target = match is_listed {
            true => Company::listing(&stage, "bad"),
            false => Company::poisoned(&stage, "bad"),
        };
        let process = started(&stage, &target, 2, size(10));
        process.ingest(&keyed(&["a", "b", "bad", "c"])).await;
        for _ in 0..300 {
            process.schedule().await;
            stage.pass(SECOND).await;
        }
        let rows = stage.rows().await;
        assert_eq!(rows.len(), 1);
        let bad = row_of(&stage, "bad").await.unwrap();
        assert_eq!((bad.status, bad.alone), (Status::Parked, true));
        let (attempts, calls) = if is_listed { (1, 1) } else { (2, 5) };
        assert_eq!((bad.attempt, bad.max_attempts), (Attempt(attempts), attempts));
        assert_eq!(target.calls().len(), calls);
        assert!(
            target.calls().iter().all(|call| call.batch.is_some()),
            "the input has one form"
        );
        process.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_run_by_themselves_are_held_by_no_more_than_there_are_workers() {
    let stage = stage().await;
    stage.record(&uploads(60)).await;
    let rows = stage.rows().await.into_values();
    let rows: Vec<Row> = rows.map(|row| Row { deaths: 1, ..row }).collect();
    stage.put_rows(&rows);
    let target = Company::succeeding(&stage, minutes(1));
    let process = started(&stage, &target, 3, size(20));
    let before = stage.ledger.consumed();
    let mut most_held = 0;
    for _ in 0..400 {
        process.schedule().await;
        let rows = stage.rows().await.into_values();
        most_held = most_held.max(rows.filter(Row::is_held).count());
        stage.pass(SECOND * 5).await;
    }
    assert!(stage.rows().await.is_empty());
    assert!(sizes(&target).iter().all(|size| *size == 1));
    assert_eq!((sizes(&target).len(), most_held), (60, 3));
    // Claimed in vain, and given back: the first time as many as there seemed to be room for, and few after that.
    let used = (stage.ledger.consumed() - before).write_units;
    assert!(used < 60.0 * (3.0 + 3.0) * 2.5, "{used} write units");
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_ends_the_process_fails_attempts_and_its_companions_complete() {
    let stage = stage_with(|options| options.dispatch.max_attempts = 2).await;
    let target = Company::new(&stage, |input| {
        let kills = input.events().iter().any(|event| event.key.as_str() == "kills");
        (if kills { minutes(600) } else { SECOND }, TargetAnswer::Success)
    });
    let retry = RetryPolicy::default();
    let mut process = started(&stage, &target, 2, size(10));
    let mut companions: Vec<String> = (0..20).map(|n| format!("k{n:02}")).collect();
    companions.insert(5, "kills".into());
    let keys: Vec<&str> = companions.iter().map(String::as_str).collect();
    process.ingest(&keyed(&keys)).await;
    let mut deaths = 0;
    for _ in 0..3000 {
        stage.pass(SECOND * 2).await;
        if target.is_running("kills") {
            process.kill().await;
            deaths += 1;
            recover(&stage.ledger, &retry, None, stage.deadline()).await;
            process = started(&stage, &target, 2, size(10));
        }
        process.schedule().await;
        let rows = stage.rows().await;
        if rows.values().all(|row| row.status == Status::Parked) {
            break;
        }
        for row in rows
            .values()
            .filter(|row| row.event().unwrap().key.as_str() != "kills")
        {
            assert!(
                row.attempt <= Attempt(1) && row.last_error.as_deref() != Some("no"),
                "{row:?}"
            );
        }
    }
    let rows = stage.rows().await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(row_of(&stage, "kills").await.unwrap().status, Status::Parked);
    assert_eq!(deaths, 8, "four ends of the process in each attempt");
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn leases_are_held_while_rows_wait_for_company_and_while_they_run() {
    let stage = stage().await;
    let target = Company::succeeding(&stage, LEASE * 2);
    let process = started(&stage, &target, 1, within(LEASE * 2, 10));
    process.ingest(&uploads(3)).await;
    for _ in 0..39 {
        stage.pass(LEASE / 10).await;
        let running = process.worker.running();
        assert_eq!(running.len(), 3);
        let retry = RetryPolicy::default();
        let report = recover_stale(&stage.ledger, &retry, &Default::default(), stage.deadline()).await;
        assert_eq!(report.put_back, 0, "no lease is over");
    }
    stage.pass(LEASE).await;
    assert_eq!(sizes(&target), [3]);
    assert!(stage.rows().await.is_empty());
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_lease_is_lost_while_it_waits_is_left_out() {
    let stage = stage().await;
    let target = Company::succeeding(&stage, SECOND);
    let process = started(&stage, &target, 1, within(LEASE * 2, 10));
    process.ingest(&keyed(&["a", "taken", "b"])).await;
    stage.pass(SECOND).await;
    let taken = Row {
        claim_token: Some(uuid::Uuid::from_u128(7)),
        due_at: stage.now().plus(LEASE * 10),
        ..row_of(&stage, "taken").await.unwrap()
    };
    stage.put_rows([&taken]);
    stage.pass(LEASE * 3).await;
    assert_eq!(target.keys(), [["a", "b"]]);
    assert_eq!(stage.rows().await.into_values().collect::<Vec<_>>(), [taken]);
    let report = process.stop().await;
    assert_eq!((report.completed, report.lost, report.abandoned), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_puts_back_what_waits_for_company_and_lets_the_call_finish() {
    let stage = stage().await;
    let target = Company::succeeding(&stage, SECOND * 10);
    let process = started(&stage, &target, 1, within(SECOND * 5, 10));
    process.ingest(&uploads(2)).await;
    stage.pass(SECOND * 6).await;
    process.ingest(&uploads(5)[2..]).await;
    stage.pass(SECOND).await;
    let report = process.stop().await;
    assert_eq!((report.completed, report.stopped, report.abandoned), (2, 3, 0));
    assert_eq!(sizes(&target), [2]);
    for row in stage.rows().await.values() {
        assert_eq!(
            (row.status, row.attempt, row.alone),
            (Status::Pending, Attempt(0), false)
        );
        assert_eq!(row.deaths, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_s_rows_run_by_themselves_and_no_attempt_is_used() {
    let stage = stage().await;
    let target = Company::succeeding(&stage, minutes(5));
    let process = started(&stage, &target, 2, size(10));
    process.ingest(&uploads(4)).await;
    stage.pass(minutes(1)).await;
    process.kill().await;
    recover(&stage.ledger, &RetryPolicy::default(), None, stage.deadline()).await;
    let target = Company::succeeding(&stage, SECOND);
    let process = started(&stage, &target, 2, size(10));
    for _ in 0..20 {
        process.schedule().await;
        stage.pass(SECOND).await;
    }
    assert!(stage.rows().await.is_empty());
    assert_eq!(sizes(&target), [1; 4]);
    let report = process.stop().await;
    assert_eq!((report.completed, report.failed), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn there_are_places_for_a_batch_of_each_worker_and_never_more_than_may_be_in_flight() {
    let stage = stage().await;
    for (workers, most, batch, expected) in [
        (4, 800, 100, 400),
        (4, 10, 100, 8),
        (4, 3, 100, 3),
        (1, 1, 100, 1),
        (4, 100, 1, 4),
    ] {
        let (handover, _handed) = Handover::new(workers, most, size(batch), stage.clock.clone());
        let places = handover.reserve(1000);
        assert_eq!(places.count(), expected, "{workers} {most} {batch}");
        assert_eq!(handover.reserve(1).count(), 0);
        drop(places);
        assert_eq!(handover.reserve(1000).count(), expected);
    }
}

/// One that must not be left out: the rows of a call that is dropped in the middle keep no place.
#[tokio::test(start_paused = true)]
async fn a_worker_that_is_dropped_gives_its_places_back() {
    let stage = stage().await;
    let target = Company::succeeding(&stage, minutes(5));
    let (handover, handed) = Handover::new(2, 20, size(10), stage.clock.clone());
    let settings = WorkerSettings {
        workers: 2,
        ..settings()
    };
    let target: Arc<dyn Target> = Arc::new(target);
    let worker = DirectWorker::new(stage.ledger.clone(), target, settings);
    let outlet = daybook_manager::Outlet::Workers(handover.clone());
    let dispatch = stage.options.dispatch.clone();
    stage.record(&uploads(15)).await;
    let scheduler = daybook_manager::Scheduler::new(stage.ledger.clone(), outlet, dispatch);
    let runs = async {
        let run = scheduler.run(stage.window(), stage.deadline()).await;
        assert_eq!(run.unwrap().sent, 15);
        assert_eq!(handover.reserve(100).count(), 5);
        stage.pass(minutes(1)).await;
    };
    tokio::select! {
        _ = worker.run(handed, std::future::pending()) => unreachable!(),
        () = runs => {}
    }
    assert!(worker.running().is_empty());
}
