//! UpdateItem.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::dynamodb::capacity::Wanted;
use crate::dynamodb::clauses::Clauses;
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::Failure;
use crate::dynamodb::item::one::{Action, Answering, Existing, ItemWrite, Returned, answer, shows_old};
use crate::dynamodb::value::Item;
use crate::dynamodb::wire::{Unserved, check_name, refuse_unserved, request};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateItem {
    table_name: String,
    key: Item,
    update_expression: Option<String>,
    condition_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<Item>,
    return_values: Option<String>,
    return_values_on_condition_check_failure: Option<String>,
    return_consumed_capacity: Option<String>,
    #[serde(default)]
    attribute_updates: Unserved,
    #[serde(default)]
    expected: Unserved,
    #[serde(default)]
    conditional_operator: Unserved,
}

pub(crate) async fn update(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: UpdateItem = request(body)?;
    check_name(&request.table_name, "tableName")?;
    refuse_unserved([
        (
            "AttributeUpdates",
            &request.attribute_updates,
            "use UpdateExpression",
        ),
        ("Expected", &request.expected, "use ConditionExpression"),
        (
            "ConditionalOperator",
            &request.conditional_operator,
            "use ConditionExpression",
        ),
    ])?;
    let answering = Answering {
        returned: Returned::of(request.return_values.as_deref(), true)?,
        shows_old: shows_old(request.return_values_on_condition_check_failure.as_deref())?,
        wanted: Wanted::of(request.return_consumed_capacity.as_deref())?,
    };
    let mut clauses = Clauses::new(
        &request.expression_attribute_names,
        &request.expression_attribute_values,
        &[
            ("UpdateExpression", &request.update_expression),
            ("ConditionExpression", &request.condition_expression),
        ],
    )?;
    let update = clauses.update(&request.update_expression)?;
    let condition = clauses.condition(&request.condition_expression)?;
    clauses.finish()?;
    let write = ItemWrite {
        table: request.table_name,
        action: Action::Update(request.key, update),
        condition,
        existing: Existing::Unasked,
    };
    answer(engine, write, answering).await
}
