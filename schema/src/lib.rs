//! What is on the wire and in the tables: notifications, event identity, rows, messages, receipts and
//! table definitions.
//!
//! Nothing here reads a clock, a file or a socket. Everything is plain data and pure functions, so the other
//! crates agree on one meaning of every byte that outlives a process.

pub mod batch;
pub mod cloud_event;
pub mod dispatch_history;
pub mod event;
pub mod execution;
pub mod identity;
#[cfg(feature = "json-schema")]
mod json_schema;
pub mod kind;
pub mod message;
pub mod names;
pub mod notification;
mod queue_text;
pub mod receipt;
pub mod row;
pub mod sequencer;
pub mod status;
pub mod tables;
pub mod time;

pub use batch::{
    BatchId, BatchInput, BatchName, ItemFailures, LONGEST_BATCH_INPUT, MOST_OF_A_BATCH, RunName,
};
pub use cloud_event::CloudEvent;
pub use dispatch_history::{DispatchHistory, GrantedWindows, TwoWindows};
pub use event::{ObjectEvent, Origin};
pub use execution::{ExecutionInput, ExecutionName};
pub use identity::{EventId, ObjectId};
pub use kind::Kind;
pub use message::{BatchMessage, BatchPart, DispatchMessage, QueueMessage};
pub use names::{BucketName, InvalidName, ObjectKey, SourceName};
pub use receipt::{Outcome, Receipt};
pub use row::{
    BATCH_ROW_VERSION, GENERAL_ROW_VERSION, InvalidRow, NEWEST_ROW_VERSION, ROW_VERSION, Row, Subject,
};
pub use sequencer::Sequencer;
pub use status::{Attempt, Shard, Status, StatusShard, Step};
pub use time::Timestamp;
