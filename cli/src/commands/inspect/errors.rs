//! `daybook errors`: what the open events failed of, cause by cause.

use std::process::ExitCode;

use clap::Args;
use daybook_inspect::aws::failure::Failure;
use daybook_inspect::errors::{Errors, Group, errors};
use daybook_inspect::wording::shell::quoted;
use daybook_inspect::wording::{text, time};
use daybook_schema::Timestamp;

use crate::args::values;
use crate::deployment::DeploymentArguments;
use crate::ui::error::UserError;
use crate::ui::output::Output;
use crate::ui::{escape, output, table};

/// Events after which it says how far it is.
const TELL_EVERY: u64 = 100_000;

/// Group the failures of open events by cause
///
/// Groups the open events that are parked or have a last error by that error, without the ids, numbers,
/// keys and times in it. DynamoDB reads all open rows for it. For each group: how many, since when, one of them, and the command
/// that redrives the parked ones.
#[derive(Args, Debug)]
pub struct ErrorsArguments {
    #[command(flatten)]
    deployment: DeploymentArguments,

    /// Groups to show, most parked events first
    #[arg(long, value_name = "N", default_value = "20", help_heading = "Groups")]
    #[arg(value_parser = values::at_least_one)]
    limit: u32,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, or not all rows be read.
pub async fn run(arguments: ErrorsArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open("errors").await?;
    let mut told = TELL_EVERY;
    let mut found = errors(&deployment.ledger, |rows| {
        if rows >= told {
            eprintln!("{rows} events that have failed, so far");
            told = rows + TELL_EVERY;
        }
    })
    .await;
    let now = deployment.ledger.clock().now();
    let flags = arguments.deployment.flags();
    let groups = found.groups.len();
    found.groups.truncate(arguments.limit as usize);
    output::print_either(output, || paragraphs(&found, &flags, now), &found)?;
    if output == Output::Table && groups == 0 && found.incomplete.is_none() {
        eprintln!("note: no open event in {} has failed", deployment.location);
    }
    if groups > found.groups.len() {
        let more = groups - found.groups.len();
        let more = text::many(more as u64, "more group");
        eprintln!("note: {more}; --limit shows more of them");
    }
    if found.ungrouped > 0 {
        let others = text::many(found.ungrouped, "event");
        eprintln!("note: {others} with other errors, in no group");
    }
    if found.unreadable > 0 {
        let rows = text::many(found.unreadable, "row");
        eprintln!("note: {rows} that this release cannot read");
    }
    match found.incomplete {
        None => Ok(ExitCode::SUCCESS),
        Some(cause) => {
            let failure = Failure::of_ledger(cause);
            let again = deployment.location.advice_or(&failure, "run it again".to_owned());
            let what = "not all open rows could be read: there may be more events and causes";
            Err(UserError::new(what)
                .because(anyhow::anyhow!("{failure}"))
                .hint(again)
                .into())
        }
    }
}

/// A paragraph for each group.
fn paragraphs(found: &Errors, flags: &str, now: Timestamp) -> String {
    let paragraphs = found
        .groups
        .iter()
        .map(|group| table::labelled(&lines(group, flags, now)));
    paragraphs.collect::<Vec<_>>().join("\n")
}

fn lines(group: &Group, flags: &str, now: Timestamp) -> Vec<(&'static str, String, String)> {
    let example = &group.example;
    let object = match (&example.bucket, &example.key, &example.about) {
        (Some(bucket), Some(key), _) => escape::escaped(&format!("s3://{bucket}/{key}")),
        (_, _, Some(about)) => escape::escaped(about),
        _ => "a notification that cannot be read".to_owned(),
    };
    let mut lines = vec![
        ("error", escape::escaped(&group.error), String::new()),
        ("parked", group.parked.to_string(), "wait for a person".to_owned()),
        (
            "failing",
            group.failing.to_string(),
            "failed or were put off, and are tried again".to_owned(),
        ),
        ("oldest", time::at(group.oldest, now), String::new()),
        ("example", format!("{} {object}", group.example.id), String::new()),
    ];
    if let (Some(text), true) = (&group.text, group.parked > 0) {
        let others = match group.others_with_text {
            0 => String::new(),
            n => format!("and {n} of other groups"),
        };
        // There is nothing in it that a terminal would not show.
        let quoted = quoted(text);
        lines.push((
            "redrive",
            format!("daybook redrive {flags} --error {quoted}"),
            others,
        ));
    }
    lines
}
