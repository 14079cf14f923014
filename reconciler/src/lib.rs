//! What the cron repairs: rows whose leases ran out.

mod plan;
mod sweep;

pub use plan::{Plan, plan};
pub use sweep::{SweepReport, SweepSettings, Sweeper};
