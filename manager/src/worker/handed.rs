//! Workers that are handed rows by their own process: no queue, no message, no take.
//!
//! A row that is handed over is ours from the claim on, and its lease is held while it waits for a worker. The ends of a process are those
//! of the table in [`super`], but that a row which only waited counts as one that a worker died with.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::Ledger;
use daybook_schema::{ExecutionName, Row};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;

use super::handover::{Handed, Place};
use super::job::{Job, Report, Worked};
use super::report::{TIME_TO_PUT_BACK, WorkerReport};
use super::settings::WorkerSettings;
use super::target::{Stop, Target};

/// When a row is due again whose last run has lost its lease and has not ended yet: stopping may take that long.
const STILL_STOPPING: Duration = Duration::from_secs(10);

/// Runs a target for each row that is handed over.
#[derive(Clone, Debug)]
pub struct DirectWorker {
    job: Arc<Job>,
    /// One permit for each run at a time.
    slots: Arc<Semaphore>,
}

impl DirectWorker {
    /// A worker on that ledger.
    pub fn new(ledger: Ledger, target: Arc<dyn Target>, settings: WorkerSettings) -> Self {
        let slots = Arc::new(Semaphore::new(settings.workers));
        let job = Arc::new(Job::new(ledger, target, settings));
        Self { job, slots }
    }

    /// What runs or waits here now. A lease of one of these that is over says nothing: after a suspend of the machine its run goes on.
    pub fn running(&self) -> BTreeSet<ExecutionName> {
        self.job.running().clone()
    }

    /// Works until `shutdown` is ready, then drains as [`super::Worker::run`] does: no more rows are taken, those that wait are put
    /// back, what runs may finish within the grace. One row is one message of the report.
    pub async fn run(&self, mut handed: Handed, shutdown: impl Future<Output = ()>) -> WorkerReport {
        let mut report = WorkerReport::default();
        let mut shutdown = pin!(shutdown);
        let (stopper, stop) = Stop::pair();
        let (waiters, no_waiting) = Stop::pair();
        let mut runs = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(worked) = runs.next(), if !runs.is_empty() => report.count(&worked),
                Some((row, place)) = handed.rows.recv() => {
                    report.received += 1;
                    runs.push(self.work(row, place, stop.clone(), no_waiting.clone()));
                }
            }
        }
        handed.handover.close();
        handed.rows.close();
        waiters.stop();
        while let Some((row, place)) = handed.rows.recv().await {
            report.received += 1;
            runs.push(self.work(row, place, stop.clone(), no_waiting.clone()));
        }
        tracing::info!(runs = runs.len(), "no more rows are taken; what runs may finish");
        let settings = &self.job.settings;
        let patience = [settings.grace, settings.stopping + TIME_TO_PUT_BACK];
        for (number, patience) in patience.into_iter().enumerate() {
            if number > 0 {
                stopper.stop();
            }
            let all = async {
                while let Some(worked) = runs.next().await {
                    report.count(&worked);
                }
            };
            if tokio::time::timeout(patience, all).await.is_ok() {
                break;
            }
        }
        report.abandoned = u64::try_from(runs.len()).unwrap_or(u64::MAX);
        report
    }

    /// Works on one row, and holds it while it waits for its turn.
    async fn work(&self, mut row: Row, _place: Place, stop: Stop, mut no_waiting: Stop) -> Worked {
        let name = ExecutionName {
            id: row.id,
            attempt: row.attempt,
        };
        let Some(_mine) = self.job.begin(name) else {
            return self.job.report(&row, Report::Later(STILL_STOPPING, None)).await;
        };
        let slot = match self.slots.try_acquire() {
            Ok(slot) => slot,
            Err(_) => {
                let lost = {
                    let mut hold = pin!(self.job.hold(&mut row, None));
                    tokio::select! {
                        biased;
                        () = no_waiting.requested() => None,
                        slot = self.slots.acquire() => Some(Ok(slot)),
                        cause = &mut hold => Some(Err(cause)),
                    }
                };
                match lost {
                    Some(Ok(Ok(slot))) => slot,
                    Some(Err(cause)) => {
                        tracing::warn!(event.id = %row.id, %cause, "a lease was lost before its run began");
                        return Worked::LeaseLost(cause);
                    }
                    // As if never claimed. A semaphore that is never closed gives no error.
                    None | Some(Ok(Err(_))) => return self.put_back(&row).await,
                }
            }
        };
        let worked = self.job.run_and_report(row, None, stop).await;
        drop(slot);
        match &worked {
            Worked::LeaseLost(cause) => {
                tracing::warn!(event.id = %name.id, %cause, "a lease was lost; its run is stopped");
            }
            Worked::Returned(cause) => {
                tracing::warn!(event.id = %name.id, %cause, "what came of a run is not reported; its lease brings it back");
            }
            _ => {}
        }
        worked
    }

    async fn put_back(&self, row: &Row) -> Worked {
        match self.job.report(row, Report::Later(Duration::ZERO, None)).await {
            Worked::Later(_) => Worked::Stopped,
            other => other,
        }
    }
}
