//! What people do to open events, one or thousands: redrive, release, fail, cancel, complete, remove.
//!
//! All six go the same way: select rows, show how many and a few of them, ask, then change them chunk by chunk. Each row is
//! read again right before it is changed, and one that went on meanwhile is left alone, so every command can be repeated.

pub mod action;
pub mod apply;
pub mod arguments;
pub mod progress;
pub mod selection;
pub mod still_running;

use std::collections::BTreeMap;
use std::process::ExitCode;

use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::failure::Failure;
use daybook_inspect::views;
use daybook_inspect::views::RowOutput;
use daybook_inspect::wording::dispatch;
use daybook_ledger::{Control, Person, RetryPolicy};
use daybook_schema::Status;
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::operate::bulk::action::Action;
use crate::commands::operate::bulk::apply::Tally;
use crate::commands::operate::bulk::arguments::BulkArguments;
pub use crate::commands::operate::bulk::arguments::{
    CancelArguments, CompleteArguments, FailArguments, RedriveArguments, ReleaseArguments, RemoveArguments,
};
use crate::commands::operate::bulk::progress::Progress;
use crate::commands::operate::bulk::selection::Selected;
use crate::deployment::{Deployment, DeploymentArguments};
use crate::signals::INTERRUPTED;
use crate::ui::count::grouped;
use crate::ui::error::UserError;
use crate::ui::escape;
use crate::ui::output::Output;
use crate::ui::row_table;
use crate::ui::{error, output, table};

/// Redrives.
///
/// # Errors
/// When the selection cannot be read, nobody agrees, or not all could be done.
pub async fn redrive(arguments: RedriveArguments, output: Output) -> anyhow::Result<ExitCode> {
    let action = Action::Redrive {
        attempts: arguments.attempts,
    };
    run(arguments.bulk, action, None, arguments.why, output).await
}

/// Releases.
///
/// # Errors
/// As [`redrive`].
pub async fn release(arguments: ReleaseArguments, output: Output) -> anyhow::Result<ExitCode> {
    run(arguments.bulk, Action::Release, None, arguments.why, output).await
}

/// Fails.
///
/// # Errors
/// As [`redrive`].
pub async fn fail(arguments: FailArguments, output: Output) -> anyhow::Result<ExitCode> {
    let action = Action::Fail {
        retry: RetryPolicy::default(),
    };
    run(arguments.bulk, action, None, Some(arguments.why), output).await
}

/// Cancels.
///
/// # Errors
/// As [`redrive`].
pub async fn cancel(arguments: CancelArguments, output: Output) -> anyhow::Result<ExitCode> {
    run(arguments.bulk, Action::Cancel, None, Some(arguments.why), output).await
}

/// Completes.
///
/// # Errors
/// As [`redrive`], and when the receipts cannot be kept.
pub async fn complete(arguments: CompleteArguments, output: Output) -> anyhow::Result<ExitCode> {
    let why = Some(arguments.why);
    run(arguments.bulk, Action::Complete, arguments.status, why, output).await
}

/// Removes.
///
/// # Errors
/// As [`complete`].
pub async fn remove(arguments: RemoveArguments, output: Output) -> anyhow::Result<ExitCode> {
    let why = Some(arguments.why);
    run(arguments.bulk, Action::Remove, arguments.status, why, output).await
}

/// A run of one of them, and what there is to tell of it.
struct Run<'a> {
    deployment: &'a Deployment,
    action: Action,
    person: Person<'a>,
    selected: &'a Selected,
    control: Option<Control>,
}

