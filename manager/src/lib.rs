//! The movers: what takes an event from a notification to a deleted row.
//!
//! Each mover is a plain struct with one method that handles a batch or runs once, safe to overlap with itself and with all
//! others. Lambda functions, local mode and the simulation call the very same methods.
//!
//! | mover | takes | does |
//! |---|---|---|
//! | [`Ingest`] | the intake queue's messages | records events, acknowledges what is in the ledger |
//! | [`Scheduler`] | a tick | claims due rows within the budget and sends them |
//! | [`Invoker`] | the dispatch queue's messages | hands each (event, attempt) to the [`AttemptTarget`] once |
//! | [`Completer`] | how attempts ended | deletes the row, or puts it back |
//! | [`worker::Worker`] | the dispatch queue's messages, instead of invoker and completer | runs a target, deletes the row or puts it back |

mod ahead;
#[cfg(feature = "arguments")]
pub mod arguments;
mod complete;
mod delivery;
mod executions;
mod immediate;
mod ingest;
mod invoke;
mod invoke_batch;
mod invoke_sent;
#[cfg(feature = "lambda")]
pub mod lambda;
mod outlet;
mod packing;
mod poll;
mod queue;
mod rate_limiter;
mod relay;
mod schedule;
mod schedule_report;
mod send_batch;
mod settings;
mod settle_batch;
mod settle_execution;
mod settle_record;
mod settle_report;
mod target;
pub mod worker;

pub use complete::{Completed, Completer};
pub use delivery::{Delivered, Disposition, NO_ANSWER, batch_response};
pub use executions::{Described, Ended, EndedStatus, Executions, Observed, Running, Started};
pub use immediate::Immediate;
pub use ingest::{Ingest, Ingested, Payload};
pub use invoke::{Invoked, Invoker};
pub use outlet::{HandedOn, HandedOver, Outlet};
pub use poll::{Batch, Poll, PollError};
pub use queue::{DispatchQueue, Dispatched, IntakeDepth, IntakeQueue, QueueError, Sent};
pub use rate_limiter::Pace;
pub use relay::{DeduplicationId, Relay, RelayReport, RelaySettings};
pub use schedule::{Scheduler, TIME_TO_SEND};
pub use schedule_report::ScheduleReport;
pub use settings::{Batching, Dispatch, InvalidSetting, Start};
pub use settle_batch::SettledBatch;
pub use settle_execution::Settled;
pub use target::{AttemptTarget, FunctionTarget, QueueCompletion, QueueTarget};
