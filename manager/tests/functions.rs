//! The Lambda functions as they are deployed: real binaries under the Runtime API, the embedded AWS behind a port.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "functions/batches.rs"]
mod batches;
#[path = "functions/complete.rs"]
mod complete;
#[path = "functions/ingest.rs"]
mod ingest;
#[path = "functions/invoke.rs"]
mod invoke;
#[path = "functions/privileges.rs"]
mod privileges;
#[path = "functions/schedule.rs"]
mod schedule;
#[path = "functions/settings.rs"]
mod settings;

const INGEST: &str = env!("CARGO_BIN_EXE_daybook-ingest");
const SCHEDULE: &str = env!("CARGO_BIN_EXE_daybook-schedule");
const INVOKE: &str = env!("CARGO_BIN_EXE_daybook-invoke");
const COMPLETE: &str = env!("CARGO_BIN_EXE_daybook-complete");

/// Where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:1";
