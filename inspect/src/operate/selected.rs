//! Which rows: named ones, or all that a filter lets through.

use std::collections::HashSet;

use daybook_ledger::Ledger;
use daybook_schema::{Attempt, EventId, Row, Status, Timestamp};

use crate::aws::failure;
use crate::aws::failure::Failure;
use crate::lookup::filter::Filter;
use crate::lookup::rows;
use crate::lookup::rows::{Listed, RowRead};
use crate::object_ref::{ObjectText, Wanted};

/// Rows read at once.
const CHUNK: usize = 400;

/// How many rows are shown before anything is asked.
const SAMPLE: usize = 5;

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
    /// Whether it is an event's; else it keeps a notification that could not be read.
    pub is_event: bool,
}

impl Seen {
    /// As that row is.
    pub fn of(row: &Row) -> Self {
        Self {
            id: row.id,
            status: row.status,
            attempt: row.attempt,
            due_at: row.due_at,
            is_event: row.event().is_some(),
        }
    }
}

/// Which rows.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// These; where there are none, all that the filter lets through.
    pub named: Vec<Wanted>,
    /// What must hold for a row that is not named.
    pub filter: Filter,
    /// So many rows are enough; `None`: all.
    pub most: Option<usize>,
}

/// Hears how many rows were read and how many of them are selected.
pub type Reading<'a> = &'a (dyn Fn(usize, usize) + Send + Sync);

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
    /// Whether there may be more, because so many were enough.
    pub more: bool,
    seen: HashSet<EventId>,
}

impl Selected {
    /// Those, as they were when they were shown.
    pub fn of(rows: Vec<Seen>) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// Reads what is selected, of rows in these statuses.
    ///
    /// # Errors
    /// When not all of the ledger that matters could be read: nobody could say how many there are.
    pub async fn read(
        ledger: &Ledger,
        selection: &Selection,
        statuses: &[Status],
        reading: Reading<'_>,
    ) -> Result<Self, Failure> {
        let mut selected = Self::default();
        let mut objects = Vec::new();
        let mut ids = Vec::new();
        for wanted in &selection.named {
            match wanted {
                // Named twice is named.
                Wanted::Id(id) if ids.contains(id) => {}
                Wanted::Id(id) => ids.push(*id),
                Wanted::Object(object) => objects.push(object),
            }
        }
        if selection.named.is_empty() {
            for status in statuses {
                selected.by_filter(ledger, *status, selection, reading).await?;
            }
        }
        if !ids.is_empty() {
            selected.by_id(ledger, &ids, statuses).await?;
        }
        if !objects.is_empty() {
            selected.by_object(ledger, &objects, statuses).await?;
        }
        Ok(selected)
    }

    fn add(&mut self, row: Box<Row>) {
        // A row that moves while the index is read can be met twice.
        if !self.seen.insert(row.id) {
            return;
        }
        self.rows.push(Seen::of(&row));
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

    /// Whether so many are enough; then there may be more.
    fn is_enough(&mut self, most: Option<usize>) -> bool {
        self.more |= most.is_some_and(|most| self.rows.len() >= most);
        self.more
    }

    async fn by_filter(
        &mut self,
        ledger: &Ledger,
        status: Status,
        selection: &Selection,
        reading: Reading<'_>,
    ) -> Result<(), Failure> {
        let now = ledger.clock().now();
        let (filter, most) = (&selection.filter, selection.most);
        if !filter.is_empty() {
            return self.by_scan(ledger, (status, filter, now), most, reading).await;
        }
        let mut due = ledger.due(status, None, CHUNK);
        let mut read = 0;
        while !self.is_enough(most) {
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
            reading(read, self.rows.len());
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
        (status, filter, now): (Status, &Filter, Timestamp),
        most: Option<usize>,
        reading: Reading<'_>,
    ) -> Result<(), Failure> {
        let mut pages = ledger.open_rows_matching(&filter.rows(Some(status), now));
        let mut read = 0;
        while !self.is_enough(most)
            && let Some(page) = pages.next().await.map_err(Failure::of_ledger)?
        {
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
            reading(read, self.rows.len());
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
                        objects[position],
                        row.status,
                        either(statuses)
                    )),
                }
            }
        }
        self.sort();
        let absent = objects.iter().zip(found).filter(|(_, found)| !found);
        self.passed_over
            .extend(absent.map(|(object, _)| format!("no event of {object} is open")));
        Ok(())
    }
}

/// `CLAIMED or PARKED`.
fn either(statuses: &[Status]) -> String {
    let words: Vec<String> = statuses.iter().map(ToString::to_string).collect();
    words.join(" or ")
}
