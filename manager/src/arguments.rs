//! Flags and environment variables that programs share, and what each value may be: one way for the command line and for the
//! Lambda functions.

use std::num::IntErrorKind;
use std::time::Duration;

use clap::Args;
use clap::error::ErrorKind;
use daybook_ledger::RetryPolicy;
use daybook_schema::{MOST_OF_A_BATCH, Timestamp};

use crate::settings::{Batching, Dispatch, InvalidSetting, Start, checked_retry};

/// How events are dispatched. Give every program of one deployment the same.
#[derive(Args, Clone, Debug)]
pub struct DispatchArguments {
    #[command(flatten)]
    budget: BudgetArguments,

    #[command(flatten)]
    lease: LeaseArguments,

    #[command(flatten)]
    in_flight: InFlightArguments,

    #[command(flatten)]
    start: StartArguments,

    #[command(flatten)]
    batch: BatchArguments,

    #[command(flatten)]
    attempts: AttemptsArguments,

    #[command(flatten)]
    backoff: BackoffArguments,
}

/// N and its window.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct BudgetArguments {
    /// N: events per window, at least 1
    ///
    /// How many may be sent, redeliveries included
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    pub per_window: u32,

    /// Length of a window, 100ms to 1d
    ///
    /// Such as 1m or 30s
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = every)]
    #[arg(env = "DAYBOOK_EVERY", hide_env_values = true)]
    pub every: Duration,
}

/// The lease.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct LeaseArguments {
    /// Lease of a sent event, 1s to 7d
    ///
    /// How long it is left alone before the sweep checks on it: longer than it waits and runs
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = lease)]
    #[arg(env = "DAYBOOK_LEASE", hide_env_values = true)]
    pub lease: Duration,
}

/// When events that arrive are dispatched.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct StartArguments {
    /// Start scheduled or immediate
    ///
    /// When events that arrive are sent, the same in all parts of a deployment: scheduled is by the
    /// scheduler, immediate as they are recorded, while N lasts
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_possible_values = true
    )]
    #[arg(env = "DAYBOOK_DISPATCH", hide_env_values = true)]
    pub dispatch: Start,
}

/// How events are put together.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct BatchArguments {
    /// Events in one run at most, 1 to 100
    ///
    /// How many one execution, command or request is given. From 2 on its input is a list
    #[arg(long, value_name = "N", default_value = "1", value_parser = batch_size)]
    #[arg(env = "DAYBOOK_BATCH_SIZE", hide_env_values = true)]
    pub batch_size: u32,

    /// Wait for a full batch, 0 to 1d
    ///
    /// How long the oldest due event may wait for its batch to become full
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = batch_window)]
    #[arg(env = "DAYBOOK_BATCH_WINDOW", hide_env_values = true)]
    pub batch_window: Duration,
}

impl BatchArguments {
    /// The batches that they make, if any.
    ///
    /// # Errors
    /// When a window is set without batches.
    pub fn checked(&self) -> Result<Option<Batching>, InvalidSetting> {
        Batching::of(self.batch_size, self.batch_window)
    }
}

/// The cap on what is in flight.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct InFlightArguments {
    /// Most events in flight; no limit by default
    ///
    /// At least 1
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[arg(env = "DAYBOOK_MAX_IN_FLIGHT", hide_env_values = true)]
    pub max_in_flight: Option<u32>,
}

/// How often an event is tried.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct AttemptsArguments {
    /// Failed attempts until it is parked
    ///
    /// An event with that many is parked for a person; at least 1
    #[arg(long, value_name = "N", default_value = "5", value_parser = at_least_one)]
    #[arg(env = "DAYBOOK_MAX_ATTEMPTS", hide_env_values = true)]
    pub max_attempts: u32,
}