async fn run(
    arguments: BulkArguments,
    action: Action,
    status: Option<Status>,
    why: Option<String>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    arguments.selection.check(status.is_some())?;
    let statuses = action.statuses(status);
    let by = arguments.by.name();
    let verb = action.imperative().to_lowercase();
    let deployment = arguments.deployment.open(&verb).await?;
    let action = action.in_deployment(&deployment);
    if action.leaves_receipts() {
        check_receipts(&arguments.deployment, &deployment).await?;
    }
    let progress = Progress::new();
    let selected = arguments
        .selection
        .select(&deployment, &statuses, &progress)
        .await?;
    selected.tell_passed_over();
    let run = Run {
        deployment: &deployment,
        action,
        person: Person {
            by: &by,
            why: why.as_deref(),
        },
        selected: &selected,
        control: match action.waits_for_dispatch() {
            true => deployment.ledger.control().await.ok(),
            false => None,
        },
    };
    let events = events(selected.rows.len(), &statuses);
    if arguments.dry_run {
        let tally = Tally::new(action, &selected);
        run.print(output, &events, &tally, true)?;
        return run.end(&tally);
    }
    if !selected.rows.is_empty() && !arguments.confirm.yes {
        eprint!(
            "{events}, in {}{}\n{}",
            deployment.location,
            sample_words(&selected),
            run.sample()
        );
        arguments
            .confirm
            .ask(&format!("{} {events}?", action.imperative()))?;
    }
    let executions = deployment
        .executions
        .as_ref()
        .filter(|_| action == Action::Cancel);
    let ledger = &deployment.ledger;
    let tally = apply::apply((ledger, executions), action, run.person, &selected, &progress).await;
    run.print(output, &events, &tally, false)?;
    if tally.interrupted {
        let left = selected.rows.len() - tally.seen();
        eprintln!(
            "interrupted: {} of {events} are left as they were; the same command resumes with them",
            grouped(left)
        );
        return Ok(ExitCode::from(INTERRUPTED));
    }
    run.end(&tally)
}

/// `10,000 parked events`.
fn events(n: usize, statuses: &[Status]) -> String {
    let status = match statuses {
        [status] => format!("{} ", views::status_word(*status)),
        _ => String::new(),
    };
    let noun = if n == 1 { "event" } else { "events" };
    format!("{} {status}{noun}", grouped(n))
}

fn sample_words(selected: &Selected) -> &'static str {
    match selected.rows.len() > selected.sample.len() {
        true => "; the first of them:",
        false => ":",
    }
}

/// Without receipts nobody could tell later who took an event out, and why.
async fn check_receipts(arguments: &DeploymentArguments, deployment: &Deployment) -> anyhow::Result<()> {
    let ledger = &deployment.ledger;
    let is_off_on_purpose = deployment.is_local() || arguments.aws.receipts_keep.is_zero();
    if ledger.receipts_kept_for().is_none() && !is_off_on_purpose {
        return Err(UserError::new(
            "nothing was changed: no receipts table is named, so who and why could not be kept",
        )
        .hint(
            "--receipts-table (DAYBOOK_RECEIPTS_TABLE) names it; --receipts-keep 0 says that receipts are off here",
        )
        .into());
    }
    let checked = ledger.check_receipts().await;
    Ok(checked.map_err(|error| {
        let advice = deployment
            .location
            .advice(&Failure::about(AwsResource::Receipts, &error));
        UserError::new("nothing was changed: the receipts table cannot be used")
            .because(error)
            .hint_if_any(advice)
    })?)
}

/// What a verb did to the rows that were selected.
#[derive(Serialize, JsonSchema)]
pub struct BulkOutput<'a> {
    /// The verb.
    verb: String,
    /// The deployment.
    #[serde(rename = "where")]
    location: String,
    /// Rows selected.
    selected: usize,
    /// The first of them.
    sample: Vec<RowOutput<'a>>,
    /// Whether nothing was to be changed.
    dry_run: bool,
    /// How many rows came to which end; the names are the verb's own.
    outcomes: BTreeMap<&'static str, usize>,
    /// Rows that changed meanwhile, and were left alone.
    moved_on: usize,
    /// Rows that were named and that the verb does not apply to.
    passed_over: usize,
    /// Rows that this release cannot read, left alone.
    unreadable: usize,
    /// Rows of which it is not known for certain that it was done.
    failed: usize,
    /// Whether it was stopped by Ctrl-C.
    interrupted: bool,
    /// Who.
    by: &'a str,
    /// And why.
    why: Option<&'a str>,
    /// Whether dispatch is paused; null: not known.
    paused: Option<bool>,
    /// What failed, each cause once.
    failures: Vec<Failure>,
}

