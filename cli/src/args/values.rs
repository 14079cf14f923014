//! Settings that several commands share, and what each value may be. Those that the Lambda functions have too are
//! `daybook_manager::arguments`.

use clap::error::ErrorKind;
pub use daybook_manager::arguments::{
    BackoffArguments, BatchArguments, DispatchArguments, at_least_one, batch_size, check_endpoint_variables,
    endpoint, endpoint_of_s3, every, function_arn, instant, queue_url, redacted, state_machine_arn, time,
    usage,
};
use daybook_schema::Timestamp;

/// The same for a value that another crate refuses.
pub fn usage_of(flag: &str, error: &dyn std::fmt::Display) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("--{flag}: {error}\n"))
}

/// How many objects a demo has.
pub fn demo_events(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=1_000_000).contains(n))
        .ok_or_else(|| "a whole number is needed, 1 to 1000000".to_owned())
}

/// A whole number of that range.
pub fn whole<T: TryFrom<u64> + 'static>(from: u64, to: u64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = text.parse::<u64>().ok().filter(|n| (from..=to).contains(n));
        let number = number.and_then(|n| T::try_from(n).ok());
        number.ok_or_else(|| match to {
            u64::MAX => format!("a whole number of at least {from} is needed"),
            to => format!("a whole number from {from} to {to} is needed"),
        })
    }
}

/// A seed.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("a whole number is needed, 0 to {}", u64::MAX))
}

/// An instant, or a day: the instant at which it begins in UTC.
pub fn instant_or_day(text: &str) -> Result<Timestamp, String> {
    let whole = format!("{text}T00:00:00Z");
    text.parse().or_else(|_| whole.parse()).map_err(|_| {
        "a day or an RFC 3339 time is needed, such as 2026-11-21 or 2026-11-21T01:02:00Z".to_owned()
    })
}

/// A queue's ARN.
pub fn queue_arn(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_queue = parts.len() == 6
        && parts[0] == "arn"
        && parts[2] == "sqs"
        && parts.iter().all(|part| !part.is_empty());
    match is_queue {
        true => Ok(text.to_owned()),
        false => Err("an ARN is needed, such as arn:aws:sqs:eu-central-1:123456789012:intake".to_owned()),
    }
}
