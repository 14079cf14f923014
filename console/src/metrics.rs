//! `GET /metrics`: the text that Prometheus scrapes (exposition format 0.0.4).

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use daybook_schema::Timestamp;
use serde_json::Value;

use crate::snapshot::Snapshot;
use crate::source::Counter;
use crate::state;

/// What the answer is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of the newest snapshot.
pub async fn page(State(state): State<Arc<state::State>>) -> Response {
    match state.snapshots.status().await {
        Ok(snapshot) => {
            let text = text(&snapshot, &state.source.counters());
            ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response(),
    }
}

/// The metrics of that snapshot, and what the process counts. What is not known is left out.
pub fn text(snapshot: &Snapshot, counters: &[Counter]) -> String {
    let status = &snapshot.status;
    let mut text = Text::default();
    text.of_statuses(
        "daybook_open_events",
        "Events in the ledger by status; at least so many where daybook_open_events_exact is 0.",
        |word| status[word]["rows"].as_f64(),
    );
    text.of_statuses(
        "daybook_open_events_exact",
        "Whether daybook_open_events counts all.",
        |word| status[word]["exact"].as_bool().map(f64::from),
    );
    text.of_statuses(
        "daybook_oldest_event_age_seconds",
        "Age of the event that comes first in its status; 0 where there is none.",
        |word| age(&status[word], snapshot.at),
    );
    for (name, help, value) in gauges(status) {
        text.one(name, help, "gauge", value);
    }
    for counter in counters {
        text.one(counter.name, counter.help, "counter", Some(counter.value as f64));
    }
    text.0
}

/// What has one value: its name, its meaning, and the value where it is known.
fn gauges(status: &Value) -> [(&'static str, &'static str, Option<f64>); 8] {
    [
        (
            "daybook_due_events",
            "Pending events that are due.",
            status["pending"]["due"].as_f64(),
        ),
        (
            "daybook_lease_over_events",
            "Claimed events whose leases are over.",
            status["claimed"]["lease_over"].as_f64(),
        ),
        (
            "daybook_undelivered_events",
            "Events that were sent five times or more and that nothing took.",
            status["claimed"]["undelivered"].as_f64(),
        ),
        (
            "daybook_dispatch_paused",
            "Whether dispatch is paused.",
            status["dispatch"]
                .as_object()
                .map(|dispatch| f64::from(!dispatch["paused"].is_null())),
        ),
        (
            "daybook_window_granted_events",
            "Events granted in the newest window.",
            status["dispatch"]["window"]["granted"].as_f64(),
        ),
        (
            "daybook_dispatch_queue_messages",
            "Messages in the dispatch queue.",
            status["queue_depth"].as_f64(),
        ),
        (
            "daybook_drain_seconds",
            "How long sending what waits takes.",
            status["drain"]["seconds"].as_f64(),
        ),
        (
            "daybook_status_failures",
            "Parts of the deployment that did not answer.",
            status["failures"]
                .as_array()
                .map(|failures| failures.len() as f64),
        ),
    ]
}

fn age(standing: &Value, now: Timestamp) -> Option<f64> {
    standing["rows"].as_u64()?;
    let first = &standing["first"];
    let at = first["recorded_at"].as_str().or_else(|| first["due_at"].as_str());
    match at {
        Some(at) => Some(now.since(at.parse().ok()?).as_secs_f64()),
        None => Some(0.0),
    }
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn one(&mut self, name: &str, help: &str, kind: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.head(name, help, kind);
            let _ = writeln!(self.0, "{name} {value}");
        }
    }

    fn of_statuses(&mut self, name: &str, help: &str, value: impl Fn(&str) -> Option<f64>) {
        let words = ["pending", "claimed", "parked"];
        let known: Vec<(&str, f64)> = words
            .iter()
            .filter_map(|word| Some((*word, value(word)?)))
            .collect();
        if known.is_empty() {
            return;
        }
        self.head(name, help, "gauge");
        for (word, value) in known {
            let _ = writeln!(self.0, "{name}{{status=\"{word}\"}} {value}");
        }
    }
}
