//! Rows as a table.

use daybook_inspect::lookup::rows::Listed;
use daybook_inspect::wording::{text, time};
use daybook_schema::{Status, Subject, Timestamp};

use crate::ui::escape;
use crate::ui::table;

/// A terminal of so many columns has room for an id and an object beside each other.
pub const WIDE: u16 = 140;

/// Of an error, a terminal shows so many characters.
pub const ERROR_LENGTH: usize = 80;

/// For people.
pub fn table(rows: &[Listed], now: Timestamp) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = table::terminal_width();
    let cells = rows.iter().map(|row| cells(row, now, width.is_some()));
    if width.is_none_or(|width| width >= WIDE) {
        let header = ["status", "when", "attempt", "id", "object", "last error"];
        return table::table(&header, &[0, 1, 2, 3], cells.map(Vec::from).collect(), width);
    }
    // Side by side, id and object would leave each other no room.
    let stacked = cells.map(|[status, when, attempt, id, object, error]| {
        vec![status, when, attempt, format!("{id}\n{object}"), error]
    });
    let header = ["status", "when", "attempt", "id, object", "last error"];
    table::table(&header, &[0, 1, 2], stacked.collect(), width)
}

pub fn cells(listed: &Listed, now: Timestamp, in_terminal: bool) -> [String; 6] {
    let (attempt, object, error) = match listed {
        Listed::Unreadable { why, .. } => (
            "unknown".to_owned(),
            "(a row that cannot be read)".to_owned(),
            why.clone(),
        ),
        Listed::Row(row) => {
            let object = match &row.subject {
                Subject::Event(event) => escape::event_uri(event),
                Subject::Raw { payload, .. } => {
                    format!("(a notification that cannot be read, {} bytes)", payload.len())
                }
            };
            let undelivered = if row.is_undelivered() { ", undelivered" } else { "" };
            let company = match (row.batch, row.alone) {
                (_, true) => ", alone",
                (Some(_), false) => ", in a batch",
                (None, false) => "",
            };
            let attempt = match &row.subject {
                Subject::Event(_) => format!("{} of {}{company}{undelivered}", row.attempt, row.max_attempts),
                Subject::Raw { .. } => "none".to_owned(),
            };
            (attempt, object, row.last_error.clone().unwrap_or_default())
        }
    };
    let error = match in_terminal {
        true => text::shortened(&error, ERROR_LENGTH),
        false => error,
    };
    [
        listed.status().to_string(),
        when(listed.status(), listed.due_at(), now),
        attempt,
        listed.id().to_string(),
        object,
        escape::escaped(&error),
    ]
}

/// What the due time of a row means.
pub fn when(status: Status, due_at: Timestamp, now: Timestamp) -> String {
    let Some(length) = time::length(due_at, now, 1) else {
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
