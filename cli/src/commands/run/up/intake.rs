//! From a request's body to rows on the disk. What arrives together is recorded together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use daybook_ledger::{Deadline, Ledger, LedgerError};
use daybook_manager::{Immediate, Ingest, Ingested, Payload};
use daybook_schema::Status;
use daybook_schema::notification::Reading;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::commands::run::up::Recording;
use crate::commands::run::up::arguments::Admission;
use crate::commands::run::up::collect_only::Printer;

/// Bodies that wait to be recorded. Senders beyond it wait with theirs.
const WAITING: usize = 1024;

/// Bodies that are recorded together, at most.
const BATCH: usize = 256;

/// Their bytes, at most, unless a single one is larger: reading them takes several times as much memory.
const BATCH_BYTES: usize = 1024 * 1024;

/// Batches under way at once: while one waits for the disk, the next is read.
const BATCHES: usize = 2;

/// How long recording may take before the sender is told to come again.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a count of the backlog is believed.
const RECOUNT: Duration = Duration::from_secs(1);

/// A body on its way to the ledger.
struct Job {
    payload: Payload,
    /// The body's share of the memory for bodies, until it is recorded.
    _memory: OwnedSemaphorePermit,
    reply: oneshot::Sender<Ingested>,
}

/// The way to the recorder. Clones lead to the same one, which ends when all are dropped.
#[derive(Clone)]
pub struct Intake(mpsc::Sender<Job>);

/// Records until every [`Intake`] is gone.
pub struct Recorder {
    jobs: mpsc::Receiver<Job>,
    book: Book,
}

/// Where batches are recorded.
struct Book {
    ingest: Ingest,
    ledger: Ledger,
    told: Arc<Recording>,
    printer: Option<Printer>,
}

impl Recorder {
    /// A recorder into that ledger, and the way to it.
    pub fn new(
        ledger: Ledger,
        reading: Reading,
        max_attempts: u32,
        immediate: Option<Immediate>,
        told: Arc<Recording>,
        printer: Option<Printer>,
    ) -> (Intake, Recorder) {
        let (sender, jobs) = mpsc::channel(WAITING);
        let ingest = Ingest::new(ledger.clone(), reading, max_attempts);
        let ingest = match immediate {
            Some(immediate) => ingest.dispatching(immediate),
            None => ingest,
        };
        let book = Book {
            ingest,
            ledger,
            told,
            printer,
        };
        (Intake(sender), Recorder { jobs, book })
    }

    /// Records until every way to it is gone.
    pub async fn run(mut self) {
        let mut batches = FuturesUnordered::new();
        let mut open = true;
        while open || !batches.is_empty() {
            tokio::select! {
                biased;
                Some(()) = batches.next(), if !batches.is_empty() => {}
                job = self.jobs.recv(), if open && batches.len() < BATCHES => match job {
                    Some(job) => batches.push(self.book.record(together(job, &mut self.jobs))),
                    None => open = false,
                },
            }
        }
    }
}

/// The job and what else waits already.
fn together(first: Job, jobs: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = first.payload.body.len();
    let mut batch = vec![first];
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Ok(job) = jobs.try_recv() else { break };
        bytes += job.payload.body.len();
        batch.push(job);
    }
    batch
}

impl Book {
    async fn record(&self, batch: Vec<Job>) {
        let deadline = Deadline::after(self.ledger.clock(), PATIENCE);
        let payloads: Vec<Payload> = batch.iter().map(|job| job.payload.clone()).collect();
        let ingested = self.ingest.ingest(&payloads, deadline).await;
        let mut waiting = 0;
        for (ingested, job) in ingested.into_iter().zip(batch) {
            let recorded = self.told.count(&ingested);
            waiting += recorded.saturating_sub(ingested.at_once.len());
            if let Some(printer) = &self.printer {
                printer.print(&job.payload, &ingested);
            }
            // A sender that is gone has no answer, and sends again: the rows are found then.
            let _ = job.reply.send(ingested);
        }
        // What is with a worker already is no news to the scheduler.
        if waiting > 0 {
            self.told.news.notify_one();
        }
    }
}

impl Intake {
    /// Records a body; `None` when the recorder has ended.
    pub async fn record(&self, payload: Payload, memory: OwnedSemaphorePermit) -> Option<Ingested> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            payload,
            _memory: memory,
            reply,
        };
        self.0.send(job).await.ok()?;
        answer.await.ok()
    }
}

/// How many events wait or run, counted now and then, and whether one more may come.
#[derive(Debug)]
pub struct Backlog {
    limit: Option<u32>,
    admission: Admission,
    told: Arc<Recording>,
    /// As counted last, and how many had been recorded by then.
    counted: AtomicU64,
    recorded_then: AtomicU64,
    over: AtomicBool,
}

impl Backlog {
    /// With that limit, if there is one.
    pub fn new(limit: Option<u32>, admission: Admission, told: Arc<Recording>) -> Self {
        Self {
            limit,
            admission,
            told,
            counted: AtomicU64::new(0),
            recorded_then: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Whether a sender is to come again later. At most one second's arrivals and completions are not in it.
    pub fn refuses(&self) -> bool {
        let Some(limit) = self.limit else {
            return false;
        };
        let since = self
            .told
            .recorded
            .load(Ordering::Relaxed)
            .saturating_sub(self.recorded_then.load(Ordering::Relaxed));
        let over = self.counted.load(Ordering::Relaxed) + since >= u64::from(limit);
        if over != self.over.swap(over, Ordering::Relaxed) {
            let what = match (over, self.admission) {
                (true, Admission::Buffer) => "the backlog is at its limit; events are still accepted",
                (true, Admission::Reject) => "the backlog is at its limit; senders are asked to retry",
                (false, _) => "the backlog is below its limit again",
            };
            tracing::warn!(limit, "{what}");
        }
        over && self.admission == Admission::Reject
    }

    /// Counts for ever, if there is a limit.
    pub async fn keep_counting(&self, ledger: &Ledger) {
        let Some(limit) = self.limit else {
            return std::future::pending().await;
        };
        loop {
            if let Err(error) = self.count(ledger, limit).await {
                tracing::warn!(%error, "the backlog cannot be counted; the last count stands");
            }
            tokio::time::sleep(RECOUNT).await;
        }
    }

    /// Counts once.
    ///
    /// # Errors
    /// When the ledger cannot be read; the last count stands.
    pub async fn count(&self, ledger: &Ledger, limit: u32) -> Result<(), LedgerError> {
        let recorded = self.told.recorded.load(Ordering::Relaxed);
        let mut rows = 0;
        for status in [Status::Pending, Status::Claimed] {
            rows += ledger.count(status, None, Some(limit)).await?.rows;
        }
        self.counted.store(rows, Ordering::Relaxed);
        self.recorded_then.store(recorded, Ordering::Relaxed);
        Ok(())
    }
}
