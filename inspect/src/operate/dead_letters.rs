//! Messages of a dead-letter queue go back to the queues that they came from. SQS moves them, as a task of its own (StartMessageMoveTask):
//! whoever started it may go, and one task at most runs per queue.

use std::fmt;
use std::time::Duration;

use aws_sdk_sqs::Client;
pub use aws_sdk_sqs::types::ListMessageMoveTasksResultEntry as MoveTask;
use daybook_ledger::{Cause, describe};

use crate::aws::answer::{Answer, Refusal};
use crate::aws::queues;
use crate::checks::queues::redrive_policy;

/// How often a task is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// The most messages per second that a task may be limited to.
pub const MOST_PER_SECOND: i32 = 500;

/// A queue that messages are moved from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// Its ARN.
    pub arn: String,
    /// About how many messages wait in it.
    pub waiting: u64,
}

/// The dead-letter queue at that URL.
pub async fn at(sqs: &Client, url: &str) -> Answer<DeadLetters> {
    queues::attributes(sqs, url).await.and_then(|attributes| {
        let waiting = attributes.get("ApproximateNumberOfMessages");
        let waiting: Option<u64> = waiting.and_then(|n| n.parse().ok());
        let unknown = |cause| {
            Answer::Unknown(Refusal {
                action: "sqs:GetQueueAttributes",
                cause,
            })
        };
        match (queues::arn(&attributes), waiting) {
            (Ok(arn), Some(waiting)) => Answer::Known(DeadLetters { arn, waiting }),
            (Ok(arn), None) => unknown(format!("SQS does not say how many messages {arn} holds").into()),
            (Err(cause), _) => unknown(cause),
        }
    })
}

/// The dead-letter queue of the queue at that URL; `None` where it has none.
///
/// # Errors
/// When SQS does not say it, or one of the two queues is gone.
pub async fn of_queue(sqs: &Client, url: &str) -> Result<Option<DeadLetters>, Cause> {
    let attributes = known(queues::attributes(sqs, url).await, url)?;
    let Some((arn, _)) = redrive_policy(&attributes) else {
        return Ok(None);
    };
    let url = known(queues::url_of(sqs, &arn).await, &arn)?;
    known(at(sqs, &url).await, &arn).map(Some)
}

fn known<T>(answer: Answer<T>, queue: &str) -> Result<T, Cause> {
    match answer {
        Answer::Known(known) => Ok(known),
        Answer::Absent => Err(format!("there is no queue {queue}").into()),
        Answer::Unknown(refusal) => Err(refusal.cause),
    }
}

/// What could not be done with a queue's messages, and why.
#[derive(Clone, Debug)]
pub struct MoveFailure {
    /// Such as `the messages of ARN cannot be moved`.
    pub what: String,
    /// What SQS said.
    pub cause: Cause,
    /// What to do, where it follows from that.
    pub hint: Option<&'static str>,
}

impl fmt::Display for MoveFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)?;
        self.hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Whether SQS is still at work on it.
pub fn is_under_way(task: &MoveTask) -> bool {
    matches!(task.status(), Some("RUNNING" | "CANCELLING"))
}

/// A number of messages, by SQS's count.
pub fn count(n: i64) -> u64 {
    n.try_into().unwrap_or(0)
}

/// The move tasks of a dead-letter queue.
#[derive(Clone, Debug)]
pub struct MoveTasks {
    sqs: Client,
    arn: String,
}

impl MoveTasks {
    /// Those of the queue with that ARN.
    pub fn of(sqs: Client, arn: &str) -> Self {
        Self {
            sqs,
            arn: arn.to_owned(),
        }
    }

    fn refused(&self, what: &str, cause: Cause) -> MoveFailure {
        MoveFailure {
            what: format!("the messages of {} cannot be {what}", self.arn),
            cause,
            hint: None,
        }
    }

    /// The same, of a request whose only parameter that SQS can refuse is the queue.
    fn refused_for_queue(&self, cause: Cause) -> MoveFailure {
        let hint = match cause.code() {
            Some("InvalidParameterValue" | "InvalidParameterValueException") => Some(
                "only the dead-letter queue of another queue can be moved back: give that one, or name it in the other \
                 queue's redrive policy first",
            ),
            _ => None,
        };
        MoveFailure {
            hint,
            ..self.refused("moved", cause)
        }
    }

    /// Why that task failed; `None` where it did not.
    pub fn failure(&self, task: &MoveTask) -> Option<MoveFailure> {
        if task.status() != Some("FAILED") {
            return None;
        }
        let moved = count(task.approximate_number_of_messages_moved());
        let why = task.failure_reason().unwrap_or("SQS does not say why");
        let cause = format!("the task failed after {moved}: {why}");
        let hint = match task.failure_reason() {
            Some("CouldNotDetermineMessageSource") => {
                Some("SQS does not know where the messages came from: name a queue with --to")
            }
            _ => None,
        };
        Some(MoveFailure {
            hint,
            ..self.refused("moved", cause.into())
        })
    }

    /// The newest task, if there ever was one.
    ///
    /// # Errors
    /// When SQS does not say it.
    pub async fn newest(&self) -> Result<Option<MoveTask>, MoveFailure> {
        let asked = self.sqs.list_message_move_tasks();
        let asked = asked.source_arn(&self.arn).max_results(1);
        let answer = asked
            .send()
            .await
            .map_err(|error| self.refused_for_queue(describe(&error).of("ListMessageMoveTasks")))?;
        Ok(answer.results.unwrap_or_default().into_iter().next())
    }

    /// Starts a task: to the queues that the messages came from, or to that one; at most so many messages per second.
    ///
    /// # Errors
    /// When SQS refuses it, and none runs. A request that was answered by nobody may have started it, and somebody else may have been first: it
    /// is looked at again.
    pub async fn start(&self, to: Option<&str>, per_second: Option<i32>) -> Result<(), MoveFailure> {
        let start = self.sqs.start_message_move_task();
        let start = start
            .source_arn(&self.arn)
            .set_destination_arn(to.map(str::to_owned))
            .set_max_number_of_messages_per_second(per_second);
        let cause = match start.send().await {
            Ok(_) => return Ok(()),
            Err(error) => describe(&error).of("StartMessageMoveTask"),
        };
        match self.newest().await {
            Ok(Some(task)) if is_under_way(&task) => Ok(()),
            _ => Err(match to {
                None => self.refused_for_queue(cause),
                Some(_) => self.refused("moved", cause),
            }),
        }
    }

    /// Cancels that task; what is moved stays moved.
    ///
    /// # Errors
    /// When SQS refuses it.
    pub async fn cancel(&self, task: &MoveTask) -> Result<(), MoveFailure> {
        let handle = task.task_handle().unwrap_or_default();
        match self
            .sqs
            .cancel_message_move_task()
            .task_handle(handle)
            .send()
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => {
                let cause = describe(&error).of("CancelMessageMoveTask");
                Err(self.refused("left where they are", cause))
            }
        }
    }

    /// Looks once a second until the newest task has ended, and says how far it is.
    ///
    /// # Errors
    /// When SQS does not say it, or the task failed.
    pub async fn watch(&self, mut seen: impl FnMut(&MoveTask)) -> Result<MoveTask, MoveFailure> {
        loop {
            if let Some(task) = self.newest().await? {
                seen(&task);
                match self.failure(&task) {
                    Some(failure) => return Err(failure),
                    None if !is_under_way(&task) => return Ok(task),
                    None => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
