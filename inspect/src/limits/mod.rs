//! What keeps events that are due from being sent faster: what was observed, and what follows from it.

pub mod drain;
pub mod observe;
#[cfg(test)]
mod tests;

use std::time::Duration;

use daybook_ledger::{Control, Count};
use daybook_schema::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::activity::slots::Ends;
use crate::parts::Workers;
use crate::rate::Rate;
use crate::wording::{text, time};

/// Busy workers that no run ends for are worth a word after so long.
const HANGS_AFTER: Duration = Duration::from_secs(300);

/// What was observed, as far as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed {
    /// Pending rows that are due.
    pub due: Option<Count>,
    /// Pending rows that are due later, where they were counted.
    pub later: Option<Count>,
    /// Claimed rows.
    pub claimed: Option<Count>,
    /// N and its window.
    pub rate: Rate,
    /// The newest window in which anything was granted, and how much.
    pub granted: Option<(Timestamp, u32)>,
    /// Whether no process sends anything.
    pub is_stopped: bool,
    /// Whether the ledger takes no writes: then no event is sent, and no end of a run recorded.
    pub takes_no_writes: bool,
    /// Whether dispatch is paused.
    pub is_paused: bool,
    /// How many events may be in flight.
    pub cap: Option<u32>,
    /// What works on events, where that is one process of this machine.
    pub workers: Option<Workers>,
    /// What ended in it in the last minute.
    pub minute: Option<Ends>,
    /// Since when its target has put off all that it was given.
    pub outage: Option<Timestamp>,
    /// When the youngest of the runs that are under way in it began.
    pub youngest_run: Option<Timestamp>,
    /// How long a run takes on average.
    pub mean_run: Option<Duration>,
    /// How many events ended per second in the last minute, as far as rows were due in all of it.
    pub pace: Option<f64>,
}

/// What limits, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Nothing that is due waits, and nothing waits for a target that is down.
    Nothing,
    /// No process sends anything: the `daybook up` of a folder does not run, or has no target.
    Stopped,
    /// The ledger takes no writes.
    Ledger,
    /// Dispatch is paused.
    Pause,
    /// N of the newest window is granted.
    Budget,
    /// As many events are in flight as may be.
    InFlightCap,
    /// Each worker is busy.
    Workers,
    /// The target puts off more than it works on.
    Target,
    /// Not known.
    Unknown,
}

impl Observed {
    /// With what the control item says.
    pub fn with_control(self, control: Option<&Control>, now: Timestamp) -> Self {
        let granted = control.and_then(|control| Some((control.window?, control.granted)));
        let is_paused = control.is_some_and(|control| control.pause(now).is_some());
        Self {
            granted,
            is_paused,
            ..self
        }
    }

    /// What limits now.
    pub fn limit(&self, now: Timestamp) -> Limit {
        let Some(due) = self.due else {
            return Limit::Unknown;
        };
        let none_is_due = due.rows == 0 && due.exact;
        let puts_off_most = |ends: Ends| ends.put_off > ends.done + ends.failed;
        let puts_off = self.outage.is_some() || self.minute.is_some_and(puts_off_most);
        // What a target puts off is due later, again and again.
        let waits_for_target = puts_off && self.later.is_some_and(|later| later.rows > 0);
        if none_is_due && !waits_for_target {
            return Limit::Nothing;
        }
        if self.is_stopped {
            return Limit::Stopped;
        }
        if self.takes_no_writes {
            return Limit::Ledger;
        }
        if self.is_paused {
            return Limit::Pause;
        }
        if puts_off {
            return Limit::Target;
        }
        if self.budget_is_spent(now) {
            return Limit::Budget;
        }
        let at_once = self.workers.map(Workers::events_at_once);
        let reached = |most: u32| {
            self.claimed
                .is_some_and(|claimed| claimed.rows >= u64::from(most))
        };
        // A cap that leaves room for all workers is full because they are busy.
        let runs = self
            .workers
            .map(|workers| workers.at_once.saturating_mul(workers.batch));
        match (self.cap, at_once) {
            (Some(cap), _) if reached(cap) && runs.is_none_or(|runs| cap < runs) => Limit::InFlightCap,
            (_, Some(at_once)) if reached(at_once) => Limit::Workers,
            _ => Limit::Unknown,
        }
    }

