//! `daybook list`: the open events, row by row.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use daybook_inspect::lookup::list::{Cursor, Narrowed, Which, list};
use daybook_ledger::RowFilter;
use daybook_schema::{BatchId, Row, Status};

use crate::args::filter::Filter;
use crate::args::{filter, values};
use crate::commands::inspect::list_done;
use crate::commands::inspect::list_form::FormArguments;
use crate::deployment::{DeploymentArguments, failures};
use crate::ui::output::Output;

/// List open events by status, oldest due first
///
/// Finished events are no longer in the ledger: `daybook show` finds their receipts. --status done lists the
/// newest that the workers of `daybook up` completed, on one machine (docs/looking.md). With --prefix, --error,
/// --older-than or --batch, all open rows are read, and those that match are printed.
///
/// The table escapes control characters; in a terminal it is fitted to its width, elsewhere nothing is cut.
/// JSON and CSV have keys as they are in the bucket.
#[derive(Args, Debug)]
pub struct ListArguments {
    #[command(flatten)]
    deployment: DeploymentArguments,

    /// Only pending, claimed or parked rows; or what is done
    #[arg(long, value_name = "STATUS", value_parser = wanted, help_heading = "Rows")]
    status: Option<Wanted>,

    /// With --status done: how far back, such as 1h
    #[arg(long, value_name = "TIME", value_parser = values::time, help_heading = "Rows")]
    since: Option<Duration>,

    #[command(flatten)]
    filter: Filter,

    /// Only rows that are in this batch now
    #[arg(long, value_name = "ID", value_parser = batch, help_heading = "Rows")]
    batch: Option<BatchId>,

    /// At most this many rows of each status
    #[arg(long, value_name = "N", default_value = "50", help_heading = "Rows")]
    #[arg(value_parser = values::at_least_one)]
    limit: u32,

    /// Continue after this cursor; needs --status
    ///
    /// The list before printed it at its end
    #[arg(long, value_name = "CURSOR", requires = "status", help_heading = "Rows")]
    after: Option<Cursor>,

    #[command(flatten)]
    form: FormArguments,
}

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Open(Status),
    Done,
}

fn wanted(text: &str) -> Result<Wanted, String> {
    match text {
        "done" => Ok(Wanted::Done),
        text => filter::status(text)
            .map(Wanted::Open)
            .map_err(|_| "pending, claimed, parked or done is needed".to_owned()),
    }
}

impl ListArguments {
    fn check(&self, output: Output) -> Result<(), clap::Error> {
        self.form.check(output)?;
        if self.status != Some(Wanted::Done) {
            return match self.since {
                Some(_) => Err(values::usage_of("since", &"--status done is needed with it")),
                None => Ok(()),
            };
        }
        let of_open = [
            ("batch", self.batch.is_some()),
            ("after", self.after.is_some()),
            ("columns", self.form.has_columns()),
            ("error, --older-than or --subject", !self.filter.is_of_keys()),
        ];
        match of_open.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => Err(values::usage_of(
                flag,
                &"asks about open events, and --status done about others",
            )),
            None => Ok(()),
        }
    }
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, or not all rows be read.
pub async fn run(arguments: ListArguments, output: Output) -> anyhow::Result<ExitCode> {
    arguments.check(output)?;
    let deployment = arguments.deployment.open("list").await?;
    let status = match arguments.status {
        Some(Wanted::Done) => {
            let asked = list_done::Asked {
                since: arguments.since,
                limit: arguments.limit as usize,
                filter: &arguments.filter,
            };
            return list_done::run(&deployment, asked, &arguments.form, output);
        }
        Some(Wanted::Open(status)) => Some(status),
        None => None,
    };
    let is_in_batch = |row: &Row| arguments.batch.is_none_or(|batch| row.batch == Some(batch));
    let filter = |row: &Row, now| is_in_batch(row) && arguments.filter.covers(row, now);
    let rows = RowFilter {
        batch: arguments.batch,
        ..arguments.filter.rows(status, deployment.ledger.clock().now())
    };
    let filters = !arguments.filter.is_empty() || arguments.batch.is_some();
    let which = Which {
        status,
        limit: arguments.limit as usize,
        after: arguments.after,
        filter: filters.then_some(Narrowed {
            rows: &rows,
            covers: &filter,
        }),
    };
    let found = list(&deployment.ledger, which).await;
    let now = deployment.ledger.clock().now();
    let parts = deployment.parts();
    arguments.form.print(&found, parts.runs(), output, now)?;
    if output == Output::Table && found.rows.is_empty() && found.failures.is_empty() {
        eprintln!("note: no such open events in {}", deployment.location);
    }
    if found.more {
        let next = found.cursor().filter(|_| status.is_some());
        let next = next.map_or_else(
            || "--status and --prefix narrow it down".to_owned(),
            |cursor| format!("--after {cursor} shows the next"),
        );
        eprintln!("note: there are more; --limit shows more of each status, {next}");
    }
    failures::incomplete(&found.failures, &deployment.location)
}

/// A batch, by its id or by the name of its execution.
fn batch(text: &str) -> Result<BatchId, String> {
    let text = text.trim().to_lowercase();
    let id = text.strip_prefix("b-").unwrap_or(&text);
    id.parse()
        .map_err(|_| "a batch's id is needed: 32 hexadecimal digits, as `daybook show` has it".to_owned())
}
