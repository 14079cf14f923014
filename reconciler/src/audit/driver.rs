//! One audit from its first page to its last repair, as the command line and the function run it.
//!
//! [`Driver::step`] does one thing and gives it back. What it gives back the caller reports and stores before it takes the next
//! step. So what is missing is stored before it is repaired: a process that dies after the repair would find the objects open, and
//! nobody would ever read that their notifications were lost.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use daybook_ledger::{Clock, Deadline, chain};
use tokio::time::{sleep, timeout};

use super::entry::ListedObject;
use super::error::AuditError;
use super::outcome::{Repair, Repaired, Repairs};
use super::repair::Repairer;
use super::report::Batch;
use super::run::Run;

/// How long recording one chunk may take, where nothing else limits it.
const CHUNK_TIME: Duration = Duration::from_secs(30 * 60);

/// Seconds to wait before a page that could not be listed is requested again.
const PAUSES: [u64; 2] = [1, 3];

/// When an audit must stop: at a request of a person, or at deadlines.
pub struct Limits {
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_stopped: bool,
    until: Option<Deadline>,
    at_last: Option<Deadline>,
}

/// What one step did.
#[derive(Debug)]
pub enum Step {
    /// Judged a page. What may be recorded of it is pending.
    Page(Batch),
    /// Found the end of the listing, or the limit of the audit. Repairs of what is pending follow.
    Listed,
    /// Looked again at a chunk of what was pending, and recorded what may be recorded.
    Repaired(Vec<(ListedObject, Repaired)>),
    /// Nothing: all is judged and repaired.
    Done,
    /// Nothing that counts: the limits ended it.
    Stopped,
}

/// Decides what comes next: the page to list, or the chunk to repair.
#[derive(Debug)]
pub struct Driver<'a> {
    repairer: &'a Repairer,
    repair: Option<Repair>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What an earlier process left pending is repaired first: the end of the listing may be days away.
    Leftovers,
    Listing,
    Listed,
}

impl Limits {
    /// Ends when that future does.
    pub fn until_stopped(stop: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            stop: Box::pin(stop),
            is_stopped: false,
            until: None,
            at_last: None,
        }
    }

    /// Begins nothing after `until`, and drops a page that is not judged by then; drops a repair at `at_last`.
    pub fn until(until: Deadline, at_last: Deadline) -> Self {
        Self {
            until: Some(until),
            at_last: Some(at_last),
            ..Self::until_stopped(std::future::pending())
        }
    }

    /// What the future gives; none if it has not ended when nothing more may begin. It is dropped then.
    pub async fn bound<F: Future>(&mut self, clock: &Clock, future: F) -> Option<F::Output> {
        self.bound_by(self.until, clock, future).await
    }

    async fn bound_by<F: Future>(
        &mut self,
        deadline: Option<Deadline>,
        clock: &Clock,
        future: F,
    ) -> Option<F::Output> {
        if self.is_stopped {
            return None;
        }
        let in_time = async {
            match deadline {
                Some(deadline) => timeout(deadline.left(clock), future).await.ok(),
                None => Some(future.await),
            }
        };
        tokio::select! {
            biased;
            () = &mut self.stop => {
                self.is_stopped = true;
                None
            }
            output = in_time => output,
        }
    }

    fn are_over(&self, clock: &Clock) -> bool {
        self.is_stopped || self.until.is_some_and(|until| until.is_over(clock))
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Limits(until {:?}, at last {:?})", self.until, self.at_last)
    }
}

impl<'a> Driver<'a> {
    /// A driver that records what `repair` allows, or nothing.
    pub fn new(repairer: &'a Repairer, repair: Option<Repair>) -> Self {
        Self {
            repairer,
            repair,
            phase: Phase::Leftovers,
        }
    }

    /// The next step of that run; without one the listing is at its end already. A page that fails after others did not is
    /// requested twice more.
    ///
    /// # Errors
    /// When a page cannot be judged, or nothing can be repaired. What is pending stays so.
    pub async fn step(
        &mut self,
        run: Option<&mut Run>,
        repairs: &mut Repairs,
        limits: &mut Limits,
    ) -> Result<Step, AuditError> {
        if limits.are_over(self.repairer.clock()) {
            return Ok(Step::Stopped);
        }
        if run.is_none() && self.phase != Phase::Listed {
            self.phase = Phase::Listed;
            return Ok(Step::Listed);
        }
        if let Some(repair) = self.repair
            && !repairs.pending.is_empty()
            && (self.phase != Phase::Listing || repairs.is_chunk())
        {
            return self.repair(repair, repairs, limits).await;
        }
        let Some(run) = run.filter(|_| self.phase != Phase::Listed) else {
            return Ok(Step::Done);
        };
        self.phase = Phase::Listing;
        let Some(batch) = self.page(run, limits).await? else {
            return Ok(Step::Stopped);
        };
        let Some(batch) = batch else {
            self.phase = Phase::Listed;
            return Ok(Step::Listed);
        };
        if let Some(repair) = self.repair {
            repairs.add(&batch.findings, repair);
        }
        Ok(Step::Page(batch))
    }

    /// The next page, or that there is none; nothing if the limits came first.
    async fn page(&self, run: &mut Run, limits: &mut Limits) -> Result<Option<Option<Batch>>, AuditError> {
        let clock = self.repairer.clock();
        let mut pauses = PAUSES.iter();
        loop {
            // Dropped in the middle, a page is not judged, and nothing else is lost.
            let error = match limits.bound(clock, run.next()).await {
                None => return Ok(None),
                Some(Ok(batch)) => return Ok(Some(batch)),
                Some(Err(error)) => error,
            };
            let pause = pauses
                .next()
                .filter(|_| run.progress().listed > 0 && error.may_pass());
            let Some(pause) = pause else {
                return Err(error);
            };
            tracing::warn!(
                error = chain(&error),
                "a page could not be listed, and is requested again in {pause} s"
            );
            let paused = limits.bound(clock, sleep(Duration::from_secs(*pause))).await;
            if paused.is_none() {
                return Ok(None);
            }
        }
    }

    async fn repair(
        &self,
        repair: Repair,
        repairs: &mut Repairs,
        limits: &mut Limits,
    ) -> Result<Step, AuditError> {
        let clock = self.repairer.clock();
        let taken = repairs.pending.len().min(Repairs::CHUNK);
        let chunk = repairs.pending[..taken].to_vec();
        let deadline = limits.until.unwrap_or_else(|| Deadline::after(clock, CHUNK_TIME));
        let repairing = self.repairer.repair(chunk, repair, deadline);
        let Some(repaired) = limits.bound_by(limits.at_last, clock, repairing).await else {
            return Ok(Step::Stopped);
        };
        let is_cut = limits.are_over(clock);
        Ok(Step::Repaired(repairs.settle(repaired?, is_cut)))
    }
}
