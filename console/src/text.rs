//! Times, counts and texts of strangers, as pages show them.

use daybook_inspect::wording::escape::escaped;
use daybook_inspect::wording::time;
use daybook_schema::Timestamp;

/// A time on a page: how long ago, and exactly.
pub struct When {
    /// As RFC 3339, in UTC.
    pub exact: String,
    /// Such as `3m ago`.
    pub relative: String,
}

impl When {
    pub fn of(at: Timestamp, now: Timestamp) -> Self {
        Self {
            exact: at.to_string(),
            relative: time::relative(at, now),
        }
    }
}

/// A text that a stranger chose. The template escapes it for HTML.
pub fn shown(text: &str) -> String {
    escaped(text)
}

/// A whole number with its thousands apart; "at least" where there may be more.
pub fn count(rows: u64, exact: bool) -> String {
    let digits = rows.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match exact {
        true => text,
        false => format!("at least {text}"),
    }
}

/// A query of a URL.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_apart_and_at_least_stays_at_least() {
        assert_eq!(count(0, true), "0");
        assert_eq!(count(999, true), "999");
        assert_eq!(count(1000, true), "1,000");
        assert_eq!(count(1_234_567, false), "at least 1,234,567");
    }
}
