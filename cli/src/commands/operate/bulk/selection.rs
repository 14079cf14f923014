//! Which rows: named ones, or all that a filter lets through.

use std::collections::HashSet;

use clap::Args;
use clap::error::ErrorKind;
use daybook_inspect::aws::failure;
use daybook_inspect::aws::failure::Failure;
use daybook_inspect::lookup::rows;
use daybook_inspect::lookup::rows::{Listed, RowRead};
use daybook_inspect::object_ref::{ObjectText, Wanted};
use daybook_ledger::Ledger;
use daybook_schema::{Attempt, EventId, Row, Status, Timestamp};

use crate::args::filter::Filter;
use crate::commands::operate::bulk::progress::Progress;
use crate::deployment::Deployment;
use crate::ui::error::UserError;
use crate::ui::escape;

/// Rows read at once.
const CHUNK: usize = 400;

/// How many rows are shown before anything is asked.
const SAMPLE: usize = 5;

/// How many named events that are not selected are told one by one.
const TOLD: usize = 5;

/// Which events. Something must be said: no command changes all events because nothing was said.
#[derive(Args, Debug)]
#[command(next_help_heading = "Rows")]
pub struct SelectionArguments {
    /// Event ids, or objects as s3://bucket/key for their open events, with ?versionId=… for one version
    #[arg(value_name = "ID|S3-URI", conflicts_with_all = ["prefix", "error", "older_than", "all"])]
    named: Vec<Wanted>,

    #[command(flatten)]
    filter: Filter,

    /// All events that the command applies to
    #[arg(long, conflicts_with_all = ["prefix", "error", "older_than"])]
    all: bool,
}

/// A row as it was selected: whether it went on can be told by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The row.
    pub id: EventId,
    /// Its status.
    pub status: Status,
    /// Its attempt.
    pub attempt: Attempt,
    /// When it was due.
    pub due_at: Timestamp,
}

/// What was selected.
#[derive(Default)]
pub struct Selected {
    /// The rows, oldest due first. Rows themselves are read again when they are changed, so that millions can be selected.
    pub rows: Vec<Seen>,
    /// Those of them that are due first.
    pub sample: Vec<Listed>,
    /// Rows that this release cannot read, and why: they may be among those that are meant.
    pub unreadable: Vec<(String, String)>,
    /// What was named and is not selected, in words.
    pub passed_over: Vec<String>,
    seen: HashSet<EventId>,
}

impl SelectionArguments {
    /// Something must be said.
    ///
    /// # Errors
    /// A usage error of clap's, when nothing is.
    pub fn check(&self, by_status: bool) -> Result<(), clap::Error> {
        let is_said = by_status || self.all || !self.named.is_empty() || !self.filter.is_empty();
        if is_said {
            return Ok(());
        }
        Err(clap::Error::raw(
            ErrorKind::MissingRequiredArgument,
            "no events are selected; select them with one of these:\n  \
             ID or s3://bucket/key …             single events, or the open events of objects\n  \
             --prefix, --error, --older-than …   all that these let through\n  \
             --all                               all of them\n\n  \
             hint: --dry-run shows how many that would be, and a few of them\n",
        ))
    }

    /// Reads what is selected, of rows in these statuses.
    ///
    /// # Errors
    /// When not all of the ledger that matters could be read: nobody could say how many there are.
    pub async fn select(
        &self,
        deployment: &Deployment,
        statuses: &[Status],
        progress: &Progress,
    ) -> Result<Selected, UserError> {
        let ledger = &deployment.ledger;
        let mut selected = Selected::default();
        let mut objects = Vec::new();
        let mut ids = Vec::new();
        for wanted in &self.named {
            match wanted {
                // Named twice is named.
                Wanted::Id(id) if ids.contains(id) => {}
                Wanted::Id(id) => ids.push(*id),
                Wanted::Object(object) => objects.push(object),
            }
        }
        let read = async {
            if self.named.is_empty() {
                for status in statuses {
                    selected
                        .by_filter(ledger, *status, &self.filter, progress)
                        .await?;
                }
            }
            if !ids.is_empty() {
                selected.by_id(ledger, &ids, statuses).await?;
            }
            if !objects.is_empty() {
                selected.by_object(ledger, &objects, statuses).await?;
            }
            Ok(())
        };
        let read: Result<(), Failure> = read.await;
        progress.clear();
        match read {
            Ok(()) => Ok(selected),
            Err(failure) => {
                let advice = deployment.location.advice(&failure);
                Err(
                    UserError::new("nothing was changed: the ledger could not be read to its end")
                        .because(anyhow::anyhow!("{failure}"))
                        .hint_if_any(advice),
                )
            }
        }
    }
}

impl Selected {
    fn add(&mut self, row: Box<Row>) {
        // A row that moves while the index is read can be met twice.
        if !self.seen.insert(row.id) {
            return;
        }
        self.rows.push(Seen {
            id: row.id,
            status: row.status,
            attempt: row.attempt,
            due_at: row.due_at,
        });
        let key = (row.due_at, row.id);
        let place = self
            .sample
            .partition_point(|shown| (shown.due_at(), shown.id()) < key);
        if place < SAMPLE {
            self.sample.insert(place, Listed::Row(row));
            self.sample.truncate(SAMPLE);
        }
    }

