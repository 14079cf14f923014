//! From what tells of ends (status events, records of invocations, reports) to deleted rows, or rows put back.

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use daybook_ledger::{Deadline, Ledger, LedgerError, RetryPolicy, Success, chain};
use daybook_schema::{BatchName, ExecutionName, ObjectEvent, RunName, Timestamp};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::delivery::{Delivered, Disposition, NO_ANSWER};
use crate::executions::{Ended, EndedStatus, Observed, why};
use crate::settle_batch::{BatchEnd, SettledBatch};
use crate::settle_execution::{Settled, event_of_input, settle};
use crate::settle_record::ended_invocation;
use crate::settle_report::Report;
use crate::target::AttemptTarget;

/// Ends settled one by one at once.
const CONCURRENCY: usize = 16;

/// Settles rows by "Step Functions Execution Status Change" events, by records of Lambda's asynchronous invocations, and by targets' own
/// reports.
#[derive(Clone, Debug)]
pub struct Completer {
    ledger: Ledger,
    target: AttemptTarget,
    retry: RetryPolicy,
}

/// What came of one status event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completed {
    /// The row follows the execution.
    Settled(Settled),
    /// The rows that a batch's input, or a report, names follow.
    SettledBatch(SettledBatch),
    /// Nothing to do: another state machine, a name that is not Daybook's, or an execution that has not ended.
    Ignored,
    /// Not certainly done: the event comes again.
    Returned(String),
}

impl Completed {
    /// What it did, in rows.
    pub fn rows(&self) -> SettledBatch {
        match self {
            Self::Settled(settled) => (*settled).into(),
            Self::SettledBatch(settled) => *settled,
            Self::Ignored | Self::Returned(_) => SettledBatch::default(),
        }
    }

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
    output: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    cause: Option<String>,
}

/// What a message says.
enum Read {
    /// An execution succeeded, and its input names its event.
    Success(ExecutionName, Ended, Box<ObjectEvent>),
    /// It ended in another way, or its event must be looked for.
    Other(ExecutionName, Ended),
    /// A batch's execution ended.
    Batch(BatchName, Ended),
    /// A target's own report.
    Report(Report),
    /// Nothing that could be settled.
    Done(Completed),
}

fn read_end(ended: Ended) -> Read {
    let name = match ended.name {
        RunName::Single(name) => name,
        RunName::Batch(name) => return Read::Batch(name, ended),
    };
    match (ended.status, event_of_input(name, &ended)) {
        (EndedStatus::Succeeded, Some(event)) => Read::Success(name, ended, Box::new(event)),
        _ => Read::Other(name, ended),
    }
}

fn completed(settled: Result<Settled, LedgerError>) -> Completed {
    match settled {
        Ok(settled) => Completed::Settled(settled),
        Err(error) => Completed::Returned(chain(&error)),
    }
}

fn no_time_left() -> Completed {
    Completed::Returned("no time left in this run".into())
}

impl Completer {
    /// Settles rows for that target. Step Functions is asked only for batches whose status events leave out what they were given or what
    /// they gave.
    pub fn new(ledger: Ledger, target: impl Into<AttemptTarget>, retry: RetryPolicy) -> Self {
        Self {
            ledger,
            target: target.into(),
            retry,
        }
    }

    /// Handles messages of the completion queue; the outcome of each in their order. Successes whose inputs name their events are
    /// completed together, and everything else is settled one by one, overlapping with them. Nobody waits for another one's trouble.
    pub async fn handle(&self, messages: &[Delivered], deadline: Deadline) -> Vec<Completed> {
        let (mut completed, mut successes, mut others) = (Vec::new(), Vec::new(), Vec::new());
        let mut reports = Vec::new();
        for (position, message) in messages.iter().enumerate() {
            match self.read(&message.body) {
                Read::Success(name, ended, event) => successes.push((position, name, ended, event)),
                Read::Other(name, ended) => others.push((position, RunName::Single(name), ended)),
                Read::Batch(name, ended) => others.push((position, RunName::Batch(name), ended)),
                Read::Report(report) => reports.push((position, report)),
                Read::Done(done) => completed.push((position, done)),
            }
        }
        let (together, one_by_one, reported) = futures::join!(
            self.complete_together(&successes, deadline),
            self.settle_one_by_one(&others, deadline),
            self.settle_reports(&reports, deadline)
        );
        completed.extend(together);
        completed.extend(reported);
        completed.extend(one_by_one);
        completed.sort_by_key(|(position, _)| *position);
        let completed: Vec<Completed> = completed.into_iter().map(|(_, completed)| completed).collect();
        for (message, completed) in messages.iter().zip(&completed) {
            if let Completed::Returned(cause) = completed {
                tracing::warn!(sqs.message_id = %message.message_id, trace.link = message.trace, %cause, "a status event is returned");
            }
        }
        completed
    }

