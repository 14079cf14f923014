//! What an operator chooses about dispatch.

use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_schema::{MOST_OF_A_BATCH, Timestamp};

/// How events are dispatched: one deployment, one target, one N.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// N: how many messages may be sent per window, redeliveries included.
    pub per_window: u32,
    /// The window's length.
    pub window: Duration,
    /// How many rows may be CLAIMED before the scheduler stops; counted in an eventually consistent index, so N more may be.
    pub max_in_flight: Option<u32>,
    /// How long a claimed row is left alone; longer than an execution usually takes, waiting in the queue included.
    pub lease: Duration,
    /// After how many failed attempts an event is parked.
    pub max_attempts: u32,
    /// How failed attempts are spaced.
    pub retry: RetryPolicy,
    /// When events that arrive are dispatched.
    pub start: Start,
    /// How events are put together; without it each has an execution of its own.
    pub batching: Option<Batching>,
}

/// How events are put together into batches: one execution, one command or one request for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// How many at most, from 2 to 100.
    pub size: u32,
    /// How long the oldest event that is due may wait for company. Zero: whatever is due goes together.
    pub window: Duration,
}

impl Batching {
    /// These settings; none for a size of 1.
    ///
    /// # Errors
    /// When the size is not from 1 to 100, or a window is set without batches.
    pub fn of(size: u32, window: Duration) -> Result<Option<Self>, InvalidSetting> {
        match size {
            1 if window.is_zero() => Ok(None),
            1 => Err(InvalidSetting::new(
                "batch-window",
                format!("{} s", window.as_secs_f64()),
                "0 where batch-size is 1: nothing waits for company then",
            )),
            2..=MOST_OF_A_BATCH => Ok(Some(Self { size, window })),
            _ => Err(InvalidSetting::new("batch-size", size, "from 1 to 100")),
        }
    }

    /// How many of the oldest rows that are due go now: full batches, and the rest as well if one of it has waited long enough. `due`
    /// are their times, the oldest first, and all of them.
    pub fn ready(&self, due: impl ExactSizeIterator<Item = Timestamp>, now: Timestamp) -> usize {
        let size = self.size as usize;
        let (all, full) = (due.len(), due.len() / size * size);
        match due.into_iter().nth(full) {
            Some(oldest) if now.since(oldest) >= self.window => all,
            _ => full,
        }
    }

    /// So many rows of each chunk, so that batches are full: as many whole batches as fit into `most`.
    pub(crate) fn chunk(&self, most: usize) -> usize {
        let size = self.size as usize;
        (most / size * size).max(size)
    }
}

/// When events that arrive are dispatched. All parts of one deployment have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "arguments", derive(clap::ValueEnum))]
pub enum Start {
    /// By the scheduler, when its next window begins
    #[default]
    Scheduled,
    /// As they are recorded, while N lasts and no earlier event waits
    Immediate,
}

impl Default for Dispatch {
    /// 50 per minute, no cap, leases of 15 minutes, 5 attempts spaced 30 s to 1 h.
    fn default() -> Self {
        Self {
            per_window: 50,
            window: Duration::from_secs(60),
            max_in_flight: None,
            lease: Duration::from_secs(15 * 60),
            max_attempts: 5,
            retry: RetryPolicy::default(),
            start: Start::Scheduled,
            batching: None,
        }
    }
}

/// A setting that could not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}, but must be {allowed}")]
pub struct InvalidSetting {
    name: &'static str,
    value: String,
    allowed: &'static str,
}

impl InvalidSetting {
    /// The same in terms of the environment: `DAYBOOK_LEASE` for `lease`.
    pub fn of_variable(&self) -> String {
        let name = self.name.replace('-', "_").to_uppercase();
        format!("DAYBOOK_{name} is {}, but must be {}", self.value, self.allowed)
    }

    pub(crate) fn new(name: &'static str, value: impl ToString, allowed: &'static str) -> Self {
        Self {
            name,
            value: value.to_string(),
            allowed,
        }
    }
}

impl Dispatch {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// Names the first setting that could not work, its value and what is allowed.
    pub fn checked(self) -> Result<Self, InvalidSetting> {
        let seconds = |duration: Duration| format!("{} s", duration.as_secs_f64());
        let fail = |name, value, allowed| Err(InvalidSetting { name, value, allowed });
        if self.per_window == 0 {
            return fail(
                "per-window",
                "0".into(),
                "at least 1 (to stop dispatch, pause it)",
            );
        }
        if self.window < Duration::from_millis(100) {
            return fail("every", seconds(self.window), "at least 0.1 s");
        }
        if self.lease < Duration::from_secs(1) || self.lease > Duration::from_secs(7 * 24 * 3600) {
            return fail("lease", seconds(self.lease), "1 s to 7 days");
        }
        if self.max_attempts == 0 {
            return fail("max-attempts", "0".into(), "at least 1");
        }
        checked_retry(self.retry)?;
        if self.max_in_flight == Some(0) {
            return fail(
                "max-in-flight",
                "0".into(),
                "at least 1 (to stop dispatch, pause it)",
            );
        }
        if self.max_in_flight.is_some() && self.start == Start::Immediate {
            return fail(
                "dispatch",
                "immediate".into(),
                "scheduled where max-in-flight is set: nobody counts what is in flight before a new event is sent",
            );
        }
        Ok(self)
    }
}

/// Checks how failed attempts are spaced.
///
/// # Errors
/// When the longest wait is shorter than the first.
pub fn checked_retry(policy: RetryPolicy) -> Result<RetryPolicy, InvalidSetting> {
    match policy.longest_delay < policy.first_delay {
        true => {
            let (first, longest) = (policy.first_delay, policy.longest_delay);
            let value = format!(
                "{} s, with a backoff-limit of {} s",
                first.as_secs_f64(),
                longest.as_secs_f64()
            );
            Err(InvalidSetting::new("backoff", value, "no longer than that"))
        }
        false => Ok(policy),
    }
}
