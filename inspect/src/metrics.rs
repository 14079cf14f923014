//! What Prometheus scrapes (text exposition format 0.0.4): one text for the console and for the port of `daybook up`.
//!
//! What is not known is left out, so that a graph has a gap there and no zero.

use std::fmt::Write;

use daybook_ledger::{Control, Count};

use crate::activity::slots::Ends;
use crate::parts::LocalFolder;
use crate::status::observe::{Found, Part, both};

/// The text's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a process that records and works on events has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Events and unreadable parts that became rows.
    pub recorded: u64,
    /// Of these the unreadable parts.
    pub unreadable: u64,
    /// Events that were in the ledger already, or done.
    pub known: u64,
    /// Events that the ledger did not certainly take.
    pub refused: u64,
    /// How runs ended.
    pub ends: Ends,
}

/// Where a deployment stands.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// What was found out.
    pub found: &'a Found,
    /// The folder that it is in, if it is in one.
    pub folder: Option<LocalFolder<'a>>,
}

/// By status; the status is empty where there is one value.
type Values = Vec<(&'static str, f64)>;

type OfSeen = for<'a, 'b> fn(&'a Seen<'b>) -> Values;

type OfCounted = fn(&Counted) -> Values;

struct Metric<F> {
    name: &'static str,
    help: &'static str,
    values: F,
}

const fn gauge(name: &'static str, help: &'static str, values: OfSeen) -> Metric<OfSeen> {
    Metric { name, help, values }
}

const fn counter(name: &'static str, help: &'static str, values: OfCounted) -> Metric<OfCounted> {
    Metric { name, help, values }
}

const STATUSES: [&str; 3] = ["pending", "claimed", "parked"];

const GAUGES: [Metric<OfSeen>; 15] = [
    gauge(
        "daybook_open_events",
        "Events in the ledger by status; at least so many where daybook_open_events_exact is 0.",
        |seen| by_status(counts(seen).map(|count| count.map(|count| count.rows as f64))),
    ),
    gauge(
        "daybook_open_events_exact",
        "Whether daybook_open_events counts all.",
        |seen| by_status(counts(seen).map(|count| count.map(|count| f64::from(count.exact)))),
    ),
    gauge(
        "daybook_oldest_event_age_seconds",
        "Age of the event that comes first in its status; 0 where there is none.",
        |seen| by_status(ages(seen)),
    ),
    gauge("daybook_due_events", "Pending events that are due.", |seen| {
        rows(&seen.found.due)
    }),
    gauge(
        "daybook_lease_over_events",
        "Claimed events whose leases are over.",
        |seen| rows(&seen.found.lease_over),
    ),
    gauge(
        "daybook_undelivered_events",
        "Events that were sent five times or more and that nothing took, of the 300 whose leases end first.",
        |seen| {
            let claimed = seen.found.claimed.as_ref().ok();
            one(claimed.map(|claimed| claimed.undelivered.rows as f64))
        },
    ),
    gauge("daybook_dispatch_paused", "Whether dispatch is paused.", |seen| {
        one(control(seen).map(|control| f64::from(control.pause(seen.found.now).is_some())))
    }),
    gauge(
        "daybook_window_granted_events",
        "Events granted in the newest window in which any were.",
        |seen| {
            let granted = |control: &Control| control.window.map(|_| f64::from(control.granted));
            one(control(seen).and_then(granted))
        },
    ),
    gauge(
        "daybook_window_start_timestamp_seconds",
        "When the newest window began in which events were granted.",
        |seen| {
            let start = control(seen).and_then(|control| control.window);
            one(start.map(|start| start.unix_millis() as f64 / 1000.0))
        },
    ),
    gauge(
        "daybook_window_limit_events",
        "N: how many events may be granted in a window.",
        |seen| one(seen.found.rate.per_window.map(f64::from)),
    ),
    gauge("daybook_window_seconds", "Length of a window.", |seen| {
        one(seen.found.rate.window.map(|window| window.as_secs_f64()))
    }),
    gauge(
        "daybook_dispatch_queue_messages",
        "Messages in the dispatch queue, about.",
        |seen| {
            let depth = seen.found.depth.as_ref().and_then(|depth| depth.as_ref().ok());
            one(depth.map(|depth| *depth as f64))
        },
    ),
    gauge(
        "daybook_running_executions",
        "Executions of the state machine that run, counted up to 10,000.",
        |seen| {
            let running = seen.found.running.as_ref();
            let running = running.and_then(|running| running.as_ref().ok());
            one(running.map(|running| running.rows as f64))
        },
    ),
    gauge(
        "daybook_drain_seconds",
        "How long sending what waits takes.",
        |seen| one(seen.found.drain_seconds(seen.folder)),
    ),
    gauge(
        "daybook_status_failures",
        "Parts of the deployment that did not answer.",
        |seen| one(Some(seen.found.failures().len() as f64)),
    ),
];

const COUNTERS: [Metric<OfCounted>; 8] = [
    counter(
        "daybook_events_recorded_total",
        "Events and unreadable parts that became rows.",
        |counted| count(counted.recorded),
    ),
    counter(
        "daybook_events_known_total",
        "Events that were in the ledger already, or done.",
        |counted| count(counted.known),
    ),
    counter(
        "daybook_events_unreadable_total",
        "Parts of notifications that could not be read and are parked.",
        |counted| count(counted.unreadable),
    ),
    counter(
        "daybook_events_refused_total",
        "Events that the ledger did not certainly take.",
        |counted| count(counted.refused),
    ),
    counter(
        "daybook_events_completed_total",
        "Events that workers completed.",
        |counted| count(counted.ends.done),
    ),
    counter(
        "daybook_attempts_failed_total",
        "Attempts that failed.",
        |counted| count(counted.ends.failed),
    ),
    counter(
        "daybook_events_put_off_total",
        "Events that the target put off.",
        |counted| count(counted.ends.put_off),
    ),
    counter(
        "daybook_run_seconds_total",
        "How long runs took together, each event of a batch as long as its batch.",
        |counted| one(Some(counted.ends.millis as f64 / 1000.0)),
    ),
];

/// The names of all metrics.
pub fn names() -> impl Iterator<Item = &'static str> {
    let gauges = GAUGES.iter().map(|metric| metric.name);
    gauges.chain(COUNTERS.iter().map(|metric| metric.name))
}

