//! Times as a person reads them.

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
    let seconds = std::time::Duration::from_secs(length.as_secs());
    let words = (!seconds.is_zero()).then(|| humantime::format_duration(seconds).to_string())?;
    Some(words.split(' ').take(units).collect::<Vec<_>>().join(" "))
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
    }
}
