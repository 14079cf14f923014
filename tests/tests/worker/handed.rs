//! Workers that are handed rows by their own process: no queue, no take, and what the ends of a process cost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_manager::worker::{DirectWorker, Handover, Target, WorkerReport, WorkerSettings};
use daybook_manager::{Batching, Immediate, Ingest, Outlet, Payload, Scheduler};
use daybook_reconciler::{recover, recover_stale};
use daybook_schema::notification::Reading;
use daybook_schema::{Attempt, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::{Fault, Stage};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::acting::{Actor, LEASE, minutes, settings, stage};

/// One process: ingest, scheduler and workers.
pub struct Process {
    stage: Stage,
    outlet: Outlet,
    pub worker: DirectWorker,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<WorkerReport>,
}

impl Process {
    pub fn start(stage: &Stage, target: &Actor, workers: u32) -> Self {
        Self::start_with(stage, Arc::new(target.clone()), workers, None)
    }

    pub fn start_with(
        stage: &Stage,
        target: Arc<dyn Target>,
        workers: u32,
        batching: Option<Batching>,
    ) -> Self {
        let settings = WorkerSettings {
            workers: workers as usize,
            ..settings()
        };
        let most = 25 * workers;
        let (handover, handed) = Handover::new(workers, most, batching, stage.clock.clone());
        let worker = DirectWorker::new(stage.ledger.clone(), target, settings);
        let (stop, stopped) = oneshot::channel::<()>();
        let runs = worker.clone();
        let running = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            runs.run(handed, stopped).await
        });
        Self {
            stage: stage.clone(),
            outlet: Outlet::Workers(handover),
            worker,
            stop: Some(stop),
            running,
        }
    }

    pub async fn ingest(&self, uploads: &[Upload]) {
        let dispatch = self.stage.options.dispatch.clone();
        let ingest = Ingest::new(
            self.stage.ledger.clone(),
            Reading::default(),
            dispatch.max_attempts,
        );
        let ingest = ingest.dispatching(Immediate::new(dispatch, self.outlet.clone()));
        let payload = |upload: &Upload| Payload {
            body: upload.notification(),
            ..Payload::default()
        };
        let payloads: Vec<Payload> = uploads.iter().map(payload).collect();
        for ingested in ingest.ingest(&payloads, self.stage.deadline()).await {
            assert!(ingested.is_safe(), "{ingested:?}");
        }
    }

    pub fn scheduler(&self) -> Scheduler {
        let (ledger, dispatch) = (self.stage.ledger.clone(), self.stage.options.dispatch.clone());
        Scheduler::new(ledger, self.outlet.clone(), dispatch)
    }

    pub async fn schedule(&self) -> u32 {
        let scheduler = self.scheduler();
        let run = scheduler.run(self.stage.window(), self.stage.deadline()).await;
        run.unwrap().sent
    }

    pub async fn stop(mut self) -> WorkerReport {
        let _ = self.stop.take().unwrap().send(());
        self.running.await.unwrap()
    }

    /// As kill -9 does.
    pub async fn kill(self) {
        self.running.abort();
        let _ = self.running.await;
    }
}

async fn in_status(stage: &Stage, status: Status) -> usize {
    let rows = stage.rows().await;
    rows.values().filter(|row| row.status == status).count()
}

