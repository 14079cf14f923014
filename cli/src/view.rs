//! What several commands show: texts of strangers, times, counts, tables.

use std::io::IsTerminal;

use comfy_table::{ColumnConstraint, ContentArrangement, Row as TableRow, Table, Width, presets};
use daybook_ledger::Count;
use daybook_schema::{ObjectEvent, Receipt, Row, Status, Subject, Timestamp};
use indicatif::HumanCount;
use serde_json::{Value, json};

/// Below this many columns a table is not pressed together any more: it would be unreadable.
const NARROWEST: u16 = 60;

/// Lines that one row of a table may take in a terminal.
const ROW_LINES: usize = 4;

/// A text that a stranger chose, such as an object's key, for a terminal: what a terminal would obey, hide or reorder (control
/// characters, escape sequences, newlines, direction overrides, invisible characters) and backslashes are written as
/// escapes, as in Rust's literals. The rest stays as it is.
pub fn escaped(text: &str) -> String {
    // Quotes mean nothing here, and escape_debug would escape them.
    text.split_inclusive(['"', '\''])
        .flat_map(|part| {
            let quote = part.chars().next_back().filter(|c| matches!(c, '"' | '\''));
            let plain = &part[..part.len() - quote.map_or(0, char::len_utf8)];
            plain.escape_debug().chain(quote)
        })
        .collect()
}

/// At most so many characters of a text, with a mark where it goes on.
pub fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An object as a URI, for a terminal.
pub fn object_uri(bucket: &str, key: &str, version_id: Option<&str>) -> String {
    let version = version_id.map(|version| format!("?versionId={version}"));
    escaped(&format!("s3://{bucket}/{key}{}", version.unwrap_or_default()))
}

/// The object of an event as a URI, for a terminal.
pub fn event_uri(event: &ObjectEvent) -> String {
    object_uri(
        event.bucket.as_str(),
        event.key.as_str(),
        event.version_id.as_deref(),
    )
}

/// `in 12s`, `3m ago`, `now`: the two largest units.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    match (at > now, length(at, now, 2)) {
        (_, None) => "now".to_owned(),
        (true, Some(length)) => format!("in {length}"),
        (false, Some(length)) => format!("{length} ago"),
    }
}

/// `12s`, `3m`: how far the two are apart, by so many of the largest units; `None` for less than a second.
pub fn length(one: Timestamp, other: Timestamp, units: usize) -> Option<String> {
    let length = one.since(other).max(other.since(one));
    let seconds = std::time::Duration::from_secs(length.as_secs());
    let words = (!seconds.is_zero()).then(|| humantime::format_duration(seconds).to_string())?;
    Some(words.split(' ').take(units).collect::<Vec<_>>().join(" "))
}

/// `2026-11-21T01:02:03.004Z (3m ago)`.
pub fn at(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({})", relative(at, now))
}

/// `12`, or `at least 10000`.
pub fn count(count: Count) -> String {
    match count.exact {
        true => count.rows.to_string(),
        false => format!("at least {}", count.rows),
    }
}

/// Both together.
pub fn sum(one: Count, other: Count) -> Count {
    Count {
        rows: one.rows + other.rows,
        exact: one.exact && other.exact,
    }
}

