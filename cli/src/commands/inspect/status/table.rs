//! `daybook status` for people.

use daybook_ledger::Count;

use crate::commands::inspect::status::observe::{FirstPart, Found, both};
use crate::deployment::{Deployment, Place};
use crate::ui::dispatch::{pause_words, per_window_words};
use crate::ui::{text, time};

type Line = (&'static str, String, String);

const UNKNOWN: &str = "unknown";

impl Found {
    pub(super) fn lines(&self, deployment: &Deployment) -> Vec<Line> {
        let mut lines: Vec<Line> = vec![("where", deployment.place.to_string(), String::new())];
        let mut count = |what, count: Option<Count>, meaning: String| {
            lines.push((
                what,
                count.map_or_else(|| UNKNOWN.to_owned(), text::count),
                meaning,
            ));
        };
        let [pending, claimed, parked] = &self.first;
        let pending_first = self.tell(pending, "; the oldest is due since", "; the next is due");
        count(
            "pending",
            both(&self.due, &self.later),
            format!("wait to be sent{pending_first}"),
        );
        count("  due", self.due.as_ref().ok().copied(), "now".to_owned());
        count(
            "  later",
            self.later.as_ref().ok().copied(),
            "not before their time: a retry waits longer each time".to_owned(),
        );
        let claimed_first = self.tell(claimed, "; the first lease ended", "; the first lease ends");
        count(
            "claimed",
            both(&self.within_lease, &self.lease_over),
            format!("were sent, and are queued or processed{claimed_first}"),
        );
        count(
            "  in time",
            self.within_lease.as_ref().ok().copied(),
            "within their leases".to_owned(),
        );
        count(
            "  overdue",
            self.lease_over.as_ref().ok().copied(),
            "their leases are over: the next sweep looks after them".to_owned(),
        );
        let looked = self.claimed.as_ref().ok();
        count(
            "  held",
            looked.map(|claimed| claimed.held),
            "a worker has them".to_owned(),
        );
        count(
            "  undelivered",
            looked.map(|claimed| claimed.undelivered),
            "sent five times or more, and nothing was heard of them".to_owned(),
        );
        let parked_first = self.tell(parked, "; the oldest since", "; the first from");
        count(
            "parked",
            self.parked.as_ref().ok().copied(),
            format!("wait for a person{parked_first}"),
        );
        let newer = self.newer.as_ref().ok().copied();
        if newer.is_none_or(|newer| newer.rows > 0) {
            count(
                "newer",
                newer,
                "of all these a newer Daybook wrote, and this one leaves them alone: use that release"
                    .to_owned(),
            );
        }
        match (&self.depth, &deployment.place) {
            (Some(Ok(depth)), _) => lines.push((
                "queue",
                depth.to_string(),
                "messages in the dispatch queue, as SQS counts: about".to_owned(),
            )),
            (None, Place::Local { .. }) => {}
            _ => lines.push((
                "queue",
                UNKNOWN.to_owned(),
                "messages in the dispatch queue".to_owned(),
            )),
        }
        if let Some(running) = &self.running {
            lines.push((
                "running",
                running
                    .as_ref()
                    .map_or_else(|_| UNKNOWN.to_owned(), |running| text::count(*running)),
                "executions of the state machine".to_owned(),
            ));
        }
        lines.extend(self.dispatch_lines());
        lines.push(("drain", self.drain_words(), String::new()));
        if let Place::Local { running, .. } = &deployment.place {
            let says = match running {
                Some(running) => format!("runs: process {}, at {}", running.pid, running.url),
                None => "does not run: nothing moves until it is started".to_owned(),
            };
            lines.push(("daybook up", says, String::new()));
        }
        lines
    }

    /// The first row's times, or nothing when there is none.
    fn tell(&self, first: &FirstPart, past: &str, future: &str) -> String {
        let first = match first {
            Ok(Some(first)) => first,
            Ok(None) => return String::new(),
            Err(_) => return "; the oldest is unknown".to_owned(),
        };
        let words = if first.key.due_at <= self.now {
            past
        } else {
            future
        };
        let recorded = first
            .recorded_at
            .map(|at| format!(", recorded {}", time::relative(at, self.now)));
        format!(
            "{words} {}{}",
            time::at(first.key.due_at, self.now),
            recorded.unwrap_or_default()
        )
    }

    /// How long what waits needs at least, in words.
    fn drain_words(&self) -> String {
        let Some(waiting) = both(&self.due, &self.later) else {
            return UNKNOWN.to_owned();
        };
        if waiting.rows == 0 && waiting.exact {
            return "nothing waits to be sent".to_owned();
        }
        let Some(time) = self.rate.drain(waiting) else {
            return match self.rate.per_window {
                None => "unknown, because N is: --per-window (DAYBOOK_PER_WINDOW) says it",
                Some(_) => "unknown, because the window's length is: --every (DAYBOOK_EVERY) says it",
            }
            .to_owned();
        };
        let paused = match &self.control {
            Ok(control) if control.pause(self.now).is_some() => ", once the pause is over",
            _ => "",
        };
        let n = self
            .rate
            .per_window
            .map(|n| format!("{n} per window"))
            .unwrap_or_default();
        format!(
            "what waits takes at least {} to be sent, at {n}{paused}",
            humantime::format_duration(time)
        )
    }

    fn dispatch_lines(&self) -> Vec<Line> {
        let Ok(control) = &self.control else {
            return vec![("dispatch", UNKNOWN.to_owned(), String::new())];
        };
        let dispatch = pause_words(control, self.now);
        let n = match (control.per_window, self.rate.per_window) {
            (None, Some(n)) => format!("N is {n} per window"),
            _ => per_window_words(control),
        };
        let window = match control.window {
            Some(start) => {
                let length = std::time::Duration::from_millis(control.window_millis);
                format!(
                    "{} granted in the newest window, from {}, {} long",
                    control.granted,
                    time::at(start, self.now),
                    humantime::format_duration(length)
                )
            }
            None => "nothing was ever granted".to_owned(),
        };
        vec![
            ("dispatch", dispatch, String::new()),
            ("budget", format!("{n}; {window}"), String::new()),
        ]
    }
}
