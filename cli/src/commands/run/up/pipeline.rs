//! What moves events from the ledger to the target: scheduler, queue, workers and sweep, each in a loop of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daybook_ledger::{Deadline, Ledger, Refusal, TokenMark, Window, chain};
use daybook_local::QueueAttributes;
use daybook_manager::worker::{DirectWorker, Handed, Handover, Target, Worker, WorkerReport, WorkerSettings};
use daybook_manager::{Dispatch, DispatchQueue, Immediate, Outlet, ScheduleReport, Scheduler, Start};
use daybook_reconciler::{RecoverReport, SweepSettings, Sweeper, bring_forward, recover, recover_stale};
use tokio::sync::watch;

use crate::commands::run::up::counters::Recording;
use crate::commands::run::up::jumps::{Jumps, Went, steady};
use crate::commands::run::up::runs::Runs;
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

/// When the scheduler runs again; after [`REST`] in any case.
enum Next {
    /// There may be more: when there is room for it.
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
    work: Option<Work>,
}

/// What works on events, and how.
pub struct Workers {
    /// What runs for them.
    pub target: Arc<dyn Target>,
    /// How each worker works.
    pub settings: WorkerSettings,
    /// How many events may be in flight.
    pub most_in_flight: u32,
}

/// How events are worked on.
enum Work {
    /// By workers that take them from the queue.
    Queue(Worker),
    /// By workers that are handed them.
    Direct {
        worker: DirectWorker,
        handover: Handover,
        /// The workers' end, until they begin.
        handed: Mutex<Option<Handed>>,
    },
}

impl Work {
    fn new(folder: &Folder, dispatch: &Dispatch, queue_url: &str, workers: Workers, runs: Arc<Runs>) -> Self {
        let Workers {
            target,
            settings,
            most_in_flight,
        } = workers;
        let ledger = folder.ledger.clone();
        match dispatch.start {
            Start::Scheduled => {
                let sqs = folder.clients.sqs.clone();
                let worker = Worker::new(ledger, sqs, queue_url, target, settings);
                Self::Queue(worker.observed_by(runs))
            }
            Start::Immediate => {
                let workers = u32::try_from(settings.workers).unwrap_or(u32::MAX);
                let clock = ledger.clock().clone();
                let (handover, handed) = Handover::new(workers, most_in_flight, dispatch.batching, clock);
                Self::Direct {
                    worker: DirectWorker::new(ledger, target, settings).observed_by(runs),
                    handover,
                    handed: Mutex::new(Some(handed)),
                }
            }
        }
    }
}

impl Pipeline {
    /// On that folder, which must be locked by this process. Without workers nothing is sent.
    ///
    /// # Errors
    /// When the queue cannot be made.
    pub fn new(
        folder: Folder,
        dispatch: Dispatch,
        workers: Option<Workers>,
        (recording, runs): (Arc<Recording>, Arc<Runs>),
    ) -> anyhow::Result<Self> {
        // A message that a worker dies with is gone with the process: there is no need of a dead-letter queue.
        let attributes = QueueAttributes {
            retention: Duration::from_secs(14 * 24 * 3600),
            ..QueueAttributes::default()
        };
        let queue_url = folder.aws.sqs().create_queue(QUEUE, attributes)?;
        let work = workers.map(|workers| Work::new(&folder, &dispatch, &queue_url, workers, runs));
        Ok(Self {
            folder,
            dispatch,
            queue_url,
            recording,
            work,
        })
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.folder.ledger
    }

    /// After how many failed attempts an event is parked.
    pub fn max_attempts(&self) -> u32 {
        self.dispatch.max_attempts
    }

    /// Whether there is a target.
    pub fn has_target(&self) -> bool {
        self.work.is_some()
    }

