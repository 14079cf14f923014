//! `daybook ingest`: notifications from files and pipes, or from the intake queue, into a ledger.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use daybook_inspect::aws::failure::Failure;
use daybook_inspect::wording::text;
use daybook_ledger::{Deadline, Ledger};
use daybook_manager::{Ingest, Ingested, IntakeQueue, Payload, Poll};
use daybook_schema::SourceName;
use daybook_schema::notification::KeyEncoding;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use indicatif::{MultiProgress, ProgressBar};
use tokio::sync::{mpsc, watch};

use crate::args::log::LogArguments;
use crate::args::values;
use crate::aws::clients::Aws;
use crate::commands::run::ingest_queue;
use crate::commands::run::ingest_report::IngestOutput;
use crate::deployment::{Deployment, DeploymentArguments, Location};
use crate::json_files;
use crate::json_files::{Broken, Input};
use crate::signals;
use crate::ui::error;
use crate::ui::error::UserError;
use crate::ui::output::Output;
use crate::ui::{logging, terminal};

/// Batches under way at once.
const BATCHES: usize = 4;

/// How long one batch may take, a throttling table's retries included.
const PATIENCE: Duration = Duration::from_secs(60);

/// Record S3 event notifications from files, stdin or a queue
///
/// Records S3 event notifications from files as if they had just arrived: one JSON document after another, on
/// separate lines or not, in any form that S3, EventBridge, SNS, SQS, MinIO, Ceph or RustFS sends, and as
/// `aws sqs receive-message` prints them. UTF-8, UTF-16 and gzip are read. Events that are already in the
/// ledger, or done, are recognised, so the command is safe to repeat. A JSON document that is not an object
/// event becomes a PARKED row; what is not JSON is an error, and the rest of its file is not read.
///
/// With --queue it keeps receiving from that SQS queue until SIGTERM or Ctrl-C, as many processes as you like.
/// A message is deleted when all of its events are in the ledger; killed at any point, nothing is lost.
#[derive(Args, Debug)]
#[command(override_usage = "daybook ingest [OPTIONS] FILE...\n       daybook ingest [OPTIONS] --queue URL")]
pub struct IngestArguments {
    /// Files of notifications; - is stdin
    #[arg(required_unless_present = "queue", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Receive from this SQS queue until SIGTERM or Ctrl-C
    ///
    /// It is the intake queue, which S3 notifies; files are not given with it
    #[arg(long, value_name = "URL", value_parser = values::queue_url, conflicts_with = "files")]
    queue: Option<String>,

    /// Name of the S3 that sends events
    ///
    /// By default that of the folder's `daybook up`, and aws on AWS
    #[arg(long, value_name = "NAME", env = "DAYBOOK_SOURCE", hide_env_values = true)]
    source: Option<SourceName>,

    /// Form of keys: encoded, plain or auto
    ///
    /// Encoded is form-encoded, as S3 does it; auto goes by the server that the notification names. By
    /// default as the folder's `daybook up` has it, and auto on AWS
    #[arg(
        long,
        value_name = "HOW",
        env = "DAYBOOK_KEY_ENCODING",
        hide_env_values = true
    )]
    key_encoding: Option<KeyEncoding>,

    /// Failed attempts until an event is parked
    ///
    /// Then it waits for a person; at least 1. By default as the folder's `daybook up` has it, and 5 on AWS
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_ATTEMPTS", hide_env_values = true)]
    max_attempts: Option<u32>,

    #[command(flatten)]
    pub log: LogArguments,

    #[command(flatten)]
    deployment: DeploymentArguments,
}

/// Records them.
///
/// # Errors
/// When a file cannot be read to its end, or an event may not be in the ledger. What was recorded until then stands.
pub async fn run(arguments: IngestArguments, output: Output) -> anyhow::Result<ExitCode> {
    let inputs = json_files::open_all(&arguments.files)?;
    let queue = arguments.queue.clone();
    let (deployment, ingest) = open(arguments).await?;
    match queue {
        Some(url) => from_queue(&deployment, &ingest, url, output).await,
        None => from_files(&deployment, &ingest, inputs, output).await,
    }
}

/// The deployment, and what records into its ledger.
async fn open(arguments: IngestArguments) -> anyhow::Result<(Deployment, Ingest)> {
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
    Ok((deployment, Ingest::new(ledger, reading, max_attempts)))
}

/// Reads the queue until SIGTERM or Ctrl-C.
async fn from_queue(
    deployment: &Deployment,
    ingest: &Ingest,
    url: String,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let client = match &deployment.location {
        Location::Aws { aws, .. } => aws.queues(),
        Location::Local { .. } => Aws::from_environment().await?.queues(),
    };
    // A name that is mistyped is told at once. Later, it waits for the queue.
    IntakeQueue::new(client.clone(), url.clone())
        .depth()
        .await
        .map_err(|error| UserError::new("the intake queue cannot be used").because(error))?;
    // Before it says that a signal ends it.
    let asked_to_stop = signals::requested();
    logging::say(&format!(
        "ingest: receiving from {url} into {}; SIGTERM or Ctrl-C ends it",
        deployment.location
    ));
    deployment.location.note_that_nothing_runs();
    let queue = Poll {
        client,
        queue_url: url,
        wait: ingest_queue::WAIT,
    };
    let (say_stop, stop) = watch::channel(false);
    let stopping = async {
        asked_to_stop.await;
        logging::say(
            "ending: what was received is recorded first; Ctrl-C or SIGTERM again stops immediately, and nothing is lost",
        );
        say_stop.send_replace(true);
    };
    let reading = ingest_queue::read(ingest, &deployment.ledger, &queue, stop);
    let work = async { futures::join!(reading, stopping).0 };
    let tally = tokio::select! {
        biased;
        tally = work => tally,
        () = signals::impatience() => return Ok(ExitCode::from(signals::INTERRUPTED)),
    };
    tally.print(output)?;
    Ok(ExitCode::SUCCESS)
}

/// Reads the files to their ends.
async fn from_files(
    deployment: &Deployment,
    ingest: &Ingest,
    inputs: Vec<Input>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let ledger = &deployment.ledger;
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
                Some(batch) => recording.push(record(ingest, ledger, batch)),
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
        let events = text::many(tally.not_safe, "event");
        let what = format!("{events} may not be in the ledger");
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
    if !terminal::draws_on_stderr() {
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
