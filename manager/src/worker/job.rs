//! One row that is a worker's: the run, the lease that is held meanwhile, and the report of what came of it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_ledger::{Blame, Deadline, Extended, Failed, Ledger, Postponed, Success, chain};
use daybook_schema::{DispatchMessage, ExecutionInput, ExecutionName, Row, Timestamp};

use super::inbox::Message;
use super::settings::WorkerSettings;
use super::settler::Settler;
use super::target::{Run, Stop, Target, TargetAnswer};

/// Between two looks at the clock while a lease is held: so soon after a suspended machine wakes, its leases are seen to be over.
const LOOK: Duration = Duration::from_secs(10);

/// How long the extension of a lease that is over already may take.
const LATE: Duration = Duration::from_secs(5);

/// How much of a reason a row keeps, in characters.
const LONGEST_WHY: usize = 256;

/// What came of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worked {
    /// The target succeeded, and the row is gone.
    Completed,
    /// The attempt failed.
    Failed(Failed),
    /// The target said "later": PENDING until then, no attempt used.
    Later(Timestamp),
    /// The message had nothing to say any more.
    Dropped,
    /// Nothing was run, or its end could not be reported: the message comes again.
    Returned(String),
    /// The row is not ours any more: the run was stopped, and nothing was reported.
    LeaseLost(String),
    /// The worker shut down: PENDING again, no attempt used.
    Stopped,
}

/// What every message of a worker needs.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ledger: Ledger,
    pub(super) target: Arc<dyn Target>,
    pub(super) settings: WorkerSettings,
    pub(super) settler: Settler,
    /// What runs here now.
    pub(super) running: Mutex<BTreeSet<ExecutionName>>,
}

/// An attempt that runs here, until this is dropped.
pub(super) struct Mine<'a> {
    job: &'a Job,
    name: ExecutionName,
}

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        self.job.running().remove(&self.name);
    }
}

/// How a run ended.
enum Ended {
    Answered(TargetAnswer),
    TimedOut,
    Stopped,
    LeaseLost(String),
}

/// What is to be reported.
pub(super) enum Report {
    Success,
    Failure(String),
    Later(Duration, Option<String>),
}

impl Job {
    pub(super) fn new(ledger: Ledger, target: Arc<dyn Target>, settings: WorkerSettings) -> Self {
        Self {
            ledger,
            target,
            settings,
            settler: Settler::default(),
            running: Mutex::default(),
        }
    }

