//! `daybook sweep`: a run of the sweep, or one after another.

use std::process::ExitCode;

use clap::Args;
use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::wording::dispatch;
use daybook_ledger::{Deadline, Window};
use daybook_manager::AttemptTarget;
use daybook_reconciler::{SweepReport, SweepSettings, Sweeper};
use daybook_schema::Timestamp;

use crate::args::values;
use crate::args::values::DispatchArguments;
use crate::commands::run::repeat::{RepeatArguments, repeat};
use crate::commands::run::schedule::PATIENCE;
use crate::deployment::preflight::{ledger_failure, queue_answers, receipts_answer, state_machine_answers};
use crate::deployment::{AwsArguments, MachineArguments, failures};
use crate::ui::escape;
use crate::ui::output;
use crate::ui::output::Line;
use crate::ui::output::Output;

/// Run the sweep: recover claimed events past their leases
///
/// Checks on claimed events whose leases have run out: running ones get more time, finished ones are completed,
/// and those whose messages were lost are sent again, within N per window. It uses no attempt, and is safe to
/// repeat. For tables on AWS; `daybook up` has a sweep of its own.
#[derive(Args, Debug)]
pub struct SweepArguments {
    #[command(flatten)]
    deployment: AwsArguments,

    #[command(flatten)]
    machine: MachineArguments,

    #[command(flatten)]
    dispatch: DispatchArguments,

    /// Use the window of this time (RFC 3339), not of now
    #[arg(long, value_name = "TIME", value_parser = values::instant, help_heading = "Dispatch")]
    at: Option<Timestamp>,

    #[command(flatten)]
    pub repeat: RepeatArguments,
}

/// Runs it.
///
/// # Errors
/// When something that it needs is missing or does not answer, and when not all went well.
pub async fn run(arguments: SweepArguments, output: Output) -> anyhow::Result<ExitCode> {
    let dispatch = arguments.dispatch.checked()?;
    let machine = Some(&arguments.machine);
    let (deployment, queue_url) = arguments.deployment.open_with_queue(machine).await?;
    let target = deployment.target()?;
    let (aws, ledger) = (deployment.aws, deployment.ledger);
    let queue = aws.dispatch_queue(&queue_url);
    queue_answers(&aws, &queue).await?;
    receipts_answer(&aws, &ledger).await?;
    if let Some(executions) = target.as_ref().and_then(AttemptTarget::executions) {
        state_machine_answers(&aws, executions).await?;
    }
    let (clock, length) = (ledger.clock().clone(), dispatch.window);
    let settings = SweepSettings::default();
    let sweeper = match target {
        Some(target) => Sweeper::of_target(ledger, queue, target, dispatch, settings),
        None => Sweeper::new(ledger, queue, None, dispatch, settings),
    };
    let once = async |at: Option<Timestamp>| {
        let window = Window::at(at.unwrap_or_else(|| clock.now()), length);
        let deadline = Deadline::after(&clock, PATIENCE);
        let report = sweeper
            .run(window, deadline)
            .await
            .map_err(|error| ledger_failure(&aws, error))?;
        // Every time that nothing was stale is no news to people.
        if output == Output::Json || arguments.repeat.repeat.is_none() || report.stale > 0 {
            print(&report, window, output)?;
        }
        failures::end("the sweep", &report.failures, &aws, AwsResource::Ledger)
    };
    match arguments.repeat.repeat {
        None => once(arguments.at).await,
        Some(every) => repeat("sweep", every, async || once(None).await).await,
    }
}

fn print(report: &SweepReport, window: Window, output: Output) -> anyhow::Result<()> {
    let count = |n: u32| n.to_string();
    let mut lines: Vec<Line> = vec![
        ("window", dispatch::window(window), ""),
        ("stale", count(report.stale), "events whose leases have run out"),
        (
            "newer",
            count(report.newer),
            "were written by a newer Daybook: they stay as they are",
        ),
        ("renewed", count(report.renewed), "run: they have a new lease"),
        (
            "deleted",
            count(report.deleted),
            "are done, as their receipts say",
        ),
        (
            "moved",
            count(report.moved),
            "probably wait in the dispatch queue: they have more time",
        ),
        (
            "redelivered",
            count(report.redelivered),
            "sent again; no attempt is used",
        ),
        (
            "unsent",
            count(report.unsent),
            "not taken by the queue: the next sweep tries again",
        ),
        ("left", count(report.left), "left for the next sweep"),
        (
            "unknown",
            count(report.unknown),
            "without an answer: their leases bring them back",
        ),
    ];
    if let Some(refusal) = &report.refusal {
        lines.push(("refused", escape::escaped(&dispatch::refusal(refusal)), ""));
    }
    if report.incomplete {
        lines.push((
            "incomplete",
            "not all running executions could be listed: the rest were looked up one by one".to_owned(),
            "",
        ));
    }
    if report.more {
        lines.push((
            "more",
            "there may be more stale events: sweep again".to_owned(),
            "",
        ));
    }
    if report.out_of_time {
        lines.push((
            "stopped",
            "out of time; rows may be left for the next sweep".to_owned(),
            "",
        ));
    }
    output::print(output, &lines, &report.of(window))
}
