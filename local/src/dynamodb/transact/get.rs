//! TransactGetItems.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::dynamodb::capacity::{Axis, ByTable, Consumed, Units, Wanted, read_units};
use crate::dynamodb::clauses::Clauses;
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Failure, Reason, Refusal};
use crate::dynamodb::expression::Projection;
use crate::dynamodb::keys;
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::value::{Item, item_size};
use crate::dynamodb::wire::{check_name, invalid, request, response};
use crate::store::Look;

/// How many members a transaction has at most.
pub(super) const MOST_MEMBERS: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactGet {
    transact_items: Vec<TransactItem>,
    return_consumed_capacity: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactItem {
    get: Get,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Get {
    table_name: String,
    key: Item,
    projection_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    responses: Vec<ItemResponse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<Consumed>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ItemResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
}

/// A table's name, a key in it, and what is asked of the item.
type Wish = (String, Item, Option<Projection>);

/// The same, the key as it is in the store.
type Place = (String, Vec<u8>, Option<Projection>);

/// How many members a transaction may have.
pub(crate) fn check_count(count: usize) -> Result<(), Refusal> {
    let bound = match count {
        0 => "greater than or equal to 1",
        1..=MOST_MEMBERS => return Ok(()),
        _ => "less than or equal to 100",
    };
    Err(invalid(&[format!(
        "Value at 'transactItems' failed to satisfy constraint: Member must have length {bound}"
    )]))
}

/// Where the items are. A key that is not one cancels the transaction.
fn places(look: &dyn Look, gets: Vec<Wish>) -> Result<Vec<Place>, Failure> {
    let (mut places, mut reasons) = (Vec::new(), Vec::new());
    for (name, key, projection) in gets {
        let table = Table::of_items(look, &name)?;
        let place = keys::check_key(&table.keys, &key).and_then(|()| keys::of_item(&table, &key));
        match place {
            Ok(place) => {
                reasons.push(Reason::none());
                places.push((name, place, projection));
            }
            Err(refusal) => reasons.push(Reason::of(refusal)),
        }
    }
    if places.len() < reasons.len() {
        return Err(Refusal::canceled(reasons).into());
    }
    let different: BTreeSet<&[u8]> = places.iter().map(|(_, place, _)| place.as_slice()).collect();
    if different.len() < places.len() {
        return Err(several_of_one().into());
    }
    Ok(places)
}

/// Why a transaction that names an item twice is refused.
pub(super) fn several_of_one() -> Refusal {
    Refusal::validation("Transaction request cannot include multiple operations on one item")
}

pub(crate) async fn get(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: TransactGet = request(body)?;
    let wanted = Wanted::of(request.return_consumed_capacity.as_deref())?;
    check_count(request.transact_items.len())?;
    let mut gets = Vec::new();
    for TransactItem { get } in request.transact_items {
        check_name(&get.table_name, "tableName")?;
        let mut clauses = Clauses::new(
            &get.expression_attribute_names,
            &None,
            &[("ProjectionExpression", &get.projection_expression)],
        )?;
        let projection = clauses.projection(&get.projection_expression)?;
        clauses.finish()?;
        gets.push((get.table_name, get.key, projection));
    }
    let got = engine.look(move |look| {
        let (mut responses, mut units) = (Vec::new(), ByTable::default());
        for (name, key, projection) in places(look, gets)? {
            let item = keys::item_at(look, &key)?;
            let bytes = item.as_ref().map_or(0, item_size);
            units.add(&name, &Units::of_table(2.0 * read_units(bytes, true)));
            let item = match projection {
                Some(projection) => item.map(|item| projection.of(&item)),
                None => item,
            };
            responses.push(ItemResponse { item });
        }
        Ok((responses, units))
    });
    let (responses, units) = got.await?;
    Ok(response(&Answered {
        responses,
        consumed_capacity: units.consumed(wanted, Axis::Read),
    }))
}
