//! What moves events from the ledger to the target: scheduler, queue, workers and sweep, each in a loop of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use daybook_ledger::{Deadline, Refusal, TokenMark, Window};
use daybook_local::QueueAttributes;
use daybook_manager::worker::{Run, Target, TargetAnswer, Worker, WorkerReport, WorkerSettings};
use daybook_manager::{Dispatch, DispatchQueue, ScheduleReport, Scheduler};
use daybook_reconciler::{RecoverReport, SweepSettings, Sweeper, bring_forward, recover};
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::commands::run::up::Answers;
use crate::commands::run::up::counters::Recording;
use crate::commands::run::up::jumps::{Jumps, Went, steady};
use crate::deployment::folder::Folder;

/// The queue between scheduler and workers.
const QUEUE: &str = "daybook-dispatch";

/// Between two runs of the scheduler while there is work: what came meanwhile is claimed together.
const GAP: Duration = Duration::from_millis(10);

/// The longest rest of the scheduler: retries that come due, the end of a window, events of `daybook ingest` and what other
/// commands change in the ledger are found after this long.
const REST: Duration = Duration::from_secs(1);

/// How long one run of scheduler, sweep or recovery may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at leases.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// Between two looks at receipts whose time is over.
const EXPIRE_EVERY: Duration = Duration::from_secs(3600);

/// So long the clock must have gone steadily before it is believed that a receipt's time is over: one that is ahead when the machine
/// starts, and set right then, would remove them all.
const STEADY: Duration = Duration::from_secs(600);

/// A target whose answers are counted and, where they are failures, told.
#[derive(Debug)]
struct Counted {
    target: Arc<dyn Target>,
    answers: Arc<Answers>,
}

impl Target for Counted {
    fn run(&self, run: Run) -> BoxFuture<'_, TargetAnswer> {
        Box::pin(async move {
            let name = run.input.name();
            let answer = self.target.run(run).await;
            let counter = match &answer {
                TargetAnswer::Success => &self.answers.success,
                TargetAnswer::Later { .. } => &self.answers.later,
                TargetAnswer::Failed { why } => {
                    tracing::info!(event.id = %name.id, attempt = name.attempt.0, %why, "a run failed");
                    &self.answers.failed
                }
            };
            counter.fetch_add(1, Ordering::Relaxed);
            answer
        })
    }
}

/// When the scheduler runs again; after [`REST`] in any case.
enum Next {
    /// There may be more.
    Now,
    /// When clearly fewer events are in flight.
    Room,
    /// When something is recorded.
    News,
    /// After the rest.
    Rest,
}

/// The moving parts of one folder.
pub struct Pipeline {
    folder: Folder,
    dispatch: Dispatch,
    queue_url: String,
    recording: Arc<Recording>,
}

impl Pipeline {
    /// On that folder, which must be locked by this process.
    ///
    /// # Errors
    /// When the queue cannot be made.
    pub fn new(folder: Folder, dispatch: Dispatch, recording: Arc<Recording>) -> anyhow::Result<Self> {
        // A message that a worker dies with is gone with the process: there is no need of a dead-letter queue.
        let attributes = QueueAttributes {
            retention: Duration::from_secs(14 * 24 * 3600),
            ..QueueAttributes::default()
        };
        let queue_url = folder.aws.sqs().create_queue(QUEUE, attributes)?;
        Ok(Self {
            folder,
            dispatch,
            queue_url,
            recording,
        })
    }

    /// Puts back what was claimed: the queue is gone, and so are the workers whose tokens bear the mark `ours`; with none, all are.
    pub async fn recover(&self, ours: Option<TokenMark>) -> RecoverReport {
        let ledger = &self.folder.ledger;
        let deadline = Deadline::after(ledger.clock(), PATIENCE);
        let report = recover(ledger, &self.dispatch.retry, ours, deadline).await;
        for cause in &report.failures {
            tracing::warn!(%cause, "not all that was claimed could be put back; leases bring it back");
        }
        report
    }

    /// Makes due what was recorded while the clock was ahead.
    pub async fn bring_forward(&self) {
        let ledger = &self.folder.ledger;
        let deadline = Deadline::after(ledger.clock(), PATIENCE);
        let done = bring_forward(ledger, deadline).await;
        if done.rows > 0 {
            tracing::warn!(
                rows = done.rows,
                "the clock was ahead when events were recorded; they are due now"
            );
        }
        for cause in &done.failures {
            tracing::warn!(%cause, "events that were recorded while the clock was ahead may wait until it gets there");
        }
    }

    fn queue(&self) -> DispatchQueue {
        DispatchQueue::new(self.folder.clients.sqs.clone(), &self.queue_url)
    }

    /// Schedules, sweeps and works until it is told to stop; what the workers did. Without a target nothing is sent.
    pub async fn run(
        &self,
        target: Option<Arc<dyn Target>>,
        answers: Arc<Answers>,
        settings: WorkerSettings,
        stop: watch::Receiver<bool>,
    ) -> Option<WorkerReport> {
        let target = target?;
        let (_, _, report) = futures::join!(
            self.schedule(stop.clone()),
            self.sweep(stop.clone()),
            self.work(target, answers, settings, stop),
        );
        Some(report)
    }

