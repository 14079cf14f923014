//! `daybook redrive-queue`: the messages of a dead-letter queue go back where they came from.

use std::process::ExitCode;
use std::time::Duration;

use aws_sdk_sqs::operation::list_message_move_tasks::ListMessageMoveTasksOutput;
use aws_sdk_sqs::types::ListMessageMoveTasksResultEntry as Task;
use clap::Args;
use daybook_inspect::aws::answer::Answer;
use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::queues;
use daybook_inspect::wording::text;
use daybook_ledger::{Cause, describe};
use daybook_schema::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::values;
use crate::args::values::queue_arn;
use crate::aws::clients::Aws;
use crate::signals;
use crate::ui::confirm::ConfirmArguments;
use crate::ui::error::UserError;
use crate::ui::output;
use crate::ui::output::Output;

/// How often a task is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// Move a dead-letter queue's messages back to their queue
///
/// SQS moves them (StartMessageMoveTask): first fix what made them fail, or they come back. Each goes back to
/// the queue it came from, or to --to. SQS runs one task per queue: if one is already running, it is watched.
/// Ctrl-C stops watching, not the task; --cancel stops the task. Moved messages are new messages: nothing is
/// lost, and their ages and receive counts start again.
#[derive(Args, Debug)]
pub struct RedriveQueueArguments {
    /// URL or ARN of the dead-letter queue
    #[arg(value_name = "QUEUE", value_parser = queue)]
    queue: Named,

    /// ARN of another queue to move them to
    #[arg(long, value_name = "ARN", value_parser = queue_arn)]
    to: Option<String>,

    /// Messages per second at most, 1 to 500; as fast as SQS allows by default
    #[arg(long, value_name = "N", value_parser = values::whole::<i32>(1, 500))]
    per_second: Option<i32>,

    /// Start the task without waiting for its end
    #[arg(long, conflicts_with = "cancel")]
    no_wait: bool,

    /// Cancel the running task; what is moved stays moved
    #[arg(long, conflicts_with_all = ["to", "per_second"])]
    cancel: bool,

    #[command(flatten)]
    confirm: ConfirmArguments,
}

/// A queue as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Url(String),
    Arn(String),
}

fn queue(text: &str) -> Result<Named, String> {
    if text.starts_with("arn:") {
        return queue_arn(text).map(Named::Arn);
    }
    values::queue_url(text).map(Named::Url)
}

/// Runs it.
///
/// # Errors
/// When there is no such dead-letter queue, SQS refuses, the task fails, or the answer is no.
pub async fn run(arguments: RedriveQueueArguments, output: Output) -> anyhow::Result<ExitCode> {
    let aws = Aws::from_environment().await?;
    let (arn, waiting) = find(&aws, &arguments.queue).await?;
    let tasks = Tasks { aws: &aws, arn: &arn };
    let last = tasks.last().await?;
    let running = last.filter(|task| task.status() == Some("RUNNING"));
    if arguments.cancel {
        let Some(task) = running else {
            return Err(UserError::new(format!("no task is running for {arn}"))
                .hint("there is nothing to cancel; without --cancel one is started")
                .into());
        };
        tasks.cancel(&task).await?;
        // SQS ends it after the messages that are on their way.
        let task = tasks.last().await?.unwrap_or(task);
        return print(output, &arn, Some(&task));
    }
    match running {
        Some(_) => {
            eprintln!("note: a task is already running for {arn}: it is watched, and no other is started")
        }
        None if waiting == 0 => {
            eprintln!("note: {arn} is empty");
            return print(output, &arn, None);
        }
        None => {
            let to = arguments
                .to
                .as_deref()
                .unwrap_or("the queues that they came from");
            eprintln!("About {} of {arn}: back to {to}.", text::many(waiting, "message"));
            arguments.confirm.ask("Move them?")?;
            tasks.start(arguments.to.as_deref(), arguments.per_second).await?;
        }
    }
    if arguments.no_wait {
        return print(output, &arn, tasks.last().await?.as_ref());
    }
    tokio::select! {
        biased;
        () = signals::requested() => {
            eprintln!("note: SQS continues to move messages; the same command resumes watching, and --cancel stops the task");
            print(output, &arn, tasks.last().await?.as_ref())?;
            Ok(ExitCode::from(signals::INTERRUPTED))
        }
        task = tasks.watch() => print(output, &arn, Some(&task?)),
    }
}

/// The queue's ARN, and about how many messages it has.
async fn find(aws: &Aws, queue: &Named) -> Result<(String, u64), UserError> {
    let refused = |name: &str, cause: &Cause| {
        UserError::new(format!("the queue {name} cannot be read"))
            .because(anyhow::anyhow!("{cause}"))
            .hint_if_any(aws.advice(AwsResource::Queue, cause))
    };
    let gone = |name: &str| {
        UserError::new(format!("there is no queue {name} in region {}", aws.region()))
            .hint("check name, region and account; `daybook doctor` names the dead-letter queues")
    };
    let (name, url) = match queue {
        Named::Url(url) => (url, url.clone()),
        Named::Arn(arn) => match queues::url_of(&aws.queues(), arn).await {
            Answer::Known(url) => (arn, url),
            Answer::Absent => return Err(gone(arn)),
            Answer::Unknown(refusal) => return Err(refused(arn, &refusal.cause)),
        },
    };
    match queues::attributes(&aws.queues(), &url).await {
        Answer::Known(attributes) => {
            let waiting = attributes.get("ApproximateNumberOfMessages");
            let waiting = waiting.and_then(|n| n.parse().ok()).unwrap_or(0);
            let arn = queues::arn(&attributes).map_err(|cause| refused(name, &cause))?;
            Ok((arn, waiting))
        }
        Answer::Absent => Err(gone(name)),
        Answer::Unknown(refusal) => Err(refused(name, &refusal.cause)),
    }
}

