//! Open rows as they are read and shown.

use std::collections::BTreeMap;

use daybook_ledger::{IndexKey, Ledger, LedgerError};
use daybook_schema::{EventId, Row, Status, Subject, Timestamp};
use futures::StreamExt;
use serde_json::Value;

use crate::report;
use crate::view;

/// Rows looked up one by one at the same time.
const CONCURRENCY: usize = 8;

/// A terminal of so many columns has room for an id and an object beside each other.
const WIDE: u16 = 140;

/// Of an error, a terminal shows so many characters.
const ERROR_LENGTH: usize = 80;

/// A row as it was found.
pub enum Listed {
    /// As it is.
    Row(Box<Row>),
    /// In the table, and this release cannot read it.
    Unreadable {
        /// What the index says.
        key: IndexKey,
        /// Why.
        why: String,
    },
}

impl Listed {
    /// Its id.
    pub fn id(&self) -> EventId {
        match self {
            Self::Row(row) => row.id,
            Self::Unreadable { key, .. } => key.id,
        }
    }

    /// Its status, as far as it is known.
    pub fn status(&self) -> Status {
        match self {
            Self::Row(row) => row.status,
            Self::Unreadable { key, .. } => key.status_shard.status,
        }
    }

    /// When it is due, as far as it is known.
    pub fn due_at(&self) -> Timestamp {
        match self {
            Self::Row(row) => row.due_at,
            Self::Unreadable { key, .. } => key.due_at,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        match self {
            Self::Row(row) => view::row_json(row),
            Self::Unreadable { key, why } => view::unreadable_json(
                &key.id.to_string(),
                Some((key.status_shard.status, key.due_at)),
                why,
            ),
        }
    }
}

/// What a consistent read says about an id.
pub enum Answer {
    /// A row.
    Row(Box<Row>),
    /// There certainly is no row.
    Gone,
    /// A row that this release cannot read, and why.
    Unreadable(String),
}

/// Reads rows by their ids; an id that could not be asked for is not in the map, and the failures say why.
pub async fn read(ledger: &Ledger, ids: &[EventId]) -> (BTreeMap<EventId, Answer>, Vec<String>) {
    let mut answers = BTreeMap::new();
    let mut failures = Vec::new();
    for answer in ledger.get_many(ids).await {
        match answer {
            Ok(row) => drop(answers.insert(row.id, Answer::Row(Box::new(row)))),
            Err(error) => match unreadable(error) {
                Ok((id, why)) => drop(answers.insert(id, why)),
                Err(error) => failures.push(report::chain(&error)),
            },
        }
    }
    // Absent from the answer may mean gone, or left unprocessed: one by one it is certain. After a failure it is not worth it.
    let missing: Vec<EventId> = match failures.is_empty() {
        true => ids
            .iter()
            .copied()
            .filter(|id| !answers.contains_key(id))
            .collect(),
        false => Vec::new(),
    };
    let mut asked = futures::stream::iter(missing)
        .map(async |id| (id, ledger.get(id).await))
        .buffer_unordered(CONCURRENCY);
    while let Some((id, answer)) = asked.next().await {
        match answer {
            Ok(Some(row)) => drop(answers.insert(id, Answer::Row(Box::new(row)))),
            Ok(None) => drop(answers.insert(id, Answer::Gone)),
            Err(error) => match unreadable(error) {
                Ok((id, why)) => drop(answers.insert(id, why)),
                Err(error) => failures.push(report::chain(&error)),
            },
        }
    }
    drop(asked);
    (answers, failures)
}

/// The row that an error is about, if it is about one that cannot be read.
fn unreadable(error: LedgerError) -> Result<(EventId, Answer), LedgerError> {
    let answer = error
        .unreadable()
        .and_then(|(id, why)| Some((id.parse().ok()?, Answer::Unreadable(why))));
    answer.ok_or(error)
}

/// The rows of these keys, in their order; rows that are gone are left out. And why rows could not be read.
pub async fn of_keys(ledger: &Ledger, keys: &[IndexKey]) -> (Vec<Listed>, Vec<String>) {
    let ids: Vec<EventId> = keys.iter().map(|key| key.id).collect();
    let (mut answers, failures) = read(ledger, &ids).await;
    let listed = keys.iter().filter_map(|key| match answers.remove(&key.id)? {
        Answer::Row(row) => Some(Listed::Row(row)),
        Answer::Gone => None,
        Answer::Unreadable(why) => Some(Listed::Unreadable { key: *key, why }),
    });
    (listed.collect(), failures)
}

/// For people.
pub fn table(rows: &[Listed], now: Timestamp) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = view::terminal_width();
    let cells = rows.iter().map(|row| cells(row, now, width.is_some()));
    if width.is_none_or(|width| width >= WIDE) {
        let header = ["status", "when", "attempt", "id", "object", "last error"];
        return view::table(&header, &[0, 1, 2, 3], cells.map(Vec::from).collect(), width);
    }
    // Side by side, id and object would leave each other no room.
    let stacked = cells.map(|[status, when, attempt, id, object, error]| {
        vec![status, when, attempt, format!("{id}\n{object}"), error]
    });
    let header = ["status", "when", "attempt", "id, object", "last error"];
    view::table(&header, &[0, 1, 2], stacked.collect(), width)
}

fn cells(listed: &Listed, now: Timestamp, in_terminal: bool) -> [String; 6] {
    let (attempt, object, error) = match listed {
        Listed::Unreadable { why, .. } => (
            "unknown".to_owned(),
            "(a row that cannot be read)".to_owned(),
            why.clone(),
        ),
        Listed::Row(row) => {
            let object = match &row.subject {
                Subject::Event(event) => view::event_uri(event),
                Subject::Raw { payload, .. } => {
                    format!("(a notification that cannot be read, {} bytes)", payload.len())
                }
            };
            let undelivered = if row.is_undelivered() { ", undelivered" } else { "" };
            let attempt = match &row.subject {
                Subject::Event(_) => format!("{} of {}{undelivered}", row.attempt, row.max_attempts),
                Subject::Raw { .. } => "none".to_owned(),
            };
            (attempt, object, row.last_error.clone().unwrap_or_default())
        }
    };
    let error = match in_terminal {
        true => view::shortened(&error, ERROR_LENGTH),
        false => error,
    };
    [
        listed.status().to_string(),
        when(listed.status(), listed.due_at(), now),
        attempt,
        listed.id().to_string(),
        object,
        view::escaped(&error),
    ]
}

/// What the due time of a row means.
fn when(status: Status, due_at: Timestamp, now: Timestamp) -> String {
    let Some(length) = view::length(due_at, now, 1) else {
        return "now".to_owned();
    };
    match (status, due_at > now) {
        (Status::Pending, true) => format!("due in {length}"),
        (Status::Pending, false) => format!("due for {length}"),
        (Status::Claimed, true) => format!("{length} left"),
        (Status::Claimed, false) => format!("overdue for {length}"),
        (Status::Parked, _) => format!("parked for {length}"),
    }
}