    /// Runs the workers until `stop` is true, then drains them.
    async fn work(
        &self,
        target: Arc<dyn Target>,
        answers: Arc<Answers>,
        settings: WorkerSettings,
        mut stop: watch::Receiver<bool>,
    ) -> WorkerReport {
        let worker = Worker::new(
            self.folder.ledger.clone(),
            self.folder.clients.sqs.clone(),
            &self.queue_url,
            Arc::new(Counted { target, answers }),
            settings,
        );
        worker
            .run(async move {
                let _ = stop.wait_for(|stop| *stop).await;
            })
            .await
    }

    /// Runs the scheduler whenever there may be something to claim, until `stop` is true.
    async fn schedule(&self, mut stop: watch::Receiver<bool>) {
        let ledger = &self.folder.ledger;
        let scheduler = Scheduler::new(ledger.clone(), self.queue(), self.dispatch.clone());
        loop {
            let window = Window::at(ledger.clock().now(), self.dispatch.window);
            let deadline = Deadline::after(ledger.clock(), PATIENCE);
            let next = match scheduler.run(window, deadline).await {
                Ok(report) => self.next(&report),
                Err(error) => {
                    tracing::warn!(%error, "the scheduler cannot run; trying again");
                    Next::Rest
                }
            };
            let next = async {
                // What comes meanwhile is claimed together.
                tokio::time::sleep(GAP).await;
                match next {
                    Next::Now => {}
                    Next::Room => self.room().await,
                    Next::News => self.recording.news.notified().await,
                    Next::Rest => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = next => {}
                () = tokio::time::sleep(REST) => {}
            }
        }
    }

    /// When to run again after that run.
    fn next(&self, report: &ScheduleReport) -> Next {
        for cause in &report.failures {
            tracing::warn!(%cause, "the scheduler could not do all of its work");
        }
        if !report.failures.is_empty() {
            return Next::Rest;
        }
        match &report.refusal {
            None if self.has_room() => Next::Now,
            None => Next::Room,
            // The window's end is waited for by looking again: another command may raise N, or end a pause.
            Some(Refusal::WindowFull | Refusal::Paused(_) | Refusal::WindowPassed | Refusal::WindowAhead) => {
                Next::Rest
            }
            Some(Refusal::NothingWanted) if self.has_room() => Next::News,
            Some(Refusal::NothingWanted) => Next::Room,
        }
    }

    /// Whether no more than half of the messages that may be queued or worked on are. A run for every one that is done would look
    /// through the index each time to claim the next; and the workers have the other half meanwhile.
    fn has_room(&self) -> bool {
        let Ok(depth) = self.folder.aws.sqs().depth(&self.queue_url) else {
            return true;
        };
        let in_flight = depth.visible + depth.in_flight + depth.delayed;
        let most = self.dispatch.max_in_flight.unwrap_or(u32::MAX);
        let enough = most - (most / 2).max(1);
        u32::try_from(in_flight).is_ok_and(|in_flight| in_flight <= enough)
    }

    /// Returns when there is room.
    async fn room(&self) {
        while !self.has_room() {
            tokio::time::sleep(GAP).await;
        }
    }

    /// Looks after leases now and then, until `stop` is true.
    async fn sweep(&self, mut stop: watch::Receiver<bool>) {
        let ledger = &self.folder.ledger;
        let sweeper = Sweeper::new(
            ledger.clone(),
            self.queue(),
            None,
            self.dispatch.clone(),
            SweepSettings::default(),
        );
        let every = SWEEP_EVERY.min(self.dispatch.lease);
        let mut jumps = Jumps::of(ledger.clock());
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(every) => {}
            }
            match jumps.look() {
                Went::Steadily => {}
                Went::Back => self.bring_forward().await,
                // The machine was suspended, and its leases seem to be over. The workers, who go on, extend them first.
                Went::Ahead => continue,
            }
            let window = Window::at(ledger.clock().now(), self.dispatch.window);
            let deadline = Deadline::after(ledger.clock(), PATIENCE);
            match sweeper.run(window, deadline).await {
                Ok(report) => {
                    tracing::debug!(?report, "swept");
                    for cause in &report.failures {
                        tracing::warn!(%cause, "the sweep could not do all of its work");
                    }
                }
                Err(error) => tracing::warn!(%error, "the sweep cannot run; trying again"),
            }
        }
    }

    /// Removes receipts whose time is over, now and then, for ever: DynamoDB does it by itself, the folder's files do not.
    pub async fn expire(&self) {
        loop {
            steady(self.folder.ledger.clock(), STEADY).await;
            match self.folder.expire_receipts().await {
                Ok(receipts) => tracing::debug!(receipts, "receipts whose time was over are removed"),
                Err(error) => tracing::warn!(%error, "receipts whose time is over stay"),
            }
            tokio::time::sleep(EXPIRE_EVERY).await;
        }
    }
}
