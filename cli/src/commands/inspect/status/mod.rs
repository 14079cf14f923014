//! `daybook status`: how many events stand where, and whether anything moves.

pub mod observe;
pub mod programs;
pub mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::args::values;
use crate::commands::inspect::status::observe::gather;
use crate::deployment::rate::Rate;
use crate::deployment::{DeploymentArguments, Place, failures};
use crate::ui::output;
use crate::ui::output::Output;

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

    /// Stop counting at about this many rows in each of the 16 shards of a status, and say "at least"
    #[arg(long, value_name = "N", default_value = "10000", help_heading = "Counting")]
    #[arg(value_parser = values::at_least_one)]
    count_to: u32,

    /// N as the scheduler has it, to estimate how long the backlog needs at least; a folder knows its own
    #[arg(long, value_name = "N", value_parser = values::at_least_one, help_heading = "Dispatch")]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    per_window: Option<u32>,

    /// Length of a window as the scheduler has it; that of the newest window by default
    #[arg(long, value_name = "TIME", value_parser = values::every, help_heading = "Dispatch")]
    #[arg(env = "DAYBOOK_EVERY", hide_env_values = true)]
    every: Option<Duration>,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, its ledger not be read, or a part is not known.
pub async fn run(arguments: StatusArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open().await?;
    let enough = Some(arguments.count_to).filter(|_| !arguments.exact);
    let given = Rate {
        per_window: arguments.per_window,
        window: arguments.every,
    };
    let found = gather(&deployment, enough, given).await;
    if found.counts().iter().all(|count| count.is_err())
        && let Err(error) = found.control
    {
        return Err(deployment.place.ledger_failure(error).into());
    }
    let failures = found.failures();
    output::print(
        output,
        &found.lines(&deployment),
        &found.output(&deployment, &failures),
    )?;
    if matches!((&found.depth, &deployment.place), (None, Place::Aws { .. })) {
        eprintln!(
            "note: the queue's depth is unknown, because no queue is named: --dispatch-queue-url \
             (DAYBOOK_DISPATCH_QUEUE_URL) names it, or --stack (DAYBOOK_STACK)"
        );
    }
    failures::incomplete(&failures, &deployment.place)
}

#[cfg(test)]
mod tests {
    use daybook_ledger::{Clock, Count, Deadline, Ledger, NewRow, Random, Recorded};
    use daybook_local::LocalAws;
    use daybook_schema::{SourceName, notification, tables};

    use super::*;
    use crate::commands::inspect::status::observe::{Part, confirm_nothing};
    use crate::deployment::embedded::{Clients, create_table};

    #[tokio::test]
    async fn a_row_that_no_count_has_seen_is_found_before_nothing_is_said_to_be_open() {
        let aws = LocalAws::builder().build().unwrap();
        let table = create_table(&aws, tables::LEDGER, "ledger").await.unwrap();
        let dynamodb = Clients::of(&aws).dynamodb;
        let ledger = Ledger::new(dynamodb, table, None, Clock::system(), Random::from_seed(1));
        let zero = || [0; 5].map(|rows| Ok(Count { rows, exact: true }));
        let rows = |counts: &[Part<Count>; 5]| counts.each_ref().map(|count| count.as_ref().unwrap().rows);
        let mut counts: [Part<Count>; 5] = zero();
        confirm_nothing(&ledger, ledger.clock().now(), &mut counts).await;
        assert_eq!(rows(&counts), [0; 5]);

        let body = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2026-11-20T10:15:00.000Z",
            "eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"data"},"object":{"key":"a","sequencer":"0A"}}}]}"#;
        let event = notification::read(body, &SourceName::default()).events.remove(0);
        let row = NewRow::Event {
            event,
            max_attempts: 5,
            trace: None,
            caveat: None,
        };
        let deadline = Deadline::after(ledger.clock(), Duration::from_secs(30));
        assert_eq!(ledger.record(vec![row], deadline).await, [Recorded::Recorded]);
        confirm_nothing(&ledger, ledger.clock().now(), &mut counts).await;
        assert_eq!(rows(&counts), [1, 0, 0, 0, 0]);
    }
}
