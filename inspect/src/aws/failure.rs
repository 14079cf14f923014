//! A request that failed, with what it was about.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use daybook_ledger::{Cause, DueRows};
use daybook_schema::StatusShard;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

/// What a request was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AwsResource {
    /// The ledger table.
    Ledger,
    /// The receipts table.
    Receipts,
    /// The dispatch queue.
    Queue,
    /// The intake queue.
    Intake,
    /// The state machine.
    StateMachine,
    /// The stack that names the others.
    Stack,
}

/// A failed request. Displayed and serialized, it is the words of its cause.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "Cause")]
pub struct Failure {
    /// What was asked, or asked for.
    pub about: AwsResource,
    /// Why it failed.
    pub cause: Cause,
}

impl Failure {
    /// A failure about that.
    pub fn about(about: AwsResource, cause: impl Into<Cause>) -> Self {
        Self {
            about,
            cause: cause.into(),
        }
    }

    /// A failure about the ledger.
    pub fn of_ledger(cause: impl Into<Cause>) -> Self {
        Self::about(AwsResource::Ledger, cause)
    }
}

impl JsonSchema for Failure {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Failure".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Cause::json_schema(generator)
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        failure.cause
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

/// Why shards of a status could not be read, each cause once: all shards of a table tend to fail alike.
pub fn shard_failures(due: &DueRows) -> Vec<Failure> {
    let mut causes: BTreeMap<Cause, Vec<StatusShard>> = BTreeMap::new();
    let mut versions = Vec::new();
    for (shard, cause) in due.shard_failures() {
        match shard {
            Some(shard) => causes.entry(cause).or_default().push(shard),
            None => versions.push(cause),
        }
    }
    let of_shards = causes.into_iter().map(|(cause, shards)| match shards.as_slice() {
        [shard] => cause.of(format_args!("Query {shard}")),
        [first, ..] => cause.of(format_args!("Query {first} and {} more shards", shards.len() - 1)),
        [] => cause,
    });
    of_shards.chain(versions).map(Failure::of_ledger).collect()
}
