//! Rows that are a worker's: the run, the leases that are held meanwhile, and what is to be reported of each.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_ledger::{Blame, Ledger};
use daybook_schema::{BatchId, BatchInput, EventId, ExecutionInput, ExecutionName, Row};
use futures::StreamExt;
use futures::future::join_all;

use super::inbox::Message;
use super::observer::RunObserver;
use super::overtaken::{Ours, overtaken};
use super::run_log::RunLog;
use super::settings::WorkerSettings;
use super::settler::Settler;
use super::target::{Run, RunInput, Stop, Target, TargetAnswer};
use super::worked::Worked;

/// What every message of a worker needs.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ledger: Ledger,
    pub(super) target: Arc<dyn Target>,
    pub(super) settings: WorkerSettings,
    pub(super) settler: Settler,
    pub(super) log: RunLog,
    pub(super) observer: Option<Arc<dyn RunObserver>>,
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

/// Rows that are ours, for one call of the target.
pub(super) struct Call {
    /// At least one.
    pub(super) rows: Vec<Row>,
    /// The batch that they are given as. Without one it is a single row, in the form of a single event.
    pub(super) batch: Option<BatchId>,
}

impl Call {
    fn input(&self) -> Option<RunInput> {
        let mut events = self.rows.iter().filter_map(|row| {
            let event = row.event()?;
            Some(ExecutionInput::new(event, row.attempt))
        });
        match self.batch {
            None => events.next().map(RunInput::from),
            Some(batch) => Some(RunInput::Batch(BatchInput::new(batch, events.collect()))),
        }
    }
}

/// What is to be reported.
pub(super) enum Report {
    Success,
    Failure(Blame, String),
    Later(Duration, Option<String>),
}

/// Rows whose run has ended. They are still ours, and what came of each is to be reported.
pub(super) struct Ran {
    rows: Vec<Row>,
    ended: Ended,
    lost: Lost,
    took: Duration,
}

/// How a run ended.
enum Ended {
    /// There was nothing to run.
    NotBegun,
    Answered(TargetAnswer),
    TimedOut,
    Stopped,
    /// A lease was lost, of a row of it at least.
    LeaseLost,
}

/// Why leases were lost, by row.
type Lost = BTreeMap<EventId, String>;