#[tokio::test(start_paused = true)]
async fn what_arrives_runs_at_once_and_costs_five_write_units_and_one_for_the_grant() {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(5));
    let process = Process::start(&stage, &target, 8);
    let (before, asked) = (stage.ledger.consumed(), stage.now());
    process.ingest(&uploads(4)).await;
    stage.pass(Duration::from_secs(1)).await;
    let runs = target.runs();
    assert_eq!(runs.len(), 4);
    assert!(runs.values().all(|runs| runs[0].started == asked), "{runs:?}");
    let rows = stage.rows().await;
    assert!(
        rows.values()
            .all(|row| row.is_held() && row.attempt == Attempt(1))
    );
    stage.pass(Duration::from_secs(10)).await;
    assert!(stage.rows().await.is_empty());
    let used = stage.ledger.consumed() - before;
    assert_eq!(used.write_units, 5.0 * 4.0 + 1.0);
    assert!(stage.dispatched().is_empty(), "the queue is not used");
    let report = process.stop().await;
    assert_eq!((report.received, report.completed), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn of_long_runs_no_row_is_claimed_that_has_no_worker() {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, minutes(10));
    let process = Process::start(&stage, &target, 3);
    process.ingest(&uploads(5)).await;
    process.ingest(&uploads(9)[5..]).await;
    assert_eq!(process.schedule().await, 0);
    assert_eq!(in_status(&stage, Status::Claimed).await, 3);
    stage.pass(minutes(11)).await;
    assert_eq!(process.schedule().await, 3, "as they end");
    assert_eq!(target.most_at_once(), 3);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn while_runs_are_short_some_rows_wait_and_no_run_exceeds_the_workers() {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, Duration::from_millis(10));
    let process = Process::start(&stage, &target, 2);
    let mut most_claimed = 0;
    process.ingest(&uploads(40)).await;
    for _ in 0..200 {
        process.schedule().await;
        most_claimed = most_claimed.max(in_status(&stage, Status::Claimed).await);
        stage.pass(Duration::from_millis(10)).await;
    }
    assert!(stage.rows().await.is_empty());
    assert!(
        (3..=50).contains(&most_claimed),
        "{most_claimed} were claimed at once"
    );
    assert_eq!(target.most_at_once(), 2);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_next_run_begins_while_what_came_of_the_last_is_reported() {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, Duration::from_millis(10));
    let process = Process::start(&stage, &target, 1);
    let uploads = uploads(5);
    // Short runs make places, in which rows wait.
    for upload in &uploads[..3] {
        process.ingest(std::slice::from_ref(upload)).await;
        stage.pass(Duration::from_millis(20)).await;
    }
    assert!(stage.rows().await.is_empty());
    stage
        .wire
        .inject_next("PutItem", [Fault::Slow(Duration::from_secs(2))]);
    process.ingest(&uploads[3..]).await;
    stage.pass(Duration::from_millis(100)).await;
    assert_eq!(
        target.runs().len(),
        5,
        "the receipt of the fourth is not there yet"
    );
    assert_eq!(target.most_at_once(), 1);
    stage.pass(Duration::from_secs(3)).await;
    assert!(stage.rows().await.is_empty());
    assert_eq!(process.stop().await.completed, 5);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_held_through_runs_that_take_longer() {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, LEASE * 4);
    let process = Process::start(&stage, &target, 2);
    process.ingest(&uploads(2)).await;
    for _ in 0..40 {
        stage.pass(LEASE / 10).await;
        let retry = RetryPolicy::default();
        let running = process.worker.running();
        let report = recover_stale(&stage.ledger, &retry, &running, stage.deadline()).await;
        assert_eq!(report.put_back, 0);
    }
    stage.pass(LEASE).await;
    assert!(stage.rows().await.is_empty());
    assert!(target.runs().values().all(|runs| runs.len() == 1));
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_what_runs_finish_and_puts_back_what_comes() {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(15));
    let process = Process::start(&stage, &target, 2);
    process.ingest(&uploads(2)).await;
    let outlet = process.outlet.clone();
    let asked = stage.now();
    let (report, ()) = tokio::join!(process.stop(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(outlet.reserve(5).count(), 0, "nothing more is taken");
    });
    assert_eq!((report.completed, report.stopped, report.abandoned), (2, 0, 0));
    assert_eq!(stage.now().since(asked).as_secs(), 15);
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_outlasts_the_grace_is_stopped_and_no_attempt_is_used() {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, minutes(60));
    let process = Process::start(&stage, &target, 2);
    process.ingest(&uploads(2)).await;
    let report = process.stop().await;
    assert_eq!((report.stopped, report.abandoned), (2, 0));
    for row in stage.rows().await.values() {
        assert_eq!((row.status, row.attempt), (Status::Pending, Attempt(0)));
        assert_eq!((row.deaths, &row.last_error), (0, &None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_loses_nothing_and_its_rows_are_put_back_with_a_death_each() {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, minutes(10));
    let process = Process::start(&stage, &target, 2);
    process.ingest(&uploads(3)).await;
    stage.pass(minutes(1)).await;
    process.kill().await;
    let retry = RetryPolicy::default();
    let report = recover(&stage.ledger, &retry, None, stage.deadline()).await;
    assert_eq!(report.put_back, 2);
    let deaths: u32 = stage.rows().await.values().map(|row| row.deaths).sum();
    assert_eq!(deaths, 2);

    let target = Actor::succeeding(&stage, Duration::from_secs(1));
    let process = Process::start(&stage, &target, 2);
    for _ in 0..10 {
        process.schedule().await;
        stage.pass(Duration::from_secs(2)).await;
    }
    assert!(stage.rows().await.is_empty());
    assert_eq!(process.stop().await.completed, 3);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_nobody_was_told_of_is_put_back_when_its_lease_is_over() {
    let stage = stage().await;
    let target = Actor::succeeding(&stage, Duration::from_secs(1));
    let process = Process::start(&stage, &target, 2);
    stage
        .wire
        .inject_next("BatchExecuteStatement", [daybook_tests::Fault::HangAfter]);
    let dispatch = stage.options.dispatch.clone();
    let ingest = Ingest::new(stage.ledger.clone(), Reading::default(), dispatch.max_attempts);
    let ingest = ingest.dispatching(Immediate::new(dispatch.clone(), process.outlet.clone()));
    let payload = Payload {
        body: uploads(1).remove(0).notification(),
        ..Payload::default()
    };
    let ingested = ingest.ingest(&[payload], stage.deadline()).await;
    // The SDK asks once more, and is told that the row is there.
    assert!(ingested[0].is_safe() && ingested[0].at_once.is_empty());
    assert_eq!(in_status(&stage, Status::Claimed).await, 1);
    let retry = RetryPolicy::default();
    let stale = |running: BTreeSet<_>| {
        let (ledger, deadline) = (stage.ledger.clone(), stage.deadline());
        async move { recover_stale(&ledger, &retry, &running, deadline).await.put_back }
    };
    assert_eq!(stale(process.worker.running()).await, 0, "its lease runs");
    stage.pass(dispatch.lease + minutes(1)).await;
    assert_eq!(stale(process.worker.running()).await, 1);
    process.schedule().await;
    stage.pass(Duration::from_secs(2)).await;
    assert!(stage.rows().await.is_empty());
    process.stop().await;
}
