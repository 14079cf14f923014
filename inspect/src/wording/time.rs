//! Times as a person reads them.

use std::time::Duration;

use daybook_schema::Timestamp;

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
    let seconds = Duration::from_secs(length.as_secs());
    (!seconds.is_zero()).then(|| spaced(seconds, units))
}

/// `2h 30m`, `14 days`: a length as it is.
pub fn span(length: Duration) -> String {
    spaced(length, usize::MAX)
}

/// A length by so many of its units. Words are apart from their numbers, letters are not.
fn spaced(length: Duration, units: usize) -> String {
    let text = humantime::format_duration(length).to_string();
    let apart = |unit: &str| {
        let number = unit.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let name = &unit[number.len()..];
        match name {
            "day" | "days" | "month" | "months" | "year" | "years" => format!("{number} {name}"),
            _ => unit.to_owned(),
        }
    };
    text.split(' ')
        .take(units)
        .map(apart)
        .collect::<Vec<_>>()
        .join(" ")
}

/// `2026-11-21T01:02:03.004Z (3m ago)`.
pub fn at(at: Timestamp, now: Timestamp) -> String {
    format!("{at} ({})", relative(at, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_their_two_largest_units() {
        let now: Timestamp = "2026-11-21T01:00:00Z".parse().unwrap();
        let at = |text: &str| relative(text.parse().unwrap(), now);
        assert_eq!(at("2026-11-21T01:00:00.900Z"), "now");
        assert_eq!(at("2026-11-21T01:00:12.900Z"), "in 12s");
        assert_eq!(at("2026-11-21T00:57:00Z"), "3m ago");
        assert_eq!(at("2026-11-20T22:54:59Z"), "2h 5m ago");
        assert_eq!(at("2026-11-07T00:00:00Z"), "14 days 1h ago");
        assert_eq!(span(Duration::from_secs(86_400 + 90)), "1 day 1m 30s");
        assert_eq!(span(Duration::from_millis(1500)), "1s 500ms");
    }
}
