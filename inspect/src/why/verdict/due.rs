//! Answers about rows that are due, while nothing is paused and something may send them.

use std::time::Duration;

use daybook_ledger::{Control, Count};
use daybook_schema::Row;

use crate::limits::Limit;
use crate::limits::drain::Drain;
use crate::why::verdict::facts::{Observed, Situation, Verdict};
use crate::wording::{text, time};

/// A row that is due for so many windows should have been sent, unless others are before it.
const LATE_WINDOWS: u32 = 3;

/// The answer; `error` is how its last attempt failed, as the end of a sentence.
pub(super) fn verdict(seen: &Observed, row: &Row, error: &str) -> Verdict {
    let since = format!("due since {}", time::at(row.due_at, seen.now));
    let before = seen
        .ahead
        .known()
        .map(|count| (count.rows.saturating_sub(1), count.exact));
    match before {
        None => Verdict::new(
            Situation::Due,
            format!("Waiting to be sent: {since}{error}."),
            "Nothing: windows send the oldest due rows first.",
        )
        .unless("rows before it", seen.ahead.why_not()),
        Some((0, _)) => first(seen, row, &since, error),
        Some((rows, exact)) => behind(seen, Count { rows, exact }, &since, error),
    }
}

/// What to do about what limits, where it is known and not N.
fn remedy(limit: Limit) -> Option<&'static str> {
    match limit {
        Limit::Workers => Some("Nothing, or raise --workers if this machine and the target can take more."),
        Limit::InFlightCap => {
            Some("Nothing, or raise --max-in-flight (DAYBOOK_MAX_IN_FLIGHT) if the target can take more.")
        }
        Limit::Target => Some(
            "Nothing: it comes again when the target takes more. What the target said is each row's last error.",
        ),
        Limit::Nothing | Limit::Stopped | Limit::Ledger | Limit::Pause | Limit::Budget | Limit::Unknown => {
            None
        }
    }
}

/// Nothing is before it.
fn first(seen: &Observed, row: &Row, since: &str, error: &str) -> Verdict {
    let limit = seen.limits.limit(seen.now);
    if let Some(next) = remedy(limit) {
        let says = format!(
            "Waiting to be sent: {since}, and nothing is before it. The limit is {}{error}.",
            seen.limits.words(seen.now)
        );
        return Verdict::new(Situation::Due, says, next);
    }
    let late = seen.control.known().and_then(|control| late(seen, row, control));
    let next = match late {
        None => "Nothing: the next window sends it.",
        Some(_) => "Is the schedule running? `daybook doctor` checks; `daybook schedule` runs it once.",
    };
    let says = format!("Waiting to be sent: {since}, and nothing is before it{error}.");
    Verdict::new(Situation::Due, says, next).also(late)
}

/// How long those before it take.
fn go_before(time: Duration, at_least: &str) -> String {
    format!(
        "; at that pace those before it take {at_least}about {}",
        time::span(time)
    )
}

/// So many are before it.
fn behind(seen: &Observed, before: Count, since: &str, error: &str) -> Verdict {
    let now = seen.now;
    let at_least = if before.exact { "" } else { "at least " };
    let rows = are(before.rows);
    let limit = seen.limits.limit(now);
    if let Some(next) = remedy(limit) {
        let time = match seen.limits.drain(before, now) {
            Drain::ByBudget(time) => go_before(time, at_least),
            Drain::ByRuns {
                time, is_least: true, ..
            } => go_before(time, "at least "),
            Drain::ByRuns { time, .. } => go_before(time, at_least),
            Drain::Unmeasured | Drain::Unknown => String::new(),
        };
        let says = format!(
            "Waiting because {at_least}{rows} due before it: {since}. The limit is {}{time}{error}.",
            seen.limits.words(now)
        );
        return Verdict::new(Situation::Backlog, says, next);
    }
    let n = seen.limits.rate.per_window;
    let windows = n.map(|n| before.rows / u64::from(n.max(1)) + 1);
    let room = match (n, windows) {
        (Some(n), Some(windows)) => {
            format!(
                "; at {n} per window that is {at_least}{}",
                text::many(windows, "window")
            )
        }
        _ => String::new(),
    };
    let says = format!(
        "Waiting because {at_least}{rows} due before it and each window sends N at most: {since}{room}{error}."
    );
    let next = match limit {
        Limit::Budget => "Nothing, or raise N if the target can take more.",
        _ => {
            "Nothing: the oldest are sent first. `daybook status` shows whether all of N is granted; raise it only then."
        }
    };
    Verdict::new(Situation::Backlog, says, next)
}

fn are(rows: u64) -> String {
    match rows {
        1 => "1 row is".to_owned(),
        n => format!("{n} rows are"),
    }
}

fn late(seen: &Observed, row: &Row, control: &Control) -> Option<String> {
    let window = match control.window_millis {
        0 => Duration::from_secs(60),
        millis => Duration::from_millis(millis),
    };
    (seen.now.since(row.due_at) > window * LATE_WINDOWS)
        .then(|| "It should have been sent by now, unless it waits for its batch to become full (the batch window): the schedule seems not to run.".to_owned())
}
