//! ExecuteStatement.

use serde::{Deserialize, Serialize};

use crate::dynamodb::capacity::{Axis, Consumed, Wanted};
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Code, Failure};
use crate::dynamodb::item::shows_old;
use crate::dynamodb::read::limit;
use crate::dynamodb::statements::one::{is_read, parse, resolved, returned};
use crate::dynamodb::statements::select::Selection;
use crate::dynamodb::value::{Item, Value};
use crate::dynamodb::wire::{request, response};
use crate::dynamodb::write::apply;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecuteStatement {
    statement: String,
    parameters: Option<Vec<Value>>,
    consistent_read: Option<bool>,
    limit: Option<i64>,
    next_token: Option<String>,
    return_consumed_capacity: Option<String>,
    return_values_on_condition_check_failure: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    items: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_evaluated_key: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Consumed>,
}

pub(crate) async fn execute(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: ExecuteStatement = request(body)?;
    let wanted = Wanted::of(request.return_consumed_capacity.as_deref())?;
    let shows_old = shows_old(request.return_values_on_condition_check_failure.as_deref())?;
    let limit = limit(request.limit)?;
    let statement = parse(&request.statement, request.parameters.as_deref())?;
    let table = statement.table.clone();
    if is_read(&statement) {
        let selection = Selection {
            statement,
            limit,
            next: request.next_token,
            consistent: request.consistent_read.unwrap_or_default(),
        };
        let selected = engine.look(move |look| selection.read(look)).await?;
        return Ok(response(&Answered {
            items: selected.items,
            next_token: selected.next,
            last_evaluated_key: selected.last,
            consumed_capacity: Consumed::new(&table, &selected.units, wanted, Axis::Untold),
        }));
    }
    let written = engine.change(move |change| {
        let (table, write, returning) = resolved(change, statement)?;
        let key = write.key(&table)?;
        let planned = write.plan(change, &table, key)?;
        Ok((apply(change, planned)?, returning))
    });
    let (written, returning) = match written.await {
        Err(Failure::Refused(refusal)) => {
            let shows_old = shows_old && refusal.code == Code::ConditionalCheckFailed;
            return Err(refusal.showing(shows_old).into());
        }
        written => written?,
    };
    let consumed = Consumed::new(&table, &written.units, wanted, Axis::Untold);
    Ok(response(&Answered {
        items: returned(&written, returning).into_iter().collect(),
        next_token: None,
        last_evaluated_key: None,
        consumed_capacity: consumed,
    }))
}
