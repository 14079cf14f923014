//! GetItem.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dynamodb::capacity::{Axis, Consumed, Units, Wanted, read_units};
use crate::dynamodb::clauses::Clauses;
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::Failure;
use crate::dynamodb::keys;
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::value::{Item, item_size};
use crate::dynamodb::wire::{Unserved, check_name, refuse_unserved, request, response};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetItem {
    table_name: String,
    key: Item,
    projection_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    #[serde(default)]
    consistent_read: Option<bool>,
    return_consumed_capacity: Option<String>,
    #[serde(default)]
    attributes_to_get: Unserved,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Got {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Consumed>,
}

pub(crate) async fn get(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: GetItem = request(body)?;
    check_name(&request.table_name, "tableName")?;
    refuse_unserved([(
        "AttributesToGet",
        &request.attributes_to_get,
        "use ProjectionExpression",
    )])?;
    let wanted = Wanted::of(request.return_consumed_capacity.as_deref())?;
    let mut clauses = Clauses::new(
        &request.expression_attribute_names,
        &None,
        &[("ProjectionExpression", &request.projection_expression)],
    )?;
    let projection = clauses.projection(&request.projection_expression)?;
    clauses.finish()?;
    let (name, key) = (request.table_name.clone(), request.key);
    let item = engine
        .look(move |look| {
            let table = Table::of_items(look, &name)?;
            keys::check_key(&table.keys, &key)?;
            keys::item_at(look, &keys::of_item(&table, &key)?)
        })
        .await?;
    let consistent = request.consistent_read.unwrap_or_default();
    let units = Units::of_table(read_units(item.as_ref().map_or(0, item_size), consistent));
    Ok(response(&Got {
        item: match projection {
            Some(projection) => item.map(|item| projection.of(&item)),
            None => item,
        },
        consumed_capacity: Consumed::new(&request.table_name, &units, wanted, Axis::Untold),
    }))
}
