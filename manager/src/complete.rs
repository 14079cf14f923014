//! From executions' status events to deleted rows, or rows put back.

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use daybook_ledger::{Deadline, Ledger, RetryPolicy, chain};
use daybook_schema::Timestamp;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::delivery::{Delivered, Disposition, NO_ANSWER};
use crate::executions::{Ended, EndedStatus, why};
use crate::settle_execution::{Settled, settle};

/// Events handled at once.
const CONCURRENCY: usize = 16;

/// Settles rows by "Step Functions Execution Status Change" events.
#[derive(Clone, Debug)]
pub struct Completer {
    ledger: Ledger,
    state_machine_arn: String,
    retry: RetryPolicy,
}

/// What came of one status event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The row follows the execution.
    Settled(Settled),
    /// Nothing to do: another state machine, a name that is not Daybook's, or an execution that has not ended.
    Ignored,
    /// Not certainly done: the event comes again.
    Returned(String),
}

impl Completed {
    /// What the queue is to do with the message.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Returned(_) => Disposition::Return,
            _ => Disposition::Acknowledge,
        }
    }
}

/// The detail of a status event ("Step Functions service integration with EventBridge", Step Functions Developer Guide).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusChange {
    execution_arn: String,
    state_machine_arn: String,
    name: String,
    status: String,
    #[serde(default)]
    start_date: Option<i64>,
    #[serde(default)]
    input: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    cause: Option<String>,
}

impl Completer {
    /// Settles rows for executions of that state machine.
    pub fn new(ledger: Ledger, state_machine_arn: impl Into<String>, retry: RetryPolicy) -> Self {
        Self {
            ledger,
            state_machine_arn: state_machine_arn.into(),
            retry,
        }
    }

    /// Handles messages of the completion queue, overlapping; the outcome of each in their order.
    pub async fn handle(&self, messages: &[Delivered], deadline: Deadline) -> Vec<Completed> {
        let completions: Vec<_> = messages
            .iter()
            .map(|message| self.handle_one(message, deadline))
            .collect();
        futures::stream::iter(completions)
            .buffered(CONCURRENCY)
            .collect()
            .await
    }

    async fn handle_one(&self, message: &Delivered, deadline: Deadline) -> Completed {
        let completed = match deadline.is_over(self.ledger.clock()) {
            true => Completed::Returned("no time left in this run".into()),
            false => {
                let completed = deadline
                    .bound(self.ledger.clock(), self.complete(&message.body, deadline))
                    .await;
                completed.unwrap_or_else(|| Completed::Returned(NO_ANSWER.into()))
            }
        };
        if let Completed::Returned(cause) = &completed {
            tracing::warn!(sqs.message_id = %message.message_id, trace.link = message.trace, %cause, "a status event is returned");
        }
        completed
    }

    async fn complete(&self, body: &str, deadline: Deadline) -> Completed {
        let event: EventBridgeEvent<StatusChange> = match serde_json::from_str(body) {
            Ok(event) => event,
            // Not acknowledged: what it is should be looked at, and the dead-letter queue keeps it for that.
            Err(error) => return Completed::Returned(format!("not a status event: {error}")),
        };
        let Some(ended) = self.ended(event.detail) else {
            return Completed::Ignored;
        };
        match settle(&self.ledger, &ended, &self.retry, deadline).await {
            Ok(settled) => Completed::Settled(settled),
            Err(error) => Completed::Returned(chain(&error)),
        }
    }

    fn ended(&self, change: StatusChange) -> Option<Ended> {
        let status = match change.status.as_str() {
            "SUCCEEDED" => EndedStatus::Succeeded,
            "FAILED" | "TIMED_OUT" | "ABORTED" => EndedStatus::Failed,
            _ => return None,
        };
        if change.state_machine_arn != self.state_machine_arn {
            return None;
        }
        Some(Ended {
            name: change.name.parse().ok()?,
            arn: change.execution_arn,
            status,
            input: change.input,
            started_at: change.start_date.and_then(Timestamp::from_unix_millis),
            why: why(&change.status, change.error.as_deref(), change.cause.as_deref()),
        })
    }
}
