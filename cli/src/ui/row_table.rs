//! Rows as a table.

use daybook_inspect::lookup::rows::Listed;
use daybook_inspect::parts::Runs;
use daybook_inspect::wording::{text, time};
use daybook_schema::{Status, Subject, Timestamp};

use crate::ui::colour::{self, Tone};
use crate::ui::escape;
use crate::ui::table;

/// A terminal of so many columns has room for an id and an object beside each other.
pub const WIDE: u16 = 140;

/// Characters of an id, which is never cut.
const ID_LENGTH: usize = 36;

/// Of an error, a terminal shows so many characters.
pub const ERROR_LENGTH: usize = 80;

/// For people: with what a process of this machine runs, where that is known.
pub fn table(rows: &[Listed], runs: Option<Runs<'_>>, now: Timestamp) -> String {
    if rows.is_empty() {
        return String::new();
    }
    colour::painted_lines(&plain(rows, runs, now, table::terminal_width()), tone)
}

/// What a row's first line says, as a colour.
pub fn tone(line: &str) -> Option<Tone> {
    match line.split_whitespace().next()? {
        "PARKED" => Some(Tone::Bad),
        "CLAIMED" if line.contains(" overdue for ") => Some(Tone::Warning),
        _ => None,
    }
}

/// The same as wide as it is: nothing is cut.
pub fn wide(rows: &[Listed], runs: Option<Runs<'_>>, now: Timestamp) -> String {
    match rows.is_empty() {
        true => String::new(),
        false => colour::painted_lines(&plain(rows, runs, now, None), tone),
    }
}

fn plain(rows: &[Listed], runs: Option<Runs<'_>>, now: Timestamp, width: Option<u16>) -> String {
    let cells = rows.iter().map(|row| {
        let mut cells = cells(row, now, width.is_some());
        if let Some((since, _)) = row.run(runs) {
            let length = time::length(since, now, 1).unwrap_or_else(|| "0s".to_owned());
            cells[1] = format!("runs for {length}");
        }
        cells
    });
    if width.is_none_or(|width| width >= WIDE) {
        let header = ["status", "when", "attempt", "id", "object", "last error"];
        return table::table(&header, &[0, 1, 2, 3], cells.map(Vec::from).collect(), width);
    }
    // Side by side, id, object and error would leave each other no room: the id stays whole, and of a long key its middle goes.
    let cells: Vec<[String; 6]> = cells.collect();
    let longest = |column: usize| cells.iter().map(|cells| cells[column].chars().count()).max();
    let before: usize = (0..3).filter_map(longest).map(|longest| longest + 2).sum();
    let room = usize::from(width.unwrap_or(WIDE))
        .saturating_sub(before)
        .max(ID_LENGTH);
    let stacked = cells
        .into_iter()
        .map(|[status, when, attempt, id, object, error]| {
            let (object, error) = (middle_cut(&object, room), middle_cut(&error, room));
            let last = if error.is_empty() {
                String::new()
            } else {
                format!("\n{error}")
            };
            vec![status, when, attempt, format!("{id}\n{object}{last}")]
        });
    let header = ["status", "when", "attempt", "id, object, last error"];
    table::table(&header, &[0, 1, 2, 3], stacked.collect(), width)
}

/// A text of so many characters at most, without its middle if it is longer: the ends of keys tell them apart.
pub fn middle_cut(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(1);
    let (head, tail) = (kept / 2, kept - kept / 2);
    let begin: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{begin}…{end}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_key_the_middle_goes() {
        assert_eq!(middle_cut("s3://data/a.json", 16), "s3://data/a.json");
        assert_eq!(
            middle_cut("s3://data/2026/11/21/photo-0001.jpg", 20),
            "s3://data…o-0001.jpg"
        );
        assert_eq!(middle_cut("한글한글한글", 5), "한글…한글");
        assert_eq!(middle_cut("", 5), "");
    }
}
