//! PutItem, UpdateItem and DeleteItem.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::dynamodb::capacity::Wanted;
use crate::dynamodb::clauses::Clauses;
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::expression::Update;
use crate::dynamodb::item::one::{Action, Answering, Existing, ItemWrite, Returned, answer, shows_old};
use crate::dynamodb::value::Item;
use crate::dynamodb::wire::{Unserved, check_name, refuse_unserved, request};

/// The members that all three have.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Common {
    table_name: String,
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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutItem {
    item: Item,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteItem {
    key: Item,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateItem {
    key: Item,
    update_expression: Option<String>,
    #[serde(default)]
    attribute_updates: Unserved,
}

pub(crate) async fn put(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let common = request(body)?;
    let PutItem { item } = request(body)?;
    write(engine, common, None, |_| Action::Put(item)).await
}

pub(crate) async fn delete(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let common = request(body)?;
    let DeleteItem { key } = request(body)?;
    write(engine, common, None, |_| Action::Delete(key)).await
}

pub(crate) async fn update(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let common = request(body)?;
    let UpdateItem {
        key,
        update_expression,
        attribute_updates,
    } = request(body)?;
    refuse_unserved([("AttributeUpdates", &attribute_updates, "use UpdateExpression")])?;
    let action = |update| Action::Update(key, update);
    write(engine, common, Some(&update_expression), action).await
}

/// `update`: what UpdateItem has for its expression, where it is that.
async fn write(
    engine: &Engine,
    common: Common,
    update: Option<&Option<String>>,
    action: impl FnOnce(Option<Update>) -> Action,
) -> Result<Vec<u8>, Failure> {
    let answering = common.answering(update.is_some())?;
    let mut expressions = Vec::from_iter(update.map(|text| ("UpdateExpression", text)));
    expressions.push(("ConditionExpression", &common.condition_expression));
    let mut clauses = Clauses::new(
        &common.expression_attribute_names,
        &common.expression_attribute_values,
        &expressions,
    )?;
    let update = clauses.update(update.unwrap_or(&None))?;
    let condition = clauses.condition(&common.condition_expression)?;
    clauses.finish()?;
    let write = ItemWrite {
        table: common.table_name,
        action: action(update),
        condition,
        existing: Existing::Unasked,
    };
    answer(engine, write, answering).await
}

impl Common {
    fn answering(&self, is_update: bool) -> Result<Answering, Refusal> {
        check_name(&self.table_name, "tableName")?;
        let instead = "use ConditionExpression";
        refuse_unserved([
            ("Expected", &self.expected, instead),
            ("ConditionalOperator", &self.conditional_operator, instead),
        ])?;
        Ok(Answering {
            returned: Returned::of(self.return_values.as_deref(), is_update)?,
            shows_old: shows_old(self.return_values_on_condition_check_failure.as_deref())?,
            wanted: Wanted::of(self.return_consumed_capacity.as_deref())?,
        })
    }
}
