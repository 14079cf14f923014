//! The history of an event or object for programs.
use daybook_ledger::Lookup;
use daybook_manager::Described;
use daybook_schema::{RunName, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::failure::Failure;
use crate::lookup::history::{Found, Open};
use crate::lookup::next_step::next;
use crate::lookup::run;
use crate::lookup::run::{Named, Run};
use crate::parts::Runs;
use crate::views::{ReceiptOutput, RowOutput};

/// For programs: with what a process of this machine runs, where that is known.
pub fn output<'a>(found: &'a Found, runs: Option<Runs<'_>>, now: Timestamp) -> ShowOutput<'a> {
    let open = found.open.iter().map(|open| match open {
        Open::Unreadable { id, why } => OpenOutput {
            row: RowOutput::unreadable(id.clone(), None, why),
            execution: None,
            next: NextOutput {
                what: "unknown",
                at: None,
            },
            done_by_receipt: None,
        },
        Open::Row {
            row,
            execution,
            done_by_receipt,
        } => {
            let next = next(row, *done_by_receipt, found.control.as_ref(), now);
            OpenOutput {
                row: RowOutput::from(&**row).running(runs.and_then(|runs| runs.of(row))),
                execution: execution.as_ref().map(ExecutionOutput::of_run),
                next: NextOutput {
                    what: next.word(),
                    at: next.at(),
                },
                done_by_receipt: Some(*done_by_receipt),
            }
        }
    });
    ShowOutput {
        open: open.collect(),
        receipts: found.receipts.iter().map(ReceiptOutput::from).collect(),
        failures: &found.failures,
    }
}

/// All that is known of an event, or of an object's events.
#[derive(Serialize, JsonSchema)]
pub struct ShowOutput<'a> {
    /// What is open.
    open: Vec<OpenOutput<'a>>,
    /// What is done.
    receipts: Vec<ReceiptOutput<'a>>,
    /// What could not be read, each cause once.
    failures: &'a [Failure],
}

/// One open event.
#[derive(Serialize, JsonSchema)]
struct OpenOutput<'a> {
    /// Its row.
    row: RowOutput<'a>,
    /// The execution of its attempt; null without a state machine, and before the first attempt.
    execution: Option<ExecutionOutput<'a>>,
    /// What happens next.
    next: NextOutput,
    /// Whether a receipt says that it is done; null: not known.
    done_by_receipt: Option<bool>,
}

/// What happens next.
#[derive(Serialize, JsonSchema)]
struct NextOutput {
    /// `due`, `wait` (not before `at`), `paused`, `lease` (it ends at `at`), `sweep` (it is over), `person`, `done` or `unknown`.
    what: &'static str,
    /// When, if that is known.
    at: Option<Timestamp>,
}

/// An execution, as Step Functions sees it now.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ExecutionOutput<'a> {
    /// Its name.
    name: String,
    /// Whether there is one; null: not known.
    found: Option<bool>,
    /// Why it is not known.
    unknown: Option<&'a str>,
    /// Its ARN.
    arn: Option<&'a str>,
    /// Its status, such as `RUNNING`.
    status: Option<&'a str>,
    /// When it started.
    started_at: Option<Timestamp>,
    /// When it ended.
    ended_at: Option<Timestamp>,
    /// The error's name, where it failed with one.
    error: Option<&'a str>,
    /// And its cause.
    cause: Option<&'a str>,
    /// How many events its input names; null: not known, or there is none.
    events: Option<usize>,
    /// Whether its input names this event at this attempt, as a batch's may not; null: not known, or no event is asked about.
    names_event: Option<bool>,
}

impl<'a> ExecutionOutput<'a> {
    fn of_run(run: &'a Run) -> Self {
        let (events, names_event) = match run.named {
            Named::Yes { events } => (Some(events), Some(true)),
            Named::No => (
                run::events(run.name, &run.lookup).map(|events| events.len()),
                Some(false),
            ),
            Named::Unknown => (None, None),
        };
        Self {
            events,
            names_event,
            ..Self::of(run.name, &run.lookup)
        }
    }

    pub(crate) fn of(name: RunName, lookup: &'a Lookup<Described>) -> Self {
        let (found, unknown, described) = match lookup {
            Lookup::Found(described) => (Some(true), None, Some(described)),
            Lookup::Absent => (Some(false), None, None),
            Lookup::Unknown(cause) => (None, Some(cause.words()), None),
        };
        Self {
            name: name.to_string(),
            found,
            unknown,
            arn: described.map(|one| one.arn.as_str()),
            status: described.map(|one| one.status.as_str()),
            started_at: described.and_then(|one| one.started_at),
            ended_at: described.and_then(|one| one.ended_at),
            error: described.and_then(|one| one.error.as_deref()),
            cause: described.and_then(|one| one.cause.as_deref()),
            events: run::events(name, lookup).map(|events| events.len()),
            names_event: None,
        }
    }
}
