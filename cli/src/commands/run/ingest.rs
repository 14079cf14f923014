//! `daybook ingest`: notifications from files and pipes into a ledger.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use daybook_inspect::aws::failure::Failure;
use daybook_ledger::{Cause, Deadline, Ledger, Recorded};
use daybook_manager::{Ingest, Ingested, Payload};
use daybook_schema::SourceName;
use daybook_schema::notification::KeyEncoding;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use indicatif::{MultiProgress, ProgressBar};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::args::values;
use crate::deployment::{DeploymentArguments, Location};
use crate::json_files;
use crate::json_files::Broken;
use crate::ui::error;
use crate::ui::error::UserError;
use crate::ui::output::Line;
use crate::ui::output::Output;
use crate::ui::{logging, output};

/// Batches under way at once.
const BATCHES: usize = 4;

/// How long one batch may take, a throttling table's retries included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Record S3 event notifications from files or stdin
///
/// Records S3 event notifications from files as if they had just arrived: one JSON document after another, on
/// separate lines or not, in any form that S3, EventBridge, SNS, SQS, MinIO, Ceph or RustFS sends, and as
/// `aws sqs receive-message` prints them. UTF-8, UTF-16 and gzip are read. Events that are already in the
/// ledger, or done, are recognised, so the command is safe to repeat. A document that is not an object event
/// becomes a PARKED row.
#[derive(Args, Debug)]
pub struct IngestArguments {
    /// Files of notifications; - is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Name of the S3 that the events come from [default: that of the folder's `daybook up`; aws on AWS]
    #[arg(long, value_name = "NAME", env = "DAYBOOK_SOURCE", hide_env_values = true)]
    source: Option<SourceName>,

    /// How notifications spell keys: encoded (form-encoded, as S3 does), plain, or auto (by the server that
    /// the notification names) [default: as the folder's `daybook up` has it; auto on AWS]
    #[arg(
        long,
        value_name = "HOW",
        env = "DAYBOOK_KEY_ENCODING",
        hide_env_values = true
    )]
    key_encoding: Option<KeyEncoding>,

    /// After how many failed attempts an event is parked for a person; at least 1 [default: as the folder's
    /// `daybook up` has it; 5 on AWS]
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_ATTEMPTS", hide_env_values = true)]
    max_attempts: Option<u32>,

    #[command(flatten)]
    deployment: DeploymentArguments,
}

/// What came of the files.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct IngestOutput {
    /// Notifications read.
    notifications: u64,
    /// Events that are new: rows in the ledger now.
    recorded: u64,
    /// Events that were in the ledger, or came twice.
    already_there: u64,
    /// Events that a receipt covers.
    done_before: u64,
    /// Parts kept as PARKED rows.
    unreadable: u64,
    /// `s3:TestEvent`: nothing to record.
    test_events: u64,
    /// Events that may not be in the ledger.
    not_safe: u64,
    /// Why, each cause once.
    failures: Vec<Cause>,
}

impl IngestOutput {
    fn add(&mut self, ingested: &Ingested) {
        self.notifications += 1;
        self.test_events += ingested.test_events as u64;
        let events = ingested.rows.len() - ingested.unreadable;
        for (position, row) in ingested.rows.iter().enumerate() {
            let counter = match row {
                Recorded::Recorded if position >= events => &mut self.unreadable,
                Recorded::Recorded => &mut self.recorded,
                Recorded::AlreadyThere => &mut self.already_there,
                Recorded::Covered => &mut self.done_before,
                Recorded::Rejected(cause) | Recorded::Throttled(cause) | Recorded::Unknown(cause) => {
                    if !self.failures.contains(cause) && self.failures.len() < 5 {
                        self.failures.push(cause.clone());
                    }
                    &mut self.not_safe
                }
            };
            *counter += 1;
        }
    }

