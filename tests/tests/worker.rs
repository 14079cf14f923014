//! The worker's protocol, in virtual time: what it takes, holds, reports and gives back, and what a death costs.
#![allow(missing_docs, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "tests spawn workers, to kill them")]

#[path = "worker/acting.rs"]
mod acting;
#[path = "worker/ahead.rs"]
mod ahead;
#[path = "worker/asking.rs"]
mod asking;
#[path = "worker/batches.rs"]
mod batches;
#[path = "worker/batches_held.rs"]
mod batches_held;
#[path = "worker/company.rs"]
mod company;
#[path = "worker/faults.rs"]
mod faults;
#[path = "worker/handed.rs"]
mod handed;
#[path = "worker/handed_batches.rs"]
mod handed_batches;
#[path = "worker/holding.rs"]
mod holding;
#[path = "worker/reports.rs"]
mod reports;
#[path = "worker/settling.rs"]
mod settling;
#[path = "worker/shutdown.rs"]
mod shutdown;
#[path = "worker/suspend.rs"]
mod suspend;
#[path = "worker/taking.rs"]
mod taking;
