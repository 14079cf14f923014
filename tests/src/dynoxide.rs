//! dynoxide behind DynamoDB's wire: the witness against the embedded engine.
//!
//! dynoxide keeps its own HTTP dispatcher private, so the requests are dispatched here, and its errors are put
//! into AWS's words: the markers that it writes into deserialisation errors never reach the wire.
//! dynoxide calls itself a development tool. It never throttles, and its index reads are never stale.

use std::sync::Arc;

use daybook_local::{Answer, Clock, DynamoDb};
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// DynamoDB by dynoxide, in memory, for [`daybook_local::LocalAwsBuilder::dynamodb`].
pub struct Dynoxide(Database);

impl Dynoxide {
    /// With no tables, on that clock.
    pub fn new(clock: Clock) -> Self {
        Self(Database::memory_with_clock(Arc::new(Seconds(clock))).unwrap())
    }
}

impl DynamoDb for Dynoxide {
    fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        answer(&self.0, operation, body)
    }

    fn expire(&self) -> Result<u64, String> {
        let swept = self.0.sweep_ttl();
        swept.map(|items| items as u64).map_err(|error| error.to_string())
    }
}

/// A clock as dynoxide wants it.
struct Seconds(Clock);

impl dynoxide::storage_backend::Clock for Seconds {
    fn now_unix_secs(&self) -> u64 {
        u64::try_from((self.0)().timestamp()).unwrap_or(0)
    }

    fn now_unix_secs_f64(&self) -> f64 {
        (self.0)().timestamp_micros() as f64 / 1e6
    }
}

fn answer(database: &Database, operation: &str, body: &[u8]) -> Answer {
    let Some(result) = dispatch(database, operation, body) else {
        return Answer::unknown_operation(&format!("DynamoDB_20120810.{operation}"));
    };
    match result.map_err(|error| in_aws_words(operation, error)) {
        Ok(body) => Answer::json(200, body),
        Err(error) => {
            let code = error.error_type().rsplit('#').next().map(str::to_owned);
            let answer = Answer::json(error.status_code(), error.to_json().into_bytes());
            Answer {
                error_code: code,
                ..answer
            }
        }
    }
}

fn run<Request: DeserializeOwned, Response: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Request) -> dynoxide::Result<Response>,
) -> dynoxide::Result<Vec<u8>> {
    let request = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
    let response = operation(request)?;
    serde_json::to_vec(&response).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// `None` for an operation that is not served.
fn dispatch(database: &Database, operation: &str, body: &[u8]) -> Option<dynoxide::Result<Vec<u8>>> {
    macro_rules! operations {
        ($($name:literal => $method:ident),* $(,)?) => {
            match operation {
                $($name => run(body, |request| database.$method(request)),)*
                _ => return None,
            }
        };
    }
    Some(operations! {
        "CreateTable" => create_table,
        "DeleteTable" => delete_table,
        "DescribeTable" => describe_table,
        "UpdateTable" => update_table,
        "ListTables" => list_tables,
        "UpdateTimeToLive" => update_time_to_live,
        "DescribeTimeToLive" => describe_time_to_live,
        "TagResource" => tag_resource,
        "UntagResource" => untag_resource,
        "ListTagsOfResource" => list_tags_of_resource,
        "PutItem" => put_item,
        "GetItem" => get_item,
        "UpdateItem" => update_item,
        "DeleteItem" => delete_item,
        "Query" => query,
        "Scan" => scan,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "ExecuteStatement" => execute_statement,
        "BatchExecuteStatement" => batch_execute_statement,
        "ExecuteTransaction" => execute_transaction,
        "TransactWriteItems" => transact_write_items,
        "TransactGetItems" => transact_get_items,
    })
}

/// Which AWS error a request body that does not deserialise is.
///
/// dynoxide's readers mark the class in front of the message; an unmarked message is serde's own. A missing or
/// null member is a validation error to DynamoDB, a wrong JSON type a serialization error.
fn unreadable(error: &serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    if let Some(message) = text.strip_prefix("VALIDATION_REQUEST:") {
        return DynoxideError::EnvelopedValidation(without_position(message).to_owned());
    }
    for marker in ["VALIDATION_AS_READ:", "VALIDATION:"] {
        if let Some(message) = text.strip_prefix(marker) {
            return DynoxideError::ValidationException(without_position(message).to_owned());
        }
    }
    for marker in ["SERIALIZATION_AS_READ:", "SERIALIZATION:"] {
        if let Some(message) = text.strip_prefix(marker) {
            return DynoxideError::SerializationException(without_position(message).to_owned());
        }
    }
    let message = without_position(&text);
    if message.contains("empty AttributeValue") {
        let words = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes";
        return DynoxideError::ValidationException(words.to_owned());
    }
    let validation = [
        "missing field",
        "unknown variant",
        "invalid type: null",
        "Supplied AttributeValue",
    ];
    if validation.iter().any(|sign| message.contains(sign)) {
        DynoxideError::ValidationException(message.to_owned())
    } else {
        DynoxideError::SerializationException(message.to_owned())
    }
}

/// serde_json adds where it stopped reading; AWS does not.
fn without_position(message: &str) -> &str {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message)
}

/// The error as DynamoDB words it for this operation.
fn in_aws_words(operation: &str, error: DynoxideError) -> DynoxideError {
    match error {
        DynoxideError::EnvelopedValidation(message)
            if matches!(operation, "PutItem" | "UpdateItem" | "DeleteItem") =>
        {
            DynoxideError::ValidationException(format!("1 validation error detected: {message}"))
        }
        DynoxideError::EnvelopedValidation(message) => DynoxideError::ValidationException(message),
        DynoxideError::ConditionalCheckFailedException(message, Some(item))
            if operation == "ExecuteStatement" =>
        {
            DynoxideError::StatementConditionalCheckFailed(message, item)
        }
        other => other,
    }
}
