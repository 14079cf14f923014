//! The message on the dispatch queue.

use serde::{Deserialize, Serialize};

use crate::execution::{ExecutionInput, queue_safe_json};
use crate::row::Row;
use crate::time::Timestamp;

/// The version that this code writes. It reads this one and all older ones.
pub const MESSAGE_VERSION: u32 = 1;

/// One delivery of one attempt of an event: all that the invoker or a worker needs without reading the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchMessage {
    /// The version of this form.
    pub v: u32,
    /// Which delivery of the attempt this is, from 1.
    pub delivery: u32,
    /// The end of the lease as this delivery's claim wrote it: a worker's proof that the row is still in the state in which
    /// the message was sent.
    pub due_at: Timestamp,
    /// The execution's input.
    pub input: ExecutionInput,
    /// The X-Ray header, for linking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// A message that this code does not understand.
#[derive(Debug, thiserror::Error)]
pub enum InvalidMessage {
    /// It is no JSON of this form.
    #[error("the dispatch message is not in Daybook's form")]
    Form(#[from] serde_json::Error),
    /// It was written by a newer release.
    #[error("the dispatch message has version {0}; this release reads versions up to {MESSAGE_VERSION}")]
    Newer(u32),
}

impl DispatchMessage {
    /// The message for a claimed row; `None` for a row that keeps an unreadable payload, which has nothing to run.
    pub fn for_row(row: &Row) -> Option<Self> {
        Some(Self {
            v: MESSAGE_VERSION,
            delivery: row.deliveries,
            due_at: row.due_at,
            input: ExecutionInput::new(row.event()?, row.attempt),
            trace: row.trace.clone(),
        })
    }

    /// The body to send.
    pub fn to_json(&self) -> String {
        queue_safe_json(self)
    }

    /// Reads a body.
    ///
    /// # Errors
    /// When it is not in this form, or a newer release wrote it.
    pub fn from_json(body: &str) -> Result<Self, InvalidMessage> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        // The version first: a newer form may differ in everything else.
        let Version { v } = serde_json::from_str(body)?;
        if v > MESSAGE_VERSION {
            return Err(InvalidMessage::Newer(v));
        }
        Ok(serde_json::from_str(body)?)
    }
}
