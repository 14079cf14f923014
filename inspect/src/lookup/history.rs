//! Finding it: rows, receipts, executions.

use std::collections::{BTreeMap, BTreeSet};

use daybook_ledger::{Cause, CauseKind, Control, Ledger, LedgerError, Lookup};
use daybook_manager::Executions;
use daybook_schema::{
    Attempt, EventId, ExecutionInput, ExecutionName, ObjectEvent, ObjectId, Receipt, Row, RunName, SourceName,
};

use crate::aws::failure::AwsResource;
use crate::aws::failure::Failure;
use crate::lookup::run::Run;
use crate::object_ref::ObjectText;
use crate::parts::Parts;
use crate::wording::text;

/// What is known.
#[derive(Default)]
pub struct Found {
    /// Open rows, oldest first.
    pub open: Vec<Open>,
    /// Receipts, newest first.
    pub receipts: Vec<Receipt>,
    /// The control item, for what happens next.
    pub control: Option<Control>,
    /// Rows that this release cannot read, of which any may be about the object.
    pub unreadable: u64,
    /// Why receipts could not be read, if any could not.
    pub unknown_receipts: Option<Cause>,
    /// What could not be found out, that of the receipts included.
    pub failures: Vec<Failure>,
}

/// An open row.
pub enum Open {
    /// As it is.
    Row {
        /// The row.
        row: Box<Row>,
        /// The execution of its attempt; `None` where there are no executions, or no attempt yet.
        execution: Option<Run>,
        /// Whether a receipt says that it is done.
        done_by_receipt: bool,
    },
    /// In the table, and this release cannot read it.
    Unreadable {
        /// Its id.
        id: String,
        /// Why.
        why: String,
    },
}

/// What is known of that event.
///
/// # Errors
/// When the ledger does not answer.
pub async fn event(parts: &Parts<'_>, id: EventId, scan: bool) -> Result<Found, LedgerError> {
    let ledger = parts.ledger;
    let mut found = Found::default();
    let mut objects = BTreeSet::new();
    match ledger.get(id).await {
        Ok(Some(row)) => {
            objects.extend(row.event().map(ObjectEvent::object_id));
            found.open.push(Open::of(row, parts.executions).await);
        }
        Ok(None) => {}
        Err(error) => match error.unreadable() {
            Some((id, why)) => found.open.push(Open::Unreadable { id, why }),
            None => return Err(error),
        },
    }
    if found.open.is_empty() {
        found.done(parts, id, scan || parts.is_local()).await;
    } else {
        found.look_up(ledger, objects).await;
    }
    found.finish(ledger).await;
    Ok(found)
}

/// What is known of that object's events.
///
/// # Errors
/// When the ledger does not answer.
pub async fn object(
    parts: &Parts<'_>,
    object: &ObjectText,
    source: Option<&SourceName>,
) -> Result<Found, LedgerError> {
    let ledger = parts.ledger;
    let mut found = Found::default();
    let mut rows = Vec::new();
    let mut pages = ledger.open_rows_matching(&object.rows());
    while let Some(page) = pages.next().await? {
        for row in page {
            match row {
                Ok(row) if row.event().is_some_and(|event| object.is_of(event, source)) => rows.push(row),
                Ok(_) => {}
                Err(_) => found.unreadable += 1,
            }
        }
    }
    if found.unreadable > 0 {
        let words = format!(
            "{} of the ledger cannot be read, and may be about this object: `daybook list` shows why",
            text::many(found.unreadable, "row")
        );
        let cause = Cause::new(CauseKind::Unreadable, words);
        found.failures.push(Failure::of_ledger(cause));
    }
    rows.sort_by_key(|row| (row.recorded_at, row.id));
    let mut objects: BTreeSet<ObjectId> = object.object_ids(Some(source.unwrap_or(&parts.source)));
    objects.extend(rows.iter().filter_map(Row::event).map(ObjectEvent::object_id));
    for row in rows {
        found.open.push(Open::of(row, parts.executions).await);
    }
    found.look_up(ledger, objects).await;
    found.finish(ledger).await;
    Ok(found)
}

