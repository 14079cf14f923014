//! DeleteItem.

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
struct DeleteItem {
    table_name: String,
    key: Item,
    condition_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<Item>,
    return_values: Option<String>,
    return_values_on_condition_check_failure: Option<String>,
    return_consumed_capacity: Option<String>,
    #[serde(default)]
    expected: Unserved,
    #[serde(default)]
    conditional_operator: Unserved,
}

pub(crate) async fn delete(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: DeleteItem = request(body)?;
    check_name(&request.table_name, "tableName")?;
    refuse_unserved([
        ("Expected", &request.expected, "use ConditionExpression"),
        (
            "ConditionalOperator",
            &request.conditional_operator,
            "use ConditionExpression",
        ),
    ])?;
    let answering = Answering {
        returned: Returned::of(request.return_values.as_deref(), false)?,
        shows_old: shows_old(request.return_values_on_condition_check_failure.as_deref())?,
        wanted: Wanted::of(request.return_consumed_capacity.as_deref())?,
    };
    let mut clauses = Clauses::new(
        &request.expression_attribute_names,
        &request.expression_attribute_values,
        &[("ConditionExpression", &request.condition_expression)],
    )?;
    let condition = clauses.condition(&request.condition_expression)?;
    clauses.finish()?;
    let write = ItemWrite {
        table: request.table_name,
        action: Action::Delete(request.key),
        condition,
        existing: Existing::Unasked,
    };
    answer(engine, write, answering).await
}
