//! Why a read, or a single write, could not be done.

use daybook_schema::InvalidRow;

use crate::cause::{Cause, CauseKind, chain};

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
        cause: Cause,
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
                let (InvalidRow::Newer { id, .. }
                | InvalidRow::Missing { id, .. }
                | InvalidRow::CloudEvent { id }) = row;
                Some((id.to_string(), row.to_string()))
            }
        }
    }
}

impl From<&LedgerError> for Cause {
    fn from(error: &LedgerError) -> Self {
        let kind = match error {
            LedgerError::Request { cause, .. } => cause.kind().clone(),
            LedgerError::Item { .. } | LedgerError::Newer(_) => CauseKind::Unreadable,
        };
        Self::new(kind, chain(error))
    }
}

impl From<LedgerError> for Cause {
    fn from(error: LedgerError) -> Self {
        Self::from(&error)
    }
}
