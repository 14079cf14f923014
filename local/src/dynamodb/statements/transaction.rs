//! ExecuteTransaction.

use serde::{Deserialize, Serialize};

use crate::dynamodb::capacity::{Axis, ByTable, Consumed, Units, Wanted};
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Failure, Refusal};
use crate::dynamodb::item::shows_old;
use crate::dynamodb::partiql::Statement;
use crate::dynamodb::statements::one::{is_read, parse, resolved, returned};
use crate::dynamodb::statements::select::keyed;
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::transact::{Member, check_count, made_once, run, token};
use crate::dynamodb::value::{Item, Value};
use crate::dynamodb::wire::{request, response};
use crate::dynamodb::write::Written;
use crate::store::Change;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecuteTransaction {
    transact_statements: Vec<ParameterizedStatement>,
    client_request_token: Option<String>,
    return_consumed_capacity: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ParameterizedStatement {
    statement: String,
    parameters: Option<Vec<Value>>,
    return_values_on_condition_check_failure: Option<String>,
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

pub(crate) async fn transaction(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: ExecuteTransaction = request(body)?;
    let wanted = Wanted::of(request.return_consumed_capacity.as_deref())?;
    check_count(request.transact_statements.len())?;
    let mut statements = Vec::new();
    for one in request.transact_statements {
        let statement = parse(&one.statement, one.parameters.as_deref())?;
        statements.push((
            statement,
            shows_old(one.return_values_on_condition_check_failure.as_deref())?,
        ));
    }
    let reads = statements.iter().filter(|(one, _)| is_read(one)).count();
    let (items, units, axis) = if reads == statements.len() {
        let (items, units) = read(engine, statements).await?;
        (items, units, Axis::Read)
    } else if reads == 0 {
        let count = statements.len();
        let token = token(request.client_request_token, body)?;
        let (units, axis, items) = made_once(engine, token, statements, write).await?;
        (items.unwrap_or_else(|| vec![None; count]), units, axis)
    } else {
        let message = "Read and write requests together in the same transaction is not supported.";
        return Err(Refusal::validation(message).into());
    };
    Ok(response(&Answered {
        responses: items.into_iter().map(|item| ItemResponse { item }).collect(),
        consumed_capacity: units.consumed(wanted, axis),
    }))
}

/// The writes with their tables, and what of each item is answered.
type Wrote = (Vec<(String, Written)>, Vec<Option<Item>>);

fn write(change: &mut dyn Change, statements: Vec<(Statement, bool)>) -> Result<Wrote, Failure> {
    let (mut members, mut answered) = (Vec::new(), Vec::new());
    for (statement, shows_old) in statements {
        let (_, write, returning) = resolved(change, statement)?;
        members.push(Member { write, shows_old });
        answered.push(returning);
    }
    let written = run(change, members)?;
    let items = written.iter().zip(answered);
    let items = items
        .map(|((_, written), returning)| returned(written, returning))
        .collect();
    Ok((written, items))
}

async fn read(
    engine: &Engine,
    statements: Vec<(Statement, bool)>,
) -> Result<(Vec<Option<Item>>, ByTable), Failure> {
    engine
        .look(move |look| {
            let (mut items, mut units) = (Vec::new(), ByTable::default());
            for (statement, _) in statements {
                let table = Table::of_items(look, &statement.table)?;
                let (item, read) = keyed(statement, &table)?.read(look, true)?;
                units.add(&table.name, &Units::of_table(read.table * 2.0));
                items.push(item);
            }
            Ok((items, units))
        })
        .await
}
