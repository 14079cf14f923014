//! Lengths of texts, and counts.

use daybook_ledger::Count;
use daybook_schema::BatchId;

/// At most so many characters of a text, with a mark where it goes on.
pub fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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

/// `batch …`, with how many events it has where that is known, or that this one is run by itself.
pub fn batch(batch: BatchId, alone: bool, events: Option<usize>) -> String {
    match (alone, events) {
        (true, _) => format!("batch {batch}, by itself"),
        (false, Some(events)) => format!("batch {batch} of {}", many(events as u64, "event")),
        (false, None) => format!("batch {batch}"),
    }
}
