//! Many items at once, past the limits of requests.

use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::Failure;
use crate::dynamodb::item::{Action, Existing, ItemWrite};
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::value::Item;
use crate::dynamodb::write::apply;

/// Puts them into the table, in one commit; of two with one key the last stays.
pub(crate) async fn import(engine: &Engine, table: &str, items: Vec<Item>) -> Result<(), Failure> {
    let name = table.to_owned();
    engine
        .change(move |change| {
            let table = Table::of_items(change, &name)?;
            for item in items {
                let write = ItemWrite {
                    table: name.clone(),
                    action: Action::Put(item),
                    condition: None,
                    existing: Existing::Unasked,
                };
                let key = write.key(&table)?;
                let planned = write.plan(change, &table, key)?;
                apply(change, planned)?;
            }
            Ok(())
        })
        .await
}