    fn print(&self, output: Output) -> anyhow::Result<()> {
        let count = |n: u64| n.to_string();
        let lines: Vec<Line> = vec![
            ("notifications", count(self.notifications), "read"),
            (
                "recorded",
                count(self.recorded),
                "events that are new: rows in the ledger now",
            ),
            (
                "already there",
                count(self.already_there),
                "events that were in the ledger, or came twice",
            ),
            (
                "done before",
                count(self.done_before),
                "events that a receipt covers",
            ),
            (
                "unreadable",
                count(self.unreadable),
                "parts kept as PARKED rows, for a person to see",
            ),
            (
                "test events",
                count(self.test_events),
                "s3:TestEvent: nothing to record",
            ),
            (
                "not safe",
                count(self.not_safe),
                "may not be in the ledger: give the same files again",
            ),
        ];
        output::print(output, &lines, self)
    }
}

/// Records them.
///
/// # Errors
/// When a file cannot be read to its end, or an event may not be in the ledger. What was recorded until then stands.
pub async fn run(arguments: IngestArguments, output: Output) -> anyhow::Result<ExitCode> {
    let inputs = json_files::open_all(&arguments.files)?;
    let deployment = arguments.deployment.open("ingest").await?;
    let ledger = deployment.ledger.clone();
    ledger
        .check_receipts()
        .await
        .map_err(|error| deployment.location.ledger_failure(error))?;
    let reading = deployment.reading(arguments.source, arguments.key_encoding);
    let max_attempts = arguments
        .max_attempts
        .unwrap_or_else(|| deployment.max_attempts());
    let ingest = Ingest::new(ledger.clone(), reading, max_attempts);
    let progress = progress();
    let (batches, mut read) = mpsc::channel(BATCHES);
    let reading = tokio::task::spawn_blocking(move || json_files::read_all(inputs, &batches));
    let mut tally = IngestOutput::default();
    let mut recording = FuturesUnordered::new();
    let mut open = true;
    while open || !recording.is_empty() {
        tokio::select! {
            biased;
            Some(ingested) = recording.next(), if !recording.is_empty() => {
                let ingested: Vec<Ingested> = ingested;
                for ingested in &ingested {
                    tally.add(ingested);
                }
                progress.set_position(tally.notifications);
            }
            batch = read.recv(), if open && recording.len() < BATCHES => match batch {
                Some(batch) => recording.push(record(&ingest, &ledger, batch)),
                None => open = false,
            },
        }
    }
    progress.finish_and_clear();
    let broken = reading.await?;
    tally.print(output)?;
    deployment.location.note_that_nothing_runs();
    end(&tally, &broken, &deployment.location)
}

fn end(tally: &IngestOutput, broken: &[Broken], location: &Location) -> anyhow::Result<ExitCode> {
    if !tally.failures.is_empty() {
        let again = "give the same files again: recorded events are recognised".to_owned();
        let advice = location.advice_or(&Failure::of_ledger(&tally.failures[0]), again);
        let what = format!("{} events may not be in the ledger", tally.not_safe);
        let causes = error::listed(&tally.failures);
        let error = UserError::new(what).because(causes);
        return Err(error.hint(advice).into());
    }
    if broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let causes: Vec<String> = broken.iter().map(ToString::to_string).collect();
    let what = match broken {
        [_] => "a file could not be read to its end".to_owned(),
        _ => format!("{} files could not be read to their ends", broken.len()),
    };
    Err(UserError::new(what)
        .because(anyhow::anyhow!(causes.join("\n  caused by: ")))
        .hint("everything before that place is recorded; fix it and give the file again: recorded events are recognised")
        .into())
}

async fn record(ingest: &Ingest, ledger: &Ledger, batch: Vec<Payload>) -> Vec<Ingested> {
    ingest
        .ingest(&batch, Deadline::after(ledger.clock(), PATIENCE))
        .await
}

fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let all = MultiProgress::new();
    logging::above(all.clone());
    let progress = all.add(ProgressBar::new_spinner());
    let style = indicatif::ProgressStyle::with_template("{spinner} {human_pos} notifications ({per_sec})");
    if let Ok(style) = style {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}
