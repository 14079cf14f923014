//! Each operation through its wire, over a store in memory.

mod items;
mod reads;
mod statements;
mod tables;
mod transactions;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;
use serde_json::{Value, json};

use crate::dynamodb::{Engine, answer};
use crate::ids::Ids;
use crate::store::Store;

/// An engine of its own, with a clock that the test sets.
struct World {
    engine: Engine,
    now_ms: Arc<AtomicI64>,
}

impl World {
    fn empty() -> Self {
        let now_ms = Arc::new(AtomicI64::new(1_700_000_000_000));
        let clock = Arc::clone(&now_ms);
        let clock = Arc::new(move || {
            DateTime::from_timestamp_millis(clock.load(Ordering::Relaxed)).expect("a time within centuries")
        });
        let engine = Engine::new(
            Store::in_memory(),
            clock,
            Ids::new(7),
            "us-east-1",
            "000000000000",
        );
        Self { engine, now_ms }
    }

    /// With a table as the ledger's: key `id`, index `by_status` (KEYS_ONLY) on `status_shard`, `due_at`; and one with a sort key.
    async fn new() -> Self {
        let world = Self::empty();
        world.ok("CreateTable", ledger("ledger")).await;
        world
            .ok(
                "CreateTable",
                json!({
                    "TableName": "sorted", "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [
                        {"AttributeName": "p", "AttributeType": "S"},
                        {"AttributeName": "s", "AttributeType": "N"},
                        {"AttributeName": "l", "AttributeType": "S"},
                    ],
                    "KeySchema": [
                        {"AttributeName": "p", "KeyType": "HASH"},
                        {"AttributeName": "s", "KeyType": "RANGE"},
                    ],
                    "LocalSecondaryIndexes": [{
                        "IndexName": "by_l",
                        "KeySchema": [
                            {"AttributeName": "p", "KeyType": "HASH"},
                            {"AttributeName": "l", "KeyType": "RANGE"},
                        ],
                        "Projection": {"ProjectionType": "KEYS_ONLY"},
                    }],
                }),
            )
            .await;
        world
    }

    async fn ask(&self, operation: &str, request: Value) -> (u16, Value) {
        let answer = answer(&self.engine, operation, request.to_string().as_bytes()).await;
        (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
    }

    async fn ok(&self, operation: &str, request: Value) -> Value {
        let (status, body) = self.ask(operation, request).await;
        assert_eq!(status, 200, "{operation}: {body}");
        body
    }

    /// The refusal's code, and what it says.
    async fn refused(&self, operation: &str, request: Value) -> (String, String) {
        let (status, body) = self.ask(operation, request).await;
        assert_eq!(status, 400, "{operation}: {body}");
        let code = body["__type"].as_str().expect("a code").rsplit('#').next();
        let message = body
            .get("message")
            .or(body.get("Message"))
            .and_then(Value::as_str);
        (
            code.unwrap_or_default().to_owned(),
            message.unwrap_or_default().to_owned(),
        )
    }

    async fn put(&self, table: &str, item: Value) {
        self.ok("PutItem", json!({"TableName": table, "Item": item}))
            .await;
    }

    async fn get(&self, table: &str, key: Value) -> Value {
        let request = json!({"TableName": table, "Key": key, "ConsistentRead": true});
        self.ok("GetItem", request).await["Item"].clone()
    }
}

fn ledger(name: &str) -> Value {
    json!({
        "TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "status_shard", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": [{
            "IndexName": "by_status",
            "KeySchema": [
                {"AttributeName": "status_shard", "KeyType": "HASH"},
                {"AttributeName": "due_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }],
    })
}

fn row(id: &str, status_shard: &str, due_at: &str) -> Value {
    json!({
        "id": {"S": id}, "status_shard": {"S": status_shard}, "due_at": {"S": due_at}, "attempt": {"N": "0"},
    })
}

/// The strings of that attribute.
fn texts(items: &Value, name: &str) -> Vec<String> {
    let items = items.as_array().expect("items");
    let text = |item: &Value| {
        let value = item[name].as_object().and_then(|value| value.values().next());
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    items.iter().map(text).collect()
}

#[tokio::test]
async fn an_operation_that_is_not_served_is_named() {
    let world = World::empty();
    let (code, message) = world.refused("CreateGlobalTable", json!({})).await;
    assert_eq!(code, "UnknownOperationException");
    assert!(message.contains("CreateGlobalTable"), "{message}");
}