    /// Whether the newest window is this one, or the one before, and has no N left.
    fn budget_is_spent(&self, now: Timestamp) -> bool {
        let (Some(n), Some(window), Some((start, granted))) =
            (self.rate.per_window, self.rate.window, self.granted)
        else {
            return false;
        };
        granted >= n && now.since(start) < window.saturating_mul(2)
    }

    /// For how long no run has begun or ended although all workers are busy, if that is ten times as long as a run takes, and 5 minutes.
    pub fn hangs_for(&self, now: Timestamp) -> Option<Duration> {
        if self.limit(now) != Limit::Workers {
            return None;
        }
        let silent = now.since(self.youngest_run?);
        let usual = self.mean_run.unwrap_or_default().saturating_mul(10);
        (silent > usual.max(HANGS_AFTER)).then_some(silent)
    }

    /// Limit and figures in words, as a sentence's beginning without its end.
    pub fn words(&self, now: Timestamp) -> String {
        let n = self.rate.per_window.unwrap_or(0);
        match self.limit(now) {
            Limit::Nothing => "nothing: no event that is due waits".to_owned(),
            Limit::Stopped => "that nothing runs: no `daybook up` with a target".to_owned(),
            Limit::Ledger => "the ledger: it takes no writes".to_owned(),
            Limit::Pause => "the pause".to_owned(),
            Limit::Budget => format!("the budget: all of N ({n}) is granted in the newest window"),
            Limit::InFlightCap => {
                let cap = self.cap.unwrap_or(0);
                format!("the in-flight cap: {cap} events are in flight, and no more may be")
            }
            Limit::Workers => format!("the workers: {}{}", self.busy(), self.pace()),
            Limit::Target => format!("the target: {}", self.target(now)),
            Limit::Unknown => format!("unknown{}", self.why_unknown()),
        }
    }

    /// What the target does while it limits.
    fn target(&self, now: Timestamp) -> String {
        let ends = self.minute.unwrap_or_default();
        match self.outage {
            Some(since) => format!(
                "it has put off every event since {}; it cannot be reached, or says later",
                time::at(since, now)
            ),
            None => format!(
                "in the last minute it put events off {}, and {} ended",
                text::many(ends.put_off, "time"),
                ends.done + ends.failed
            ),
        }
    }

    /// That all workers are busy.
    pub fn busy(&self) -> String {
        match self.workers {
            None => "all are busy".to_owned(),
            Some(Workers { at_once: 1, .. }) => "the only one is busy".to_owned(),
            Some(workers) => format!("all {} are busy", workers.at_once),
        }
    }

    /// How long a run takes, where that is known.
    fn pace(&self) -> String {
        match self.mean_run {
            None => ", and no run has ended yet".to_owned(),
            Some(mean) => format!(", and a run takes {} on average", seconds(mean)),
        }
    }

    fn why_unknown(&self) -> &'static str {
        match (self.due, self.rate.per_window, self.workers) {
            (None, _, _) => ": the rows that are due could not be counted",
            (_, None, _) => ": N is not known (--per-window, DAYBOOK_PER_WINDOW)",
            (_, _, Some(_)) => ": neither N nor the workers are used up",
            (_, _, None) => ": N is not used up, and how busy the target is cannot be seen from here",
        }
    }
}

/// `0.25 s`, `12 s`, `3m 20s`: a length as exactly as it is worth.
pub fn seconds(length: Duration) -> String {
    match length.as_secs_f64() {
        short if short < 10.0 => format!("{short:.2} s"),
        short if short < 120.0 => format!("{short:.0} s"),
        _ => time::span(Duration::from_secs(length.as_secs())),
    }
}
