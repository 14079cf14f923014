//! From dispatch messages to the target: one execution, invocation or message per (event, attempt).

use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::{Blame, Deadline, Failed, Ledger, LedgerError, Moved, chain};
use daybook_schema::{DispatchMessage, QueueMessage, Row, Status};
use futures::StreamExt;

use crate::delivery::{Delivered, Disposition, NO_ANSWER};
use crate::executions::{Observed, Started};
use crate::rate_limiter::Pace;
use crate::settings::Dispatch;
use crate::settle_batch::SettledBatch;
use crate::settle_execution::{Settled, settle};
use crate::target::AttemptTarget;

/// Starts under way at once.
const CONCURRENCY: usize = 16;

/// So many starts of an attempt by repeated deliveries are counted; the delivery after the last of them fails the attempt. The same as
/// of workers' deaths.
pub(crate) const MOST_UNTOLD: u32 = 3;

/// Hands attempts to their target for dispatch messages.
#[derive(Clone, Debug)]
pub struct Invoker {
    pub(crate) ledger: Ledger,
    pub(crate) target: AttemptTarget,
    pub(crate) dispatch: Dispatch,
    pub(crate) pace: Arc<Pace>,
}

/// What came of one dispatch message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invoked {
    /// Its execution runs, or its target will run it.
    Started,
    /// The target has it, and that is all: the rows are done.
    Sent(SettledBatch),
    /// A repeated message whose row is gone, or went on: nothing to do.
    Dropped,
    /// The name was taken, and the execution runs: the row has a new lease.
    Renewed,
    /// The name was taken, and the execution has ended: the row follows.
    Settled(Settled),
    /// The same of a batch: the rows that its input names follow.
    SettledBatch(SettledBatch),
    /// Its runs kept ending without a word: the attempt has failed, and none was started.
    Untold(Failed),
    /// The same of all that was left of a batch.
    UntoldBatch(SettledBatch),
    /// The input is invalid to the target: the row is parked.
    Parked(Failed),
    /// The target takes no more for now: the message comes again.
    Throttled(String),
    /// Nothing is known, nothing was changed: the message comes again.
    Returned(String),
}

impl Invoked {
    /// What it settled, in rows.
    pub fn rows(&self) -> SettledBatch {
        match self {
            Self::Settled(settled) => (*settled).into(),
            Self::SettledBatch(settled) | Self::UntoldBatch(settled) | Self::Sent(settled) => *settled,
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
    /// Hands attempts to that target, no faster than `pace` (StartExecution: 300 a second in the large regions, Step
    /// Functions quotas; the rate is shared by all invokers of an account).
    pub fn new(ledger: Ledger, target: impl Into<AttemptTarget>, dispatch: Dispatch, pace: Pace) -> Self {
        Self {
            ledger,
            target: target.into(),
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
        let (input, trace) = (&message.input, message.trace.as_deref());
        match self.target.start(input, trace, &self.pace).await {
            // It runs, so this delivery arrived, and must not look undelivered. When the renewal fails the execution runs all the
            // same, and the sweep looks again.
            Started::Running if row.is_some() => {
                self.ledger
                    .renew(&[name], None, self.dispatch.lease, deadline)
                    .await;
                Invoked::Started
            }
            Started::Running => Invoked::Started,
            Started::Untracked => {
                // One that another delivery has taken the place of, or that has arrived before, counts nothing.
                if let Some(row) = row.filter(|row| row.deliveries == message.delivery) {
                    let lease = self.counted_lease();
                    self.ledger.count_start(&row, lease, deadline).await;
                }
                Invoked::Started
            }
            Started::Done(by) => self.settle_sent(&[&message.input], &by, deadline).await,
            Started::NameTaken => self.probe(&message, deadline).await,
            Started::Invalid(cause) => {
                let parked = self.ledger.park(name, None, &cause, deadline).await;
                parked.map_or_else(returned, Invoked::Parked)
            }
            Started::Throttled(cause) => {
                Invoked::Throttled(format!("{} {name}: {cause}", self.target.request()))
            }
            Started::NotStarted(cause) => {
                Invoked::Returned(format!("{} {name}: {cause}", self.target.request()))
            }
        }
    }

    /// The lease that a counted start writes: longer than what it has started can run on untold.
    pub(crate) fn counted_lease(&self) -> Duration {
        self.dispatch.lease.max(self.target.least_lease())
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
                &self.target.untold(row.deaths),
                &self.dispatch.retry,
                deadline,
            )
            .await;
        failed.map_or_else(returned, Invoked::Untold)
    }

    /// The name is taken: what became of that execution becomes of the row.
    async fn probe(&self, message: &DispatchMessage, deadline: Deadline) -> Invoked {
        let name = message.input.name();
        match self.target.observe(name.into()).await {
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

pub(crate) fn returned(error: LedgerError) -> Invoked {
    Invoked::Returned(chain(&error))
}
