//! Time as a value that is passed in.

use std::sync::Arc;

use chrono::{DateTime, Utc};

/// A function that tells the time; production passes [`system_clock`], simulation passes virtual time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// The machine's own clock.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where local mode meets the real clock"
)]
pub fn system_clock() -> Clock {
    Arc::new(Utc::now)
}

/// Shows a [`Clock`] to dynoxide, which wants seconds since 1970.
pub(crate) struct DynoxideClock(pub(crate) Clock);

impl dynoxide::storage_backend::Clock for DynoxideClock {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from((self.0)().timestamp()).unwrap_or(0)
    }

    fn now_unix_secs_f64(&self) -> f64 {
        (self.0)().timestamp_micros() as f64 / 1e6
    }
}
