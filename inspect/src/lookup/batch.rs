//! A batch: its execution, the events that this was given, and the rows that bear it now.

use daybook_ledger::{Lookup, RowFilter};
use daybook_manager::Described;
use daybook_schema::{
    Attempt, BatchId, BatchName, EventId, ExecutionInput, ObjectEvent, Row, Status, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

use crate::aws::failure::{AwsResource, Failure};
use crate::lookup::history::unread;
use crate::lookup::list::{Narrowed, Which, list};
use crate::lookup::output::ExecutionOutput;
use crate::lookup::rows::{self, Listed, RowRead};
use crate::lookup::run;
use crate::parts::Parts;
use crate::views::status_word;

/// What is known of a batch.
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Its execution; `None` where there are no executions.
    pub execution: Option<Lookup<Described>>,
    /// The events that its execution was given; `None` where that is not known.
    pub named: Option<Vec<ExecutionInput>>,
    /// Those events, and those whose rows bear the batch now, by their ids.
    pub members: BTreeMap<EventId, Member>,
    /// Claimed rows that this release cannot read, of which any may bear it.
    pub unreadable: u64,
    /// What could not be found out, each cause once.
    pub failures: Vec<Failure>,
}

/// An event of a batch.
#[derive(Default)]
pub struct Member {
    /// The attempt at which the execution's input names it.
    pub named: Option<Attempt>,
    /// The event, as far as anything says what it is.
    pub event: Option<ObjectEvent>,
    /// Its row.
    pub row: MemberRow,
}

/// The row of an event that a batch has or had.
#[derive(Default)]
pub enum MemberRow {
    /// It bears the batch.
    Bears(Box<Row>),
    /// It does not, or no more.
    Other(Box<Row>),
    /// There is none: the event is done, or was removed.
    Gone,
    /// Not known: it could not be read.
    #[default]
    Unknown,
}

impl MemberRow {
    /// The row, as far as there is one that can be read.
    pub fn row(&self) -> Option<&Row> {
        match self {
            Self::Bears(row) | Self::Other(row) => Some(row),
            Self::Gone | Self::Unknown => None,
        }
    }
}

/// What is known of that batch. All claimed rows are read for it: no index knows batches.
pub async fn batch(parts: &Parts<'_>, id: BatchId) -> Batch {
    let name = BatchName {
        batch: id,
        alone: None,
    };
    let execution = match parts.executions {
        Some(executions) => Some(executions.describe(name).await),
        None => None,
    };
    let mut found = Batch {
        id,
        named: execution
            .as_ref()
            .and_then(|lookup| run::events(name.into(), lookup)),
        execution,
        members: BTreeMap::new(),
        unreadable: 0,
        failures: Vec::new(),
    };
    match &found.execution {
        Some(Lookup::Unknown(cause)) => {
            found
                .failures
                .push(Failure::about(AwsResource::StateMachine, cause));
        }
        Some(Lookup::Found(_)) if found.named.is_none() => found.failures.push(unread(name.into())),
        Some(_) | None => {}
    }
    found.read_bearing(parts).await;
    found.read_named(parts).await;
    found
}

impl Batch {
    /// The rows that bear it: claimed ones only do.
    async fn read_bearing(&mut self, parts: &Parts<'_>) {
        let bears = |row: &Row, _: Timestamp| row.batch == Some(self.id);
        let which = Which {
            status: Some(Status::Claimed),
            limit: usize::MAX,
            after: None,
            filter: Some(Narrowed {
                rows: &RowFilter {
                    batch: Some(self.id),
                    status: Some(Status::Claimed),
                    ..RowFilter::default()
                },
                covers: &bears,
            }),
        };
        let claimed = list(parts.ledger, which).await;
        self.failures.extend(claimed.failures);
        for listed in claimed.rows {
            match listed {
                Listed::Row(row) => drop(self.members.insert(
                    row.id,
                    Member {
                        named: None,
                        event: row.event().cloned(),
                        row: MemberRow::Bears(row),
                    },
                )),
                Listed::Unreadable { .. } => self.unreadable += 1,
            }
        }
    }

