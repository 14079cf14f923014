//! Batches: many events in one execution, one command or one request.
//!
//! A claim call may claim several rows with one token. The token is the batch's id, T. The execution is called `b-{T}`, and it settles
//! exactly the events and attempts that its input names.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::execution::{ExecutionInput, ExecutionName, ForeignExecution};
use crate::identity::EventId;
use crate::queue_text::queue_safe_json;

/// The most events of one batch.
pub const MOST_OF_A_BATCH: u32 = 100;

/// The longest input of a batch, in bytes. StartExecution takes 256 KiB (Step Functions quotas); what is left is for what the state
/// machine adds before its first state ends.
pub const LONGEST_BATCH_INPUT: usize = 240 * 1000;

/// A batch's id, the token of the claim that made it. Written without hyphens, as it stands in the execution's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub Uuid);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// A text that is no batch's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no batch id: 32 hexadecimal digits are expected")]
pub struct InvalidBatchId(String);

impl FromStr for BatchId {
    type Err = InvalidBatchId;

    fn from_str(text: &str) -> Result<Self, InvalidBatchId> {
        let id = Uuid::try_parse(text).ok().map(Self);
        id.filter(|id| id.to_string() == text)
            .ok_or_else(|| InvalidBatchId(text.chars().take(80).collect()))
    }
}

impl Serialize for BatchId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BatchId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// The name of a batch's execution: `b-{T}`, or `b-{T}-{event id}` for a row that is run alone. At most 71 of the 80 characters that
/// StartExecution allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchName {
    /// The batch.
    pub batch: BatchId,
    /// The one event that it is for, if that is run alone.
    pub alone: Option<EventId>,
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.alone {
            None => write!(f, "b-{}", self.batch),
            Some(event) => write!(f, "b-{}-{event}", self.batch),
        }
    }
}

/// The name of an execution of Daybook's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RunName {
    /// Of one attempt of one event.
    Single(ExecutionName),
    /// Of a batch.
    Batch(BatchName),
}

impl fmt::Display for RunName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(name) => name.fmt(f),
            Self::Batch(name) => name.fmt(f),
        }
    }
}

impl From<ExecutionName> for RunName {
    fn from(name: ExecutionName) -> Self {
        Self::Single(name)
    }
}

impl From<BatchName> for RunName {
    fn from(name: BatchName) -> Self {
        Self::Batch(name)
    }
}

impl FromStr for RunName {
    type Err = ForeignExecution;

    fn from_str(text: &str) -> Result<Self, ForeignExecution> {
        let Some(batch) = text.strip_prefix("b-") else {
            return text.parse().map(Self::Single);
        };
        let name = match batch.split_once('-') {
            None => batch.parse().ok().map(|batch| BatchName { batch, alone: None }),
            Some((batch, event)) => batch.parse().ok().and_then(|batch| {
                let alone = Some(event.parse().ok()?);
                Some(BatchName { batch, alone })
            }),
        };
        name.filter(|name| name.to_string() == text)
            .map(Self::Batch)
            .ok_or_else(|| ForeignExecution::new(text))
    }
}

/// What a batch's execution, command or HTTP target is given.
///
/// As with [`ExecutionInput`], the bytes never change for the same rows: events are sorted by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchInput {
    /// The batch.
    pub batch: BatchId,
    /// The events, at the attempts that this execution is for.
    pub events: Vec<ExecutionInput>,
}

impl BatchInput {
    /// The input of that batch with those events.
    pub fn new(batch: BatchId, mut events: Vec<ExecutionInput>) -> Self {
        events.sort_by_key(|event| event.id);
        Self { batch, events }
    }

    /// The JSON text, byte-stable.
    pub fn to_json(&self) -> String {
        queue_safe_json(self)
    }

    /// What an execution of that batch was given names: nobody, where somebody else gave it under the name. None where that cannot be
    /// told.
    pub fn named_by(text: &str, batch: BatchId) -> Option<Vec<ExecutionInput>> {
        let input: serde_json::Value = serde_json::from_str(text).ok()?;
        let is_of_batch = input.get("batch").and_then(|id| id.as_str()) == Some(&batch.to_string());
        match input.get("events") {
            Some(events) if is_of_batch => Vec::deserialize(events).ok(),
            _ => Some(Vec::new()),
        }
    }
}

/// Which events of a batch failed, as its output or its answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemFailures {
    /// These; usually none.
    Listed(BTreeSet<EventId>),
    /// It makes no sense, or names an event that was not in the batch: all have failed.
    Malformed(String),
}

impl ItemFailures {
    /// Reads `{"batchItemFailures": [{"itemIdentifier": "<event id>"}]}`, the convention of Lambda's event source mappings. Without
    /// that member, or where it is null, nothing has failed; what else the output holds is the target's own.
    pub fn read(output: &str, named: &BTreeSet<EventId>) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Failure {
            item_identifier: String,
        }
        let output: serde_json::Value = match serde_json::from_str(output) {
            Ok(output) => output,
            // Whatever it says, it lists nothing.
            Err(_) => return Self::Listed(BTreeSet::new()),
        };
        let list = match output.get("batchItemFailures") {
            None | Some(serde_json::Value::Null) => return Self::Listed(BTreeSet::new()),
            Some(list) => Vec::<Failure>::deserialize(list),
        };
        let list = match list {
            Ok(list) => list,
            Err(error) => return Self::Malformed(format!("batchItemFailures cannot be read: {error}")),
        };
        let mut failed = BTreeSet::new();
        for Failure { item_identifier } in list {
            match item_identifier.parse().ok().filter(|id| named.contains(id)) {
                Some(id) => failed.insert(id),
                None => {
                    let id: String = item_identifier.chars().take(80).collect();
                    return Self::Malformed(format!(
                        "batchItemFailures names {id:?}, which was not given to it"
                    ));
                }
            };
        }
        Self::Listed(failed)
    }
}
