//! `daybook relay`: messages go from one queue to another, N per window, without a ledger.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use daybook_inspect::aws::answer::Answer;
use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::queues;
use daybook_ledger::{Clock, Deadline};
use daybook_manager::{DeduplicationId, Relay, RelayReport, RelaySettings};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::values;
use crate::aws::clients::Aws;
use crate::commands::run::repeat::repeat;
use crate::deployment::failures;
use crate::ui::error::UserError;
use crate::ui::output;
use crate::ui::output::{Line, Output};

/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Send messages from one SQS queue to another, N per window
///
/// Takes at most N messages, sends them on as they are, and deletes each only when the other queue has certainly
/// taken it: whatever fails in between comes again, so nothing is lost, and a message may be sent twice. Standard
/// and FIFO queues on either side; groups keep their order. No ledger is needed.
///
/// One run, or with --every a run per window until SIGTERM or Ctrl-C.
#[derive(Args, Debug)]
pub struct RelayArguments {
    /// URL of the queue to take messages from
    #[arg(long, value_name = "URL", value_parser = values::queue_url)]
    from: String,

    /// URL of the queue to send to; same region
    #[arg(long, value_name = "URL", value_parser = values::queue_url)]
    to: String,

    /// N: most messages of one run
    ///
    /// At least 1
    #[arg(long, value_name = "N", default_value = "50", value_parser = values::at_least_one)]
    per_window: u32,

    /// Run again every TIME, 100ms to 1d
    ///
    /// Such as 1m, until SIGTERM or Ctrl-C; without it, once
    #[arg(long, value_name = "TIME", value_parser = values::every)]
    every: Option<Duration>,

    /// FIFO: message-id or kept
    ///
    /// What a FIFO queue recognises repeated messages by: message-id loses nothing; kept can lose a message
    /// whose id another one had more than five minutes before
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        default_value_t,
        hide_possible_values = true
    )]
    deduplication_id: DeduplicationId,

    /// File whose lock keeps out a second relay
    ///
    /// There can be one of a queue on this machine; the file is in the folder for temporary files by default
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
}

/// What a relay did, all its runs together.
#[derive(Serialize, JsonSchema)]
pub struct RelayOutput<'a> {
    /// Runs that came to their end.
    runs: u64,
    #[serde(flatten)]
    report: &'a RelayReport,
}

/// Runs it.
///
/// # Errors
/// When a queue is missing or does not answer, when another relay of the queue runs on this machine, and when the last run could not do
/// all of its work.
pub async fn run(arguments: RelayArguments, output: Output) -> anyhow::Result<ExitCode> {
    if arguments.from == arguments.to {
        return Err(values::usage_of("to", &"this is the queue that messages are taken from").into());
    }
    let aws = Aws::from_environment().await?;
    for url in [&arguments.from, &arguments.to] {
        answers(&aws, url).await?;
    }
    let _lock = lock(&arguments)?;
    let settings = RelaySettings {
        from: arguments.from,
        to: arguments.to,
        per_window: arguments.per_window,
        wait: Duration::from_secs(2),
        deduplication_id: arguments.deduplication_id,
    };
    let clock = Clock::system();
    let relay = Relay::new(aws.queues(), settings, clock.clone());
    let (mut runs, mut total, mut last) = (0, RelayReport::default(), Vec::new());
    let mut run_once = async || {
        let report = relay.run(Deadline::after(&clock, PATIENCE)).await;
        log(&report);
        runs += 1;
        last.clone_from(&report.failures);
        total.add(report);
        Ok(ExitCode::SUCCESS)
    };
    let code = match arguments.every {
        None => run_once().await?,
        Some(every) => repeat("relay", every, run_once).await?,
    };
    print(runs, &total, output)?;
    failures::end("the relay", &last, &aws, AwsResource::Queue)?;
    Ok(code)
}

fn log(report: &RelayReport) {
    for cause in &report.failures {
        tracing::warn!(%cause, "the relay could not do everything; what is left comes again");
    }
    if report.received > 0 {
        let RelayReport {
            received,
            sent,
            not_sent,
            unknown,
            not_deleted,
            ..
        } = report;
        tracing::info!(received, sent, not_sent, unknown, not_deleted, "relayed");
    }
}

/// One relay of a queue at a time on this machine: two would take N each. The operating system drops the lock when the process ends.
fn lock(arguments: &RelayArguments) -> Result<File, UserError> {
    let path = arguments.lock.clone().unwrap_or_else(|| {
        let plain = |letter: char| match letter.is_ascii_alphanumeric() || ".-_".contains(letter) {
            true => letter,
            false => '-',
        };
        let queue: String = arguments.from.chars().map(plain).take(200).collect();
        std::env::temp_dir().join(format!("daybook-relay-{queue}.lock"))
    });
    let failed = |path: &Path, error: std::io::Error| {
        UserError::new(format!("the lock file {} cannot be used", path.display()))
            .because(error)
            .hint("name another file with --lock")
    };
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let mut file = opened.map_err(|error| failed(&path, error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(
                UserError::new(format!("another relay takes messages from {}", arguments.from))
                    .because(anyhow::anyhow!("it holds the lock on {}", path.display()))
                    .hint("wait until it ends or stop it: two relays would take N each"),
            );
        }
        Err(TryLockError::Error(error)) => return Err(failed(&path, error)),
    }
    // Who has it, for people; the lock alone decides.
    let _ = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

async fn answers(aws: &Aws, url: &str) -> Result<(), UserError> {
    match queues::attributes(&aws.queues(), url).await {
        Answer::Known(_) => Ok(()),
        Answer::Absent => Err(
            UserError::new(format!("there is no queue {url} in region {}", aws.region()))
                .hint("check its URL, region and account"),
        ),
        Answer::Unknown(refusal) => Err(UserError::new(format!("the queue {url} cannot be read"))
            .because(anyhow::anyhow!("{}", refusal.cause))
            .hint_if_any(aws.advice(AwsResource::Queue, &refusal.cause))),
    }
}

fn print(runs: u64, report: &RelayReport, output: Output) -> anyhow::Result<()> {
    let count = |n: u32| n.to_string();
    let mut lines: Vec<Line> = vec![
        ("runs", runs.to_string(), ""),
        ("received", count(report.received), "taken, at most N in each run"),
        ("sent", count(report.sent), "the other queue has them"),
        (
            "not sent",
            count(report.not_sent),
            "the other queue does not have them: they come again",
        ),
        (
            "unknown",
            count(report.unknown),
            "without an answer: they come again, and may be sent twice",
        ),
        (
            "not deleted",
            count(report.not_deleted),
            "sent, and may come again",
        ),
    ];
    if report.empty {
        lines.push(("stopped", "the queue is empty".to_owned(), ""));
    }
    if report.out_of_time {
        lines.push((
            "stopped",
            "out of time; the next run takes the rest".to_owned(),
            "",
        ));
    }
    output::print(output, &lines, &RelayOutput { runs, report })
}