impl Job {
    pub(super) fn new(ledger: Ledger, target: Arc<dyn Target>, settings: WorkerSettings) -> Self {
        Self {
            ledger,
            target,
            settings,
            settler: Settler::default(),
            log: RunLog::default(),
            observer: None,
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

    /// Runs the target for rows that are ours, and holds them and their message meanwhile.
    pub(super) async fn call(&self, call: Call, message: Option<Message<'_>>, stop: Stop) -> Ran {
        let (input, mut rows) = (call.input(), call.rows);
        let began = self.ledger.clock().now();
        // A row that keeps an unreadable payload is never claimed.
        let Some(input) = input else {
            return Ran {
                rows,
                ended: Ended::NotBegun,
                lost: Lost::new(),
                took: Duration::ZERO,
            };
        };
        let trace = rows.iter().find_map(|row| row.trace.clone());
        if let Some(observer) = &self.observer {
            observer.began(&rows, began);
        }
        let (ended, lost) = self.run(&mut rows, (input, trace), message, stop).await;
        Ran {
            rows,
            ended,
            lost,
            took: self.ledger.clock().now().since(began),
        }
    }

    /// Reports what came of each row of a run.
    pub(super) async fn report_each(&self, ran: Ran) -> Vec<Worked> {
        let in_company = ran.rows.len() > 1;
        let reports = ran.rows.iter().map(|row| async {
            let worked = match ran.lost.get(&row.id) {
                Some(cause) => {
                    self.tell_lost(row, cause);
                    Worked::LeaseLost(cause.clone())
                }
                None => self.settle(row, &ran.ended, in_company).await,
            };
            if let Some(observer) = &self.observer {
                observer.ended(row, &worked, ran.took, self.ledger.clock().now());
            }
            worked
        });
        join_all(reports).await
    }

    /// Runs the target and holds rows and message meanwhile; the rows' `due_at` are the ends of the leases afterwards. A lease that is
    /// lost ends the run for all: whoever has that row by then must not run it beside us.
    async fn run(
        &self,
        rows: &mut [Row],
        (input, trace): (RunInput, Option<String>),
        message: Option<Message<'_>>,
        mut stop: Stop,
    ) -> (Ended, Lost) {
        let (stopper, stop_run) = Stop::pair();
        let mut run = self.target.run(Run {
            input,
            trace,
            stop: stop_run,
        });
        let mut lost = Lost::new();
        let ours = Ours::of(rows);
        let mut holds = self.hold_each(rows, message);
        let ended = tokio::select! {
            biased;
            // First: an answer that is there counts, whatever else happens.
            answer = &mut run => return (Ended::Answered(answer), lost),
            Some((id, cause)) = holds.next() => {
                lost.insert(id, cause);
                Ended::LeaseLost
            }
            gone = overtaken(&self.ledger, self.settings.look_every, &ours) => {
                lost.extend(gone);
                Ended::LeaseLost
            }
            () = stop.requested() => Ended::Stopped,
            () = tokio::time::sleep(self.settings.timeout) => Ended::TimedOut,
        };
        stopper.stop();
        // Whatever a run that was asked to stop still answers, it may be the end of half a job. The leases are held until it has ended.
        let mut stopped = pin!(tokio::time::timeout(self.settings.stopping, run));
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                Some((id, cause)) = holds.next() => {
                    lost.insert(id, cause);
                }
            }
        }
        (ended, lost)
    }

    fn tell_lost(&self, row: &Row, cause: &str) {
        let (event, general) = (row.object_event(), row.cloud_event());
        tracing::warn!(
            event.id = %row.id,
            s3.bucket = event.map(|event| event.bucket.as_str()),
            s3.key = event.map(|event| event.key.as_str()),
            cloudevents.event_source = general.map(|event| event.source.as_str()),
            cloudevents.event_id = general.map(|event| event.id.as_str()),
            attempt = row.attempt.0,
            cause,
            "a run is stopped, because its event is no longer this worker's"
        );
    }

    /// Reports what the end of a run says of one of its rows.
    async fn settle(&self, row: &Row, ended: &Ended, in_company: bool) -> Worked {
        let blame = |in_company_it_is| match in_company {
            true => in_company_it_is,
            false => Blame::Own,
        };
        let report = match ended {
            Ended::Answered(TargetAnswer::Success) => Report::Success,
            Ended::Answered(TargetAnswer::Listed { failed, why }) => match failed.contains(&row.id) {
                true => Report::Failure(blame(Blame::Named), why.clone()),
                false => Report::Success,
            },
            Ended::Answered(TargetAnswer::Later { after, why }) => {
                // A "later" of no time would spend the whole budget on one event.
                let after = after.unwrap_or(self.settings.later).max(Duration::from_secs(1));
                Report::Later(after, Some(why.clone()))
            }
            Ended::Answered(TargetAnswer::Failed { why }) => {
                Report::Failure(blame(Blame::Shared), why.clone())
            }
            Ended::TimedOut => {
                let seconds = self.settings.timeout.as_secs_f64();
                Report::Failure(blame(Blame::Shared), format!("timed out after {seconds} s"))
            }
            Ended::Stopped | Ended::LeaseLost => return self.put_back(row).await,
            Ended::NotBegun => return Worked::Dropped,
        };
        let why = match &report {
            Report::Success => String::new(),
            Report::Failure(_, why) => why.clone(),
            Report::Later(_, why) => why.clone().unwrap_or_default(),
        };
        let worked = self.report(row, report).await;
        self.log.tell(row, &why, &worked, self.ledger.clock().now());
        worked
    }
}