    /// What became of the events that the execution was given.
    async fn read_named(&mut self, parts: &Parts<'_>) {
        let named = self.named.clone().unwrap_or_default();
        let asked: Vec<EventId> = named.iter().map(|input| input.id).collect();
        let missing: Vec<EventId> = asked
            .into_iter()
            .filter(|id| !self.members.contains_key(id))
            .collect();
        let (mut answers, failures) = rows::read(parts.ledger, &missing).await;
        self.failures.extend(failures);
        for input in named {
            let member = self.members.entry(input.id).or_insert_with(|| Member {
                named: None,
                event: Some(input.event()),
                row: match answers.remove(&input.id) {
                    Some(RowRead::Row(row)) if row.batch == Some(self.id) => MemberRow::Bears(row),
                    Some(RowRead::Row(row)) => MemberRow::Other(row),
                    Some(RowRead::Gone) => MemberRow::Gone,
                    Some(RowRead::Unreadable(_)) | None => MemberRow::Unknown,
                },
            });
            member.named = Some(input.attempt);
        }
    }

    /// Whether nothing at all is known of it, and everything was asked.
    pub fn is_unknown(&self) -> bool {
        let is_absent = self
            .execution
            .as_ref()
            .is_none_or(|lookup| *lookup == Lookup::Absent);
        is_absent && self.members.is_empty() && self.failures.is_empty() && self.unreadable == 0
    }

    /// How many rows bear it.
    pub fn bearing(&self) -> usize {
        let bears = |member: &&Member| matches!(member.row, MemberRow::Bears(_));
        self.members.values().filter(bears).count()
    }

    /// For programs.
    pub fn output(&self) -> BatchOutput<'_> {
        let name = BatchName {
            batch: self.id,
            alone: None,
        };
        BatchOutput {
            batch: self.id.to_string(),
            execution: self
                .execution
                .as_ref()
                .map(|lookup| ExecutionOutput::of(name.into(), lookup)),
            events: self
                .members
                .iter()
                .map(|(id, member)| self.member(*id, member))
                .collect(),
            unreadable: self.unreadable,
            failures: &self.failures,
        }
    }

    fn member(&self, id: EventId, member: &Member) -> MemberOutput {
        let row = member.row.row();
        let event = member.event.as_ref();
        let (object, general) = (
            event.filter(|event| event.is_of_object()),
            event.and_then(|event| event.general.as_deref()),
        );
        let is_known = !matches!(member.row, MemberRow::Unknown);
        MemberOutput {
            id,
            bucket: object.map(|event| event.bucket.to_string()),
            key: object.map(|event| event.key.to_string()),
            about: general.map(ToString::to_string),
            named: match (&self.named, &self.execution) {
                (Some(_), _) => Some(member.named.is_some()),
                (None, Some(Lookup::Absent)) => Some(false),
                (None, _) => None,
            },
            named_attempt: member.named,
            bears: is_known.then_some(matches!(member.row, MemberRow::Bears(_))),
            open: is_known.then_some(row.is_some()),
            status: row.map(|row| status_word(row.status)),
            attempt: row.map(|row| row.attempt),
            alone: row.map(|row| row.alone),
        }
    }
}

/// All that is known of a batch.
#[derive(Serialize, JsonSchema)]
pub struct BatchOutput<'a> {
    /// Of a batch: its id, 32 hexadecimal digits.
    batch: String,
    /// Of a batch: its execution; null without a state machine.
    execution: Option<ExecutionOutput<'a>>,
    /// Of a batch: the events that its execution names, and those whose rows bear the batch now. All claimed rows were read for these.
    events: Vec<MemberOutput>,
    /// Of a batch: claimed rows that this release cannot read; any may bear it.
    unreadable: u64,
    /// What could not be read, each cause once.
    failures: &'a [Failure],
}

/// One event of a batch.
#[derive(Serialize, JsonSchema)]
struct MemberOutput {
    /// The event.
    id: EventId,
    /// The bucket.
    bucket: Option<String>,
    /// The key.
    key: Option<String>,
    /// What a general event is about: its type, its subject, its source and id.
    about: Option<String>,
    /// Whether the execution's input names it; null: not known.
    named: Option<bool>,
    /// At which attempt it does.
    named_attempt: Option<Attempt>,
    /// Whether its row bears the batch now; null: not known.
    bears: Option<bool>,
    /// Whether it has a row: without one it is done, or was removed; null: not known.
    open: Option<bool>,
    /// The row's status: `pending`, `claimed` or `parked`.
    status: Option<String>,
    /// The row's attempt.
    attempt: Option<Attempt>,
    /// Whether it is run by itself, in an execution of its own name.
    alone: Option<bool>,
}
