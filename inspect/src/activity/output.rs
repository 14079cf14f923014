//! The same for programs.

use daybook_schema::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::activity::{Activity, Lately, Stretch};

/// What was done and failed lately.
#[derive(Serialize, JsonSchema)]
pub struct ActivityOutput {
    /// In the last 60 seconds.
    minute: LatelyOutput,
    /// In the last 60 minutes.
    hour: LatelyOutput,
    /// In the last 24 hours.
    day: LatelyOutput,
    /// When a run ended last.
    last_end: Option<Timestamp>,
}

/// What ended in a stretch of time.
#[derive(Serialize, JsonSchema)]
struct LatelyOutput {
    /// Events that workers completed.
    done: u64,
    /// Attempts that failed.
    failed: u64,
    /// Events that the target put off.
    put_off: u64,
    /// How long a run took on average; null where none ended.
    mean_seconds: Option<f64>,
    /// Whether these are all; otherwise there were at least so many.
    exact: bool,
    /// Since when they are counted, where that is later than the beginning of the stretch.
    since: Option<Timestamp>,
}

impl From<Lately> for LatelyOutput {
    fn from(lately: Lately) -> Self {
        Self {
            done: lately.ends.done,
            failed: lately.ends.failed,
            put_off: lately.ends.put_off,
            mean_seconds: lately.ends.mean().map(|mean| mean.as_secs_f64()),
            exact: lately.is_exact,
            since: lately.since,
        }
    }
}

impl ActivityOutput {
    /// As it is now.
    pub fn of(activity: &Activity, now: Timestamp) -> Self {
        let lately = |stretch| activity.lately(now, stretch).into();
        Self {
            minute: lately(Stretch::Minute),
            hour: lately(Stretch::Hour),
            day: lately(Stretch::Day),
            last_end: activity.last_end,
        }
    }
}
