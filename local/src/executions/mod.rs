//! Step Functions' Standard workflows, with a Rust function in place of the states language.
//!
//! What StartExecution promises about names holds here too. A definition is kept and never run: an execution
//! runs its state machine's [`Target`], or stays RUNNING until [`Executions::close`] or `StopExecution`.

mod error;
mod events;
mod execution;
mod handle;
mod runner;
mod state;
mod tasks;
mod wire;

pub use error::ExecutionError;
pub use execution::{ExecutionStatus, ExecutionView, Outcome, StartedExecution, Target};
pub use handle::Executions;
