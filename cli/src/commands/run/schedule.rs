//! `daybook schedule`: one run of the scheduler.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::wording::dispatch;
use daybook_ledger::{Deadline, Window};
use daybook_manager::{ScheduleReport, Scheduler};
use daybook_schema::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::values;
use crate::args::values::DispatchArguments;
use crate::deployment::preflight::{ledger_failure, queue_answers, receipts_answer};
use crate::deployment::{AwsArguments, failures};
use crate::ui::escape;
use crate::ui::output;
use crate::ui::output::Line;
use crate::ui::output::Output;

/// How long a run may take; what is left then is left to the next one.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Run the scheduler once: claim due events and send them
///
/// Claims due events, oldest first, at most N in this window across all runs, and sends each to the dispatch
/// queue. Safe to repeat, and to run concurrently.
#[derive(Args, Debug)]
pub struct ScheduleArguments {
    #[command(flatten)]
    deployment: AwsArguments,

    #[command(flatten)]
    dispatch: DispatchArguments,

    /// Run for the window of this time (RFC 3339), as a late cron run should; now by default
    #[arg(long, value_name = "TIME", value_parser = values::instant, help_heading = "Dispatch")]
    at: Option<Timestamp>,
}

/// What a run of the scheduler did.
#[derive(Serialize, JsonSchema)]
pub struct ScheduleOutput<'a> {
    /// N as it is configured.
    per_window: u32,
    #[serde(flatten)]
    report: &'a ScheduleReport,
}

/// Runs it.
///
/// # Errors
/// When something that it needs is missing or does not answer, and when not all went well.
pub async fn run(arguments: ScheduleArguments, output: Output) -> anyhow::Result<ExitCode> {
    let dispatch = arguments.dispatch.checked()?;
    let (deployment, queue_url) = arguments.deployment.open_with_queue(None).await?;
    let (aws, ledger) = (deployment.aws, deployment.ledger);
    let queue = aws.dispatch_queue(&queue_url);
    queue_answers(&aws, &queue).await?;
    receipts_answer(&aws, &ledger).await?;
    let window = Window::at(
        arguments.at.unwrap_or_else(|| ledger.clock().now()),
        dispatch.window,
    );
    let deadline = Deadline::after(ledger.clock(), PATIENCE);
    let per_window = dispatch.per_window;
    let report = Scheduler::new(ledger, queue, dispatch)
        .run(window, deadline)
        .await
        .map_err(|error| ledger_failure(&aws, error))?;
    print(&report, per_window, output)?;
    failures::end("the scheduler", &report.failures, &aws, AwsResource::Ledger)
}

fn print(report: &ScheduleReport, per_window: u32, output: Output) -> anyhow::Result<()> {
    let count = |n: u32| n.to_string();
    let mut lines: Vec<Line> = vec![
        ("window", dispatch::window(report.window), ""),
        (
            "granted",
            count(report.granted),
            "could be claimed, by what is due and left of N in this window",
        ),
        ("claimed", count(report.claimed), "taken for this run"),
        ("sent", count(report.sent), "are in the dispatch queue"),
        ("lost", count(report.lost), "claims that another run won"),
        (
            "newer",
            count(report.newer),
            "were written by a newer Daybook: they stay as they are",
        ),
        (
            "released",
            count(report.released),
            "given back, because the queue did not take them; no attempt is used",
        ),
        (
            "unknown",
            count(report.unknown),
            "without an answer: their leases bring them back",
        ),
    ];
    if let Some(refusal) = &report.refusal {
        lines.push(("refused", escape::escaped(&dispatch::refusal(refusal)), ""));
    }
    if report.out_of_time {
        lines.push((
            "stopped",
            "out of time; what is left waits for the next run".to_owned(),
            "",
        ));
    }
    let json = ScheduleOutput { per_window, report };
    output::print(output, &lines, &json)
}
