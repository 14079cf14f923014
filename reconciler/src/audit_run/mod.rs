//! Audits in rounds: each goes on where the last one stopped, with all state in a bucket of its own.
//!
//! A bucket may be bigger than one run of a function. [`Rounds::round`] takes every audited scope as far as the time permits; the
//! next round goes on. `checkpoint.json` beside the reports says how far an audit is.
//!
//! # Commit, then publish
//!
//! The checkpoint is the only object that is written under a condition (If-Match, If-None-Match): of two rounds that overlap the
//! later one loses, stops and says so. Findings are first written into the checkpoint, and a part of the report is what a committed
//! checkpoint says of it. So whoever publishes a part, at whatever time and how often ever, publishes the same bytes: no finding is
//! left out and none is reported twice, wherever a process dies and however two of them cross. The other order (the part, then the
//! checkpoint) could not say that: a round that loses may have written its part after the winner's.
//!
//! What is missing is committed before it is repaired, too. Otherwise a round that dies after the repair would find the objects
//! open, and nobody would ever read that their notifications were lost. A repair that runs twice records nothing twice.

mod artifacts;
mod intake;
mod report_store;
mod request;
mod round_report;
mod rounds;
mod scope_round;
mod state;

pub use report_store::{ReportStore, ReportStoreError};
pub use request::RoundRequest;
pub use round_report::{AuditStatus, Gauge, RoundReport, ScopeReport, Standing};
pub use rounds::{RoundSettings, Rounds};
pub use state::{Next, State, next};
