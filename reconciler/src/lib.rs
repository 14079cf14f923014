//! What the cron repairs: rows whose leases ran out. And what the restart of a machine repairs: all that was claimed.

mod ahead;
pub mod audit;
pub mod audit_run;
#[cfg(feature = "lambda")]
pub mod lambda;
mod plan;
mod recover;
mod sweep;

pub use ahead::{BroughtForward, bring_forward};
pub use plan::{LEASE_MOVES, Plan, Sorted, StaleRow, UNKNOWN_AT_MOST, plan, sort};
pub use recover::{RecoverReport, recover, recover_stale};
pub use sweep::{SweepOutput, SweepReport, SweepSettings, Sweeper};