    /// Those that a Scan found come in no order.
    fn sort(&mut self) {
        self.rows.sort_by_key(|seen| (seen.due_at, seen.id));
    }

    async fn by_filter(
        &mut self,
        ledger: &Ledger,
        status: Status,
        filter: &Filter,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let now = ledger.clock().now();
        if !filter.is_empty() {
            return self.by_scan(ledger, status, filter, now, progress).await;
        }
        let mut due = ledger.due(status, None, CHUNK);
        let mut read = 0;
        loop {
            let keys = due.next(CHUNK).await;
            if keys.is_empty() {
                break;
            }
            let (listed, failures) = rows::of_keys(ledger, &keys).await;
            if let Some(failure) = failures.into_iter().next() {
                return Err(failure);
            }
            for listed in listed {
                match listed {
                    Listed::Row(row) if row.status == status && filter.covers(&row, now) => self.add(row),
                    Listed::Row(_) => {}
                    Listed::Unreadable { key, why } => self.unreadable.push((key.id.to_string(), why)),
                }
            }
            read += keys.len();
            progress.reading(read, self.rows.len());
        }
        match failure::shard_failures(&due).into_iter().next() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Lets the ledger look for rows that the filter may let through: of a hundred thousand, a few are sent.
    async fn by_scan(
        &mut self,
        ledger: &Ledger,
        status: Status,
        filter: &Filter,
        now: Timestamp,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let mut pages = ledger.open_rows_matching(&filter.rows(Some(status), now));
        let mut read = 0;
        while let Some(page) = pages.next().await.map_err(Failure::of_ledger)? {
            for row in page {
                read += 1;
                match row {
                    Ok(row) if row.status == status && filter.covers(&row, now) => self.add(Box::new(row)),
                    Ok(_) => {}
                    Err(error) => match error.unreadable() {
                        Some(unreadable) => self.unreadable.push(unreadable),
                        None => return Err(Failure::of_ledger(error)),
                    },
                }
            }
            progress.reading(read, self.rows.len());
        }
        self.sort();
        Ok(())
    }

    async fn by_id(&mut self, ledger: &Ledger, ids: &[EventId], statuses: &[Status]) -> Result<(), Failure> {
        let (mut answers, failures) = rows::read(ledger, ids).await;
        if let Some(failure) = failures.into_iter().next() {
            return Err(failure);
        }
        for id in ids {
            match answers.remove(id) {
                Some(RowRead::Row(row)) if statuses.contains(&row.status) => self.add(row),
                Some(RowRead::Row(row)) => self.passed_over.push(format!("event {id} is {}", row.status)),
                Some(RowRead::Unreadable(why)) => self.unreadable.push((id.to_string(), why)),
                Some(RowRead::Gone) => self
                    .passed_over
                    .push(format!("event {id} is not open: it is done, or was never seen")),
                // All were answered: there was no failure.
                None => {}
            }
        }
        Ok(())
    }

    async fn by_object(
        &mut self,
        ledger: &Ledger,
        objects: &[&ObjectText],
        statuses: &[Status],
    ) -> Result<(), Failure> {
        let mut found = vec![false; objects.len()];
        let mut pages = rows::of_objects(ledger, objects.iter().copied());
        while let Some(page) = pages.next().await.map_err(Failure::of_ledger)? {
            for row in page {
                let row = match row {
                    Ok(row) => row,
                    Err(error) => match error.unreadable() {
                        Some(unreadable) => {
                            self.unreadable.push(unreadable);
                            continue;
                        }
                        None => return Err(Failure::of_ledger(error)),
                    },
                };
                let is_of = |object: &&ObjectText| row.event().is_some_and(|event| object.is_of(event, None));
                let Some(position) = objects.iter().position(is_of) else {
                    continue;
                };
                found[position] = true;
                match statuses.contains(&row.status) {
                    true => self.add(Box::new(row)),
                    false => self.passed_over.push(format!(
                        "event {} of {} is {}, not {}",
                        row.id,
                        escape::escaped(&objects[position].to_string()),
                        row.status,
                        either(statuses)
                    )),
                }
            }
        }
        self.sort();
        let absent = objects.iter().zip(found).filter(|(_, found)| !found);
        self.passed_over.extend(
            absent.map(|(object, _)| format!("no event of {} is open", escape::escaped(&object.to_string()))),
        );
        Ok(())
    }

    /// Says on stderr what was named and is not selected.
    pub fn tell_passed_over(&self) {
        for what in self.passed_over.iter().take(TOLD) {
            eprintln!("note: {what}");
        }
        if let Some(more) = self.passed_over.len().checked_sub(TOLD + 1) {
            eprintln!("note: and {} more are passed over", more + 1);
        }
    }
}

/// `CLAIMED or PARKED`.
fn either(statuses: &[Status]) -> String {
    let words: Vec<String> = statuses.iter().map(ToString::to_string).collect();
    words.join(" or ")
}
