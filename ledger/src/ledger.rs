//! The ledger's handle: its client, tables, clock and chance.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::capacity::{Consumed, Meter};
use crate::settings::{ReceiptSettings, TableName};
use crate::time::{Clock, Random};

/// The ledger and its receipts. Cheap to clone; clones share the count of consumed capacity.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) client: aws_sdk_dynamodb::Client,
    pub(crate) table: TableName,
    pub(crate) receipts: Option<ReceiptSettings>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) meter: Meter,
    /// Whether receipt and deletion are one transaction.
    pub(crate) ends_together: bool,
    pub(crate) looked_through: Option<Arc<AtomicU64>>,
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
            ends_together: false,
            looked_through: None,
        }
    }

    /// The same, and what is done leaves its receipt and its row's deletion in one transaction, where it can: for the embedded DynamoDB,
    /// where that is half of the commits. On AWS it would cost twice as many write units.
    pub fn ending_together(self) -> Self {
        Self {
            ends_together: true,
            ..self
        }
    }

    /// The same ledger, which adds to `rows` how many its scans of open rows have read, matching or not: how far a long look is.
    pub fn counting(&self, rows: Arc<AtomicU64>) -> Self {
        Self {
            looked_through: Some(rows),
            ..self.clone()
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