/// The move tasks of a queue.
struct Tasks<'a> {
    aws: &'a Aws,
    arn: &'a str,
}

impl Tasks<'_> {
    fn refused(&self, what: &str, cause: &Cause) -> UserError {
        UserError::new(format!("the messages of {} cannot be {what}", self.arn))
            .because(anyhow::anyhow!("{cause}"))
            .hint_if_any(self.aws.advice(AwsResource::Queue, cause))
    }

    /// The same, of a request whose only parameter that SQS can refuse is the queue.
    fn refused_for_queue(&self, cause: &Cause) -> UserError {
        let refused = self.refused("moved", cause);
        match cause.code() {
            Some("InvalidParameterValue" | "InvalidParameterValueException") => refused.hint(
                "only the dead-letter queue of another queue can be moved back: give that one, or name it in the other \
                 queue's redrive policy first",
            ),
            _ => refused,
        }
    }

    fn failed(&self, moved: u64, reason: Option<&str>) -> UserError {
        let why = reason.unwrap_or("SQS does not say why");
        let failed = self.refused("moved", &format!("the task failed after {moved}: {why}").into());
        match reason {
            Some("CouldNotDetermineMessageSource") => {
                failed.hint("SQS does not know where the messages came from: name a queue with --to")
            }
            _ => failed,
        }
    }

    /// The newest task, if there ever was one.
    async fn last(&self) -> Result<Option<Task>, UserError> {
        let asked = self
            .aws
            .queues()
            .list_message_move_tasks()
            .source_arn(self.arn)
            .max_results(1);
        let ListMessageMoveTasksOutput { results, .. } = asked
            .send()
            .await
            .map_err(|error| self.refused_for_queue(&describe(&error).of("ListMessageMoveTasks")))?;
        Ok(results.unwrap_or_default().into_iter().next())
    }

    async fn start(&self, to: Option<&str>, per_second: Option<i32>) -> Result<(), UserError> {
        let start = self
            .aws
            .queues()
            .start_message_move_task()
            .source_arn(self.arn)
            .set_destination_arn(to.map(str::to_owned))
            .set_max_number_of_messages_per_second(per_second);
        let cause = match start.send().await {
            Ok(_) => return Ok(()),
            Err(error) => describe(&error).of("StartMessageMoveTask"),
        };
        Err(match to {
            None => self.refused_for_queue(&cause),
            Some(_) => self.refused("moved", &cause),
        })
    }

    async fn cancel(&self, task: &Task) -> Result<(), UserError> {
        let handle = task.task_handle().unwrap_or_default();
        let cancel = self.aws.queues().cancel_message_move_task().task_handle(handle);
        match cancel.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let cause = describe(&error).of("CancelMessageMoveTask");
                Err(self.refused("left where they are", &cause))
            }
        }
    }

    /// Looks until the newest task has ended.
    async fn watch(&self) -> Result<Task, UserError> {
        let style = ProgressStyle::with_template("{bar:40} {pos} of about {len} moved, {elapsed}");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        loop {
            if let Some(task) = self.last().await? {
                let moved = count(task.approximate_number_of_messages_moved());
                let to_move = task.approximate_number_of_messages_to_move().map_or(moved, count);
                bar.set_length(to_move.max(moved));
                bar.set_position(moved);
                match task.status() {
                    Some("RUNNING" | "CANCELLING") => {}
                    Some("FAILED") => {
                        bar.finish_and_clear();
                        return Err(self.failed(moved, task.failure_reason()));
                    }
                    _ => {
                        bar.finish_and_clear();
                        return Ok(task);
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

pub fn count(n: i64) -> u64 {
    n.try_into().unwrap_or(0)
}

/// What a dead-letter queue's redrive did.
#[derive(Serialize, JsonSchema)]
pub struct RedriveQueueOutput<'a> {
    /// The dead-letter queue's ARN.
    queue: &'a str,
    /// `empty`, `completed`, `running`, `cancelling` or `cancelled`.
    status: &'a str,
    /// Messages moved, by SQS's count.
    moved: u64,
    /// Messages that there were to move, by SQS's count.
    to_move: Option<i64>,
    /// Where to; null: each message to the queue that it came from.
    destination: Option<&'a str>,
    /// When SQS began.
    started_at: Option<Timestamp>,
    /// Why the task failed, if SQS says.
    failure: Option<&'a str>,
}

fn print(output: Output, arn: &str, task: Option<&Task>) -> anyhow::Result<ExitCode> {
    let moved = task.map_or(0, |task| count(task.approximate_number_of_messages_moved()));
    let status = task
        .and_then(Task::status)
        .map_or("empty".to_owned(), str::to_lowercase);
    let started_at = task.and_then(|task| Timestamp::from_unix_millis(task.started_timestamp()));
    let json = RedriveQueueOutput {
        queue: arn,
        status: &status,
        moved,
        to_move: task.and_then(Task::approximate_number_of_messages_to_move),
        destination: task.and_then(Task::destination_arn),
        started_at,
        failure: task.and_then(Task::failure_reason),
    };
    let text = || format!("{status}: {} of {arn} moved\n", text::many(moved, "message"));
    output::print_either(output, text, &json)?;
    Ok(ExitCode::SUCCESS)
}
