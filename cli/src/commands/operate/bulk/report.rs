//! What a verb did to rows: a table for people, JSON for programs, and what goes to stderr.

use std::collections::BTreeMap;
use std::process::ExitCode;

use daybook_inspect::aws::failure::Failure;
use daybook_inspect::operate::action::Action;
use daybook_inspect::operate::apply::Tally;
use daybook_inspect::operate::canary::{Trial, TrialOutput};
use daybook_inspect::operate::selected::Selected;
use daybook_inspect::views;
use daybook_inspect::views::RowOutput;
use daybook_inspect::wording::dispatch;
use daybook_ledger::{Control, Person};
use daybook_schema::Status;
use schemars::JsonSchema;
use serde::Serialize;

use crate::deployment::Deployment;
use crate::ui::confirm::ConfirmArguments;
use crate::ui::count::grouped;
use crate::ui::error::UserError;
use crate::ui::escape;
use crate::ui::output::Output;
use crate::ui::row_table;
use crate::ui::{error, output, table};

/// A run of one of them, and what there is to tell of it.
pub struct Run<'a> {
    pub deployment: &'a Deployment,
    pub action: Action,
    pub person: Person<'a>,
    pub selected: &'a Selected,
    /// Whether each was named, as an id or an object.
    pub are_named: bool,
    pub control: Option<Control>,
}

/// `10,000 parked events`.
pub fn events(n: usize, statuses: &[Status]) -> String {
    let status = match statuses {
        [status] => format!("{} ", views::status_word(*status)),
        _ => String::new(),
    };
    let noun = if n == 1 { "event" } else { "events" };
    format!("{} {status}{noun}", grouped(n))
}

/// `3 of 10,000 parked events are left as they were`.
pub fn left_alone(left: usize, events: &str) -> String {
    let so = if left == 1 {
        "is left as it was"
    } else {
        "are left as they were"
    };
    format!("{} of {events} {so}", grouped(left))
}

/// Whether there are more than are shown.
fn sample_words(selected: &Selected) -> &'static str {
    match (selected.rows.len(), selected.sample.len()) {
        (0, _) => "",
        (all, shown) if all > shown => "; the first of them:",
        _ => ":",
    }
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
    /// The rows that were redriven first; null: none were asked for.
    canary: Option<TrialOutput>,
}

impl Run<'_> {
    /// Asks whether it is to be done, with a count and examples.
    ///
    /// # Errors
    /// When it is not to be done, or nobody can be asked.
    pub fn ask(&self, confirm: ConfirmArguments, events: &str) -> anyhow::Result<()> {
        eprint!(
            "{events}, in {}{}\n{}",
            self.deployment.location,
            sample_words(self.selected),
            self.sample()
        );
        confirm.ask(&format!("{} {events}?", self.action.imperative()))?;
        Ok(())
    }

    fn sample(&self) -> String {
        let parts = self.deployment.parts();
        row_table::table(
            &self.selected.sample,
            parts.runs(),
            self.deployment.ledger.clock().now(),
        )
    }

    /// Prints the result, and says on stderr what matters besides.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn print(
        &self,
        output: Output,
        events: &str,
        (tally, trial): (&Tally, Option<&Trial>),
        dry_run: bool,
    ) -> anyhow::Result<()> {
        let text = || match dry_run {
            true => format!(
                "{events} would be {}, in {}{}\n{}",
                self.action.past(),
                self.deployment.location,
                sample_words(self.selected),
                self.sample()
            ),
            false => table::labelled(&self.lines(events, tally, trial)),
        };
        output::print_either(output, text, &self.output(tally, trial, dry_run))?;
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
        for note in tally.still_running.notes() {
            eprintln!("note: {note}");
        }
        if self.action.waits_for_dispatch() {
            self.deployment.location.note_that_nothing_runs();
        }
        if self.action.leaves_receipts() && self.deployment.ledger.receipts_kept_for().is_none() {
            eprintln!("note: receipts are off, so who and why are kept nowhere");
        }
        Ok(())
    }

    fn lines(
        &self,
        events: &str,
        tally: &Tally,
        trial: Option<&Trial>,
    ) -> Vec<(&'static str, String, String)> {
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
        if let Some(trial) = trial {
            lines.push(("canary", trial.words(), String::new()));
        }
        let why = self.person.why.map(|why| format!(": {}", escape::escaped(why)));
        let by = escape::escaped(self.person.by);
        lines.push(("by", format!("{by}{}", why.unwrap_or_default()), String::new()));
        lines
    }

    fn output<'a>(&'a self, tally: &'a Tally, trial: Option<&Trial>, dry_run: bool) -> BulkOutput<'a> {
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
            canary: trial.map(Trial::output),
        }
    }

    /// The canaries did not succeed: the others are left as they were.
    ///
    /// # Errors
    /// Always: that is the error.
    pub fn stopped(
        &self,
        events: &str,
        (tally, trial): (&Tally, Option<&Trial>),
        why: &str,
    ) -> anyhow::Result<ExitCode> {
        let left = self.selected.rows.len() - tally.seen();
        let what = match left {
            0 => format!("stopped after the canaries: {why}"),
            left => format!("stopped after the canaries: {why}; {}", left_alone(left, events)),
        };
        let error = trial
            .and_then(Trial::first_error)
            .filter(|error| !error.is_empty());
        let hint = match error {
            Some(_) => "`daybook errors` groups what fails; when it is fixed, the same command tries again",
            None if left == 0 => "`daybook why ID` says how one of them stands",
            None => "`daybook why ID` says how one of them stands; the same command resumes with the others",
        };
        let stopped = UserError::new(what);
        let stopped = match (tally.failures().as_slice(), error) {
            ([], Some(error)) => stopped.because(anyhow::anyhow!("{}", escape::escaped(error))),
            ([], None) => stopped,
            (failures, _) => stopped.because(error::listed(failures)),
        };
        Err(stopped.hint(hint).into())
    }

    /// Whether no row is done, or none would be.
    fn does_nothing(&self, tally: &Tally) -> bool {
        match (tally.seen(), self.action) {
            (0, _) => self.selected.rows.is_empty(),
            // What is left as it is counts as an outcome.
            (_, Action::Complete) => tally.outcomes.first() == Some(&0),
            _ => tally.done() == 0,
        }
    }

    /// Whether all could be done.
    ///
    /// # Errors
    /// When not, and when nothing of what was named was.
    pub fn end(&self, tally: &Tally) -> anyhow::Result<ExitCode> {
        let failures = tally.failures();
        let Some(first) = failures.first() else {
            return match self.are_named && self.does_nothing(tally) {
                true => {
                    let none = format!("none of what was named was {}", self.action.past());
                    let instead = (self.action == Action::Cancel).then(|| {
                        "`daybook complete` or `daybook remove` ends an event that does not run".to_owned()
                    });
                    Err(UserError::new(none).hint_if_any(instead).into())
                }
                false => Ok(ExitCode::SUCCESS),
            };
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
