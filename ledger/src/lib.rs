//! Every read and write of the ledger and receipts tables, and nothing else.
//!
//! Each step of a row is one function with one conditional write, which asks besides that no newer release wrote the row. What came of it is a value, per row: a lost race is
//! an outcome, not an error, and a write whose answer never came is `Unknown`, never "not applied".
//!
//! | step | function | write units |
//! |---|---|---|
//! | record | [`Ledger::record`] | 2 (row 1, index 1) |
//! | claim | [`Ledger::claim`] | 3 (row 1, index 2) |
//! | take, extend, postpone | [`Ledger::take`], [`Ledger::extend`], [`Ledger::postpone`] | 3 each, by workers only |
//! | redrive, free, fail by a person | [`Ledger::redrive_rows`], [`Ledger::free_rows`], [`Ledger::fail_rows`] | 3 each |
//! | complete, remove by a person | [`Ledger::close_rows`] | 2 (row 1, index 1), and 1 for the receipt |
//! | delete | [`Ledger::complete`] | 2 (row 1, index 1), and 1 for the receipt |

mod budget;
mod capacity;
mod claim;
mod claimed;
mod control;
mod lease;
mod lookup;
mod people;
mod read;
mod receipts;
mod record;
mod retry_policy;
mod settings;
mod settle;
mod statement;
mod time;
mod update;
mod version;
mod worker_lease;
mod write_certainty;

pub use budget::{Control, Grant, GrantRequest, Pause, Refusal, SweepTurn, Window, decide};
pub use capacity::Consumed;
pub use claim::{Claim, Released};
pub use claimed::ClaimedFirst;
pub use lease::{Lease, Moved};
pub use lookup::ReceiptLookup;
pub use people::{Person, Redriven, Removed};
pub use read::{Count, DueRows, IndexKey, OpenRows};
pub use record::{NewRow, Recorded};
pub use retry_policy::RetryPolicy;
pub use settings::{InvalidTableName, ReceiptSettings, TableName, client_timeouts};
pub use settle::{Deleted, Failed};
pub use time::{Clock, Deadline, Random, TokenMark};
pub use worker_lease::{Extended, Postponed, Taken};
pub use write_certainty::{AnswerWatch, Verdict, chain, describe};

use capacity::Meter;
use daybook_schema::InvalidRow;

/// The ledger and its receipts. Cheap to clone; clones share the count of consumed capacity.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: aws_sdk_dynamodb::Client,
    table: TableName,
    receipts: Option<ReceiptSettings>,
    clock: Clock,
    random: Random,
    meter: Meter,
}

impl Ledger {
    /// A ledger on these tables. Without `receipts`, completions leave none: duplicates that come after a row is deleted are
    /// recorded again, and an audit can tell nothing.
    pub fn new(
        client: aws_sdk_dynamodb::Client,
        table: TableName,
        receipts: Option<ReceiptSettings>,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self {
            client,
            table,
            receipts,
            clock,
            random,
            meter: Meter::default(),
        }
    }

    /// Capacity units and requests that this ledger and its clones have used since it was made.
    pub fn consumed(&self) -> Consumed {
        self.meter.consumed()
    }

    /// The clock that this ledger stamps rows with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The source of this ledger's tokens and jitter.
    pub fn random(&self) -> &Random {
        &self.random
    }
}

/// A read or a single write that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// DynamoDB refused, or did not answer.
    #[error("{operation} on table {table}: {cause}")]
    Request {
        /// The API call.
        operation: &'static str,
        /// The table.
        table: String,
        /// What DynamoDB said, or why there is no answer.
        cause: String,
        /// Whether a write may have been applied all the same.
        unknown: bool,
    },
    /// An item is in the table that this release cannot read.
    #[error("item {id} of table {table} cannot be read")]
    Item {
        /// The table.
        table: String,
        /// Its `id`, as far as it has one.
        id: String,
        /// What is wrong with it.
        #[source]
        source: serde_dynamo::Error,
    },
    /// A newer release wrote the row: this one leaves it as it is.
    #[error(transparent)]
    Newer(InvalidRow),
}

impl LedgerError {
    /// The id of the stored item that this release cannot read, and why, if the error is about one.
    pub fn unreadable(&self) -> Option<(String, String)> {
        match self {
            Self::Request { .. } => None,
            Self::Item { id, source, .. } => Some((id.clone(), source.to_string())),
            Self::Newer(row) => {
                let (InvalidRow::Newer { id, .. } | InvalidRow::Missing { id, .. }) = row;
                Some((id.to_string(), row.to_string()))
            }
        }
    }
}
