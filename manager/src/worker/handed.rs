//! Workers that are handed rows by their own process: no queue, no message, no take.
//!
//! A row that is handed over is ours from the claim on, and its lease is held while it waits for a worker, or for company. The ends of a
//! process are those of the table in [`super`], but that a row which only waited counts as one that a worker died with.
//!
//! A worker is free when its target has ended: what came of it is reported while the next run is under way, together with what else ended by
//! then. Rows that are reported keep their places, so no more are claimed than there are places for.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::Ledger;
use daybook_schema::{EventId, ExecutionName, Row};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};

use super::gathering::{Gathering, Together, Turn};
use super::handover::{Handed, Place};
use super::job::{Call, Job, Mine, Ran, Report};
use super::observer::RunObserver;
use super::report::{TIME_TO_PUT_BACK, WorkerReport};
use super::settings::WorkerSettings;
use super::target::{Stop, Target};
use super::worked::Worked;

/// When a row is due again whose last run has lost its lease and has not ended yet: stopping may take that long.
const STILL_STOPPING: Duration = Duration::from_secs(10);

/// Rows that are taken over at once; each is what was claimed together.
const HANDED_AT_ONCE: usize = 64;

/// Runs a target for the rows that are handed over.
#[derive(Clone, Debug)]
pub struct DirectWorker {
    job: Arc<Job>,
}

/// A call whose target has ended, with what ends when it is reported.
struct Called<'a> {
    ran: Ran,
    _kept: Vec<(Mine<'a>, Place)>,
}

/// What became of a row that waited, if it was not called.
type Waited = (EventId, Option<Worked>);

impl DirectWorker {
    /// A worker on that ledger.
    pub fn new(ledger: Ledger, target: Arc<dyn Target>, settings: WorkerSettings) -> Self {
        let job = Arc::new(Job::new(ledger, target, settings));
        Self { job }
    }

    /// The same, and that one hears of its runs.
    pub fn observed_by(mut self, observer: Arc<dyn RunObserver>) -> Self {
        if let Some(job) = Arc::get_mut(&mut self.job) {
            job.observer = Some(observer);
        }
        self
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
        let batching = handed.handover.batching();
        let mut gathering = Gathering::new(batching);
        let (mut waits, mut runs) = (FuturesUnordered::new(), FuturesUnordered::new());
        let mut reports = FuturesUnordered::new();
        let (mut arrived, mut is_closed) = (Vec::new(), false);
        loop {
            while runs.len() < self.job.settings.workers
                && let Some(turns) = gathering.call()
            {
                runs.push(self.call(turns, batching.is_some(), stop.clone()));
            }
            if is_closed {
                break;
            }
            tokio::select! {
                biased;
                () = &mut shutdown => {
                    handed.handover.close();
                    handed.rows.close();
                    // What was handed over by then begins if a worker is free.
                    while let Some(rows) = handed.rows.recv().await {
                        arrived.push(rows);
                    }
                    is_closed = true;
                }
                Some(called) = runs.next(), if !runs.is_empty() => reports.push(self.report(called)),
                Some(worked) = reports.next(), if !reports.is_empty() => report.count_each(worked),
                Some((id, worked)) = waits.next(), if !waits.is_empty() => {
                    gathering.remove(id);
                    report.count_each(worked);
                }
                1.. = handed.rows.recv_many(&mut arrived, HANDED_AT_ONCE) => {}
                () = gathering.patience(), if runs.len() < self.job.settings.workers => {}
            }
            for (row, place) in arrived.drain(..).flatten() {
                report.received += 1;
                let called = gathering.add(&row);
                waits.push(self.wait(row, place, called, no_waiting.clone()));
            }
        }
        waiters.stop();
        tracing::info!(runs = runs.len(), "no more rows are taken; what runs may finish");
        let settings = &self.job.settings;
        let patience = [settings.grace, settings.stopping + TIME_TO_PUT_BACK];
        for (number, patience) in patience.into_iter().enumerate() {
            if number > 0 {
                stopper.stop();
            }
            let all = async {
                while !runs.is_empty() || !waits.is_empty() || !reports.is_empty() {
                    tokio::select! {
                        biased;
                        Some(called) = runs.next(), if !runs.is_empty() => reports.push(self.report(called)),
                        Some(worked) = reports.next(), if !reports.is_empty() => report.count_each(worked),
                        Some((_, worked)) = waits.next(), if !waits.is_empty() => report.count_each(worked),
                    }
                }
            };
            if tokio::time::timeout(patience, all).await.is_ok() {
                break;
            }
        }
        report.abandoned = report.received - report.ended();
        report
    }

    /// Holds a row until it is called; what became of it if that does not happen.
    async fn wait<'a>(
        &'a self,
        mut row: Row,
        place: Place,
        called: oneshot::Receiver<Together<'a>>,
        mut no_waiting: Stop,
    ) -> Waited {
        let name = ExecutionName {
            id: row.id,
            attempt: row.attempt,
        };
        let Some(mark) = self.job.begin(name) else {
            // Nobody is to wait for it.
            drop(called);
            let worked = self.job.report(&row, Report::Later(STILL_STOPPING, None)).await;
            return (name.id, Some(worked));
        };
        let waited = {
            let mut hold = pin!(self.job.hold(&mut row, None));
            tokio::select! {
                biased;
                called = called => Ok(called.ok()),
                () = no_waiting.requested() => Ok(None),
                cause = &mut hold => Err(cause),
            }
        };
        let worked = match waited {
            Ok(Some(together)) => {
                let turn = Turn {
                    row,
                    _mark: mark,
                    _place: place,
                };
                // The other end waits for it, or was dropped, and this is, too.
                let _ = together.send(turn);
                None
            }
            // As if never claimed.
            Ok(None) => Some(self.job.put_back(&row).await),
            Err(cause) => {
                tracing::warn!(event.id = %name.id, %cause, "a lease was lost before its run began");
                Some(Worked::LeaseLost(cause))
            }
        };
        (name.id, worked)
    }

    /// One call of the target, for the rows that come together; `None` where all were lost before.
    async fn call<'a>(
        &'a self,
        mut turns: mpsc::UnboundedReceiver<Turn<'a>>,
        is_batch: bool,
        stop: Stop,
    ) -> Option<Called<'a>> {
        let (mut rows, mut kept) = (Vec::new(), Vec::new());
        while let Some(Turn { row, _mark, _place }) = turns.recv().await {
            rows.push(row);
            kept.push((_mark, _place));
        }
        if rows.is_empty() {
            return None;
        }
        let batch = is_batch.then(|| self.job.ledger.random().batch());
        let ran = self.job.call(Call { rows, batch }, None, stop).await;
        Some(Called { ran, _kept: kept })
    }

    /// Reports what came of a call.
    async fn report(&self, called: Option<Called<'_>>) -> Vec<Worked> {
        let Some(Called { ran, _kept }) = called else {
            return Vec::new();
        };
        let worked = self.job.report_each(ran).await;
        for worked in &worked {
            if let Worked::Returned(cause) = worked {
                tracing::warn!(%cause, "what came of a run is not reported; its lease brings it back");
            }
        }
        worked
    }
}
