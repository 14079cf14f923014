//! Which tables, for how long, and how patient the client is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_smithy_types::timeout::TimeoutConfig;

/// A table's name: 3 to 255 of `a-z A-Z 0-9 _ - .` (CreateTable, DynamoDB API Reference). Checked, because the name is
/// written into PartiQL statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(String);

/// A text that cannot be a table's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no table name: 3 to 255 letters, digits, underscores, hyphens or dots are allowed")]
pub struct InvalidTableName(String);

impl TableName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TableName {
    type Err = InvalidTableName;

    fn from_str(text: &str) -> Result<Self, InvalidTableName> {
        let legal = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        match legal && (3..=255).contains(&text.len()) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidTableName(text.chars().take(300).collect())),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where receipts go and how long they stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptSettings {
    /// The receipts table.
    pub table: TableName,
    /// How long DynamoDB keeps a receipt at least.
    pub keep: Duration,
}

/// The patience of every AWS client of Daybook's: 3 s to connect, 5 s for one try, 15 s for a call with its retries.
/// A hanging request must not eat a function's whole run.
pub fn client_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(15))
        .build()
}
