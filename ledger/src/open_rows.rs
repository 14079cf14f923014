//! Reading all open rows.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use daybook_schema::Row;
use daybook_schema::tables::CONTROL_ID;
use daybook_schema::tables::attribute::ID;

use crate::cause::describe;
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::statement::Item;

impl Ledger {
    /// All open rows, page by page, by a Scan of the table: it holds open work only.
    pub fn open_rows(&self) -> OpenRows<'_> {
        OpenRows {
            ledger: self,
            after: None,
            done: false,
        }
    }
}

/// A scan of the open rows.
#[derive(Debug)]
pub struct OpenRows<'a> {
    ledger: &'a Ledger,
    after: Option<Item>,
    done: bool,
}

impl OpenRows<'_> {
    /// Whether the last page was read.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The next page, up to 1 MB of rows; `None` after the last one. A row that this release cannot read is an error of its
    /// own in the page, and the others are there all the same.
    ///
    /// # Errors
    /// When the page cannot be read; call again to retry it.
    pub async fn next(&mut self) -> Result<Option<Vec<Result<Row, LedgerError>>>, LedgerError> {
        if self.done {
            return Ok(None);
        }
        let answer = self
            .ledger
            .client
            .scan()
            .table_name(self.ledger.table.as_str())
            .consistent_read(true)
            .set_exclusive_start_key(self.after.clone())
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
            .map_err(|error| self.ledger.read_error("Scan", describe(&error)))?;
        self.ledger.meter.read(answer.consumed_capacity.as_ref());
        let is_row = |item: &Item| item.get(ID) != Some(&AttributeValue::S(CONTROL_ID.to_owned()));
        let items = answer.items.unwrap_or_default().into_iter().filter(is_row);
        let rows = items.map(|item| self.ledger.row(item)).collect();
        self.after = answer.last_evaluated_key;
        self.done = self.after.is_none();
        Ok(Some(rows))
    }
}
