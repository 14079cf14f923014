//! The side fields of an event: what describes it beside bucket, key and kind.
//!
//! They never cost the event. One that cannot be read is left out, and the event's caveat says so.

use chrono::{DateTime, NaiveDateTime, Utc};

use super::fault::Fault;
use super::json::{self, Object};
use super::server::Server;
use crate::kind::Kind;
use crate::sequencer::Sequencer;
use crate::time::Timestamp;

/// Bytes of a version id: S3's limit ("How S3 Versioning works", Amazon S3 User Guide).
const VERSION_ID: usize = 1024;
/// Bytes of an etag. S3 sends 32 hexadecimal digits, and a part count after a multipart upload.
const ETAG: usize = 256;
/// Bytes of a region's name.
const REGION: usize = 64;
/// Bytes of a request id. S3 sends 16, Ceph some 60.
const REQUEST_ID: usize = 256;
/// Bytes of a size as it is sent: no whole number below 2^64 has more digits, with a fraction of zeros.
const SIZE: usize = 40;
/// Bytes of a sequencer as it is sent.
const SEQUENCER: usize = 64;
/// Bytes of a time as it is sent.
const TIME: usize = 64;
/// What tells two uploads apart, beside the time, which is kept as it was sent: by the names that the forms have for it.
const TELLING: [&str; 9] = [
    "size",
    "eTag",
    "etag",
    "sequencer",
    "versionId",
    "version-id",
    "responseElements",
    "x-amz-request-id",
    "request-id",
];
/// The longest caveat, in characters: a row of usual length stays below one write unit.
const CAVEAT: usize = 160;

/// What was not as it should be in a record that was read all the same.
#[derive(Debug, Default)]
pub(super) struct Caveats {
    left_out: Vec<&'static str>,
    others: Vec<&'static str>,
}

impl Caveats {
    /// The field, unless it cannot be read: then it is left out.
    pub fn kept<T>(&mut self, field: &'static str, read: Result<Option<T>, Fault>) -> Option<T> {
        read.unwrap_or_else(|_| {
            self.left_out(field);
            None
        })
    }

    /// The field cannot be read.
    pub fn left_out(&mut self, field: &'static str) {
        let name = field.rsplit('.').next().unwrap_or(field);
        if !self.left_out.contains(&name) {
            self.left_out.push(name);
        }
    }

    /// Whether all that tells two uploads apart could be read.
    pub fn is_told(&self) -> bool {
        !self.left_out.iter().any(|name| TELLING.contains(name))
    }

    /// Something else is to be said.
    pub fn say(&mut self, what: &'static str) {
        self.others.push(what);
    }

    /// All of them for people, at most 160 characters; none if all was well.
    pub fn text(&self) -> Option<String> {
        let mut parts: Vec<String> = self.others.iter().map(|&what| what.to_owned()).collect();
        if !self.left_out.is_empty() {
            parts.push(format!("not readable, so left out: {}", self.left_out.join(", ")));
        }
        let text = parts.join("; ");
        (!text.is_empty()).then(|| text.chars().take(CAVEAT).collect())
    }
}

/// The version id. "null" is S3's name for the version that a bucket without versions has.
pub(super) fn version_id(object: &Object<'_>, field: &'static str) -> Result<Option<String>, Fault> {
    Ok(object
        .text_or_number(field, VERSION_ID)?
        .filter(|version_id| version_id != "null"))
}

/// The etag without quotes.
pub(super) fn etag(object: &Object<'_>, field: &'static str) -> Result<Option<String>, Fault> {
    let etag = object.text_or_number(field, ETAG)?;
    Ok(etag
        .map(|etag| etag.trim_matches('"').to_owned())
        .filter(|etag| !etag.is_empty()))
}

/// The region.
pub(super) fn region(object: &Object<'_>, field: &'static str) -> Result<Option<String>, Fault> {
    object.text(field, REGION)
}

/// The request's id.
pub(super) fn request_id(object: &Object<'_>, field: &'static str) -> Result<Option<String>, Fault> {
    object.text_or_number(field, REQUEST_ID)
}

/// The size in bytes: a whole number or its digits, a fraction of zeros included, as languages without integers write it.
pub(super) fn size(object: &Object<'_>, field: &'static str) -> Result<Option<u64>, Fault> {
    let wrong = Fault::Wrong {
        field,
        expected: "a whole number of bytes from 0 to 2^64-1",
    };
    let Some(sent) = object.text_or_number(field, SIZE)? else {
        return Ok(None);
    };
    let sent = sent.trim();
    let digits = match sent.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0') => {
            whole
        }
        _ => sent,
    };
    match digits.parse() {
        Ok(size) => Ok(Some(size)),
        Err(_) => whole_float(digits).map(Some).ok_or(wrong),
    }
}

/// The whole number that a text such as `1.024E3` stands for.
fn whole_float(text: &str) -> Option<u64> {
    let value: f64 = text.parse().ok()?;
    // Above 2^53 a float no longer tells whole numbers apart.
    let is_whole = value.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&value);
    is_whole.then_some(value as u64)
}

/// A sequencer as it was sent, and what it is good for.
pub(super) struct SentSequencer {
    /// In the form that orders events, if it is in that form.
    pub ordered: Option<Sequencer>,
    /// As it was sent, if it gives no order.
    pub unordered: Option<String>,
}

