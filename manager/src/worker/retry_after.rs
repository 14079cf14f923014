//! When a server wants to be asked again.

use std::time::{Duration, SystemTime};

use daybook_schema::Timestamp;

/// The longest wait that a server can ask for: a day.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The wait that a `Retry-After` header asks for: seconds, or an HTTP date (RFC 9110, 10.2.3). `None` when it is neither.
pub(super) fn parse(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    let is_number = !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit());
    let wait = match is_number {
        // More seconds than fit are as good as the longest wait.
        true => Duration::from_secs(header.parse().unwrap_or(u64::MAX)),
        false => {
            let at = httpdate::parse_http_date(header).ok()?;
            let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            at.saturating_sub(Duration::from_millis(
                u64::try_from(now.unix_millis()).unwrap_or(0),
            ))
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_all_three_forms_of_a_date_are_read_and_nothing_else() {
        let now: Timestamp = "1994-11-06T08:49:07.500Z".parse().expect("a time");
        let cases = [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(86_400_000)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(29_500)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(29_500)),
            ("Sun Nov  6 08:49:37 1994", Some(29_500)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Fri, 06 Nov 2093 08:49:37 GMT", Some(86_400_000)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ];
        for (header, millis) in cases {
            assert_eq!(
                parse(header, now),
                millis.map(Duration::from_millis),
                "{header:?}"
            );
        }
    }
}
