//! What a run did, as a table for people or one JSON object for programs.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use daybook_ledger::{Pause, Refusal, Window};
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::aws::{Aws, Thing};
use crate::deployment::Place;
use crate::failure::Advised;
use crate::view;

pub use daybook_ledger::chain;

/// One line: what, how many, what that means.
pub type Line = (&'static str, String, &'static str);

/// The lines, aligned. Lines of meaning are kept where the number is 0, so that a table always has the same shape.
pub fn table<M: Display>(lines: &[(&'static str, String, M)]) -> String {
    let what_width = lines.iter().map(|(what, ..)| what.len()).max().unwrap_or(0);
    let is_count = |value: &str| {
        let digits = value.strip_prefix("at least ").unwrap_or(value);
        value == "unknown" || digits.bytes().all(|b| b.is_ascii_digit())
    };
    let counts = lines.iter().filter(|(_, value, _)| is_count(value));
    let count_width = counts.map(|(_, value, _)| value.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (what, value, meaning) in lines {
        let value = match is_count(value) {
            true => format!("{value:>count_width$}"),
            false => value.clone(),
        };
        let line = format!("{what:what_width$}  {value}  {meaning}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes the report to stdout.
///
/// # Errors
/// When stdout is closed.
pub fn print<M: Display>(
    output: Output,
    lines: &[(&'static str, String, M)],
    json: &Value,
) -> anyhow::Result<()> {
    print_either(output, || table(lines), json)
}

/// Writes a text for people, or JSON for programs, to stdout.
///
/// # Errors
/// When stdout is closed.
pub fn print_either(output: Output, text: impl FnOnce() -> String, json: &Value) -> anyhow::Result<()> {
    let text = match output {
        Output::Table => text(),
        Output::Json => format!("{json}\n"),
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// How a run ended: an error that lists the failures, if there are any.
///
/// # Errors
/// When there are failures.
pub fn end(run: &str, failures: &[String], aws: &Aws, thing: Thing) -> anyhow::Result<ExitCode> {
    let Some(first) = failures.first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let what = match failures {
        [_] => format!("{run} could not do all of its work"),
        _ => format!(
            "{run} could not do all of its work, for {} reasons",
            failures.len()
        ),
    };
    let advice = aws.advice(thing, first);
    Err(Advised::new(what)
        .because(anyhow::anyhow!(failures.join("\n  caused by: ")))
        .hint_if_any(advice)
        .into())
}

/// How a look at a deployment ended: an error that lists what could not be found out, if there is anything. What could be is
/// on stdout.
///
/// # Errors
/// When there are failures.
pub fn incomplete(failures: &[String], place: &Place) -> anyhow::Result<ExitCode> {
    let Some(first) = failures.first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let advice = place.advice(Thing::of(first), first);
    Err(
        Advised::new("not everything could be found out; what is missing is called unknown")
            .because(anyhow::anyhow!(failures.join("\n  caused by: ")))
            .hint_if_any(advice)
            .into(),
    )
}

/// Why shards of a status could not be read, each cause once: all shards of a table tend to fail alike.
pub fn shard_failures(failures: Vec<String>) -> Vec<String> {
    let mut causes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for failure in failures {
        let (shard, cause) = failure.split_once(": ").unwrap_or(("", &failure));
        causes.entry(cause.to_owned()).or_default().push(shard.to_owned());
    }
    let told = causes.into_iter().map(|(cause, shards)| match shards.as_slice() {
        [shard] => format!("Query {shard}: {cause}"),
        [first, ..] => format!("Query {first} and {} more shards: {cause}", shards.len() - 1),
        [] => cause,
    });
    told.collect()
}

/// A window in words.
pub fn window(window: Window) -> String {
    format!(
        "{}, {} long",
        window.start,
        humantime::format_duration(window.length)
    )
}

/// Why nothing, or not more, was dispatched, in words.
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Paused(pause) => format!("dispatch is paused {}", paused(pause)),
        Refusal::WindowFull => "N is reached in this window".to_owned(),
        Refusal::WindowPassed => "the window is over, and the one after it has begun".to_owned(),
        Refusal::WindowAhead => {
            "the window begins too far in the future: the clock or the time that was given is wrong"
                .to_owned()
        }
        Refusal::NothingWanted => "nothing is due".to_owned(),
    }
}

/// A pause in words.
pub fn paused(pause: &Pause) -> String {
    let until = match pause.until {
        Some(until) => format!("until {until}"),
        None => "until it is resumed".to_owned(),
    };
    let by = Some(&pause.by).filter(|by| !by.is_empty());
    let why = Some(&pause.why).filter(|why| !why.is_empty());
    let by = by
        .map(|by| format!(" by {}", view::escaped(by)))
        .unwrap_or_default();
    let why = why
        .map(|why| format!(": {}", view::escaped(why)))
        .unwrap_or_default();
    format!("{until}{by}{why}")
}

/// The same for programs.
pub fn refusal_json(refusal: Option<&Refusal>) -> Value {
    json!(refusal)
}
