//! `daybook status`: how many events stand where, and whether anything moves.

pub mod table;

use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use daybook_inspect::rate::Rate;
use daybook_inspect::status::observe::{Found, gather};

use crate::args::values;
use crate::deployment::{DeploymentArguments, Location, failures};
use crate::signals;
use crate::ui;
use crate::ui::output::Output;
use crate::ui::{colour, error, output, terminal};

/// Count events by status, and show whether anything moves
///
/// The budget, any pause and the queue's depth are shown beside the counts. What could not be determined is
/// shown as unknown, and stderr says why.
///
/// Counting reads the index: about one read unit per 50 rows. Up to 10,000 rows are counted in each of the 16
/// shards of a status (--count-to); beyond that the number is "at least". --exact counts all rows, however
/// many there are.
#[derive(Args, Debug)]
pub struct StatusArguments {
    #[command(flatten)]
    deployment: DeploymentArguments,

    /// Count all rows, however many there are
    #[arg(long, help_heading = "Counting", conflicts_with = "count_to")]
    exact: bool,

    /// Rows to count in each of 16 shards
    ///
    /// A status has 16; a count that ends there says "at least"
    #[arg(long, value_name = "N", default_value = "10000", help_heading = "Counting")]
    #[arg(value_parser = values::at_least_one)]
    count_to: u32,

    /// N of the scheduler, to estimate the drain time
    ///
    /// It takes at least that long; a folder knows its own N
    #[arg(long, value_name = "N", value_parser = values::at_least_one, help_heading = "Dispatch")]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    per_window: Option<u32>,

    /// Length of the scheduler's window
    ///
    /// By default that of the newest window
    #[arg(long, value_name = "TIME", value_parser = values::every, help_heading = "Dispatch")]
    #[arg(env = "DAYBOOK_EVERY", hide_env_values = true)]
    every: Option<Duration>,

    /// Show it again every TIME, 2s by default
    ///
    /// Until Ctrl-C; with --output json, one object per line
    #[arg(long, value_name = "TIME", value_parser = values::every, num_args = 0..=1, default_missing_value = "2s")]
    #[arg(help_heading = "Output")]
    watch: Option<Duration>,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, its ledger not be read, or a part is not known.
pub async fn run(arguments: StatusArguments, output: Output) -> anyhow::Result<ExitCode> {
    let Some(every) = arguments.watch else {
        return show(&arguments, output).await;
    };
    let mut asked_to_stop = pin!(signals::requested());
    loop {
        // An outage is what is watched for: it does not end the watch.
        if let Err(error) = show(&arguments, output).await {
            if output::nobody_reads(&error) {
                return Err(error);
            }
            error::print(&error);
        }
        tokio::select! {
            biased;
            () = &mut asked_to_stop => return Ok(ExitCode::SUCCESS),
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// Shows it once. The deployment is opened for that long: a folder is for its `daybook up` in between.
async fn show(arguments: &StatusArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open("status").await?;
    let enough = Some(arguments.count_to).filter(|_| !arguments.exact);
    let given = Rate {
        per_window: arguments.per_window,
        window: arguments.every,
    };
    let parts = deployment.parts();
    let (found, intake) = tokio::join!(
        gather(&parts, enough, given, deployment.rate()),
        deployment.intake_messages()
    );
    let found = Found { intake, ..found };
    if found.counts().iter().all(|count| count.is_err())
        && let Err(error) = found.control
    {
        return Err(deployment.location.ledger_failure(error).into());
    }
    let failures = found.failures();
    let text = || {
        let lines = ui::table::labelled(&table::lines(&found, &deployment.location));
        let text = colour::painted_lines(&lines, table::tone);
        match arguments.watch {
            Some(_) => terminal::in_place(&text, deployment.ledger.clock().now()),
            None => text,
        }
    };
    let json = found.output(deployment.location.to_string(), parts.folder, &failures);
    output::print_either(output, text, &json)?;
    if matches!((&found.depth, &deployment.location), (None, Location::Aws { .. })) {
        eprintln!(
            "note: the queue's depth is unknown, because no queue is named: --dispatch-queue-url \
             (DAYBOOK_DISPATCH_QUEUE_URL) names it, or --stack (DAYBOOK_STACK)"
        );
    }
    failures::incomplete(&failures, &deployment.location)
}
