//! The messages on the dispatch queue.

use serde::{Deserialize, Serialize};

use crate::batch::{BatchId, BatchInput, BatchName};
use crate::execution::ExecutionInput;
use crate::queue_text::queue_safe_json;
use crate::row::Row;
use crate::time::Timestamp;

/// The version of a message for one event.
pub const MESSAGE_VERSION: u32 = 1;

/// The version of a batch's message. This code reads it and [`MESSAGE_VERSION`].
pub const BATCH_MESSAGE_VERSION: u32 = 2;

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
    /// It is for a batch, where one event was expected.
    #[error("the dispatch message is for the batch {0}")]
    Batch(BatchName),
    /// It was written by a newer release.
    #[error(
        "the dispatch message has version {0}; this release reads versions up to {BATCH_MESSAGE_VERSION}"
    )]
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

    /// Reads a body that is for one event.
    ///
    /// # Errors
    /// As [`QueueMessage::from_json`], and when it is a batch's.
    pub fn from_json(body: &str) -> Result<Self, InvalidMessage> {
        match QueueMessage::from_json(body)? {
            QueueMessage::Single(message) => Ok(message),
            QueueMessage::Batch(message) => Err(InvalidMessage::Batch(message.name())),
        }
    }
}

/// One delivery of a batch, or of what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchMessage {
    /// The version of this form.
    pub v: u32,
    /// The batch.
    pub batch: BatchId,
    /// Whether its one event is run alone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone: bool,
    /// The events.
    pub events: Vec<BatchPart>,
    /// The X-Ray header of the first event that has one, for linking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// One event of a batch's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchPart {
    /// As in [`DispatchMessage`].
    pub delivery: u32,
    /// As in [`DispatchMessage`].
    pub due_at: Timestamp,
    /// What the execution is given of it.
    pub input: ExecutionInput,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl BatchMessage {
    /// The message for rows of one batch and one execution; rows that have nothing to run are left out. None where nothing is left.
    pub fn for_rows<'a>(name: BatchName, rows: impl IntoIterator<Item = &'a Row>) -> Option<Self> {
        let mut trace = None;
        let mut events: Vec<BatchPart> = Vec::new();
        for row in rows {
            let Some(event) = row.event() else { continue };
            trace = trace.or_else(|| row.trace.clone());
            events.push(BatchPart {
                delivery: row.deliveries,
                due_at: row.due_at,
                input: ExecutionInput::new(event, row.attempt),
            });
        }
        events.sort_by_key(|part| part.input.id);
        (!events.is_empty()).then_some(Self {
            v: BATCH_MESSAGE_VERSION,
            batch: name.batch,
            alone: name.alone.is_some(),
            events,
            trace,
        })
    }

    /// The execution's name.
    pub fn name(&self) -> BatchName {
        let alone = self.events.first().filter(|_| self.alone);
        BatchName {
            batch: self.batch,
            alone: alone.map(|part| part.input.id),
        }
    }

    /// Whether any of its events was sent before.
    pub fn is_repeated(&self) -> bool {
        self.events.iter().any(|part| part.delivery > 1)
    }

    /// The execution's input.
    pub fn input(&self) -> BatchInput {
        let events = self.events.iter().map(|part| part.input.clone());
        BatchInput::new(self.batch, events.collect())
    }

    /// Its events as messages of their own, for whoever works on the rows one by one.
    pub fn parts(&self) -> Vec<DispatchMessage> {
        let message = |part: &BatchPart| DispatchMessage {
            v: MESSAGE_VERSION,
            delivery: part.delivery,
            due_at: part.due_at,
            input: part.input.clone(),
            trace: self.trace.clone(),
        };
        self.events.iter().map(message).collect()
    }

    /// The body to send.
    pub fn to_json(&self) -> String {
        queue_safe_json(self)
    }
}

/// A message of the dispatch queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time is read, and nearly all are of the larger kind"
)]
pub enum QueueMessage {
    /// For one event.
    Single(DispatchMessage),
    /// For a batch.
    Batch(BatchMessage),
}

impl QueueMessage {
    /// Reads a body.
    ///
    /// # Errors
    /// When it is in neither form, or a newer release wrote it.
    pub fn from_json(body: &str) -> Result<Self, InvalidMessage> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        // The version first: a newer form may differ in everything else.
        match serde_json::from_str(body)? {
            Version { v } if v > BATCH_MESSAGE_VERSION => Err(InvalidMessage::Newer(v)),
            Version {
                v: BATCH_MESSAGE_VERSION,
            } => Ok(Self::Batch(serde_json::from_str(body)?)),
            Version { .. } => Ok(Self::Single(serde_json::from_str(body)?)),
        }
    }
}
