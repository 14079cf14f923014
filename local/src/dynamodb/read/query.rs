//! Query.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::dynamodb::capacity::Wanted;
use crate::dynamodb::clauses::Clauses;
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::expression::Condition;
use crate::dynamodb::keys;
use crate::dynamodb::read::key_condition::part;
use crate::dynamodb::read::pages::{self, Asked};
use crate::dynamodb::tables::schema::{Definition, Keys, Table};
use crate::dynamodb::value::{Item, KeyType};
use crate::dynamodb::wire::{Unserved, check_name, refuse_unserved, request, response};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query {
    table_name: String,
    index_name: Option<String>,
    key_condition_expression: Option<String>,
    filter_expression: Option<String>,
    projection_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<Item>,
    select: Option<String>,
    limit: Option<i64>,
    scan_index_forward: Option<bool>,
    exclusive_start_key: Option<Item>,
    consistent_read: Option<bool>,
    return_consumed_capacity: Option<String>,
    #[serde(default)]
    key_conditions: Unserved,
    #[serde(default)]
    query_filter: Unserved,
    #[serde(default)]
    attributes_to_get: Unserved,
    #[serde(default)]
    conditional_operator: Unserved,
}

pub(crate) async fn query(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: Query = request(body)?;
    check_name(&request.table_name, "tableName")?;
    refuse_unserved([
        (
            "KeyConditions",
            &request.key_conditions,
            "use KeyConditionExpression",
        ),
        ("QueryFilter", &request.query_filter, "use FilterExpression"),
        (
            "AttributesToGet",
            &request.attributes_to_get,
            "use ProjectionExpression",
        ),
        (
            "ConditionalOperator",
            &request.conditional_operator,
            "use FilterExpression",
        ),
    ])?;
    let mut clauses = Clauses::new(
        &request.expression_attribute_names,
        &request.expression_attribute_values,
        &[
            ("KeyConditionExpression", &request.key_condition_expression),
            ("FilterExpression", &request.filter_expression),
            ("ProjectionExpression", &request.projection_expression),
        ],
    )?;
    let condition = clauses.key_condition(&request.key_condition_expression)?;
    let asked = Asked {
        filter: clauses.filter(&request.filter_expression)?,
        projection: clauses.projection(&request.projection_expression)?,
        select: pages::select(
            request.select.as_deref(),
            request.projection_expression.is_some(),
            request.index_name.is_some(),
        )?,
        table: request.table_name,
        index: request.index_name,
        limit: pages::limit(request.limit)?,
        start: request.exclusive_start_key,
        consistent: request.consistent_read.unwrap_or_default(),
        wanted: Wanted::of(request.return_consumed_capacity.as_deref())?,
    };
    clauses.finish()?;
    let backwards = request.scan_index_forward == Some(false);
    let answered = engine.look(move |look| {
        let table = Table::of_items(look, &asked.table)?;
        let index = asked.index(&table)?;
        let (keys, prefix) = match index {
            Some(index) => (&index.keys, keys::of_index(&table.name, &index.name)),
            None => (&table.keys, keys::of_table(&table.name)),
        };
        if let Some(filter) = &asked.filter {
            check_filter(filter, keys)?;
        }
        let condition = condition.bind(named(&keys.partition), keys.sort.as_ref().map(named))?;
        let part = part(&condition, prefix)?;
        asked.read(look, &table, index, part, backwards)
    });
    Ok(response(&answered.await?))
}

fn named(key: &Definition) -> (&str, KeyType) {
    (&key.name, key.kind)
}

/// A filter is of what the key condition cannot say.
fn check_filter(filter: &Condition, keys: &Keys) -> Result<(), Refusal> {
    let mut of_key = None;
    filter.visit_paths(&mut |path| {
        if keys.has(path.attribute()) {
            of_key = Some(path.attribute());
        }
    });
    match of_key {
        None => Ok(()),
        Some(name) => Err(Refusal::validation(format!(
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}"
        ))),
    }
}
