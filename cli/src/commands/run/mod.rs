//! Verbs that move events.

pub mod ingest;
pub mod ingest_queue;
pub mod ingest_report;
pub mod relay;
pub mod repeat;
pub mod schedule;
pub mod sweep;
pub mod up;
pub mod worker;
pub mod worker_report;
