//! How long what waits takes to be sent.

use std::time::Duration;

use daybook_ledger::Count;
use daybook_schema::Timestamp;

use crate::limits::{Limit, Observed};

/// A pace is that of ten seconds or more, and so says how many runs end in a second where a run is no longer than this.
const SHORT: Duration = Duration::from_secs(1);

/// Of a run that is no longer than this, the ledger's own writes may take longer than the target.
const TINY: Duration = Duration::from_millis(100);

/// How long it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drain {
    /// At least so long: N per window allows no more, and what else limits is not known.
    ByBudget(Duration),
    /// About so long, as the last runs went: so many events a second.
    ByRuns {
        /// How long.
        time: Duration,
        /// Events per second.
        per_second: f64,
        /// Whether it may take far longer: runs are so short that most of an event's time is not theirs, and no backlog stood lately
        /// that would show how much.
        is_least: bool,
    },
    /// Not known: what limits has let nothing pass yet, or lets nothing pass now.
    Unmeasured,
    /// Not known: N or its window is not.
    Unknown,
}

impl Observed {
    /// How many events end per second when the workers are busy all the time; fewer where fewer of a standing backlog ended lately. Where
    /// the target limits, as many as it took in the last minute. `None` where no run has ended, or the target takes nothing.
    pub fn per_second(&self, now: Timestamp) -> Option<f64> {
        let workers = self.workers?;
        if self.outage.is_some() || self.takes_no_writes {
            return None;
        }
        if self.limit(now) == Limit::Target {
            let ends = self.minute?;
            let ended = ends.done + ends.failed;
            return (ended > 0).then(|| ended as f64 / 60.0);
        }
        let mean = self.mean_run?.as_secs_f64().max(0.001);
        let by_workers = f64::from(workers.events_at_once()) / mean;
        Some(self.backlog_pace(now).unwrap_or(f64::MAX).min(by_workers))
    }

    /// The pace of a standing backlog where it says what the next events take: nothing else held them up, and runs are short.
    fn backlog_pace(&self, now: Timestamp) -> Option<f64> {
        let is_held_up = matches!(
            self.limit(now),
            Limit::Stopped | Limit::Ledger | Limit::Pause | Limit::Budget | Limit::Target
        );
        self.pace.filter(|_| !is_held_up && self.mean_run <= Some(SHORT))
    }

    /// How long so many rows take.
    pub fn drain(&self, waiting: Count, now: Timestamp) -> Drain {
        let by_budget = self.rate.drain(waiting);
        let limit = self.limit(now);
        let is_least =
            limit != Limit::Target && self.mean_run <= Some(TINY) && self.backlog_pace(now).is_none();
        let by_runs = self.per_second(now).map(|per_second| {
            let seconds = (waiting.rows as f64 / per_second).min(1e12);
            (Duration::from_secs_f64(seconds.ceil()), per_second)
        });
        match (limit, by_runs, by_budget) {
            (Limit::Ledger | Limit::Workers | Limit::InFlightCap | Limit::Target, None, _) => {
                Drain::Unmeasured
            }
            (_, Some((time, per_second)), by_budget) if by_budget.is_none_or(|least| least < time) => {
                Drain::ByRuns {
                    time,
                    per_second,
                    is_least,
                }
            }
            (_, _, Some(time)) => Drain::ByBudget(time),
            (_, _, None) => Drain::Unknown,
        }
    }
}

impl Drain {
    /// The time, where it is known.
    pub fn time(self) -> Option<Duration> {
        match self {
            Self::ByBudget(time) | Self::ByRuns { time, .. } => Some(time),
            Self::Unmeasured | Self::Unknown => None,
        }
    }
}