    pub(super) fn running(&self) -> MutexGuard<'_, BTreeSet<ExecutionName>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks that attempt as running here; `None` when it does already.
    pub(super) fn begin(&self, name: ExecutionName) -> Option<Mine<'_>> {
        let is_new = self.running().insert(name);
        is_new.then(|| Mine { job: self, name })
    }

    /// Runs the target for a row that is ours, and reports what came of it; with the message that told of the row, if one did.
    pub(super) async fn run_and_report(
        &self,
        mut row: Row,
        message: Option<Message<'_>>,
        stop: Stop,
    ) -> Worked {
        let Some(DispatchMessage { input, trace, .. }) = DispatchMessage::for_row(&row) else {
            // A row that keeps an unreadable payload is never claimed.
            return Worked::Dropped;
        };
        let name = input.name();
        let report = match self.run(&mut row, (input, trace), message, stop).await {
            Ended::Answered(TargetAnswer::Success) => Report::Success,
            Ended::Answered(TargetAnswer::Later { after, why }) => {
                // A "later" of no time would spend the whole budget on one event.
                let after = after.unwrap_or(self.settings.later).max(Duration::from_secs(1));
                Report::Later(after, Some(why))
            }
            Ended::Answered(TargetAnswer::Failed { why }) => Report::Failure(why),
            Ended::TimedOut => {
                let seconds = self.settings.timeout.as_secs_f64();
                Report::Failure(format!("timed out after {seconds} s"))
            }
            // As if never claimed, and with what failed before as its last error.
            Ended::Stopped => {
                return match self.report(&row, Report::Later(Duration::ZERO, None)).await {
                    Worked::Later(_) => Worked::Stopped,
                    other => other,
                };
            }
            Ended::LeaseLost(cause) => return Worked::LeaseLost(cause),
        };
        if let Report::Failure(why) = &report {
            tracing::info!(event.id = %name.id, attempt = name.attempt.0, %why, "an attempt failed");
        }
        self.report(&row, report).await
    }

    /// Runs the target and holds row and message meanwhile; `row.due_at` is the end of the lease afterwards.
    async fn run(
        &self,
        row: &mut Row,
        (input, trace): (ExecutionInput, Option<String>),
        message: Option<Message<'_>>,
        mut stop: Stop,
    ) -> Ended {
        let (stopper, stop_run) = Stop::pair();
        let mut run = self.target.run(Run {
            input,
            trace,
            stop: stop_run,
        });
        let mut hold = pin!(self.hold(row, message));
        let ended = tokio::select! {
            biased;
            // First: an answer that is there counts, whatever else happens.
            answer = &mut run => return Ended::Answered(answer),
            cause = &mut hold => Ended::LeaseLost(cause),
            () = stop.requested() => Ended::Stopped,
            () = tokio::time::sleep(self.settings.timeout) => Ended::TimedOut,
        };
        stopper.stop();
        let mut stopped = pin!(tokio::time::timeout(self.settings.stopping, run));
        if let Ended::LeaseLost(_) = ended {
            // Its answer does not count: the row is somebody else's.
            let _ = stopped.await;
            return ended;
        }
        // Whatever a run that was asked to stop still answers, it may be the end of half a job.
        tokio::select! {
            biased;
            _ = &mut stopped => ended,
            cause = &mut hold => {
                let _ = stopped.await;
                Ended::LeaseLost(cause)
            }
        }
    }

    /// Extends the lease, and a message's visibility, at every third of the lease, until that fails; why it failed.
    ///
    /// The last sixth of a lease is for stopping: when the ledger did not confirm a longer one by then, another worker may have
    /// the row when this one ends, and only stopping keeps the two apart. A machine that was suspended finds its leases over: one
    /// extension says whether another worker has the row since.
    pub(super) async fn hold(&self, row: &mut Row, message: Option<Message<'_>>) -> String {
        let lease = self.settings.lease;
        let clock = self.ledger.clock();
        loop {
            self.wait_to_extend(row).await;
            let mut trouble = "no time left to extend the lease".to_owned();
            let mut slept = row.due_at.since(clock.now()) <= lease / 6;
            loop {
                let left = row.due_at.since(clock.now()).saturating_sub(lease / 6);
                let last = match (left.is_zero(), std::mem::take(&mut slept)) {
                    (true, false) => return trouble,
                    (true, true) => LATE,
                    (false, _) => left,
                };
                let deadline = Deadline::after(clock, last);
                // Together: dying between the two would bring the message back before the lease is over, or long after.
                let visibility = async {
                    if let Some(message) = message {
                        let hidden = message.hide(self.settings.visibility());
                        let _ = tokio::time::timeout(lease / 12, hidden).await;
                    }
                };
                let extension = tokio::time::timeout(last, self.ledger.extend(row, lease, deadline));
                let (_, extended) = futures::join!(visibility, extension);
                match extended {
                    Ok(Extended::Extended(until)) => {
                        row.due_at = until;
                        break;
                    }
                    Ok(Extended::Stale) => return "the row went on, or is another worker's".into(),
                    // Perhaps written: the next one finds out.
                    Ok(Extended::NotApplied(cause) | Extended::Unknown(cause)) => trouble = cause.into(),
                    Err(_) => trouble = "the ledger did not answer before the lease neared its end".into(),
                }
                tokio::time::sleep((lease / 30).min(Duration::from_secs(5))).await;
            }
        }
    }

    /// Waits for a third of the lease, or until more of it is over by the clock than can be: the machine was suspended.
    async fn wait_to_extend(&self, row: &Row) {
        let lease = self.settings.lease;
        let mut wait = lease / 3;
        while !wait.is_zero() && row.due_at.since(self.ledger.clock().now()) > lease / 2 {
            let nap = wait.min(LOOK);
            tokio::time::sleep(nap).await;
            wait -= nap;
        }
    }

    /// Reports until the ledger has it, or the lease is over: then the message comes again, and the event with it.
    pub(super) async fn report(&self, row: &Row, report: Report) -> Worked {
        let clock = self.ledger.clock();
        let deadline = Deadline(row.due_at);
        let mut pause = Duration::from_millis(200);
        loop {
            let cause = match self.report_once(row, &report, deadline).await {
                Ok(worked) => return worked,
                Err(cause) => cause,
            };
            if deadline.left(clock) <= pause {
                return Worked::Returned(cause);
            }
            tracing::warn!(event.id = %row.id, %cause, "what came of a run could not be reported; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    async fn report_once(&self, row: &Row, report: &Report, deadline: Deadline) -> Result<Worked, String> {
        match report {
            Report::Success => {
                // A row that keeps an unreadable payload is never claimed.
                let event = row.event().ok_or("the row has no event")?;
                let success = Success {
                    event,
                    attempt: row.attempt,
                    by: &self.settings.name,
                };
                let completed = self.settler.complete(&self.ledger, success).await;
                completed.map(|_| Worked::Completed)
            }
            Report::Failure(why) => {
                let why = both_ends(why, LONGEST_WHY);
                let retry = &self.settings.retry;
                let failed = self
                    .ledger
                    .fail_taken(row, Blame::Own, &why, retry, deadline)
                    .await;
                failed.map(Worked::Failed).map_err(|error| chain(&error))
            }
            Report::Later(after, why) => {
                let why = why.as_deref().map(|why| both_ends(why, LONGEST_WHY));
                match self.ledger.postpone(row, *after, why.as_deref(), deadline).await {
                    Postponed::Until(until) => Ok(Worked::Later(until)),
                    Postponed::Stale => Ok(Worked::Dropped),
                    Postponed::Left(cause) => Err(cause.into()),
                }
            }
        }
    }
}

/// At most so many characters of a text: what happened stands at its start, and what a command said last at its end.
fn both_ends(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let start = most / 5;
    let end = characters.len() - (most - start - 3);
    let (start, end): (String, String) = (
        characters[..start].iter().collect(),
        characters[end..].iter().collect(),
    );
    format!("{start} … {end}")
}

#[cfg(test)]
mod tests {
    use super::both_ends;

    #[test]
    fn of_a_long_reason_the_start_and_the_end_are_kept() {
        assert_eq!(both_ends("exit status 1: no", 256), "exit status 1: no");
        let long = format!("exit status 1: {}the end é", "x".repeat(2000));
        let kept = both_ends(&long, 256);
        assert_eq!(kept.chars().count(), 256);
        assert!(
            kept.starts_with("exit status 1: xxx") && kept.ends_with("xxthe end é"),
            "{kept}"
        );
    }
}
