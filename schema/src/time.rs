//! Instants as they are stored: UTC, whole milliseconds, always the same width.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// An instant in UTC with millisecond precision.
///
/// Written as `2026-11-21T01:02:03.004Z`, always 24 characters, so that comparing the texts (which is what a
/// DynamoDB sort key does) compares the instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(DateTime<Utc>);

/// A text that is no RFC 3339 instant of the years 0000 to 9999.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an RFC 3339 time such as 2026-11-21T01:02:03.004Z")]
pub struct InvalidTimestamp {
    text: String,
}

impl Timestamp {
    /// The instant that many milliseconds after 1970-01-01T00:00:00Z, or `None` outside of the years 0000 to 9999.
    pub fn from_unix_millis(millis: i64) -> Option<Self> {
        Utc.timestamp_millis_opt(millis)
            .single()
            .filter(|at| (0..=9999).contains(&at.year()))
            .map(Self)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, the form that DynamoDB's TTL expects.
    pub fn unix_seconds(self) -> i64 {
        self.0.timestamp()
    }

    /// This instant plus `duration`, at most the end of the year 9999.
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_millis(self.unix_millis().saturating_add(millis)).unwrap_or(Self::LAST)
    }

    /// This instant less `duration`, at least the beginning of the year 0.
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_millis(self.unix_millis().saturating_sub(millis)).unwrap_or(Self::FIRST)
    }

    /// How long after `earlier` this instant is; zero when it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(
            u64::try_from(self.unix_millis().saturating_sub(earlier.unix_millis())).unwrap_or(0),
        )
    }

    /// The whole second that this instant lies in.
    pub fn truncated_to_seconds(self) -> Self {
        Self::from_unix_millis(self.unix_seconds() * 1000).unwrap_or(self)
    }

    /// The start of the window of this length that the instant lies in, counted from 1970. A length below one
    /// millisecond counts as one millisecond.
    pub fn window_start(self, length: Duration) -> Self {
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(1);
        Self::from_unix_millis(self.unix_millis().div_euclid(length) * length).unwrap_or(self)
    }

    /// The first instant that can be written: 0000-01-01T00:00:00.000Z.
    const FIRST: Self = match DateTime::<Utc>::from_timestamp_millis(-62_167_219_200_000) {
        Some(at) => Self(at),
        None => panic!("the year 0 is within chrono's range"),
    };

    /// The last instant that can be written: 9999-12-31T23:59:59.999Z.
    const LAST: Self = match DateTime::<Utc>::from_timestamp_millis(253_402_300_799_999) {
        Some(at) => Self(at),
        None => panic!("the year 9999 is within chrono's range"),
    };
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        let beyond = if at.year() < 0 { Self::FIRST } else { Self::LAST };
        Self::from_unix_millis(at.timestamp_millis()).unwrap_or(beyond)
    }
}

impl From<Timestamp> for String {
    fn from(at: Timestamp) -> Self {
        at.to_string()
    }
}

impl TryFrom<String> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(text: String) -> Result<Self, InvalidTimestamp> {
        text.parse()
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .and_then(|at| Self::from_unix_millis(at.timestamp_millis()))
            .ok_or_else(|| InvalidTimestamp {
                text: text.chars().take(80).collect(),
            })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}
