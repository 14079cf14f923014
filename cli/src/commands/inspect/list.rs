//! `daybook list`: the open events, row by row.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use daybook_inspect::aws::failure;
use daybook_inspect::aws::failure::Failure;
use daybook_inspect::lookup::rows;
use daybook_inspect::lookup::rows::Listed;
use daybook_inspect::views::RowOutput;
use daybook_ledger::Ledger;
use daybook_schema::{Status, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::filter::Filter;
use crate::args::{filter, values};
use crate::deployment::{DeploymentArguments, failures};
use crate::ui::output;
use crate::ui::output::Output;
use crate::ui::row_table;

/// Rows read at once: one BatchGetItem.
const CHUNK: usize = 100;

/// List open events by status, oldest due first
///
/// Finished events are no longer in the ledger: `daybook show` finds their receipts. With --prefix, --error
/// or --older-than, all rows of the statuses are read until enough match.
///
/// The table escapes control characters; in a terminal it is cut to its width, elsewhere nothing is cut.
/// JSON has keys as they are in the bucket.
#[derive(Args, Debug)]
pub struct ListArguments {
    #[command(flatten)]
    deployment: DeploymentArguments,

    /// Only rows of this status: pending, claimed or parked
    #[arg(long, value_name = "STATUS", value_parser = filter::status, help_heading = "Rows")]
    status: Option<Status>,

    #[command(flatten)]
    filter: Filter,

    /// At most this many rows of each status
    #[arg(long, value_name = "N", default_value = "50", help_heading = "Rows")]
    #[arg(value_parser = values::at_least_one)]
    limit: u32,
}

/// Open events.
#[derive(Serialize, JsonSchema)]
pub struct ListOutput<'a> {
    /// At most `--limit` rows of each status, oldest due first.
    rows: Vec<RowOutput<'a>>,
    /// Whether there are others, or may be because reading failed.
    more: bool,
    /// What could not be read, each cause once.
    failures: &'a [Failure],
}

/// What was found.
struct Found<'a> {
    ledger: &'a Ledger,
    now: Timestamp,
    rows: Vec<Listed>,
    more: bool,
    failures: Vec<Failure>,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, or not all rows be read.
pub async fn run(arguments: ListArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open().await?;
    let mut found = Found {
        ledger: &deployment.ledger,
        now: deployment.ledger.clock().now(),
        rows: Vec::new(),
        more: false,
        failures: Vec::new(),
    };
    for status in Status::ALL {
        if arguments.status.is_none_or(|asked| asked == status) {
            found
                .add(status, &arguments.filter, arguments.limit as usize)
                .await;
        }
    }
    found.tidy(arguments.status);
    let now = deployment.ledger.clock().now();
    output::print_either(output, || row_table::table(&found.rows, now), &found.output())?;
    if output == Output::Table && found.rows.is_empty() && found.failures.is_empty() {
        eprintln!("note: no such open events in {}", deployment.location);
    }
    if found.more {
        eprintln!(
            "note: there are more; --limit shows more of each status, --status and --prefix narrow it down"
        );
    }
    failures::incomplete(&found.failures, &deployment.location)
}

impl Found<'_> {
    /// The first rows of a status, oldest due first.
    async fn add(&mut self, status: Status, filter: &Filter, limit: usize) {
        let mut due = self.ledger.due(status, None, limit.saturating_add(1).min(CHUNK));
        let mut taken = 0;
        'pages: loop {
            let wanted = match filter.is_empty() {
                true => CHUNK.min(limit.saturating_add(1).saturating_sub(taken)),
                false => CHUNK,
            };
            let keys = due.next(wanted).await;
            if keys.is_empty() {
                break;
            }
            let (rows, failures) = rows::of_keys(self.ledger, &keys).await;
            let failed = !failures.is_empty();
            self.failures.extend(failures);
            for row in rows {
                let is_covered = match &row {
                    Listed::Row(row) => filter.covers(row, self.now),
                    // Not known: it may be one of them.
                    Listed::Unreadable { .. } => true,
                };
                if !is_covered {
                    continue;
                }
                if taken == limit {
                    self.more = true;
                    break 'pages;
                }
                taken += 1;
                self.rows.push(row);
            }
            if failed {
                self.more = true;
                break;
            }
        }
        self.failures.extend(failure::shard_failures(&due));
    }

    /// A row that moved while it was looked for may be there twice, or as another status than its index said.
    fn tidy(&mut self, asked: Option<Status>) {
        let mut seen = BTreeSet::new();
        self.rows.reverse();
        self.rows
            .retain(|row| asked.is_none_or(|asked| row.status() == asked) && seen.insert(row.id()));
        self.rows
            .sort_by_key(|row| (row.status(), row.due_at(), row.id()));
    }

    fn output(&self) -> ListOutput<'_> {
        ListOutput {
            rows: self.rows.iter().map(Listed::output).collect(),
            more: self.more,
            failures: &self.failures,
        }
    }
}