    fn read(&self, body: &str) -> Read {
        match Report::read(body) {
            Some(Ok(report)) => return Read::Report(report),
            Some(Err(error)) => {
                return Read::Done(Completed::Returned(format!("not a valid report: {error}")));
            }
            None => {}
        }
        match ended_invocation(body) {
            Some(Ok(ended)) => return read_end(ended),
            Some(Err(error)) => {
                return Read::Done(Completed::Returned(format!(
                    "not a record of an invocation: {error}"
                )));
            }
            None => {}
        }
        let event: EventBridgeEvent<StatusChange> = match serde_json::from_str(body) {
            Ok(event) => event,
            // Not acknowledged: what it is should be looked at, and the dead-letter queue keeps it for that.
            Err(error) => return Read::Done(Completed::Returned(format!("not a status event: {error}"))),
        };
        match self.ended(event.detail) {
            Some(ended) => read_end(ended),
            None => Read::Done(Completed::Ignored),
        }
    }

    async fn complete_together(
        &self,
        successes: &[(usize, ExecutionName, Ended, Box<ObjectEvent>)],
        deadline: Deadline,
    ) -> Vec<(usize, Completed)> {
        let positions = successes.iter().map(|(position, ..)| *position);
        if deadline.is_over(self.ledger.clock()) {
            return positions.map(|position| (position, no_time_left())).collect();
        }
        let successes: Vec<Success<'_>> = successes
            .iter()
            .map(|(_, name, ended, event)| Success {
                event,
                attempt: name.attempt,
                by: &ended.arn,
            })
            .collect();
        let deleted = self.ledger.complete_many(&successes, deadline).await;
        let completed = deleted
            .into_iter()
            .map(|deleted| completed(deleted.map(Settled::from)));
        positions.zip(completed).collect()
    }

    async fn settle_one_by_one(
        &self,
        others: &[(usize, RunName, Ended)],
        deadline: Deadline,
    ) -> Vec<(usize, Completed)> {
        let settled: Vec<_> = others
            .iter()
            .map(|(position, name, ended)| async move {
                (*position, self.settle_one(*name, ended, deadline).await)
            })
            .collect();
        futures::stream::iter(settled)
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await
    }

    async fn settle_reports(
        &self,
        reports: &[(usize, Report)],
        deadline: Deadline,
    ) -> Vec<(usize, Completed)> {
        let settled: Vec<_> = reports
            .iter()
            .map(|(position, report)| async move { (*position, self.settle_report(report, deadline).await) })
            .collect();
        futures::stream::iter(settled)
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await
    }

    async fn settle_report(&self, report: &Report, deadline: Deadline) -> Completed {
        if deadline.is_over(self.ledger.clock()) {
            return no_time_left();
        }
        let settled = report.settle(&self.ledger, &self.retry, deadline);
        match deadline.bound(self.ledger.clock(), settled).await {
            Some(Ok(settled)) => Completed::SettledBatch(settled),
            Some(Err(error)) => Completed::Returned(chain(&error)),
            None => Completed::Returned(NO_ANSWER.into()),
        }
    }

    async fn settle_one(&self, name: RunName, ended: &Ended, deadline: Deadline) -> Completed {
        if deadline.is_over(self.ledger.clock()) {
            return no_time_left();
        }
        let settled = async {
            match name {
                RunName::Single(name) => {
                    completed(settle(&self.ledger, name, ended, &self.retry, deadline).await)
                }
                RunName::Batch(name) => self.settle_batch(name, ended, deadline).await,
            }
        };
        let settled = deadline.bound(self.ledger.clock(), settled).await;
        settled.unwrap_or_else(|| Completed::Returned(NO_ANSWER.into()))
    }

    async fn settle_batch(&self, name: BatchName, ended: &Ended, deadline: Deadline) -> Completed {
        let end = match BatchEnd::of(name, ended) {
            Some(end) => end,
            // Too large for the event: "inputDetails": {"included": false} ("EventBridge events for Step Functions execution status
            // changes", Step Functions Developer Guide).
            None => match self.target.observe(name.into()).await {
                Observed::Ended(ended) => match BatchEnd::of(name, &ended) {
                    Some(end) => end,
                    None => {
                        let unread = format!("DescribeExecution {name}: its input or output cannot be read");
                        return Completed::Returned(unread);
                    }
                },
                // What DescribeExecution says may be a moment old (Step Functions API Reference).
                Observed::Running => {
                    return Completed::Returned(format!("DescribeExecution {name}: it still runs"));
                }
                Observed::Unknown(cause) => return Completed::Returned(cause.into()),
            },
        };
        match end.settle(&self.ledger, &self.retry, deadline).await {
            Ok(settled) => Completed::SettledBatch(settled),
            Err(error) => Completed::Returned(chain(&error)),
        }
    }

    fn ended(&self, change: StatusChange) -> Option<Ended> {
        let status = match change.status.as_str() {
            "SUCCEEDED" => EndedStatus::Succeeded,
            "FAILED" | "TIMED_OUT" | "ABORTED" => EndedStatus::Failed,
            _ => return None,
        };
        if change.state_machine_arn != self.target.executions()?.state_machine_arn() {
            return None;
        }
        Some(Ended {
            name: change.name.parse().ok()?,
            arn: change.execution_arn,
            status,
            input: change.input,
            output: change.output,
            started_at: change.start_date.and_then(Timestamp::from_unix_millis),
            why: why(&change.status, change.error.as_deref(), change.cause.as_deref()),
        })
    }
}
