//! The backoff curve: how long a failed attempt waits for the next.

use std::time::Duration;

use daybook_schema::Attempt;

/// How failed attempts are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first failed attempt; it doubles with every further one.
    pub first_delay: Duration,
    /// The longest wait.
    pub longest_delay: Duration,
}

impl Default for RetryPolicy {
    /// 30 seconds, doubling to one hour.
    fn default() -> Self {
        Self {
            first_delay: Duration::from_secs(30),
            longest_delay: Duration::from_secs(3600),
        }
    }
}

impl RetryPolicy {
    /// The wait after that attempt failed, before jitter takes up to half of it away.
    pub fn delay(&self, attempt: Attempt) -> Duration {
        let doublings = attempt.0.saturating_sub(1).min(31);
        self.first_delay
            .saturating_mul(2u32.saturating_pow(doublings))
            .min(self.longest_delay)
    }
}
