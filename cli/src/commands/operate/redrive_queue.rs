//! `daybook redrive-queue`: the messages of a dead-letter queue go back where they came from.

use std::process::ExitCode;

use clap::Args;
use daybook_inspect::aws::answer::Answer;
use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::queues;
use daybook_inspect::operate::dead_letters;
use daybook_inspect::operate::dead_letters::{DeadLetters, MoveFailure, MoveTask, MoveTasks, count};
use daybook_inspect::wording::text;
use daybook_ledger::Cause;
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

    /// Messages per second at most, 1 to 500
    ///
    /// By default as fast as SQS allows
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
    let DeadLetters { arn, waiting } = find(&aws, &arguments.queue).await?;
    let tasks = MoveTasks::of(aws.queues(), &arn);
    let failed = |failure| advised(&aws, failure);
    let last = tasks.newest().await.map_err(failed)?;
    let running = last.filter(|task| task.status() == Some("RUNNING"));
    if arguments.cancel {
        let Some(task) = running else {
            return Err(UserError::new(format!("no task is running for {arn}"))
                .hint("there is nothing to cancel; without --cancel one is started")
                .into());
        };
        tasks.cancel(&task).await.map_err(failed)?;
        // SQS ends it after the messages that are on their way.
        let task = tasks.newest().await.map_err(failed)?.unwrap_or(task);
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
            let (to, per_second) = (arguments.to.as_deref(), arguments.per_second);
            tasks.start(to, per_second).await.map_err(failed)?;
        }
    }
    if arguments.no_wait {
        return print(output, &arn, tasks.newest().await.map_err(failed)?.as_ref());
    }
    tokio::select! {
        biased;
        () = signals::requested() => {
            eprintln!("note: SQS continues to move messages; the same command resumes watching, and --cancel stops the task");
            print(output, &arn, tasks.newest().await.map_err(failed)?.as_ref())?;
            Ok(ExitCode::from(signals::INTERRUPTED))
        }
        task = watch(&tasks) => print(output, &arn, Some(&task.map_err(failed)?)),
    }
}

fn advised(aws: &Aws, failure: MoveFailure) -> UserError {
    let advice = aws.advice(AwsResource::Queue, &failure.cause);
    UserError::new(failure.what)
        .because(anyhow::anyhow!("{}", failure.cause))
        .hint_if_any(failure.hint.map(str::to_owned).or(advice))
}

/// The queue, and about how many messages it has.
async fn find(aws: &Aws, queue: &Named) -> Result<DeadLetters, UserError> {
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
    match dead_letters::at(&aws.queues(), &url).await {
        Answer::Known(letters) => Ok(letters),
        Answer::Absent => Err(gone(name)),
        Answer::Unknown(refusal) => Err(refused(name, &refusal.cause)),
    }
}

/// Shows how far it is, until it has ended.
async fn watch(tasks: &MoveTasks) -> Result<MoveTask, MoveFailure> {
    let style = ProgressStyle::with_template("{bar:40} {pos} of about {len} moved, {elapsed}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let task = tasks
        .watch(|task| {
            let moved = count(task.approximate_number_of_messages_moved());
            let to_move = task.approximate_number_of_messages_to_move().map_or(moved, count);
            bar.set_length(to_move.max(moved));
            bar.set_position(moved);
        })
        .await;
    bar.finish_and_clear();
    task
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

fn print(output: Output, arn: &str, task: Option<&MoveTask>) -> anyhow::Result<ExitCode> {
    let moved = task.map_or(0, |task| count(task.approximate_number_of_messages_moved()));
    let status = task
        .and_then(MoveTask::status)
        .map_or("empty".to_owned(), str::to_lowercase);
    let started_at = task.and_then(|task| Timestamp::from_unix_millis(task.started_timestamp()));
    let json = RedriveQueueOutput {
        queue: arn,
        status: &status,
        moved,
        to_move: task.and_then(MoveTask::approximate_number_of_messages_to_move),
        destination: task.and_then(MoveTask::destination_arn),
        started_at,
        failure: task.and_then(MoveTask::failure_reason),
    };
    let text = || format!("{status}: {} of {arn} moved\n", text::many(moved, "message"));
    output::print_either(output, text, &json)?;
    Ok(ExitCode::SUCCESS)
}
