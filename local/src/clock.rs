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
