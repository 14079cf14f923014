//! `daybook worker`: processes events where no Step Functions does.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use daybook_inspect::wording::time;
use daybook_manager::worker::{Worker, WorkerReport, WorkerSettings};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::log::LogArguments;
use crate::args::target::TargetArguments;
use crate::args::{target, values};
use crate::commands::run::worker_report;
use crate::deployment::AwsArguments;
use crate::deployment::preflight::{ledger_failure, queue_answers, receipts_answer};
use crate::signals;
use crate::ui::logging;
use crate::ui::output;
use crate::ui::output::Output;

/// Process events without Step Functions: a command or HTTP call
///
/// Takes events from the dispatch queue and runs a command, or calls an HTTP endpoint, for each event or batch, on
/// as many machines as you like; the events of a folder are processed by `daybook up`. If a worker dies, its
/// events come back. SIGTERM and Ctrl-C drain: running events get 20 seconds to finish; those that need longer
/// are stopped and put back, with no attempt used. The dispatch queue needs a maxReceiveCount of 10 or more.
///
/// The event is JSON on stdin or in the POST; a command has DAYBOOK_BUCKET, DAYBOOK_KEY … in its environment,
/// too. Exit code 0 or 2xx: success. 75, 429 or 503 with Retry-After, or no connection: later, no attempt used.
/// Anything else: a failed attempt. A batch is a line of JSON per event on stdin, or one POST.
#[derive(Args, Debug)]
pub struct WorkerArguments {
    #[command(flatten)]
    deployment: AwsArguments,

    #[command(flatten)]
    target: TargetArguments,

    /// Lease of a running event, 3s to 11h
    ///
    /// It is renewed while the event runs; if the worker dies, its events come back after this long
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = values::time)]
    #[arg(env = "DAYBOOK_LEASE", hide_env_values = true, help_heading = "Target")]
    lease: Duration,

    /// Events of a batch in one run, 1 to 100
    ///
    /// At most so many go to one run of the target; `schedule` makes the batches
    #[arg(long, value_name = "N", default_value = "100", value_parser = values::batch_size)]
    #[arg(env = "DAYBOOK_BATCH_SIZE", hide_env_values = true, help_heading = "Target")]
    batch_size: u32,

    /// This worker's name
    ///
    /// Receipts have it; host and process id by default
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    #[arg(env = "DAYBOOK_WORKER_NAME", hide_env_values = true)]
    name: Option<String>,

    #[command(flatten)]
    backoff: values::BackoffArguments,

    #[command(flatten)]
    pub log: LogArguments,
}

impl WorkerArguments {
    pub fn settings(&self) -> Result<WorkerSettings, clap::Error> {
        let name = self.name.clone().unwrap_or_else(target::this_process);
        let settings = WorkerSettings {
            workers: self.target.workers as usize,
            batch_size: self.batch_size,
            lease: self.lease,
            timeout: self.target.timeout,
            retry: self.backoff.checked().map_err(|error| values::usage(&error))?,
            ..WorkerSettings::new(name)
        };
        settings.checked().map_err(|error| values::usage(&error))
    }
}

/// What a worker did from its start to its end.
#[derive(Serialize, JsonSchema)]
pub struct WorkerOutput<'a> {
    /// Its name.
    worker: String,
    #[serde(flatten)]
    report: &'a WorkerReport,
}

/// Works until SIGTERM or Ctrl-C.
///
/// # Errors
/// When something that it needs is missing or does not answer at the start. Later, it waits for it.
pub async fn run(arguments: WorkerArguments, output: Output) -> anyhow::Result<ExitCode> {
    let worker_settings = arguments.settings()?;
    let target = arguments.target.required()?;
    let (deployment, queue_url) = arguments.deployment.open_with_queue(None).await?;
    let (aws, ledger) = (deployment.aws, deployment.ledger);
    queue_answers(&aws, &aws.dispatch_queue(&queue_url)).await?;
    receipts_answer(&aws, &ledger).await?;
    ledger
        .control()
        .await
        .map_err(|error| ledger_failure(&aws, error))?;
    let grace = worker_settings.grace;
    // Before it says that a signal drains.
    let asked_to_stop = signals::requested();
    let shutdown = async {
        asked_to_stop.await;
        logging::say(&format!(
            "draining: running events get {} to finish; those that need longer are stopped and put back, and no attempt is used",
            time::span(grace)
        ));
    };
    let name = worker_settings.name.clone();
    logging::say(&format!(
        "worker {name}: {} at once; SIGTERM or Ctrl-C drains",
        worker_settings.workers
    ));
    let worker = Worker::new(ledger, aws.queues(), &queue_url, target, worker_settings);
    let report = worker.run(shutdown).await;
    let json = WorkerOutput {
        worker: name,
        report: &report,
    };
    output::print(output, &worker_report::lines(&report), &json)?;
    Ok(ExitCode::SUCCESS)
}
