//! The embedded AWS: DynamoDB, SQS and Step Functions in one process.
//!
//! It stands in for AWS at the wire, behind the SDK's own `HttpClient` ([`LocalAws::http_client`]) or on a
//! loopback port ([`LocalAws::serve`]), so that local mode, tests and simulation run the very requests that AWS
//! would get. All three are the operations that Daybook uses,
//! held to the contract tests in `tests/tests/contract.rs`. `docs/emulators.md` says where it and others differ
//! from AWS.
//!
//! It checks no credentials and belongs on a loopback address.

mod answer;
mod clock;
mod dynamodb;
mod error;
pub mod executions;
mod http_client;
mod ids;
mod local_aws;
mod server;
pub mod sqs;
mod store;

pub use answer::Answer;
pub use clock::{Clock, system_clock};
pub use error::LocalError;
pub use executions::{
    ExecutionError, ExecutionStatus, ExecutionView, Executions, Outcome, StartedExecution, Target,
};
pub use local_aws::{DynamoDb, LocalAws, LocalAwsBuilder, PastTheWire};
pub use sqs::{Depth, MessageView, Purged, QueueAttributes, RedrivePolicy, Sqs, SqsError};
pub use store::{Found, LEDGER_FILE, flush_directory, look};
