//! `daybook status` for programs.

use daybook_ledger::Count;
use serde_json::{Value, json};

use crate::aws::failure::Failure;
use crate::commands::inspect::status::observe::{FirstPart, Found, Part, both};
use crate::deployment::{Deployment, Place};
use crate::ui::dispatch::dispatch_json;

impl Found {
    pub(super) fn json(&self, deployment: &Deployment, failures: &[Failure]) -> Value {
        let rows = |count: &Part<Count>| count.as_ref().ok().map(|count| count.rows);
        let exact = |count: &Part<Count>| count.as_ref().ok().map(|count| count.exact);
        let whole = |count: Option<Count>, first: &FirstPart, parts: Value| {
            let mut whole = json!({
                "rows": count.map(|count| count.rows),
                "exact": count.map(|count| count.exact),
                "first": first.as_ref().ok().copied().flatten().map(|first| json!({
                    "id": first.key.id, "due_at": first.key.due_at, "recorded_at": first.recorded_at,
                })),
            });
            if let (Value::Object(whole), Value::Object(parts)) = (&mut whole, parts) {
                whole.extend(parts);
            }
            whole
        };
        let [pending, claimed, parked] = &self.first;
        let looked = self.claimed.as_ref().ok();
        let running = self.running.as_ref().and_then(|running| running.as_ref().ok());
        let local = match &deployment.place {
            Place::Aws { .. } => Value::Null,
            Place::Local { dir, running, .. } => json!({
                "folder": dir.display().to_string(),
                "running": running.is_some(),
                "pid": running.as_ref().map(|running| running.pid),
                "url": running.as_ref().map(|running| &running.url),
            }),
        };
        json!({
            "where": deployment.place.to_string(),
            "pending": whole(
                both(&self.due, &self.later),
                pending,
                json!({
                    "due": rows(&self.due),
                    "due_exact": exact(&self.due),
                    "later": rows(&self.later),
                    "later_exact": exact(&self.later),
                }),
            ),
            "claimed": whole(
                both(&self.within_lease, &self.lease_over),
                claimed,
                json!({
                    "within_lease": rows(&self.within_lease),
                    "within_lease_exact": exact(&self.within_lease),
                    "lease_over": rows(&self.lease_over),
                    "lease_over_exact": exact(&self.lease_over),
                    "held": looked.map(|claimed| claimed.held.rows),
                    "held_exact": looked.map(|claimed| claimed.held.exact),
                    "undelivered": looked.map(|claimed| claimed.undelivered.rows),
                    "undelivered_exact": looked.map(|claimed| claimed.undelivered.exact),
                }),
            ),
            "parked": whole(self.parked.as_ref().ok().copied(), parked, json!({})),
            "newer": self.newer.as_ref().ok().map(|newer| json!({"rows": newer.rows, "exact": newer.exact})),
            "queue_depth": self.depth.as_ref().and_then(|depth| depth.as_ref().ok()),
            "running_executions": running.map(|running| json!({"rows": running.rows, "exact": running.exact})),
            "drain": self.drain_json(),
            "dispatch": self.control.as_ref().ok().map(|control| dispatch_json(control, self.now)),
            "local": local,
            "failures": failures,
        })
    }

    /// How long what waits needs at least.
    fn drain_json(&self) -> Value {
        let waiting = both(&self.due, &self.later);
        let Some((waiting, time)) = waiting.and_then(|waiting| Some((waiting, self.rate.drain(waiting)?)))
        else {
            return Value::Null;
        };
        json!({
            "per_window": self.rate.per_window,
            "window_seconds": self.rate.window.map(|window| window.as_secs_f64()),
            "seconds": time.as_secs_f64(),
            "exact": waiting.exact,
        })
    }
}