/// The sequencer of an event of that kind.
pub(super) fn sequencer(
    object: &Object<'_>,
    field: &'static str,
    (server, kind, event_time): (Server, &Kind, Option<Timestamp>),
    caveats: &mut Caveats,
) -> SentSequencer {
    let sent = caveats.kept(field, object.text_or_number(field, SEQUENCER));
    let counts = server.sequences(kind);
    let ordered = sent
        .as_deref()
        .filter(|_| counts)
        .and_then(|sent| server.sequencer(sent, event_time));
    if sent.is_some() && ordered.is_none() && (counts || server == Server::Unknown) {
        caveats.say("the sequencer was ignored: not in a known server's form");
    }
    let unordered = sent.filter(|_| ordered.is_none());
    SentSequencer { ordered, unordered }
}

/// When an event happened.
#[derive(Default)]
pub(super) struct SentTime {
    /// The instant, if it can be read.
    pub at: Option<Timestamp>,
    /// In full precision; as it was sent if it cannot be read.
    pub text: Option<String>,
}

/// When it happened. Besides RFC 3339: RFC 1123; numbers of seconds, milliseconds, microseconds or nanoseconds since 1970,
/// with or without quotes; and what versions of Ceph write, a space for the `T`, an offset without colon or none (which means
/// UTC). Zero stands for a time that is not known.
pub(super) fn event_time(object: &Object<'_>, field: &'static str, caveats: &mut Caveats) -> SentTime {
    let value = match object.value(field) {
        Ok(Some(value)) => value,
        Ok(None) => return SentTime::default(),
        Err(_) => {
            caveats.left_out(field);
            return SentTime::default();
        }
    };
    let text = match json::is_number(value) {
        true => Some(value.get().to_owned()),
        false => serde_json::from_str::<String>(value.get()).ok(),
    };
    let text = text.as_deref().map_or(value.get(), str::trim);
    if text.is_empty() || text.parse::<f64>().is_ok_and(|number| number == 0.0) {
        return SentTime::default();
    }
    let instant = Some(text).filter(|text| text.len() <= TIME).and_then(instant);
    let at = instant.and_then(|instant| Timestamp::from_unix_millis(instant.timestamp_millis()));
    if at.is_none() {
        caveats.left_out(field);
    }
    let text = match instant {
        Some(instant) => instant.format("%Y-%m-%dT%H:%M:%S%.9fZ").to_string(),
        None => text.to_owned(),
    };
    SentTime { at, text: Some(text) }
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    if let Ok(at) = DateTime::parse_from_rfc2822(text) {
        return Some(at.to_utc());
    }
    if let Some(at) = since_1970(text) {
        return Some(at);
    }
    let text = text.replacen(' ', "T", 1);
    let offset = DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f%z");
    offset.map(|at| at.to_utc()).ok().or_else(|| {
        let at = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f");
        at.ok().map(|at| at.and_utc())
    })
}

/// The instant of a number since 1970. Its size tells the unit: seconds until the year 5138, milliseconds, microseconds,
/// nanoseconds, each from 1973 on.
fn since_1970(text: &str) -> Option<DateTime<Utc>> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    let nanos = if !whole.is_empty() && is_digits(whole) && is_digits(fraction) {
        let unit = unit(whole.parse::<u64>().ok()? as f64);
        let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
        let fraction = i128::from(digits.parse::<u64>().ok()?) * i128::from(unit) / 1_000_000_000;
        i128::from(whole.parse::<u64>().ok()?) * i128::from(unit) + fraction
    } else {
        // 1.763791200478E9, to the microsecond, which is what a float holds of it.
        let value: f64 = Some(text)
            .filter(|text| text.contains(['e', 'E']))?
            .parse()
            .ok()?;
        let micros = value * (unit(value) as f64 / 1_000.0);
        (0.0..1e18)
            .contains(&micros)
            .then(|| micros.round() as i128 * 1_000)?
    };
    DateTime::from_timestamp(
        i64::try_from(nanos / 1_000_000_000).ok()?,
        u32::try_from(nanos % 1_000_000_000).ok()?,
    )
}

/// Nanoseconds of the unit in which a time of our age is a number of this size.
fn unit(number: f64) -> u32 {
    match number {
        n if n < 1e11 => 1_000_000_000,
        n if n < 1e14 => 1_000_000,
        n if n < 1e17 => 1_000,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_that_servers_and_tools_write() {
        let same = [
            "2025-11-22T06:00:00.478Z",
            "2025-11-22T07:00:00.478+01:00",
            "2025-11-22 06:00:00.478Z",
            "2025-11-22T06:00:00.478+0000",
            "2025-11-22T06:00:00.478",
            "1763791200478",
            "1763791200.478",
            "1.763791200478E9",
            "1763791200478000",
            "1763791200478000000",
            "1.763791200478E12",
        ];
        for text in same {
            let at = instant(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(at.timestamp_millis(), 1_763_791_200_478, "{text}");
        }
        for text in [
            "Sat, 22 Nov 2025 06:00:00 GMT",
            "Sat, 22 Nov 2025 06:00:00 +0000",
            "1763791200",
        ] {
            let at = instant(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(at.timestamp_millis(), 1_763_791_200_000, "{text}");
        }
        for text in [
            "yesterday",
            "-1",
            "1e400",
            "inf",
            "NaN",
            "12:00",
            "2025-11-22",
            "99999999999999999999999",
            ".",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_caveat_is_bounded() {
        let mut caveats = Caveats::default();
        assert_eq!(caveats.text(), None);
        for field in [
            "s3.object.size",
            "eventTime",
            "s3.object.size",
            "responseElements.x-amz-request-id",
        ] {
            caveats.left_out(field);
        }
        let text = caveats.text().unwrap_or_default();
        assert_eq!(
            text,
            "not readable, so left out: size, eventTime, x-amz-request-id"
        );
        (0..9).for_each(|_| caveats.say("the sequencer was ignored: not in a known server's form"));
        assert_eq!(caveats.text().map(|text| text.len()), Some(CAVEAT));
    }
}