/// Where a deployment stands, as text.
pub fn gauges(seen: &Seen<'_>) -> String {
    let text = |metric: &Metric<OfSeen>| text(metric.name, metric.help, "gauge", (metric.values)(seen));
    GAUGES.iter().map(text).collect()
}

/// What a process has counted, as text.
pub fn counters(counted: &Counted) -> String {
    let text =
        |metric: &Metric<OfCounted>| text(metric.name, metric.help, "counter", (metric.values)(counted));
    COUNTERS.iter().map(text).collect()
}

fn text(name: &str, help: &str, kind: &str, values: Values) -> String {
    if values.is_empty() {
        return String::new();
    }
    let mut text = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (status, value) in values {
        // Writing into memory cannot fail.
        let _ = match status {
            "" => writeln!(text, "{name} {value}"),
            status => writeln!(text, "{name}{{status=\"{status}\"}} {value}"),
        };
    }
    text
}

fn one(value: Option<f64>) -> Values {
    value.map(|value| ("", value)).into_iter().collect()
}

fn count(value: u64) -> Values {
    one(Some(value as f64))
}

fn rows(count: &Part<Count>) -> Values {
    one(count.as_ref().ok().map(|count| count.rows as f64))
}

fn by_status(values: [Option<f64>; 3]) -> Values {
    let values = STATUSES.into_iter().zip(values);
    values
        .filter_map(|(status, value)| Some((status, value?)))
        .collect()
}