/// `1 row`, `2 rows`.
pub fn many(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// `10,000`.
pub fn grouped(n: usize) -> String {
    HumanCount(n as u64).to_string()
}

/// A status as programs get it, the same word that `--status` takes.
pub fn status_word(status: Status) -> String {
    status.as_str().to_lowercase()
}

/// A row for programs. Every field is always there.
pub fn row_json(row: &Row) -> Value {
    let mut json = json!({
        "id": row.id,
        "status": status_word(row.status),
        "due_at": row.due_at,
        "recorded_at": row.recorded_at,
        "attempt": row.attempt,
        "max_attempts": row.max_attempts,
        "deliveries": row.deliveries,
        "undelivered": row.is_undelivered(),
        "lease_moves": row.lease_moves,
        "claim_token": row.claim_token,
        "last_error": row.last_error,
        "note": row.note,
        "caveat": row.caveat,
        "trace": row.trace,
        "raw": Value::Null,
        "unreadable": Value::Null,
    });
    let subject = match &row.subject {
        Subject::Event(event) => event_json(Some(event)),
        Subject::Raw { payload, source, .. } => {
            json["raw"] = payload.as_str().into();
            let mut none = event_json(None);
            none["source"] = source.as_str().into();
            none
        }
    };
    merge(&mut json, subject);
    json
}

/// A row that this release cannot read, for programs: what the index says of it, and why.
pub fn unreadable_json(id: &str, seen: Option<(Status, Timestamp)>, why: &str) -> Value {
    let mut json = json!({
        "id": id,
        "status": seen.map(|(status, _)| status_word(status)),
        "due_at": seen.map(|(_, due_at)| due_at),
        "recorded_at": Value::Null,
        "attempt": Value::Null,
        "max_attempts": Value::Null,
        "deliveries": Value::Null,
        "undelivered": Value::Null,
        "lease_moves": Value::Null,
        "claim_token": Value::Null,
        "last_error": Value::Null,
        "note": Value::Null,
        "caveat": Value::Null,
        "trace": Value::Null,
        "raw": Value::Null,
        "unreadable": why,
    });
    merge(&mut json, event_json(None));
    json
}

/// An event for programs. Every field is always there.
pub fn event_json(event: Option<&ObjectEvent>) -> Value {
    json!({
        "source": event.map(|event| &event.source),
        "bucket": event.map(|event| &event.bucket),
        "key": event.map(|event| &event.key),
        "version_id": event.and_then(|event| event.version_id.as_ref()),
        "kind": event.map(|event| &event.kind),
        "etag": event.and_then(|event| event.etag.as_ref()),
        "size": event.and_then(|event| event.size),
        "sequencer": event.and_then(|event| event.sequencer.as_ref()),
        "event_name": event.map(|event| &event.event_name),
        "event_time": event.and_then(|event| event.event_time),
        "region": event.and_then(|event| event.region.as_ref()),
    })
}

/// A receipt for programs. Every field is always there.
pub fn receipt_json(receipt: &Receipt) -> Value {
    json!({
        "event_id": receipt.event_id,
        "object_id": receipt.id,
        "source": receipt.source,
        "bucket": receipt.bucket,
        "key": receipt.key,
        "version_id": receipt.version_id,
        "kind": receipt.kind,
        "etag": receipt.etag,
        "size": receipt.size,
        "sequencer": receipt.sequencer,
        "event_time": receipt.event_time,
        "covers_until": receipt.covers_until,
        "attempt": receipt.attempt,
        "outcome": receipt.outcome,
        "by": receipt.by,
        "why": receipt.why,
        "completed_at": receipt.completed_at,
        "expires_at": expires_at(receipt),
    })
}

/// When DynamoDB may delete a receipt.
pub fn expires_at(receipt: &Receipt) -> Option<Timestamp> {
    Timestamp::from_unix_millis(receipt.expires_at.saturating_mul(1000))
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

/// The columns of the terminal that stdout is, if it is one.
pub fn terminal_width() -> Option<u16> {
    let stdout = std::io::stdout();
    stdout
        .is_terminal()
        .then(|| terminal_size::terminal_size_of(&stdout))?
        .map(|(width, _)| width.0.max(NARROWEST))
}

/// Rows under a header. Within a width, cells are wrapped, and cut after some lines; without one nothing is. Columns that are
/// `fixed` are never wrapped.
pub fn table(header: &[&str], fixed: &[usize], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for row in rows {
        let mut row = TableRow::from(row);
        if width.is_some() {
            row.max_height(ROW_LINES);
        }
        table.add_row(row);
    }
    match width {
        Some(width) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    let widths = table.column_max_content_widths();
    let last = header.len() - 1;
    for (index, column) in table.column_iter_mut().enumerate() {
        let gap = if index == last { 0 } else { 2 };
        column.set_padding((0, gap));
        if fixed.contains(&index) {
            let width = widths.get(index).copied().unwrap_or(0) + gap;
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let hostile = "a\u{1b}[31mb\nc\r\u{202e}d\u{200b}e\u{7}f\\g\u{9b}h";
        assert_eq!(
            escaped(hostile),
            r"a\u{1b}[31mb\nc\r\u{202e}d\u{200b}e\u{7}f\\g\u{9b}h"
        );
        let harmless = "Größe 日本/it's \"it\" – ok.json";
        assert_eq!(escaped(harmless), harmless);
        assert_eq!(escaped("'"), "'");
        assert_eq!(escaped(""), "");
    }

    #[test]
    fn times_are_told_by_their_two_largest_units() {
        let now: Timestamp = "2026-11-21T01:00:00Z".parse().unwrap();
        let at = |text: &str| relative(text.parse().unwrap(), now);
        assert_eq!(at("2026-11-21T01:00:00.900Z"), "now");
        assert_eq!(at("2026-11-21T01:00:12.900Z"), "in 12s");
        assert_eq!(at("2026-11-21T00:57:00Z"), "3m ago");
        assert_eq!(at("2026-11-20T22:54:59Z"), "2h 5m ago");
    }

    #[test]
    fn a_table_keeps_to_the_terminal_and_cuts_nothing_off_elsewhere() {
        let rows = || vec![vec!["PENDING".to_owned(), "k/".repeat(512)]];
        let narrow = table(&["status", "object"], &[0], rows(), Some(60));
        assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
        assert_eq!(narrow.lines().count(), 1 + ROW_LINES);
        assert!(narrow.contains('…'), "{narrow}");
        let whole = table(&["status", "object"], &[0], rows(), None);
        assert_eq!(whole, format!("status   object\nPENDING  {}\n", "k/".repeat(512)));
    }
}
