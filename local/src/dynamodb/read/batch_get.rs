//! BatchGetItem.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::dynamodb::capacity::{Axis, ByTable, Consumed, Units, Wanted, read_units};
use crate::dynamodb::clauses::Clauses;
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::expression::Projection;
use crate::dynamodb::keys;
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::value::{Item, item_size};
use crate::dynamodb::wire::{Unserved, check_name, invalid, refuse_unserved, request, response};

/// How many items a batch gets at most.
const MOST_KEYS: usize = 100;

/// How many bytes a batch answers at most; what does not fit is answered as unprocessed.
const MOST_BYTES: usize = 16 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGet {
    request_items: BTreeMap<String, KeysAndAttributes>,
    return_consumed_capacity: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeysAndAttributes {
    keys: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projection_expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression_attribute_names: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistent_read: Option<bool>,
    #[serde(default, skip_serializing)]
    attributes_to_get: Unserved,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    responses: BTreeMap<String, Vec<Item>>,
    unprocessed_keys: BTreeMap<String, KeysAndAttributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<Consumed>>,
}

pub(crate) async fn batch_get(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: BatchGet = request(body)?;
    let wanted = Wanted::of(request.return_consumed_capacity.as_deref())?;
    let count: usize = request.request_items.values().map(|one| one.keys.len()).sum();
    if request.request_items.is_empty() || request.request_items.values().any(|one| one.keys.is_empty()) {
        return Err(invalid(&[
            "Value at 'requestItems' failed to satisfy constraint: Member must have length greater than or equal to 1".to_owned(),
        ])
        .into());
    }
    if count > MOST_KEYS {
        return Err(Refusal::validation("Too many items requested for the BatchGetItem call").into());
    }
    let mut projections = BTreeMap::new();
    for (name, one) in &request.request_items {
        check_name(name, "tableName")?;
        refuse_unserved([(
            "AttributesToGet",
            &one.attributes_to_get,
            "use ProjectionExpression",
        )])?;
        let mut clauses = Clauses::new(
            &one.expression_attribute_names,
            &None,
            &[("ProjectionExpression", &one.projection_expression)],
        )?;
        if let Some(projection) = clauses.projection(&one.projection_expression)? {
            projections.insert(name.clone(), projection);
        }
        clauses.finish()?;
    }
    let answered = engine.look(move |look| {
        let mut got = Got::default();
        for (name, one) in request.request_items {
            let table = Table::of_items(look, &name)?;
            got.table(look, &table, one, projections.get(&name))?;
        }
        Ok(got)
    });
    let got = answered.await?;
    Ok(response(&Answered {
        responses: got.responses,
        unprocessed_keys: got.unprocessed,
        consumed_capacity: got.units.consumed(wanted, Axis::Untold),
    }))
}

#[derive(Default)]
struct Got {
    responses: BTreeMap<String, Vec<Item>>,
    unprocessed: BTreeMap<String, KeysAndAttributes>,
    units: ByTable,
    bytes: usize,
}

impl Got {
    fn table(
        &mut self,
        look: &dyn crate::store::Look,
        table: &Table,
        mut one: KeysAndAttributes,
        projection: Option<&Projection>,
    ) -> Result<(), Failure> {
        let mut places = Vec::new();
        let mut different = BTreeSet::new();
        for key in &one.keys {
            keys::check_key(&table.keys, key)?;
            let place = keys::of_item(table, key)?;
            if !different.insert(place.clone()) {
                return Err(Refusal::validation("Provided list of item keys contains duplicates").into());
            }
            places.push(place);
        }
        let consistent = one.consistent_read.unwrap_or_default();
        let items = self.responses.entry(table.name.clone()).or_default();
        let mut left = None;
        for (index, place) in places.iter().enumerate() {
            let item = keys::item_at(look, place)?;
            let bytes = item.as_ref().map_or(0, item_size);
            if self.bytes > 0 && self.bytes + bytes > MOST_BYTES {
                left = Some(index);
                break;
            }
            self.bytes += bytes;
            self.units
                .add(&table.name, &Units::of_table(read_units(bytes, consistent)));
            items.extend(item.map(|item| match projection {
                Some(projection) => projection.of(&item),
                None => item,
            }));
        }
        if let Some(left) = left {
            one.keys.drain(..left);
            self.unprocessed.insert(table.name.clone(), one);
        }
        Ok(())
    }
}
