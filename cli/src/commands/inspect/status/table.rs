//! `daybook status` for people.

use daybook_inspect::activity::{STRETCHES, Stretch};
use daybook_inspect::limits;
use daybook_inspect::limits::drain::Drain;
use daybook_inspect::parts::Running;
use daybook_inspect::status::observe::{FirstPart, Found, Part, both};
use daybook_inspect::wording::dispatch::{pause_words, per_window_words};
use daybook_inspect::wording::{text, time};
use daybook_ledger::Count;

use crate::deployment::Location;
use crate::ui::colour::Tone;
use crate::ui::escape;

type Line = (&'static str, String, String);

const UNKNOWN: &str = "unknown";

fn counted(what: &'static str, count: Option<Count>, meaning: &str) -> Line {
    let count = count.map_or_else(|| UNKNOWN.to_owned(), text::count);
    (what, count, meaning.to_owned())
}

/// The lines of the table.
pub fn lines(found: &Found, location: &Location) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![("where", location.to_string(), String::new())];
    if let Some(trouble) = &found.trouble {
        lines.push(("trouble", escape::escaped(trouble), String::new()));
    }
    lines.extend(count_lines(found));
    lines.extend(intake_line(found, location));
    lines.extend(queue_line(found, location));
    if let Some(running) = &found.running {
        let running = running.as_ref().ok().copied();
        lines.push(counted("running", running, "executions of the state machine"));
    }
    lines.extend(dispatch_lines(found));
    lines.push(("limit", found.limits.words(found.now), String::new()));
    lines.push(("drain", drain_words(found, location), String::new()));
    lines.extend(lately_lines(found, location));
    if let Location::Local { access, .. } = location {
        let says = match access.up() {
            Some(Running {
                pid,
                url,
                workers: Some(_),
            }) => format!("runs: process {pid}, at {url}"),
            Some(Running {
                pid,
                url,
                workers: None,
            }) => {
                format!("runs without a target, so nothing is sent: process {pid}, at {url}")
            }
            None => "does not run: nothing moves until it is started".to_owned(),
        };
        lines.push(("daybook up", says, String::new()));
    }
    lines
}

/// What a line of the table says, as a colour.
pub fn tone(line: &str) -> Option<Tone> {
    let mut words = line.split_whitespace();
    let (label, value) = (words.next()?, words.next()?);
    match label {
        "trouble" => Some(Tone::Bad),
        "parked" if value != "0" => Some(Tone::Bad),
        "overdue" | "undelivered" | "newer" if value != "0" => Some(Tone::Warning),
        "dispatch" if value == "paused" => Some(Tone::Warning),
        "limit" if line.contains("it has put off every event") => Some(Tone::Bad),
        "daybook" if line.contains("does not run") || line.contains("without a target") => {
            Some(Tone::Warning)
        }
        _ => None,
    }
}

/// Rows by status.
fn count_lines(found: &Found) -> Vec<Line> {
    let [pending, claimed, parked] = &found.first;
    let pending = tell(found, pending, "; the oldest is due since", "; the next is due");
    let claimed = tell(
        found,
        claimed,
        "; the first lease ended",
        "; the first lease ends",
    );
    let parked = tell(found, parked, "; the oldest since", "; the first from");
    let known = |part: &Part<Count>| part.as_ref().ok().copied();
    let looked = found.claimed.as_ref().ok();
    let mut lines = vec![
        counted(
            "pending",
            both(&found.due, &found.later),
            &format!("wait to be sent{pending}"),
        ),
        counted("  due", known(&found.due), "now"),
        counted(
            "  later",
            known(&found.later),
            "not before their time: a retry waits longer each time",
        ),
        counted(
            "claimed",
            both(&found.within_lease, &found.lease_over),
            &format!("were sent, and are queued or processed{claimed}"),
        ),
        counted("  in time", known(&found.within_lease), "within their leases"),
        counted(
            "  overdue",
            known(&found.lease_over),
            "their leases are over: the next sweep checks on them",
        ),
        counted("  held", looked.map(|claimed| claimed.held), "a worker has them"),
        counted(
            "  undelivered",
            looked.map(|claimed| claimed.undelivered),
            "sent five times or more, and never heard from",
        ),
        counted(
            "parked",
            known(&found.parked),
            &format!("wait for a person{parked}"),
        ),
    ];
    let newer = known(&found.newer);
    if newer.is_none_or(|newer| newer.rows > 0) {
        let meaning =
            "of these were written by a newer Daybook, and this one leaves them alone: use that release";
        lines.push(counted("newer", newer, meaning));
    }
    lines
}

/// What has not been recorded yet, on AWS. How old it is SQS does not say: only CloudWatch has that.
fn intake_line(found: &Found, location: &Location) -> Option<Line> {
    let messages = match (&found.intake, location) {
        (None, Location::Local { .. }) => return None,
        (Some(Ok(messages)), _) => messages.to_string(),
        _ => UNKNOWN.to_owned(),
    };
    let meaning = "messages wait for ingest, approximately; their age is a metric in CloudWatch, which IntakeBehindAlarm watches";
    Some(("intake", messages, meaning.to_owned()))
}

/// The dispatch queue; a folder has none to show while nothing runs.
fn queue_line(found: &Found, location: &Location) -> Option<Line> {
    let (depth, meaning) = match (&found.depth, location) {
        (Some(Ok(depth)), _) => (depth.to_string(), "messages in the dispatch queue, approximately"),
        (None, Location::Local { .. }) => return None,
        _ => (UNKNOWN.to_owned(), "messages in the dispatch queue"),
    };
    Some(("queue", depth, meaning.to_owned()))
}

