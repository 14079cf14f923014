//! DeleteTable.

use serde::Deserialize;

use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::keys;
use crate::dynamodb::tables::describe::TableDescription;
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::wire::{check_name, request, response};
use crate::store::Map;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteTable {
    table_name: String,
}

/// Deletes a table and all that is in it, in one commit.
pub(crate) async fn delete(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let DeleteTable { table_name } = request(body)?;
    check_name(&table_name, "tableName")?;
    let table = engine
        .change(move |change| {
            let table = Table::described(change, &table_name)?;
            if table.deletion_protection {
                return Err(Refusal::validation(
                    "Resource cannot be deleted as it is currently protected against deletion. Disable deletion \
                     protection first.",
                )
                .into());
            }
            keys::remove_all(change, Map::Items, &keys::of_table(&table.name))?;
            keys::remove_all(change, Map::Entries, &keys::of_table(&table.name))?;
            change.remove(Map::Tables, table.name.as_bytes())?;
            Ok(table)
        })
        .await?;
    let mut description = TableDescription::of(engine, &table);
    description.table_status = "DELETING";
    Ok(response(&description.as_answer("TableDescription")))
}