    /// How newcomers are dispatched at once, if they are.
    pub fn immediate(&self) -> Option<Immediate> {
        match &self.work {
            Some(Work::Direct { handover, .. }) => {
                let outlet = Outlet::Workers(handover.clone());
                Some(Immediate::new(self.dispatch.clone(), outlet))
            }
            Some(Work::Queue(_)) | None => None,
        }
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

    /// Schedules, sweeps and works until it is told to stop; what the workers did, if there are any.
    pub async fn run(&self, stop: watch::Receiver<bool>) -> Option<WorkerReport> {
        let work = self.work.as_ref()?;
        let (_, _, report) = futures::join!(
            self.schedule(work, stop.clone()),
            self.sweep(work, stop.clone()),
            run(work, stop),
        );
        Some(report)
    }

    /// Runs the scheduler whenever there may be something to claim, until `stop` is true.
    async fn schedule(&self, work: &Work, mut stop: watch::Receiver<bool>) {
        let ledger = &self.folder.ledger;
        let scheduler = match work {
            Work::Queue(_) => Scheduler::new(ledger.clone(), self.queue(), self.dispatch.clone()),
            Work::Direct { handover, .. } => {
                let outlet = Outlet::Workers(handover.clone());
                Scheduler::new(ledger.clone(), outlet, self.dispatch.clone())
            }
        };
        loop {
            let window = Window::at(ledger.clock().now(), self.dispatch.window);
            let deadline = Deadline::after(ledger.clock(), PATIENCE);
            let next = match scheduler.run(window, deadline).await {
                Ok(report) => next(&report),
                Err(error) => {
                    tracing::warn!(%error, "the scheduler cannot run; trying again");
                    Next::Rest
                }
            };
            let next = async {
                // What comes meanwhile is claimed together.
                tokio::time::sleep(GAP).await;
                match next {
                    Next::Room => self.room(work).await,
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

    /// Returns when there is room for more. On the queue that is when no more than half of the messages that may be queued or worked on
    /// are: a run for every one that is done would look through the index each time to claim the next, and the workers have the
    /// other half meanwhile.
    async fn room(&self, work: &Work) {
        match work {
            Work::Direct { handover, .. } => handover.room().await,
            Work::Queue(_) => {
                while !self.queue_has_room() {
                    tokio::time::sleep(GAP).await;
                }
            }
        }
    }

    fn queue_has_room(&self) -> bool {
        let Ok(depth) = self.folder.aws.sqs().depth(&self.queue_url) else {
            return true;
        };
        let in_flight = depth.visible + depth.in_flight + depth.delayed;
        let events = self.dispatch.max_in_flight.unwrap_or(u32::MAX);
        let most = events / self.dispatch.batching.map_or(1, |batching| batching.size);
        let enough = most.saturating_sub((most / 2).max(1));
        u32::try_from(in_flight).is_ok_and(|in_flight| in_flight <= enough)
    }

    /// Looks after leases now and then, until `stop` is true.
    async fn sweep(&self, work: &Work, mut stop: watch::Receiver<bool>) {
        let ledger = &self.folder.ledger;
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
            let failures = match work {
                Work::Queue(_) => self.sweep_queue().await,
                Work::Direct { worker, .. } => {
                    let deadline = Deadline::after(ledger.clock(), PATIENCE);
                    let retry = &self.dispatch.retry;
                    let report = recover_stale(ledger, retry, &worker.running(), deadline).await;
                    tracing::debug!(?report, "put back");
                    report.failures
                }
            };
            for cause in &failures {
                tracing::warn!(%cause, "the sweep could not do all of its work");
            }
        }
    }

    /// Sends again what the queue seems to have lost; what went wrong.
    async fn sweep_queue(&self) -> Vec<String> {
        let ledger = &self.folder.ledger;
        let (dispatch, settings) = (self.dispatch.clone(), SweepSettings::default());
        let sweeper = Sweeper::new(ledger.clone(), self.queue(), None, dispatch, settings);
        let window = Window::at(ledger.clock().now(), self.dispatch.window);
        let deadline = Deadline::after(ledger.clock(), PATIENCE);
        match sweeper.run(window, deadline).await {
            Ok(report) => {
                tracing::debug!(?report, "swept");
                report.failures.iter().map(ToString::to_string).collect()
            }
            Err(error) => vec![chain(&error)],
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

/// Runs the workers until `stop` is true, then drains them.
async fn run(work: &Work, mut stop: watch::Receiver<bool>) -> WorkerReport {
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    match work {
        Work::Queue(worker) => worker.run(stopped).await,
        Work::Direct { worker, handed, .. } => {
            let handed = handed.lock().unwrap_or_else(PoisonError::into_inner).take();
            match handed {
                Some(handed) => worker.run(handed, stopped).await,
                // They run already.
                None => WorkerReport::default(),
            }
        }
    }
}

/// When to run again after that run.
fn next(report: &ScheduleReport) -> Next {
    for cause in &report.failures {
        tracing::warn!(%cause, "the scheduler could not do all of its work");
    }
    if !report.failures.is_empty() {
        return Next::Rest;
    }
    match &report.refusal {
        // The window's end is waited for by looking again: another command may raise N, or end a pause.
        Some(Refusal::WindowFull | Refusal::Paused(_) | Refusal::WindowPassed | Refusal::WindowAhead) => {
            Next::Rest
        }
        _ if report.left_behind => Next::Room,
        // Only ingest is refused for a backlog, or after two tries.
        None | Some(Refusal::NothingWanted | Refusal::Backlog | Refusal::Contended) => Next::News,
    }
}
