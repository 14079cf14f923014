//! `daybook worker`: processes events where no Step Functions does.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Args};
use daybook_ledger::Clock;
use daybook_manager::worker::{CommandTarget, HttpTarget, Target, Worker, WorkerReport, WorkerSettings};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::Output;
use crate::deployment::AwsArguments;
use crate::report::{self, Line};
use crate::schedule::{ledger_failure, queue_answers, receipts_answer};
use crate::settings;

/// Takes events from the dispatch queue and runs a command, or calls an HTTP endpoint, for each: on EKS, ECS, EC2 or
/// any machine, as many workers as you like. A worker takes the event's row first and holds it while it works; when the
/// worker dies, the event comes back. SIGTERM and Ctrl-C drain: what runs may finish, nothing is lost.
///
/// Let the dead-letter queue of the dispatch queue take a message after 10 receives at the earliest.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("target").required(true).args(["exec", "post"]))]
pub struct WorkerArguments {
    #[command(flatten)]
    deployment: AwsArguments,

    /// POST each event as JSON to that URL: 2xx is success, 429 and 503 with Retry-After mean later, anything else is
    /// a failed attempt
    #[arg(long, value_name = "URL", help_heading = "Target")]
    #[arg(env = "DAYBOOK_POST", hide_env_values = true)]
    post: Option<String>,

    /// How many events to work on at once, 1 to 1000
    #[arg(long, value_name = "N", default_value = "4", value_parser = settings::at_least_one)]
    #[arg(env = "DAYBOOK_WORKERS", hide_env_values = true, help_heading = "Target")]
    workers: u32,

    /// How long one event may take; the process group is killed then, and the attempt has failed
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = settings::time)]
    #[arg(env = "DAYBOOK_TIMEOUT", hide_env_values = true, help_heading = "Target")]
    timeout: Duration,

    /// How long an event is this worker's before it must say so again, which it does at every third of it; when a
    /// worker dies, its events come back after this long; 3s to 11h
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = settings::time)]
    #[arg(env = "DAYBOOK_LEASE", hide_env_values = true, help_heading = "Target")]
    lease: Duration,

    /// How this worker is called in receipts; host and process id unless given
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    #[arg(env = "DAYBOOK_WORKER_NAME", hide_env_values = true)]
    name: Option<String>,

    /// Run that command for each event, without a shell; must come last. The event is in the environment
    /// (DAYBOOK_BUCKET, DAYBOOK_KEY …) and as JSON on stdin. Exit code 0 is success, 75 means later (no attempt used),
    /// anything else is a failed attempt
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true, help_heading = "Target")]
    exec: Vec<String>,
}

impl WorkerArguments {
    fn settings(&self) -> Result<WorkerSettings, clap::Error> {
        let name = self.name.clone().unwrap_or_else(default_name);
        let settings = WorkerSettings {
            workers: self.workers as usize,
            lease: self.lease,
            timeout: self.timeout,
            ..WorkerSettings::new(name)
        };
        settings.checked().map_err(|error| settings::usage(&error))
    }

    fn target(&self) -> Result<Arc<dyn Target>, clap::Error> {
        if let Some(url) = &self.post {
            let target = HttpTarget::new(url, Clock::system());
            return match target {
                Ok(target) => Ok(Arc::new(target)),
                Err(error) => Err(settings::usage_of("post", &error)),
            };
        }
        let (program, arguments) = self.exec.split_first().expect("clap wants --exec or --post");
        Ok(Arc::new(CommandTarget::new(program, arguments)))
    }
}

/// `host:pid`, as far as the host says its name.
fn default_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let host = host.map_or_else(|_| "worker".to_owned(), |host| host.trim().to_owned());
    format!("{host}:{}", std::process::id())
}

/// Works until SIGTERM or Ctrl-C.
///
/// # Errors
/// When something that it needs is missing or does not answer at the start. Later, it waits for it.
pub async fn run(arguments: WorkerArguments, output: Output) -> anyhow::Result<ExitCode> {
    let worker_settings = arguments.settings()?;
    let target = arguments.target()?;
    let (deployment, queue_url) = arguments.deployment.open_with_queue(None).await?;
    let (aws, ledger) = (deployment.aws, deployment.ledger);
    queue_answers(&aws, &aws.dispatch_queue(&queue_url)).await?;
    receipts_answer(&aws, &ledger).await?;
    ledger
        .control()
        .await
        .map_err(|error| ledger_failure(&aws, error))?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        eprintln!("draining: what runs may finish, then this worker ends");
    };
    let name = worker_settings.name.clone();
    eprintln!(
        "worker {name}: {} at once; SIGTERM or Ctrl-C drains",
        worker_settings.workers
    );
    let worker = Worker::new(
        ledger,
        aws.queues(),
        &queue_url,
        target,
        worker_settings,
    );
    let report = worker.run(shutdown).await;
    print(&name, &report, output)?;
    Ok(ExitCode::SUCCESS)
}

fn print(name: &str, report: &WorkerReport, output: Output) -> anyhow::Result<()> {
    let count = |n: u64| n.to_string();
    let lines: Vec<Line> = vec![
        ("received", count(report.received), "messages"),
        ("completed", count(report.completed), "events processed"),
        ("failed", count(report.failed), "attempts that failed"),
        (
            "later",
            count(report.later),
            "put off by the target; no attempt is used",
        ),
        (
            "dropped",
            count(report.dropped),
            "messages whose events had gone on, or were another worker's",
        ),
        (
            "returned",
            count(report.returned),
            "messages given back, because the ledger did not answer",
        ),
        (
            "lost",
            count(report.lost),
            "runs stopped, because their leases were lost",
        ),
        (
            "stopped",
            count(report.stopped),
            "runs stopped by the drain; their events are due again, no attempt used",
        ),
        ("abandoned", count(report.abandoned), "runs left to their leases"),
    ];
    let json = json!({
        "worker": name,
        "received": report.received,
        "completed": report.completed,
        "failed": report.failed,
        "later": report.later,
        "dropped": report.dropped,
        "returned": report.returned,
        "lost": report.lost,
        "stopped": report.stopped,
        "abandoned": report.abandoned,
    });
    report::print(output, &lines, &json)
}
