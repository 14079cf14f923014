//! Workers: what processes events where no Step Functions does, on one machine or on many.
//!
//! A worker takes the row of a message before it works, and holds row and message together while it works:
//!
//! | the process dies | then |
//! |---|---|
//! | before the row is taken | the message comes again after its visibility timeout, and is taken |
//! | while the target runs | lease and visibility end together; the message comes again and finds the row free |
//! | after the target's success, before the report | the same, and the target runs twice: the one duplicate that remains |
//! | between receipt and deletion of the row | the message comes again; the receipt says that the event is done |
//! | after the report, before the message is deleted | the message comes again, finds its row gone on, and is dropped |
//!
//! A batch's message is for several rows. Those that nobody has had yet are taken and run together; a row that failed in company, or with
//! which a process ended, is run by itself. A message is deleted when each of its rows is settled, put back, or another worker's; what
//! is said above of one row holds for each.

mod command;
mod environment;
mod failures;
mod gathering;
mod group;
mod handed;
mod handover;
mod hold;
mod http;
mod inbox;
mod job;
mod observer;
mod outage;
mod overtaken;
mod queued;
mod report;
mod reporting;
mod retry_after;
mod room;
mod run_log;
mod settings;
mod settler;
mod tail;
mod target;
mod target_log;
mod worked;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::Ledger;
use futures::StreamExt;
use futures::future::{BoxFuture, OptionFuture};
use futures::stream::FuturesUnordered;

pub use self::command::{CommandTarget, NotStartable};
pub use self::handed::DirectWorker;
pub use self::handover::{Handed, Handover, Places};
pub use self::http::{HttpTarget, InvalidTarget};
use self::inbox::{Held, Inbox};
use self::job::Job;
pub use self::observer::RunObserver;
use self::queued::Signals;
use self::report::TIME_TO_PUT_BACK;
pub use self::report::WorkerReport;
pub use self::settings::WorkerSettings;
pub use self::target::{Run, RunInput, Stop, Stopper, Target, TargetAnswer};
pub use self::target_log::TargetLog;
pub use self::worked::Worked;

/// The longest pause after the queue could not be asked.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Consumes the dispatch queue, and runs a target for each event, or for the events of a batch together.
#[derive(Clone, Debug)]
pub struct Worker {
    job: Arc<Job>,
    inbox: Inbox,
}

/// A receive that is under way.
type Receive<'a> = BoxFuture<'a, Result<Vec<Held>, String>>;

impl Worker {
    /// A worker on that queue. The queue's redrive policy must allow at least 10 receives: an attempt has failed when four workers
    /// died with it, each on a receive of its own, and a dead-letter queue must not be faster.
    pub fn new(
        ledger: Ledger,
        client: aws_sdk_sqs::Client,
        queue_url: impl Into<String>,
        target: Arc<dyn Target>,
        settings: WorkerSettings,
    ) -> Self {
        let inbox = Inbox {
            client,
            queue_url: queue_url.into(),
            clock: ledger.clock().clone(),
        };
        let job = Job::new(ledger, target, settings);
        Self {
            job: Arc::new(job),
            inbox,
        }
    }

    /// The same, and that one hears of its runs.
    pub fn observed_by(mut self, observer: Arc<dyn RunObserver>) -> Self {
        if let Some(job) = Arc::get_mut(&mut self.job) {
            job.observer = Some(observer);
        }
        self
    }

    /// Works until `shutdown` is ready, then drains: nothing is received any more, what runs may finish within the grace, and
    /// what does not is stopped. The rows of stopped runs are put back to PENDING, due now, no attempt used, and their messages
    /// deleted: handing the messages back instead would be too early, for the leases still run, and leaving the rows to their
    /// leases would let the events wait. Returns at the latest 10 seconds after grace and stopping time.
    ///
    /// Dropping the future is like a death of the process: runs end at once, and leases bring their rows back.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> WorkerReport {
        let mut report = WorkerReport::default();
        let mut shutdown = pin!(shutdown);
        let (stopper, stop) = Stop::pair();
        let (drain, draining) = Stop::pair();
        let signals = Signals { stop, draining };
        let mut runs = FuturesUnordered::new();
        let mut receive: Option<Receive<'_>> = None;
        let mut failures = 0;
        loop {
            let free = self.job.settings.workers - runs.len();
            if receive.is_none() && free > 0 {
                receive = Some(Box::pin(self.receive(free, failures)));
            }
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(worked) = runs.next(), if !runs.is_empty() => report.count_each(worked),
                // Not cancelled when a run ends: SQS may already have handed out messages to it.
                Some(received) = OptionFuture::from(receive.as_mut()), if receive.is_some() => {
                    receive = None;
                    failures = next_failures(failures, &received);
                    for held in received.unwrap_or_default() {
                        report.received += 1;
                        runs.push(self.job.work(&self.inbox, held, signals.clone()));
                    }
                }
            }
        }
        drain.stop();
        tracing::info!(
            runs = runs.len(),
            "the worker receives no more and waits for its runs"
        );
        let mut end = Box::pin(tokio::time::sleep(self.job.settings.grace));
        let mut stopping = false;
        while !runs.is_empty() {
            tokio::select! {
                biased;
                Some(worked) = runs.next() => report.count_each(worked),
                // What the last receive brings is given back unseen.
                Some(received) = OptionFuture::from(receive.as_mut()), if receive.is_some() => {
                    receive = None;
                    for held in received.unwrap_or_default() {
                        report.received += 1;
                        runs.push(self.job.work(&self.inbox, held, signals.clone()));
                    }
                }
                () = &mut end => {
                    if stopping {
                        break;
                    }
                    stopping = true;
                    stopper.stop();
                    end = Box::pin(tokio::time::sleep(self.job.settings.stopping + TIME_TO_PUT_BACK));
                }
            }
        }
        report.abandoned = u64::try_from(runs.len()).unwrap_or(u64::MAX);
        report
    }

    /// One receive; after failures, a pause first.
    async fn receive(&self, free: usize, failures: u32) -> Result<Vec<Held>, String> {
        if failures > 0 {
            let doubled = Duration::from_secs(1).saturating_mul(2u32.saturating_pow(failures.min(10) - 1));
            tokio::time::sleep(doubled.min(LONGEST_PAUSE)).await;
        }
        self.inbox.receive(free, self.job.settings.visibility()).await
    }
}

fn next_failures(failures: u32, received: &Result<Vec<Held>, String>) -> u32 {
    match received {
        Ok(_) => 0,
        Err(cause) => {
            tracing::warn!(%cause, "the dispatch queue cannot be received from; trying again");
            failures.saturating_add(1)
        }
    }
}
