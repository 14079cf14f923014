//! How a worker works.

use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_schema::MOST_OF_A_BATCH;

use crate::settings::InvalidSetting;

/// The longest visibility timeout, counted from the receive, however often it is extended (ChangeMessageVisibility, SQS API
/// Reference): 12 hours.
pub(super) const LONGEST_VISIBILITY: Duration = Duration::from_secs(12 * 3600);

/// A message stays hidden a little longer than its row's lease lasts: when a worker dies, its message finds the lease over. Seen
/// earlier, it would be dropped, and the event would wait for a sweep.
pub(super) const VISIBILITY_MARGIN: Duration = Duration::from_secs(10);

/// How a worker works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Who works, as receipts name it: host and process, for example. At most 256 characters are kept.
    pub name: String,
    /// How many runs at once, 1 to 1,000.
    pub workers: usize,
    /// How many events of one batch's message the target is given at once, 1 to 100; those of a larger batch are given it in several
    /// runs. 1: each by itself, in the form of a single event.
    pub batch_size: u32,
    /// How long a row is this worker's before it must say so again; it does at every third of it, at three write units. After a
    /// worker died its events wait this long. 3 seconds to 11 hours.
    pub lease: Duration,
    /// How long one run may take. A longer one is stopped, and its attempt has failed.
    pub timeout: Duration,
    /// How failed attempts are spaced.
    pub retry: RetryPolicy,
    /// How long an event waits whose target said "later" without a time.
    pub later: Duration,
    /// How long a shutdown waits for the runs that are under way before it stops them.
    pub grace: Duration,
    /// How long a run that is asked to stop may take for it before it is dropped.
    pub stopping: Duration,
    /// Between two looks at the row of each run: one that somebody took away, a person for example, has its run stopped. Half a read
    /// unit for each look. `None`: it is found when the lease is extended next.
    pub look_every: Option<Duration>,
}

impl WorkerSettings {
    /// 1 run at once, batches as they come, leases of 15 minutes, a timeout of 1 hour, "later" after 1 minute, 20 seconds of grace and 8 for stopping:
    /// together within the 30 seconds that ECS and Kubernetes give a container.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            workers: 1,
            batch_size: MOST_OF_A_BATCH,
            lease: Duration::from_secs(15 * 60),
            timeout: Duration::from_secs(3600),
            retry: RetryPolicy::default(),
            later: Duration::from_secs(60),
            grace: Duration::from_secs(20),
            stopping: Duration::from_secs(8),
            look_every: None,
        }
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// Names the first setting that could not work, its value and what is allowed.
    pub fn checked(self) -> Result<Self, InvalidSetting> {
        let seconds = |duration: Duration| format!("{} s", duration.as_secs_f64());
        if self.name.is_empty() {
            return Err(InvalidSetting::new("name", "empty", "a text"));
        }
        if !(1..=1000).contains(&self.workers) {
            return Err(InvalidSetting::new("workers", self.workers, "1 to 1,000"));
        }
        if !(1..=MOST_OF_A_BATCH).contains(&self.batch_size) {
            return Err(InvalidSetting::new("batch-size", self.batch_size, "1 to 100"));
        }
        if !(Duration::from_secs(3)..=Duration::from_secs(11 * 3600)).contains(&self.lease) {
            return Err(InvalidSetting::new(
                "lease",
                seconds(self.lease),
                "3 s to 11 hours for a worker",
            ));
        }
        if self.timeout.is_zero() {
            return Err(InvalidSetting::new("timeout", "0 s", "more than 0 s"));
        }
        Ok(self)
    }

    /// The visibility timeout that goes with the lease.
    pub(super) fn visibility(&self) -> Duration {
        (self.lease + VISIBILITY_MARGIN).min(LONGEST_VISIBILITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_hidden_ten_seconds_longer_than_its_row_is_leased_and_twelve_hours_at_most() {
        let hidden = |lease: u64| {
            let settings = WorkerSettings {
                lease: Duration::from_secs(lease),
                ..WorkerSettings::new("worker-1")
            };
            settings.visibility().as_secs()
        };
        assert_eq!([60, 11 * 3600, 12 * 3600].map(hidden), [70, 39_610, 43_200]);
    }
}