/// The first row's times, or nothing when there is none.
fn tell(found: &Found, first: &FirstPart, past: &str, future: &str) -> String {
    let first = match first {
        Ok(Some(first)) => first,
        Ok(None) => return String::new(),
        Err(_) => return "; the oldest is unknown".to_owned(),
    };
    let words = if first.key.due_at <= found.now {
        past
    } else {
        future
    };
    let recorded = first
        .recorded_at
        .map(|at| format!(", recorded {}", time::relative(at, found.now)));
    format!(
        "{words} {}{}",
        time::at(first.key.due_at, found.now),
        recorded.unwrap_or_default()
    )
}

/// How long what waits needs at least, in words.
fn drain_words(found: &Found, location: &Location) -> String {
    let Some(waiting) = both(&found.due, &found.later) else {
        return UNKNOWN.to_owned();
    };
    if waiting.rows == 0 && waiting.exact {
        return "nothing waits to be sent".to_owned();
    }
    if location.only_collects() {
        return "never: `daybook up` runs without a target, and sends nothing".to_owned();
    }
    if location.is_stopped() {
        return "never: `daybook up` does not run, and nothing is sent".to_owned();
    }
    let paused = match &found.control {
        Ok(control) if control.pause(found.now).is_some() => ", once the pause is over",
        _ => "",
    };
    let at_least = if waiting.exact { "" } else { "at least " };
    match found.limits.drain(waiting, found.now) {
        Drain::ByBudget(time) => format!(
            "the backlog takes at least {} to be sent, at {} per window{paused}",
            time::span(time),
            found.rate.per_window.unwrap_or_default()
        ),
        Drain::ByRuns {
            time,
            per_second,
            is_least,
        } => {
            let (at_least, up_to) = match is_least {
                true => ("at least ", "up to "),
                false => (at_least, ""),
            };
            let time = time::span(time);
            let per_second = pace(per_second);
            format!(
                "the backlog takes {at_least}about {time}, at {up_to}{per_second} events per second, as the last runs went{paused}"
            )
        }
        Drain::Unmeasured if found.limits.takes_no_writes => {
            "unknown: nothing passes until the ledger takes writes again".to_owned()
        }
        Drain::Unmeasured if found.limits.outage.is_some() => {
            "unknown: nothing passes until the target takes events again".to_owned()
        }
        Drain::Unmeasured => "unknown: what limits has let nothing pass yet".to_owned(),
        Drain::Unknown => match found.rate.per_window {
            None => "unknown, because N is: set --per-window (DAYBOOK_PER_WINDOW)",
            Some(_) => "unknown, because the window's length is: set --every (DAYBOOK_EVERY)",
        }
        .to_owned(),
    }
}

/// Events per second, as exactly as they are known.
fn pace(per_second: f64) -> String {
    match per_second {
        few if few < 10.0 => format!("{few:.3}"),
        many => format!("{many:.0}"),
    }
}

/// What was done and failed lately: a line for each stretch, where it is known.
fn lately_lines(found: &Found, location: &Location) -> Vec<Line> {
    let activity = match location {
        Location::Aws { .. } => {
            let meaning = "the functions' metrics have what was done and failed (docs/functions.md)";
            return vec![("lately", UNKNOWN.to_owned(), meaning.to_owned())];
        }
        Location::Local { activity, .. } => activity,
    };
    let Some(activity) = activity else {
        let meaning = "no `daybook up` with a target has written yet what it did";
        return vec![("lately", UNKNOWN.to_owned(), meaning.to_owned())];
    };
    let line = |stretch: &Stretch| {
        let lately = activity.lately(found.now, *stretch);
        let at_least = if lately.is_exact { "" } else { "at least " };
        let put_off = match lately.ends.put_off {
            0 => String::new(),
            n => format!(", {n} put off"),
        };
        let mean = lately.ends.mean();
        let mean = mean.map(|mean| format!("a run took {} on average", limits::seconds(mean)));
        let since = lately
            .since
            .map(|since| format!("since {}", time::at(since, found.now)));
        let name = match stretch {
            Stretch::Minute => "last minute",
            Stretch::Hour => "last hour",
            Stretch::Day => "last day",
        };
        let said = format!(
            "{at_least}{} done, {} failed{put_off}",
            lately.ends.done, lately.ends.failed
        );
        let notes: Vec<String> = mean.into_iter().chain(since).collect();
        (name, said, notes.join("; "))
    };
    STRETCHES.iter().map(line).collect()
}

fn dispatch_lines(found: &Found) -> Vec<Line> {
    let Ok(control) = &found.control else {
        return vec![("dispatch", UNKNOWN.to_owned(), String::new())];
    };
    let dispatch = escape::escaped(&pause_words(control, found.now));
    let n = match (control.per_window, found.rate.per_window) {
        (None, Some(n)) => format!("N is {n} per window"),
        _ => escape::escaped(&per_window_words(control)),
    };
    let window = match control.window {
        Some(start) => {
            let length = std::time::Duration::from_millis(control.window_millis);
            format!(
                "{} granted in the newest window, from {}, {} long",
                control.granted,
                time::at(start, found.now),
                time::span(length)
            )
        }
        None => "nothing was ever granted".to_owned(),
    };
    vec![
        ("dispatch", dispatch, String::new()),
        ("budget", format!("{n}; {window}"), String::new()),
    ]
}