/// How failed attempts are spaced.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct BackoffArguments {
    /// Wait before a retry; it doubles
    ///
    /// This is the wait after the first failed attempt, doubled after each further one; of that, a random
    /// part between half and all is waited; 1s to 7d
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = backoff)]
    #[arg(env = "DAYBOOK_BACKOFF", hide_env_values = true)]
    pub backoff: Duration,

    /// Longest such wait, 1s to 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = backoff)]
    #[arg(env = "DAYBOOK_BACKOFF_LIMIT", hide_env_values = true)]
    pub backoff_limit: Duration,
}

impl BackoffArguments {
    /// The policy that they make.
    ///
    /// # Errors
    /// When the longest wait is shorter than the first.
    pub fn checked(&self) -> Result<RetryPolicy, InvalidSetting> {
        checked_retry(self.policy())
    }

    fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            first_delay: self.backoff,
            longest_delay: self.backoff_limit,
        }
    }
}

impl DispatchArguments {
    /// The checked settings.
    ///
    /// # Errors
    /// A usage error of clap's, when settings could not work.
    pub fn checked(&self) -> Result<Dispatch, clap::Error> {
        let dispatch = Dispatch {
            per_window: self.budget.per_window,
            window: self.budget.every,
            max_in_flight: self.in_flight.max_in_flight,
            lease: self.lease.lease,
            max_attempts: self.attempts.max_attempts,
            retry: self.backoff.policy(),
            start: self.start.dispatch,
            batching: self.batch.checked().map_err(|error| usage(&error))?,
        };
        dispatch.checked().map_err(|error| usage(&error))
    }
}

/// A setting that parsed and cannot work, as clap would report it.
pub fn usage(error: &InvalidSetting) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("--{error}\n"))
}

/// A whole number from 1 to 4,294,967,295.
///
/// # Errors
/// Says what is allowed; so do all others here.
pub fn at_least_one(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(0) => Err("a whole number of at least 1 is needed".to_owned()),
        Ok(n) => Ok(n),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => {
            Err(format!("{} at most is allowed", u32::MAX))
        }
        Err(_) => Err("a whole number of at least 1 is needed".to_owned()),
    }
}

/// A length of time.
///
/// # Errors
/// Says what is allowed.
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
///
/// # Errors
/// Says what is allowed.
pub fn every(text: &str) -> Result<Duration, String> {
    time_within(text, Duration::from_millis(100), DAY, "100ms to 1d")
}

/// A lease.
///
/// # Errors
/// Says what is allowed.
pub fn lease(text: &str) -> Result<Duration, String> {
    time_within(text, Duration::from_secs(1), 7 * DAY, "1s to 7d")
}

/// How many events a batch has at most.
///
/// # Errors
/// Says what is allowed.
pub fn batch_size(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|size| (1..=MOST_OF_A_BATCH).contains(size))
        .ok_or_else(|| "a whole number from 1 to 100 is needed".to_owned())
}

/// How long an event waits for company.
///
/// # Errors
/// Says what is allowed.
pub fn batch_window(text: &str) -> Result<Duration, String> {
    time_within(text, Duration::ZERO, DAY, "0 to 1d")
}

/// A wait between two attempts.
///
/// # Errors
/// Says what is allowed.
pub fn backoff(text: &str) -> Result<Duration, String> {
    lease(text)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A queue's URL as SQS gives it.
///
/// # Errors
/// Says what is allowed.
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

/// The address of a service: its own path is kept, and what is asked for comes behind it. An empty text stands for a variable
/// that is not set.
///
/// # Errors
/// Says what is allowed.
pub fn endpoint(text: &str) -> Result<String, String> {
    let uri = match text {
        "" => return Ok(String::new()),
        text => text.parse::<http::Uri>().ok(),
    };
    let is_server = |uri: &http::Uri| {
        let (host, authority) = (uri.host().unwrap_or_default(), uri.authority());
        let authority = authority.map_or("", http::uri::Authority::as_str);
        let has_port = uri.port_u16().is_some() || authority == host || authority.contains('@');
        matches!(uri.scheme_str(), Some("http" | "https")) && !host.is_empty() && has_port
    };
    let Some(uri) = uri.filter(is_server) else {
        return Err(
            "a URL is needed, such as http://127.0.0.1:9000 or https://gateway.example/s3".to_owned(),
        );
    };
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(
            "a URL without user name and password is needed: credentials come from AWS's own configuration"
                .to_owned(),
        );
    }
    if uri.query().is_some() || text.contains('#') {
        return Err("a URL without ? and # is needed".to_owned());
    }
    Ok(text.to_owned())
}

