//! From dispatch messages to executions, one per (event, attempt).

use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::{Blame, Deadline, Failed, Ledger, LedgerError, Moved, chain};
use daybook_schema::{DispatchMessage, QueueMessage, Row, Status};
use futures::StreamExt;

use crate::delivery::{Delivered, Disposition, NO_ANSWER};
use crate::executions::{Executions, Observed, Started};
use crate::rate_limiter::Pace;
use crate::settings::Dispatch;
use crate::settle_batch::SettledBatch;
use crate::settle_execution::{Settled, settle};

/// Starts under way at once.
const CONCURRENCY: usize = 16;

/// So many starts of an attempt by repeated deliveries are counted; the delivery after the last of them fails the attempt. The same as
/// of workers' deaths.
pub(crate) const MOST_UNTOLD: u32 = 3;

/// An Express execution is over after five minutes ("Service quotas", Step Functions Developer Guide), and has another one here to
/// tell its end: a lease that a counted start writes is no shorter.
const EXPRESS_LEASE: Duration = Duration::from_secs(6 * 60);

/// Starts executions for dispatch messages.
#[derive(Clone, Debug)]
pub struct Invoker {
    pub(crate) ledger: Ledger,
    pub(crate) executions: Executions,
    pub(crate) dispatch: Dispatch,
    pace: Arc<Pace>,
}

/// What came of one dispatch message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invoked {
    /// Its execution runs.
    Started,
    /// A repeated message whose row is gone, or went on: nothing to do.
    Dropped,
    /// The name was taken, and the execution runs: the row has a new lease.
    Renewed,
    /// The name was taken, and the execution has ended: the row follows.
    Settled(Settled),
    /// The same of a batch: the rows that its input names follow.
    SettledBatch(SettledBatch),
    /// Its executions kept ending without a word: the attempt has failed, and none was started.
    Untold(Failed),
    /// The input is invalid to Step Functions: the row is parked.
    Parked(Failed),
    /// Step Functions starts no more for now: the message comes again.
    Throttled(String),
    /// Nothing is known, nothing was changed: the message comes again.
    Returned(String),
}

impl Invoked {
    /// What it settled, in rows.
    pub fn rows(&self) -> SettledBatch {
        match self {
            Self::Settled(settled) => (*settled).into(),
            Self::SettledBatch(settled) => *settled,
            Self::Untold(failed) | Self::Parked(failed) => Settled::Failed(*failed).into(),
            _ => SettledBatch::default(),
        }
    }

    /// What the queue is to do with the message.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Throttled(_) | Self::Returned(_) => Disposition::Return,
            _ => Disposition::Acknowledge,
        }
    }
}

impl Invoker {
    /// Starts executions there, no faster than `pace` (StartExecution: 300 a second in the large regions, Step
    /// Functions quotas; the rate is shared by all invokers of an account).
    pub fn new(ledger: Ledger, executions: Executions, dispatch: Dispatch, pace: Pace) -> Self {
        Self {
            ledger,
            executions,
            dispatch,
            pace: Arc::new(pace),
        }
    }

    /// Handles messages of the dispatch queue, overlapping; the outcome of each in their order. No message is begun after the
    /// deadline.
    pub async fn handle(&self, messages: &[Delivered], deadline: Deadline) -> Vec<Invoked> {
        let invocations: Vec<_> = messages
            .iter()
            .map(|message| self.handle_one(message, deadline))
            .collect();
        futures::stream::iter(invocations)
            .buffered(CONCURRENCY)
            .collect()
            .await
    }

    async fn handle_one(&self, message: &Delivered, deadline: Deadline) -> Invoked {
        let invoked = match deadline.is_over(self.ledger.clock()) {
            true => Invoked::Returned("no time left in this run".into()),
            false => {
                let invoked = deadline
                    .bound(self.ledger.clock(), self.invoke(message, deadline))
                    .await;
                invoked.unwrap_or_else(|| Invoked::Returned(NO_ANSWER.into()))
            }
        };
        if let Invoked::Throttled(cause) | Invoked::Returned(cause) = &invoked {
            tracing::warn!(sqs.message_id = %message.message_id, trace.link = message.trace, %cause, "a dispatch message is returned");
        }
        invoked
    }

    async fn invoke(&self, delivered: &Delivered, deadline: Deadline) -> Invoked {
        match QueueMessage::from_json(&delivered.body) {
            Ok(QueueMessage::Single(message)) => {
                tracing::debug!(
                    sqs.message_id = %delivered.message_id,
                    sfn.execution = %message.input.name(),
                    delivery = message.delivery,
                    trace.link = message.trace,
                    "a dispatch message is at hand"
                );
                self.invoke_one(message, deadline).await
            }
            Ok(QueueMessage::Batch(message)) => {
                tracing::debug!(
                    sqs.message_id = %delivered.message_id,
                    sfn.execution = %message.name(),
                    events = message.events.len(),
                    trace.link = message.trace,
                    "a batch's dispatch message is at hand"
                );
                Box::pin(self.invoke_batch(message, deadline)).await
            }
            Err(error) => Invoked::Returned(error.to_string()),
        }
    }

