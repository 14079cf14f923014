//! Settings that several commands share, and what each value may be.

use std::time::Duration;

use clap::Args;
use clap::error::ErrorKind;
use daybook_manager::{Dispatch, InvalidSetting};
use daybook_schema::Timestamp;

/// How events are dispatched. Give every command of one deployment the same.
#[derive(Args, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct DispatchArguments {
    /// N: how many events may be sent per window, those sent again included; at least 1
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    pub per_window: u32,

    /// The window's length, such as 1m or 30s; 100ms to 1d
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = every)]
    #[arg(env = "DAYBOOK_EVERY", hide_env_values = true)]
    pub every: Duration,

    /// How long a sent event is left alone before the sweep looks after it; longer than processing one takes,
    /// waiting included; 1s to 7d
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = lease)]
    #[arg(env = "DAYBOOK_LEASE", hide_env_values = true)]
    pub lease: Duration,

    /// How many events may be in flight at once before the scheduler waits; at least 1; no limit unless given
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[arg(env = "DAYBOOK_MAX_IN_FLIGHT", hide_env_values = true)]
    pub max_in_flight: Option<u32>,

    /// After how many failed attempts an event waits for a person; at least 1
    #[arg(long, value_name = "N", default_value = "5", value_parser = at_least_one)]
    #[arg(env = "DAYBOOK_MAX_ATTEMPTS", hide_env_values = true)]
    pub max_attempts: u32,
}

impl DispatchArguments {
    /// The checked settings.
    ///
    /// # Errors
    /// A usage error of clap's, when settings could not work.
    pub fn checked(&self) -> Result<Dispatch, clap::Error> {
        let dispatch = Dispatch {
            per_window: self.per_window,
            window: self.every,
            max_in_flight: self.max_in_flight,
            lease: self.lease,
            max_attempts: self.max_attempts,
            ..Dispatch::default()
        };
        dispatch.checked().map_err(|error| usage(&error))
    }
}

/// A setting that parsed and cannot work, as clap would report it.
pub fn usage(error: &InvalidSetting) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("--{error}\n"))
}

/// The same for a value that another crate refuses.
pub fn usage_of(flag: &str, error: &dyn std::fmt::Display) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("--{flag}: {error}\n"))
}

/// A whole number of at least 1.
pub fn at_least_one(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| "a whole number of at least 1 is needed".to_owned())
}

/// A length of time.
pub fn time(text: &str) -> Result<Duration, String> {
    // humantime wants a unit even where none is needed.
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text.trim())
        .map_err(|_| "a time with its unit is needed, such as 500ms, 2s, 15m, 6h or 14d".to_owned())
}

fn time_within(text: &str, from: Duration, to: Duration, allowed: &str) -> Result<Duration, String> {
    let time = time(text)?;
    match (from..=to).contains(&time) {
        true => Ok(time),
        false => Err(format!("{allowed} is allowed")),
    }
}

/// A window's length.
pub fn every(text: &str) -> Result<Duration, String> {
    time_within(text, Duration::from_millis(100), DAY, "100ms to 1d")
}

/// A lease.
pub fn lease(text: &str) -> Result<Duration, String> {
    time_within(text, Duration::from_secs(1), 7 * DAY, "1s to 7d")
}

/// How many objects a demo has.
pub fn demo_events(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=1_000_000).contains(n))
        .ok_or_else(|| "a whole number is needed, 1 to 1000000".to_owned())
}

/// A seed.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("a whole number is needed, 0 to {}", u64::MAX))
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A queue's URL as SQS gives it.
pub fn queue_url(text: &str) -> Result<String, String> {
    let is_queue = text.parse::<http::Uri>().is_ok_and(|uri| {
        let path = uri.path().trim_matches('/');
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && path.split('/').filter(|part| !part.is_empty()).count() >= 2
    });
    match is_queue {
        true => Ok(text.to_owned()),
        false => Err(
            "a queue URL is needed, such as https://sqs.eu-central-1.amazonaws.com/123456789012/dispatch"
                .into(),
        ),
    }
}

/// A server's address.
pub fn endpoint(text: &str) -> Result<String, String> {
    // An empty variable is one that is not set.
    let is_url = text.is_empty()
        || text.parse::<http::Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
        });
    match is_url {
        true => Ok(text.to_owned()),
        false => Err("a URL is needed, such as http://127.0.0.1:9000".to_owned()),
    }
}

/// An instant, or a day: the instant at which it begins in UTC.
pub fn instant_or_day(text: &str) -> Result<Timestamp, String> {
    let whole = format!("{text}T00:00:00Z");
    text.parse().or_else(|_| whole.parse()).map_err(|_| {
        "a day or an RFC 3339 time is needed, such as 2026-11-21 or 2026-11-21T01:02:00Z".to_owned()
    })
}

/// A state machine's ARN.
pub fn state_machine_arn(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_machine = parts.len() == 7
        && parts[0] == "arn"
        && parts[2] == "states"
        && parts[5] == "stateMachine"
        && parts.iter().all(|part| !part.is_empty());
    match is_machine {
        true => Ok(text.to_owned()),
        false => {
            Err("an ARN is needed, such as arn:aws:states:eu-central-1:123456789012:stateMachine:work".into())
        }
    }
}

/// An instant.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "an RFC 3339 time is needed, such as 2026-11-21T01:02:00Z".to_owned())
}
