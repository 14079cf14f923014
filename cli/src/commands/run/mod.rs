//! Verbs that move events.

pub mod ingest;
pub mod schedule;
pub mod sweep;
pub mod up;
pub mod worker;
pub mod worker_report;
