//! `daybook list --status done`: what workers completed lately.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use daybook_inspect::activity::completions::{Completion, CompletionsOutput};
use daybook_inspect::wording::time;
use daybook_schema::Timestamp;

use crate::args::filter::Filter;
use crate::commands::inspect::list_form::{FormArguments, Format};
use crate::deployment::{Deployment, Location, completions};
use crate::ui::error::UserError;
use crate::ui::output::Output;
use crate::ui::{escape, output, table};

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Only what was completed in this time.
    pub since: Option<Duration>,
    /// At most so many.
    pub limit: usize,
    /// Only objects that it lets through.
    pub filter: &'a Filter,
}

/// Prints them.
///
/// # Errors
/// On AWS, where nothing lists receipts by time; when the list cannot be read, or stdout is closed.
pub fn run(
    deployment: &Deployment,
    asked: Asked<'_>,
    form: &FormArguments,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let Location::Local {
        dir, access, trouble, ..
    } = &deployment.location
    else {
        return Err(UserError::new(format!(
            "no list of completed events in {}: on AWS receipts are found by their object, not by time",
            deployment.location
        ))
        .hint("`daybook show s3://BUCKET/KEY` shows an object's receipts, `daybook audit BUCKET` counts the completed objects of a bucket")
        .into());
    };
    // On a full disk it cannot write what it completes.
    let is_running = access.up().is_some() && trouble.is_none();
    let known = completions::read(dir, is_running).map_err(|error| {
        UserError::new(format!(
            "the list of completed events in {} cannot be read",
            dir.display()
        ))
        .because(error)
    })?;
    let now = deployment.ledger.clock().now();
    let is_asked_for = |done: &Completion| asked.filter.covers_object(&done.bucket, &done.key);
    let found = known.within(now, asked.since, asked.limit, is_asked_for);
    print(&found, form, output, now)?;
    if form.format(output) == Format::Table {
        if found.completed.is_empty() {
            eprintln!(
                "note: no such completed events are known in {}",
                deployment.location
            );
        }
        if found.more {
            eprintln!("note: there are more; --limit shows more of them");
        }
        match (known.since, found.known_since) {
            (None, _) => {
                eprintln!("note: completions are listed once a `daybook up` with a target runs there")
            }
            (Some(_), Some(since)) => {
                eprintln!(
                    "note: completions are known since {since}; `daybook show` finds older receipts by object"
                );
            }
            (Some(_), None) => {}
        }
        if let Some(at) = found.may_miss_until {
            eprintln!(
                "note: some completions before {at} may be missing: a `daybook up` was killed, or the disk was full"
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(
    found: &CompletionsOutput,
    form: &FormArguments,
    output: Output,
    now: Timestamp,
) -> anyhow::Result<()> {
    match form.format(output) {
        Format::Table => output::print_either(Output::Table, || text(&found.completed, form, now), &()),
        Format::Json => output::print_either(Output::Json, String::new, found),
        Format::Jsonl => {
            let mut stdout = std::io::stdout().lock();
            for done in &found.completed {
                // As a value first: its fields are in the order of their names.
                writeln!(stdout, "{}", serde_json::to_value(done)?)?;
            }
            Ok(stdout.flush()?)
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(std::io::stdout().lock());
            csv.write_record([
                "done_at",
                "attempt",
                "millis",
                "id",
                "bucket",
                "key",
                "version_id",
            ])?;
            for done in &found.completed {
                csv.write_record([
                    done.done_at.to_string(),
                    done.attempt.to_string(),
                    done.millis.to_string(),
                    done.id.to_string(),
                    done.bucket.clone(),
                    done.key.clone(),
                    done.version_id.clone().unwrap_or_default(),
                ])?;
            }
            Ok(csv.flush()?)
        }
    }
}

fn text(completed: &[Completion], form: &FormArguments, now: Timestamp) -> String {
    if completed.is_empty() {
        return String::new();
    }
    let cells = |done: &Completion| {
        let ago = time::length(done.done_at, now, 1).map(|length| format!("{length} ago"));
        vec![
            ago.unwrap_or_else(|| "now".to_owned()),
            done.attempt.to_string(),
            format!("{:.1}s", Duration::from_millis(done.millis).as_secs_f64()),
            done.id.to_string(),
            escape::object_uri(&done.bucket, &done.key, done.version_id.as_deref()),
        ]
    };
    let header = ["done", "attempt", "took", "id", "object"];
    table::table(
        &header,
        &[0, 1, 2, 3],
        completed.iter().map(cells).collect(),
        form.width(),
    )
}
