//! What the cron repairs: rows whose leases ran out. And what the restart of a machine repairs: all that was claimed.

pub mod audit;
mod plan;
mod recover;
mod sweep;

pub use plan::{Plan, plan};
pub use recover::{RecoverReport, recover};
pub use sweep::{SweepReport, SweepSettings, Sweeper};