    /// Waits for its turn to start an execution.
    pub(crate) async fn turn(&self) {
        self.pace.turn().await;
    }

    async fn invoke_one(&self, message: DispatchMessage, deadline: Deadline) -> Invoked {
        let name = message.input.name();
        // Only a repeated delivery can be late; the first one is worth no read.
        let row = match message.delivery {
            0 | 1 => None,
            _ => match self.ledger.get(name.id).await {
                Ok(Some(row)) if row.status == Status::Claimed && row.attempt == name.attempt => Some(row),
                Ok(_) => return Invoked::Dropped,
                Err(error) => return returned(error),
            },
        };
        if let Some(row) = row.as_ref().filter(|row| row.deaths >= MOST_UNTOLD) {
            return self.fail_untold(row, &message, deadline).await;
        }
        self.pace.turn().await;
        match self
            .executions
            .start(&message.input, message.trace.as_deref())
            .await
        {
            // It runs, so this delivery arrived, and must not look undelivered. When the renewal fails the execution runs all the
            // same, and the sweep looks again.
            Started::Running if row.is_some() => {
                self.ledger
                    .renew(&[name], None, self.dispatch.lease, deadline)
                    .await;
                Invoked::Started
            }
            Started::Running => Invoked::Started,
            Started::Express => {
                // One that another delivery has taken the place of, or that has arrived before, counts nothing.
                if let Some(row) = row.filter(|row| row.deliveries == message.delivery) {
                    let lease = express_lease(self.dispatch.lease);
                    self.ledger.count_start(&row, lease, deadline).await;
                }
                Invoked::Started
            }
            Started::NameTaken => self.probe(&message, deadline).await,
            Started::Invalid(cause) => {
                let parked = self.ledger.park(name, None, &cause, deadline).await;
                parked.map_or_else(returned, Invoked::Parked)
            }
            Started::Throttled(cause) => Invoked::Throttled(format!("StartExecution {name}: {cause}")),
            Started::NotStarted(cause) => Invoked::Returned(format!("StartExecution {name}: {cause}")),
        }
    }

    /// Fails the attempt instead of starting it once more. Every start that was counted has ended: the sweep sent this delivery
    /// after the lease that its count had written.
    async fn fail_untold(&self, row: &Row, message: &DispatchMessage, deadline: Deadline) -> Invoked {
        if row.deliveries != message.delivery {
            // A copy of one that has arrived, or older than one that is on its way: what it is about may run.
            return Invoked::Dropped;
        }
        let failed = self
            .ledger
            .fail_taken(
                row,
                Blame::Own,
                &untold(row.deaths),
                &self.dispatch.retry,
                deadline,
            )
            .await;
        failed.map_or_else(returned, Invoked::Untold)
    }

    /// The name is taken: what became of that execution becomes of the row.
    async fn probe(&self, message: &DispatchMessage, deadline: Deadline) -> Invoked {
        let name = message.input.name();
        match self.executions.observe(name).await {
            Observed::Running => {
                match self
                    .ledger
                    .renew(&[name], None, self.dispatch.lease, deadline)
                    .await
                    .pop()
                {
                    Some(Moved::Moved) => Invoked::Renewed,
                    Some(Moved::Stale) => Invoked::Dropped,
                    Some(Moved::Left(cause)) => Invoked::Returned(cause.into()),
                    None => Invoked::Returned("the renewal has no outcome".into()),
                }
            }
            Observed::Ended(ended) => {
                let settled = settle(&self.ledger, name, &ended, &self.dispatch.retry, deadline).await;
                settled.map_or_else(returned, Invoked::Settled)
            }
            Observed::Unknown(cause) => Invoked::Returned(cause.into()),
        }
    }
}

/// The lease that a counted start writes.
pub(crate) fn express_lease(lease: Duration) -> Duration {
    lease.max(EXPRESS_LEASE)
}

/// Why an attempt has failed after so many executions that ended untold.
pub(crate) fn untold(executions: u32) -> String {
    format!(
        "UNTOLD: {executions} executions in a row ended without a report: the state machine's log says why (output above 256 KiB, \
         over 5 minutes, no access to the completion queue)"
    )
}

pub(crate) fn returned(error: LedgerError) -> Invoked {
    Invoked::Returned(chain(&error))
}