impl Run<'_> {
    fn sample(&self) -> String {
        let parts = self.deployment.parts();
        row_table::table(
            &self.selected.sample,
            parts.runs(),
            self.deployment.ledger.clock().now(),
        )
    }

    fn print(&self, output: Output, events: &str, tally: &Tally, dry_run: bool) -> anyhow::Result<()> {
        let text = || match dry_run {
            true => format!(
                "{events} would be {}, in {}{}\n{}",
                self.action.past(),
                self.deployment.location,
                sample_words(self.selected),
                self.sample()
            ),
            false => table::labelled(&self.lines(events, tally)),
        };
        output::print_either(output, text, &self.output(tally, dry_run))?;
        if dry_run || tally.seen() == 0 {
            return Ok(());
        }
        let now = self.deployment.ledger.clock().now();
        if let Some(pause) = self.control.as_ref().and_then(|control| control.pause(now)) {
            eprintln!(
                "note: dispatch is paused {}; the events wait until `daybook resume`",
                escape::escaped(&dispatch::paused(&pause))
            );
        }
        tally.still_running.tell();
        if self.action.waits_for_dispatch() {
            self.deployment.location.note_that_nothing_runs();
        }
        if self.action.leaves_receipts() && self.deployment.ledger.receipts_kept_for().is_none() {
            eprintln!("note: receipts are off, so who and why are kept nowhere");
        }
        Ok(())
    }

    fn lines(&self, events: &str, tally: &Tally) -> Vec<(&'static str, String, String)> {
        let mut lines = vec![("where", self.deployment.location.to_string(), String::new())];
        let mut count = |what, n: usize, meaning: String| lines.push((what, n.to_string(), meaning));
        let noun = events.split_once(' ').map_or(events, |(_, noun)| noun);
        count("selected", self.selected.rows.len(), noun.to_owned());
        for (outcome, n) in self.action.outcomes().iter().zip(&tally.outcomes) {
            count(outcome.label, *n, self.action.meaning(outcome));
        }
        count(
            "moved on",
            tally.moved_on,
            "changed meanwhile, and were left alone".to_owned(),
        );
        count(
            "unreadable",
            tally.unreadable(),
            "rows of another release, left alone".to_owned(),
        );
        count("failed", tally.failed(), "may not have been done".to_owned());
        let why = self.person.why.map(|why| format!(": {}", escape::escaped(why)));
        let by = escape::escaped(self.person.by);
        lines.push(("by", format!("{by}{}", why.unwrap_or_default()), String::new()));
        lines
    }

    fn output<'a>(&'a self, tally: &'a Tally, dry_run: bool) -> BulkOutput<'a> {
        let now = self.deployment.ledger.clock().now();
        let outcomes = self.action.outcomes().iter().zip(&tally.outcomes);
        let parts = self.deployment.parts();
        let runs = parts.runs();
        BulkOutput {
            verb: self.action.imperative().to_lowercase(),
            location: self.deployment.location.to_string(),
            selected: self.selected.rows.len(),
            sample: self.selected.sample.iter().map(|row| row.output(runs)).collect(),
            dry_run,
            outcomes: outcomes.map(|(outcome, n)| (outcome.word, *n)).collect(),
            moved_on: tally.moved_on,
            passed_over: self.selected.passed_over.len(),
            unreadable: tally.unreadable(),
            failed: tally.failed(),
            interrupted: tally.interrupted,
            by: self.person.by,
            why: self.person.why,
            paused: self.control.as_ref().map(|control| control.pause(now).is_some()),
            failures: tally.failures(),
        }
    }

    fn end(&self, tally: &Tally) -> anyhow::Result<ExitCode> {
        let failures = tally.failures();
        let Some(first) = failures.first() else {
            return Ok(ExitCode::SUCCESS);
        };
        let what = match (tally.failed(), tally.unreadable()) {
            (0, 1) => "1 row that may match cannot be read, and was left alone".to_owned(),
            (0, n) => format!(
                "{} rows that may match cannot be read, and were left alone",
                grouped(n)
            ),
            (1, _) => format!("1 event may not have been {}", self.action.past()),
            (n, _) => format!("{} events may not have been {}", grouped(n), self.action.past()),
        };
        let again = "the same command again tries them once more, and no others".to_owned();
        Err(UserError::new(what)
            .because(error::listed(&failures))
            .hint(self.deployment.location.advice_or(first, again))
            .into())
    }
}
