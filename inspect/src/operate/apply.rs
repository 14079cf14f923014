//! Doing it, chunk by chunk.

use std::collections::BTreeMap;
use std::pin::Pin;

use daybook_ledger::{Cause, CauseKind, Ledger, Person};
use daybook_manager::Executions;
use daybook_schema::{EventId, Row};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::aws::failure::Failure;
use crate::lookup::rows;
use crate::lookup::rows::RowRead;
use crate::operate::action::{Action, Applied};
use crate::operate::selected::{Seen, Selected};
use crate::operate::still_running::{self, StillRunning};

/// Rows that are changed together: one BatchExecuteStatement.
const CHUNK: usize = 25;

/// Chunks under way at once.
const CHUNKS: usize = 16;

/// What is done, for whom.
#[derive(Clone, Copy)]
pub struct Doing<'a> {
    /// To whose rows.
    pub ledger: &'a Ledger,
    /// Where cancelled executions are stopped.
    pub executions: Option<&'a Executions>,
    /// What.
    pub action: Action,
    /// At whose word.
    pub person: Person<'a>,
}

/// What is told while it is done.
pub enum Told<'a> {
    /// It was asked to stop: requests in flight are finished.
    Stopping,
    /// So many more rows are through.
    Changed(usize, &'a Tally),
    /// So many canaries were redriven, and their outcomes are waited for.
    CanariesSent(usize),
    /// The canaries succeeded, and so many rows follow.
    GoesOn(usize),
}

/// Hears it.
pub type Telling<'a> = &'a mut (dyn FnMut(Told<'_>) + Send);

/// What came of it.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many ended how, by the action's outcomes.
    pub outcomes: Vec<usize>,
    /// Rows that went on, and were left alone.
    pub moved_on: usize,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// Executions of cancelled events that may go on.
    pub still_running: StillRunning,
    unreadable: BTreeMap<String, String>,
    /// How many rows failed, by cause.
    causes: BTreeMap<Cause, usize>,
    seen: usize,
}

impl Tally {
    /// Before anything is done.
    pub fn new(action: Action, selected: &Selected) -> Self {
        Self {
            outcomes: vec![0; action.outcomes().len()],
            unreadable: selected.unreadable.iter().cloned().collect(),
            ..Self::default()
        }
    }

    /// Counts what came of it for a row.
    pub fn add(&mut self, id: EventId, applied: Applied) {
        self.seen += 1;
        match applied {
            Applied::Done(outcome) => self.outcomes[outcome] += 1,
            Applied::MovedOn => self.moved_on += 1,
            Applied::Unreadable(why) => drop(self.unreadable.insert(id.to_string(), why)),
            Applied::Failed(cause) => *self.causes.entry(cause).or_default() += 1,
        }
    }

    /// How many rows were done, in whichever way.
    pub fn done(&self) -> usize {
        self.outcomes.iter().sum()
    }

    /// How many of the selected rows were gone through, whatever came of them.
    pub fn seen(&self) -> usize {
        self.seen
    }

    /// How many rows this release cannot read.
    pub fn unreadable(&self) -> usize {
        self.unreadable.len()
    }

    /// How many may not have been done.
    pub fn failed(&self) -> usize {
        self.causes.values().sum()
    }

    /// Why, each cause once.
    pub fn failures(&self) -> Vec<Failure> {
        let causes = self.causes.iter().map(|(cause, n)| match n {
            1 => cause.clone(),
            n => cause.clone().of(format_args!("{n} times")),
        });
        let mut unreadable: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, why) in &self.unreadable {
            // What is said of a row names it; the rest tells rows of one kind from another.
            let kind = why.split_once(id.as_str()).map_or(why.as_str(), |(_, kind)| kind);
            unreadable.entry(kind).or_default().push(id);
        }
        let unreadable = unreadable.iter().map(|(kind, ids)| match ids.as_slice() {
            [id] => format!("row {id} cannot be read: it{kind}"),
            [id, ..] => format!("{} rows cannot be read; row {id}{kind}", ids.len()),
            [] => String::new(),
        });
        let unreadable = unreadable.map(|words| Cause::new(CauseKind::Unreadable, words));
        causes.chain(unreadable).map(Failure::of_ledger).collect()
    }
}

/// Does it to these rows. When `stop` ends no chunk is begun any more, and those under way are finished; when `end` ends it ends at once,
/// and what was under way is done or not.
pub async fn apply<S: Future<Output = ()>, E: Future<Output = ()>>(
    doing: Doing<'_>,
    rows: &[Seen],
    tally: &mut Tally,
    (mut stop, mut end): (Pin<&mut S>, Pin<&mut E>),
    told: Telling<'_>,
) {
    let mut waiting = rows.chunks(CHUNK);
    let mut under_way = FuturesUnordered::new();
    let mut through = 0;
    loop {
        while !tally.interrupted && under_way.len() < CHUNKS {
            match waiting.next() {
                Some(chunk) => under_way.push(apply_to(doing, chunk)),
                None => break,
            }
        }
        if under_way.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = &mut end => {
                tally.interrupted = true;
                break;
            }
            () = &mut stop, if !tally.interrupted => {
                tally.interrupted = true;
                told(Told::Stopping);
            }
            Some((applied, still_running)) = under_way.next() => {
                let applied: Vec<(EventId, Applied)> = applied;
                tally.still_running.add(still_running);
                let n = applied.len();
                for (id, applied) in applied {
                    tally.add(id, applied);
                }
                through += n;
                told(Told::Changed(n, tally));
            }
        }
    }
    // Whoever stops it when all is done has stopped nothing.
    tally.interrupted &= through < rows.len();
}

/// Reads the rows again, and does it to those that stand as they were selected.
pub async fn apply_to(doing: Doing<'_>, chunk: &[Seen]) -> (Vec<(EventId, Applied)>, StillRunning) {
    let Doing {
        ledger,
        executions,
        action,
        person,
    } = doing;
    let ids: Vec<EventId> = chunk.iter().map(|seen| seen.id).collect();
    let (mut answers, failures) = rows::read(ledger, &ids).await;
    let cause = failures.into_iter().next().map(|failure| failure.cause);
    let mut applied = Vec::with_capacity(chunk.len());
    let mut rows: Vec<Row> = Vec::with_capacity(chunk.len());
    for seen in chunk {
        let outcome = match answers.remove(&seen.id) {
            Some(RowRead::Row(row)) if stands(&row, seen, action) => {
                rows.push(*row);
                continue;
            }
            Some(RowRead::Row(_) | RowRead::Gone) => Applied::MovedOn,
            Some(RowRead::Unreadable(why)) => Applied::Unreadable(why),
            None => Applied::Failed(cause.clone().unwrap_or_else(|| "the row was not read".into())),
        };
        applied.push((seen.id, outcome));
    }
    let outcomes = action.apply(ledger, person, &rows).await;
    let still_running = match executions {
        // After the rows are parked: the end of an execution that is stopped would use up an attempt.
        Some(executions) => still_running::stop(executions, &rows, &outcomes).await,
        None => StillRunning::default(),
    };
    applied.extend(rows.iter().map(|row| row.id).zip(outcomes));
    (applied, still_running)
}

/// Whether the row is as it was selected, as far as it matters for that.
fn stands(row: &Row, seen: &Seen, action: Action) -> bool {
    (row.status, row.attempt) == (seen.status, seen.attempt)
        && (row.due_at == seen.due_at || !action.heeds_due_times())
}
