//! Targets with real processes and real sockets, in real time.
#![allow(missing_docs, clippy::unwrap_used)]
#![allow(
    clippy::disallowed_methods,
    reason = "servers are spawned, and real time is waited for"
)]

#[path = "worker_targets/batches.rs"]
mod batches;
#[path = "worker_targets/command.rs"]
mod command;
#[path = "worker_targets/endpoint.rs"]
mod endpoint;
#[path = "worker_targets/http.rs"]
mod http;
#[path = "worker_targets/processes.rs"]
mod processes;
#[path = "worker_targets/together.rs"]
mod together;

use daybook_manager::worker::{Run, RunInput, Stop};
use daybook_schema::{Attempt, ExecutionInput};
use daybook_tests::notifications::Upload;

/// The input of the first attempt of an upload of that key.
fn input(key: &str) -> ExecutionInput {
    ExecutionInput::new(&Upload::new(key, 1, "e").event(), Attempt(1))
}

/// A run that nobody stops.
fn run_of(input: impl Into<RunInput>) -> (Run, daybook_manager::worker::Stopper) {
    let (stopper, stop) = Stop::pair();
    let run = Run {
        input: input.into(),
        trace: None,
        stop,
    };
    (run, stopper)
}
