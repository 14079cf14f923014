//! TransactWriteItems.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use crate::dynamodb::capacity::{Axis, ByTable, Consumed, Units, Wanted, read_units};
use crate::dynamodb::clauses::Clauses;
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Failure, Reason, Refusal};
use crate::dynamodb::item::{Action, Existing, ItemWrite, shows_old};
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::tokens::Token;
use crate::dynamodb::transact::get::{check_count, several_of_one};
use crate::dynamodb::value::{Item, item_size};
use crate::dynamodb::wire::{check_name, invalid, request, response};
use crate::dynamodb::write::{Written, apply};
use crate::store::Change;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactWrite {
    transact_items: Vec<TransactItem>,
    client_request_token: Option<String>,
    return_consumed_capacity: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactItem {
    condition_check: Option<Operation>,
    put: Option<Operation>,
    delete: Option<Operation>,
    update: Option<Operation>,
}

/// Each kind has some of these.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Operation {
    table_name: String,
    key: Option<Item>,
    item: Option<Item>,
    update_expression: Option<String>,
    condition_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<Item>,
    return_values_on_condition_check_failure: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<Consumed>>,
}

/// One write of a transaction.
pub(crate) struct Member {
    pub(crate) write: ItemWrite,
    pub(crate) shows_old: bool,
}

pub(crate) async fn write(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: TransactWrite = request(body)?;
    let wanted = Wanted::of(request.return_consumed_capacity.as_deref())?;
    check_count(request.transact_items.len())?;
    let mut members = Vec::new();
    for item in request.transact_items {
        members.push(member(item)?);
    }
    let token = token(request.client_request_token, body)?;
    let (units, axis, _) = made_once(engine, token, members, |change, members| {
        Ok((run(change, members)?, ()))
    })
    .await?;
    Ok(response(&Answered {
        consumed_capacity: units.consumed(wanted, axis),
    }))
}

/// The token of a request, if it has one.
pub(crate) fn token(text: Option<String>, body: &[u8]) -> Result<Option<Token>, Refusal> {
    match text {
        Some(text) if text.is_empty() || text.len() > 36 => Err(invalid(&[format!(
            "Value '{text}' at 'clientRequestToken' failed to satisfy constraint: Member must have length less than or equal \
             to 36 and greater than or equal to 1"
        )])),
        text => Ok(text.map(|text| Token::new(text, body))),
    }
}

/// Makes a transaction, unless it was made with this token: what it consumed then are reads, and there is nothing to answer.
pub(crate) async fn made_once<M: Send + 'static, T: Send + 'static>(
    engine: &Engine,
    token: Option<Token>,
    members: M,
    make: impl FnOnce(&mut dyn Change, M) -> Result<(Vec<(String, Written)>, T), Failure> + Send + 'static,
) -> Result<(ByTable, Axis, Option<T>), Failure> {
    let (tokens, now_ms) = (Arc::clone(&engine.tokens), engine.now_ms());
    engine
        .change(move |change| {
            let mut units = ByTable::default();
            if let Some(token) = &token
                && let Some(written) = token.made(change, now_ms)?
            {
                for (table, bytes) in written {
                    units.add(&table, &Units::of_table(2.0 * read_units(bytes, true)));
                }
                return Ok((units, Axis::Read, None));
            }
            let (written, answer) = make(change, members)?;
            let mut sizes = Vec::new();
            for (table, written) in &written {
                let doubled = Units {
                    table: written.units.table * 2.0,
                    ..written.units.clone()
                };
                units.add(table, &doubled);
                let item = written.new.as_ref().or(written.old.as_ref());
                sizes.push((table.clone(), item.map_or(0, item_size)));
            }
            if let Some(token) = &token {
                let mut tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.keep(change, token, now_ms, sizes)?;
            }
            Ok((units, Axis::Write, Some(answer)))
        })
        .await
}

fn member(item: TransactItem) -> Result<Member, Refusal> {
    let given = [&item.condition_check, &item.put, &item.delete, &item.update];
    if given.iter().filter(|one| one.is_some()).count() != 1 {
        return Err(Refusal::validation(
            "TransactItems can only contain one of Check, Put, Update or Delete",
        ));
    }
    let lacks = |name: &str| crate::dynamodb::wire::missing(name);
    let (operation, action): (_, fn(Item, Option<_>) -> Action) = match item {
        TransactItem { put: Some(one), .. } => (one, |item, _| Action::Put(item)),
        TransactItem {
            delete: Some(one), ..
        } => (one, |key, _| Action::Delete(key)),
        TransactItem {
            update: Some(one), ..
        } if one.update_expression.is_none() => {
            return Err(lacks("transactItems.1.member.update.updateExpression"));
        }
        TransactItem {
            update: Some(one), ..
        } => (one, Action::Update),
        TransactItem { condition_check, .. } => {
            let one = condition_check.filter(|one| one.condition_expression.is_some());
            let one =
                one.ok_or_else(|| lacks("transactItems.1.member.conditionCheck.conditionExpression"))?;
            (one, |key, _| Action::Check(key))
        }
    };
    check_name(&operation.table_name, "tableName")?;
    let mut clauses = Clauses::new(
        &operation.expression_attribute_names,
        &operation.expression_attribute_values,
        &[
            ("UpdateExpression", &operation.update_expression),
            ("ConditionExpression", &operation.condition_expression),
        ],
    )?;
    let update = clauses.update(&operation.update_expression)?;
    let condition = clauses.condition(&operation.condition_expression)?;
    clauses.finish()?;
    let subject = operation.item.or(operation.key);
    Ok(Member {
        write: ItemWrite {
            table: operation.table_name,
            action: action(subject.ok_or_else(|| lacks("Key"))?, update),
            condition,
            existing: Existing::Unasked,
        },
        shows_old: shows_old(operation.return_values_on_condition_check_failure.as_deref())?,
    })
}

/// Makes all of the writes, or none; what became of each, with its table.
pub(crate) fn run(change: &mut dyn Change, members: Vec<Member>) -> Result<Vec<(String, Written)>, Failure> {
    let (mut planned, mut reasons, mut different) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut keyed = Vec::new();
    for member in members {
        let table = Table::of_items(change, &member.write.table)?;
        let key = member.write.key(&table);
        if let Ok(key) = &key
            && !different.insert(key.clone())
        {
            return Err(several_of_one().into());
        }
        keyed.push((member, table, key));
    }
    for (member, table, key) in keyed {
        let name = member.write.table.clone();
        let plan = match key {
            Ok(key) => member.write.plan(change, &table, key),
            Err(refusal) => Err(refusal.into()),
        };
        match plan {
            Ok(plan) => {
                reasons.push(Reason::none());
                planned.push((name, plan));
            }
            Err(Failure::Refused(refusal)) => reasons.push(Reason::of(refusal.showing(member.shows_old))),
            Err(error) => return Err(error),
        }
    }
    if planned.len() < reasons.len() {
        return Err(Refusal::canceled(reasons).into());
    }
    let mut written = Vec::with_capacity(planned.len());
    for (name, plan) in planned {
        written.push((name, apply(change, plan)?));
    }
    Ok(written)
}
