//! What the cron repairs: rows whose leases ran out. And what the restart of a machine repairs: all that was claimed.

pub mod audit;
pub mod audit_run;
#[cfg(feature = "lambda")]
pub mod lambda;
mod plan;
mod recover;
mod sweep;

pub use plan::{Plan, plan};
pub use recover::{RecoverReport, recover};
pub use sweep::{SweepReport, SweepSettings, Sweeper};
