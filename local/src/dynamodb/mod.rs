//! The embedded DynamoDB: its operations over the store, in AWS's words and by AWS's rules.

mod batch_write;
mod capacity;
mod clauses;
mod engine;
mod error;
mod expire;
mod expression;
mod import;
mod item;
mod keys;
mod partiql;
mod read;
mod statements;
mod tables;
mod texts;
mod tokens;
mod transact;
pub(crate) mod value;
mod wire;
mod write;

#[cfg(test)]
mod tests;

use crate::answer::Answer;
pub(crate) use engine::Engine;
use error::{Failure, internal_error};

/// Answers one request.
pub(crate) async fn answer(engine: &Engine, operation: &str, body: &[u8]) -> Answer {
    let Some(outcome) = dispatch(engine, operation, body).await else {
        return Answer::unknown_operation(&format!("DynamoDB_20120810.{operation}"));
    };
    match outcome {
        Ok(body) => Answer::json(200, body),
        Err(Failure::Refused(refusal) | Failure::Batch(refusal)) => refusal.answer(),
        Err(Failure::Store(error)) => internal_error(&error.to_string()),
    }
}

/// Removes the items whose time to live is over; how many.
///
/// # Errors
/// Why that could not be done.
pub(crate) async fn expire(engine: &Engine) -> Result<u64, String> {
    expire::expire(engine).await.map_err(Failure::into_message)
}

/// Puts items, in the wire's JSON, into a table, in one commit.
///
/// # Errors
/// Why that could not be done.
pub(crate) async fn import(
    engine: &Engine,
    table: &str,
    items: Vec<serde_json::Value>,
) -> Result<(), String> {
    let read = items.into_iter().map(serde_json::from_value).collect();
    let items = Result::<Vec<value::Item>, serde_json::Error>::map_err(read, |error| error.to_string())?;
    import::import(engine, table, items)
        .await
        .map_err(Failure::into_message)
}

/// `None` for an operation that is not served.
async fn dispatch(engine: &Engine, operation: &str, body: &[u8]) -> Option<Result<Vec<u8>, Failure>> {
    Some(match operation {
        "CreateTable" => tables::create(engine, body).await,
        "DeleteTable" => tables::delete(engine, body).await,
        "DescribeTable" => tables::describe(engine, body).await,
        "UpdateTable" => tables::update(engine, body).await,
        "ListTables" => tables::list(engine, body).await,
        "UpdateTimeToLive" => tables::update_ttl(engine, body).await,
        "DescribeTimeToLive" => tables::describe_ttl(engine, body).await,
        "TagResource" => tables::tag(engine, body).await,
        "UntagResource" => tables::untag(engine, body).await,
        "ListTagsOfResource" => tables::list_tags(engine, body).await,
        "PutItem" => item::put(engine, body).await,
        "GetItem" => item::get(engine, body).await,
        "UpdateItem" => item::update(engine, body).await,
        "DeleteItem" => item::delete(engine, body).await,
        "Query" => read::query(engine, body).await,
        "Scan" => read::scan(engine, body).await,
        "BatchGetItem" => read::batch_get(engine, body).await,
        "BatchWriteItem" => batch_write::batch_write(engine, body).await,
        "ExecuteStatement" => statements::execute(engine, body).await,
        "BatchExecuteStatement" => statements::batch(engine, body).await,
        "ExecuteTransaction" => statements::transaction(engine, body).await,
        "TransactWriteItems" => transact::write(engine, body).await,
        "TransactGetItems" => transact::get(engine, body).await,
        _ => return None,
    })
}
