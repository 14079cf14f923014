//! `daybook schedule`: a run of the scheduler, or one after another.

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
use crate::commands::run::repeat::{RepeatArguments, repeat};
use crate::deployment::preflight::{ledger_failure, queue_answers, receipts_answer};
use crate::deployment::{AwsArguments, failures};
use crate::ui::escape;
use crate::ui::output;
use crate::ui::output::Line;
use crate::ui::output::Output;

/// How long a run may take; what is left then is left to the next one.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Run the scheduler: claim due events and send them
///
/// Claims due events, oldest first, at most N in this window across all runs, and sends each to the dispatch
/// queue. Safe to repeat, and to run concurrently. For tables on AWS; `daybook up` has a scheduler of its own.
#[derive(Args, Debug)]
pub struct ScheduleArguments {
    #[command(flatten)]
    deployment: AwsArguments,

    #[command(flatten)]
    dispatch: DispatchArguments,

    /// Run for the window of this time (RFC 3339)
    ///
    /// Not for that of now; refused once the window after it has begun
    #[arg(long, value_name = "TIME", value_parser = values::instant, help_heading = "Dispatch")]
    at: Option<Timestamp>,

    #[command(flatten)]
    pub repeat: RepeatArguments,
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
    let clock = ledger.clock().clone();
    let (length, per_window) = (dispatch.window, dispatch.per_window);
    let scheduler = Scheduler::new(ledger, queue, dispatch);
    let once = async |at: Option<Timestamp>| {
        let window = Window::at(at.unwrap_or_else(|| clock.now()), length);
        let deadline = Deadline::after(&clock, PATIENCE);
        let report = scheduler
            .run(window, deadline)
            .await
            .map_err(|error| ledger_failure(&aws, error))?;
        // Every minute that nothing was due is no news to people.
        if output == Output::Json || arguments.repeat.repeat.is_none() || report.granted > 0 {
            print(&report, per_window, output)?;
        }
        failures::end("the scheduler", &report.failures, &aws, AwsResource::Ledger)
    };
    match arguments.repeat.repeat {
        None => once(arguments.at).await,
        Some(every) => repeat("schedule", every, async || once(None).await).await,
    }
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
