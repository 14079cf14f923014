//! From when on an audit calls unseen uploads missing.

use daybook_ledger::{Clock, Ledger, Random, TableName};

use crate::aws::clients::Aws;

/// Begins the audit's watermark of that ledger now, unless it has begun.
///
/// # Errors
/// Why it could not be written, as a note: nothing else depends on it, and the first dispatch begins it as well.
pub async fn begin(aws: &Aws, table: &str) -> Result<(), String> {
    let begin = async {
        let table: TableName = table.parse().map_err(anyhow::Error::new)?;
        let ledger = Ledger::new(aws.dynamodb(), table, None, Clock::system(), Random::from_os());
        ledger.begin_watermark().await.map_err(anyhow::Error::new)
    };
    begin.await.map_err(|error: anyhow::Error| {
        format!("audits call nothing missing from before the first dispatch, for that could not be noted in {table}: {error:#}")
    })
}