impl Open {
    async fn of(row: Row, executions: Option<&Executions>) -> Self {
        let execution = match executions {
            Some(executions) if row.attempt > Attempt(0) => Some(Run::of(&row, executions).await),
            _ => None,
        };
        Self::Row {
            row: Box::new(row),
            execution,
            done_by_receipt: false,
        }
    }
}

/// An execution that was found and does not show what it was given.
pub fn unread(name: RunName) -> Failure {
    let words = format!("DescribeExecution {name}: its input cannot be read");
    Failure::about(
        AwsResource::StateMachine,
        Cause::new(CauseKind::Unreadable, words),
    )
}

impl Found {
    /// The receipts of these objects.
    pub async fn look_up(&mut self, ledger: &Ledger, objects: BTreeSet<ObjectId>) {
        if ledger.receipts_kept_for().is_none() {
            return;
        }
        let mut causes = BTreeMap::new();
        for (object, lookup) in ledger.look_up_receipts(objects).await {
            match lookup {
                Lookup::Found(receipt) => self.receipts.push(*receipt),
                Lookup::Absent => {}
                Lookup::Unknown(cause) => drop(causes.insert(cause, object)),
            }
        }
        let failures: Vec<Failure> = causes
            .into_iter()
            .map(|(cause, object)| {
                let cause: Cause = cause;
                Failure::about(
                    AwsResource::Receipts,
                    cause.of(format_args!("the receipt of object {object}")),
                )
            })
            .collect();
        self.unknown_receipts = failures.first().map(|failure| failure.cause.clone());
        self.failures.extend(failures);
    }

    /// The receipt of an event that has no row. Receipts are kept by object: the execution of the first attempt was told the
    /// object, if there were executions; else all receipts are read.
    async fn done(&mut self, parts: &Parts<'_>, id: EventId, scan: bool) {
        let ledger = parts.ledger;
        if ledger.receipts_kept_for().is_none() {
            return;
        }
        if let Some(executions) = parts.executions {
            let first = ExecutionName {
                id,
                attempt: Attempt(1),
            };
            let input = match executions.describe(first).await {
                Lookup::Found(described) => described.input,
                Lookup::Absent => None,
                Lookup::Unknown(cause) => {
                    self.failures
                        .push(Failure::about(AwsResource::StateMachine, cause));
                    None
                }
            };
            let input = input.and_then(|input| serde_json::from_str::<ExecutionInput>(&input).ok());
            if let Some(event) = input.filter(|input| input.id == id).map(|input| input.event()) {
                self.look_up(ledger, BTreeSet::from([event.object_id()])).await;
                self.receipts.retain(|receipt| receipt.covers(&event));
            }
        }
        if self.receipts.is_empty() && self.unknown_receipts.is_none() {
            // That of a general event bears the event's own id.
            self.look_up(ledger, BTreeSet::from([ObjectId::of_general(id)]))
                .await;
            self.receipts.retain(|receipt| receipt.event_id == id);
        }
        if !scan || !self.receipts.is_empty() {
            return;
        }
        match ledger.receipt_of_event(id).await {
            Ok(receipt) => self.receipts.extend(receipt),
            Err(error) => {
                let cause = Cause::from(error).of("the receipts");
                self.unknown_receipts = Some(cause.clone());
                self.failures.push(Failure::about(AwsResource::Receipts, cause));
            }
        }
    }

    async fn finish(&mut self, ledger: &Ledger) {
        self.receipts
            .sort_by_key(|receipt| std::cmp::Reverse(receipt.completed_at));
        let mut unknown = Vec::new();
        for open in &mut self.open {
            if let Open::Row {
                row,
                execution,
                done_by_receipt,
            } = open
            {
                let covers = |receipt: &Receipt| row.event().is_some_and(|event| receipt.covers(event));
                *done_by_receipt = self.receipts.iter().any(covers);
                match execution {
                    Some(run) if run.is_unread() => unknown.push(unread(run.name)),
                    Some(Run {
                        lookup: Lookup::Unknown(cause),
                        ..
                    }) => unknown.push(Failure::about(AwsResource::StateMachine, &*cause)),
                    Some(_) | None => {}
                }
            }
        }
        self.failures.extend(unknown);
        if self.open.is_empty() {
            return;
        }
        match ledger.control().await {
            Ok(control) => self.control = Some(control),
            Err(error) => self.failures.push(Failure::of_ledger(error)),
        }
    }
}