/// The same address so that S3's SDK keeps its path: it puts a bucket's name right behind it, with no slash between.
pub fn endpoint_of_s3(url: &str) -> String {
    let has_path = url.parse::<http::Uri>().is_ok_and(|uri| uri.path().len() > 1);
    match has_path && !url.ends_with('/') {
        true => format!("{url}/"),
        false => url.to_owned(),
    }
}

/// Checks the variables by which the AWS SDK finds other servers than AWS's ("Service-specific endpoints", AWS SDKs and Tools
/// Reference Guide). A value that is no URL would fail each request, with the request in the error.
///
/// # Errors
/// Names the variable, its value and what is allowed.
pub fn check_endpoint_variables() -> Result<(), String> {
    for (name, value) in std::env::vars_os() {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        if name == "AWS_ENDPOINT_URL" || name.starts_with("AWS_ENDPOINT_URL_") {
            endpoint(&value).map_err(|allowed| format!("{name} is {:?}: {allowed}", redacted(&value)))?;
        }
    }
    Ok(())
}

/// The text with `…` for the user name and the password of each URL in it.
pub fn redacted(text: &str) -> String {
    let mut parts = text.split("://");
    let mut safe = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '\'' | '"'))
            .unwrap_or(part.len());
        let (authority, rest) = part.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => safe += &format!("://…@{host}{rest}"),
            None => safe += &format!("://{part}"),
        }
    }
    safe
}

/// A state machine's ARN.
///
/// # Errors
/// Says what is allowed.
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

/// A Lambda function's ARN, perhaps with a version or an alias.
///
/// # Errors
/// Says what is allowed.
pub fn function_arn(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_function = matches!(parts.len(), 7 | 8)
        && parts[0] == "arn"
        && parts[2] == "lambda"
        && parts[5] == "function"
        && parts.iter().all(|part| !part.is_empty());
    match is_function {
        true => Ok(text.to_owned()),
        false => {
            Err("an ARN is needed, such as arn:aws:lambda:eu-central-1:123456789012:function:work".into())
        }
    }
}

/// An instant.
///
/// # Errors
/// Says what is allowed.
pub fn instant(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "an RFC 3339 time is needed, such as 2026-11-21T01:02:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_of_a_server_with_or_without_a_path() {
        for good in [
            "",
            "http://127.0.0.1:9000",
            "https://gateway.example/s3",
            "http://[::1]:9000/a/b/",
            "HTTP://host",
        ] {
            assert_eq!(endpoint(good), Ok(good.to_owned()));
        }
        for bad in [
            "localhost:9000",
            "127.0.0.1",
            "http://",
            "http:///path",
            "ftp://host",
            "file:///tmp",
            "http://ho st",
            "http://host:port",
            " http://host",
            "http://user:secret@host",
            "http://host?x=1",
            "http://host/#top",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_path_of_an_endpoint_of_s3_ends_with_a_slash() {
        for (url, whole) in [
            ("http://host", "http://host"),
            ("http://host/", "http://host/"),
            ("http://host/a/b", "http://host/a/b/"),
            ("http://host/a/b/", "http://host/a/b/"),
        ] {
            assert_eq!(endpoint_of_s3(url), whole);
        }
    }

    #[test]
    fn no_password_of_a_url_is_told() {
        for (text, safe) in [
            ("http://user:secret@host/path", "http://…@host/path"),
            (
                "invalid value 'https://a:b@c@h' for it",
                "invalid value 'https://…@h' for it",
            ),
            ("http://host/a@b", "http://host/a@b"),
            ("ops@host", "ops@host"),
            ("http://a@b http://c:d@e", "http://…@b http://…@e"),
        ] {
            assert_eq!(redacted(text), safe);
        }
    }
}
