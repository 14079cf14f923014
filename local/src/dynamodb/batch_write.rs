//! BatchWriteItem.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dynamodb::capacity::{Axis, ByTable, Consumed, Wanted};
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::item::{Action, Existing, ItemWrite};
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::value::{Item, MAX_ITEM_BYTES, item_size};
use crate::dynamodb::wire::{check_name, invalid, request, response};
use crate::dynamodb::write::{PUT_TOO_LARGE, apply};

/// How many items a batch writes at most.
const MOST_WRITES: usize = 25;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchWrite {
    request_items: BTreeMap<String, Vec<WriteRequest>>,
    return_consumed_capacity: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriteRequest {
    put_request: Option<PutRequest>,
    delete_request: Option<DeleteRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest {
    item: Item,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteRequest {
    key: Item,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    /// Always empty: nothing is throttled.
    unprocessed_items: BTreeMap<String, ()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<Consumed>>,
}

/// Writes them all in one commit, or none where one of them is not valid.
pub(crate) async fn batch_write(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: BatchWrite = request(body)?;
    let wanted = Wanted::of(request.return_consumed_capacity.as_deref())?;
    let writes = writes(request.request_items)?;
    let written = engine.change(move |change| {
        let (mut planned, mut different) = (Vec::new(), BTreeSet::new());
        let mut tables: BTreeMap<String, Arc<Table>> = BTreeMap::new();
        for write in writes {
            let name = write.table.clone();
            let table = match tables.get(&name) {
                Some(table) => Arc::clone(table),
                None => {
                    let table = Table::of_items(change, &name)?;
                    tables.insert(name.clone(), Arc::clone(&table));
                    table
                }
            };
            let key = write.key(&table)?;
            if !different.insert(key.clone()) {
                return Err(Refusal::validation("Provided list of item keys contains duplicates").into());
            }
            planned.push((name, write.plan(change, &table, key)?));
        }
        let mut units = ByTable::default();
        for (name, planned) in planned {
            units.add(&name, &apply(change, planned)?.units);
        }
        Ok(units)
    });
    let units = written.await?;
    Ok(response(&Answered {
        unprocessed_items: BTreeMap::new(),
        consumed_capacity: units.consumed(wanted, Axis::Untold),
    }))
}

fn writes(requests: BTreeMap<String, Vec<WriteRequest>>) -> Result<Vec<ItemWrite>, Refusal> {
    let count: usize = requests.values().map(Vec::len).sum();
    let length = |bound: &str| {
        invalid(&[format!(
            "Value at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: [Member must have \
             length {bound}]"
        )])
    };
    if requests.is_empty() || requests.values().any(Vec::is_empty) {
        return Err(length("greater than or equal to 1"));
    }
    if requests.values().any(|of_table| of_table.len() > MOST_WRITES) {
        return Err(length("less than or equal to 25"));
    }
    if count > MOST_WRITES {
        return Err(Refusal::validation(
            "Too many items requested for the BatchWriteItem call",
        ));
    }
    let mut writes = Vec::with_capacity(count);
    for (table, of_table) in requests {
        check_name(&table, "tableName")?;
        for one in of_table {
            let action = match (one.put_request, one.delete_request) {
                (Some(put), None) if item_size(&put.item) > MAX_ITEM_BYTES => {
                    return Err(Refusal::validation(PUT_TOO_LARGE));
                }
                (Some(put), None) => Action::Put(put.item),
                (None, Some(delete)) => Action::Delete(delete.key),
                (Some(_), Some(_)) => {
                    return Err(Refusal::validation(
                        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported \
                         datatypes",
                    ));
                }
                (None, None) => {
                    return Err(Refusal::validation(
                        "Supplied WriteRequest is empty, must contain exactly one of the supported requests",
                    ));
                }
            };
            writes.push(ItemWrite {
                table: table.clone(),
                action,
                condition: None,
                existing: Existing::Unasked,
            });
        }
    }
    Ok(writes)
}
