//! Who hears which runs begin and end in a worker.

use std::fmt;
use std::time::Duration;

use daybook_schema::{Row, Timestamp};

use super::worked::Worked;

/// Hears of each run of a worker. It is called in the worker's own course, so that it must not take long.
pub trait RunObserver: fmt::Debug + Send + Sync {
    /// The target is about to be called for these rows, together.
    fn began(&self, rows: &[Row], now: Timestamp);

    /// What came of one of them is reported, or cannot be. Its target took that long; reporting it is not counted.
    fn ended(&self, row: &Row, worked: &Worked, took: Duration, now: Timestamp);
}
