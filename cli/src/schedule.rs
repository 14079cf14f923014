//! `daybook schedule`: one run of the scheduler.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use daybook_ledger::{Deadline, Window};
use daybook_manager::{ScheduleReport, Scheduler};
use daybook_schema::Timestamp;
use serde_json::json;

use crate::arguments::Output;
use crate::aws::{Aws, Thing};
use crate::deployment::AwsArguments;
use crate::failure::Advised;
use crate::report::{self, Line};
use crate::settings::{self, DispatchArguments};

/// How long a run may take; what is left then is left to the next one.
pub const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Run the scheduler once: claim due events, at most N in this window, and send them to the dispatch queue
///
/// Claims due events, oldest first, at most N in this window whoever else runs, and sends each to the dispatch
/// queue. Safe to run at any time, twice, and beside itself.
#[derive(Args, Debug)]
pub struct ScheduleArguments {
    #[command(flatten)]
    deployment: AwsArguments,

    #[command(flatten)]
    dispatch: DispatchArguments,

    /// Run for the window of that time (RFC 3339), as a cron that is late should; now unless given
    #[arg(long, value_name = "TIME", value_parser = settings::instant, help_heading = "Dispatch")]
    at: Option<Timestamp>,
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
    report::end("the scheduler", &report.failures, &aws, Thing::Ledger)
}

/// Finds out before anything is claimed that there is no queue: a claimed event would have to wait for its lease.
///
/// # Errors
/// When the queue does not answer.
pub async fn queue_answers(aws: &Aws, queue: &daybook_manager::DispatchQueue) -> Result<(), Advised> {
    let error = match queue.depth().await {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let advice = aws.advice(Thing::Queue, &error.to_string());
    Err(Advised::new("the dispatch queue cannot be used")
        .because(error)
        .hint_if_any(advice))
}

/// A missing receipts table would otherwise look as if nothing had ever been done.
///
/// # Errors
/// When the receipts are on and their table does not answer.
pub async fn receipts_answer(aws: &Aws, ledger: &daybook_ledger::Ledger) -> Result<(), Advised> {
    let Err(error) = ledger.check_receipts().await else {
        return Ok(());
    };
    let advice = aws.advice(Thing::Receipts, &error.to_string());
    Err(Advised::new("the receipts table cannot be used")
        .because(error)
        .hint_if_any(advice))
}

/// The ledger did not answer.
pub fn ledger_failure(aws: &Aws, error: daybook_ledger::LedgerError) -> Advised {
    let advice = aws.advice(Thing::Ledger, &error.to_string());
    Advised::new("the ledger table cannot be used")
        .because(error)
        .hint_if_any(advice)
}

fn print(report: &ScheduleReport, per_window: u32, output: Output) -> anyhow::Result<()> {
    let count = |n: u32| n.to_string();
    let mut lines: Vec<Line> = vec![
        ("window", report::window(report.window), ""),
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
        lines.push(("refused", report::refusal(refusal), ""));
    }
    if report.out_of_time {
        lines.push((
            "stopped",
            "out of time; what is left waits for the next run".to_owned(),
            "",
        ));
    }
    let json = json!({
        "window_start": report.window.start,
        "window_seconds": report.window.length.as_secs_f64(),
        "per_window": per_window,
        "granted": report.granted,
        "claimed": report.claimed,
        "sent": report.sent,
        "lost": report.lost,
        "newer": report.newer,
        "released": report.released,
        "unknown": report.unknown,
        "out_of_time": report.out_of_time,
        "refusal": report::refusal_json(report.refusal.as_ref()),
        "failures": report.failures,
    });
    report::print(output, &lines, &json)
}