fn counts(seen: &Seen<'_>) -> [Option<Count>; 3] {
    let found = seen.found;
    [
        both(&found.due, &found.later),
        both(&found.within_lease, &found.lease_over),
        found.parked.as_ref().ok().copied(),
    ]
}

fn ages(seen: &Seen<'_>) -> [Option<f64>; 3] {
    seen.found.first.each_ref().map(|first| {
        let first = first.as_ref().ok()?;
        let since = first.map(|first| first.recorded_at.unwrap_or(first.key.due_at));
        Some(since.map_or(0.0, |at| seen.found.now.since(at).as_secs_f64()))
    })
}

fn control<'a>(seen: &Seen<'a>) -> Option<&'a Control> {
    seen.found.control.as_ref().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use daybook_schema::SourceName;
    use daybook_tests::stage::Stage;
    use serde_json::Value;

    use super::*;
    use crate::parts::Parts;
    use crate::rate::Rate;
    use crate::status::observe::gather;

    /// Words of a text that look like names of metrics.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        words.filter(|word| word.starts_with("daybook_"))
    }

    fn strings(json: &Value, found: &mut Vec<String>) {
        match json {
            Value::String(text) => found.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| strings(value, found)),
            Value::Object(fields) => fields.values().for_each(|value| strings(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_dashboard_asks_for_nothing_that_is_not_there() {
        let dashboard = include_str!("../../deploy/grafana/daybook.json");
        let mut texts = Vec::new();
        strings(&serde_json::from_str(dashboard).unwrap(), &mut texts);
        let asked: BTreeSet<&str> = texts.iter().flat_map(|text| named(text)).collect();
        let names: BTreeSet<&str> = names().collect();
        let unknown: Vec<&&str> = asked.difference(&names).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert!(asked.len() > 10, "{asked:?}");
        // What tells of trouble is on it.
        for name in ["daybook_dispatch_paused", "daybook_oldest_event_age_seconds"] {
            assert!(asked.contains(name), "{name}");
        }
    }

    #[test]
    fn the_documentation_lists_every_metric_and_no_other() {
        let docs = include_str!("../../docs/console.md");
        let table = docs.lines().filter(|line| line.starts_with("| `daybook_"));
        let listed: BTreeSet<&str> = table.flat_map(|line| named(line).take(1)).collect();
        assert_eq!(listed, names().collect());
    }

    #[test]
    fn names_are_by_convention() {
        let mut all = BTreeSet::new();
        for name in names() {
            assert!(all.insert(name), "{name} is there twice");
        }
        assert!(COUNTERS.iter().all(|metric| metric.name.ends_with("_total")));
        assert!(GAUGES.iter().all(|metric| !metric.name.ends_with("_total")));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_known_is_left_out_and_an_empty_ledger_has_zeros() {
        let stage = Stage::usual().await;
        let parts = Parts {
            ledger: &stage.ledger,
            queue: None,
            executions: None,
            source: SourceName::default(),
            folder: None,
        };
        let found = gather(&parts, Some(250), Rate::default(), Rate::default()).await;
        let text = gauges(&Seen {
            found: &found,
            folder: None,
        });
        for line in [
            "# TYPE daybook_open_events gauge",
            "daybook_open_events{status=\"parked\"} 0",
            "daybook_oldest_event_age_seconds{status=\"pending\"} 0",
            "daybook_dispatch_paused 0",
            "daybook_status_failures 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
        assert!(!text.contains("daybook_dispatch_queue_messages"), "{text}");
        assert!(!text.contains("daybook_window_limit_events"), "{text}");
        let counted = Counted {
            ends: Ends {
                done: 3,
                millis: 1500,
                ..Ends::default()
            },
            ..Counted::default()
        };
        let text = counters(&counted);
        assert!(
            text.contains(
                "# TYPE daybook_events_completed_total counter\ndaybook_events_completed_total 3\n"
            )
        );
        assert!(text.contains("daybook_run_seconds_total 1.5\n"), "{text}");
    }
}
