//! A ledger-like table of a case's own: key `id`, index `by_status` (KEYS_ONLY) on `status_shard`, `due_at`.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::batch_execute_statement::{BatchExecuteStatementError, BatchExecuteStatementOutput},
    types::{
        AttributeDefinition, AttributeValue, BatchStatementRequest, BillingMode, GlobalSecondaryIndex,
        KeySchemaElement, KeyType, Projection, ProjectionType, ReturnConsumedCapacity,
        ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TableStatus,
    },
};

use crate::services::{Services, eventually};

pub type Item = HashMap<String, AttributeValue>;

pub struct Table {
    pub client: Client,
    pub name: String,
}

pub fn s(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub fn n(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A row as the ledger has them.
pub fn row(id: &str, status_shard: &str, due_at: &str) -> Item {
    [
        ("id", s(id)),
        ("status_shard", s(status_shard)),
        ("due_at", s(due_at)),
        ("attempt", n(0)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
        .expect("complete")
}

impl Table {
    pub async fn new(services: &Services) -> Self {
        let name = services.name("table");
        let index = GlobalSecondaryIndex::builder()
            .index_name("by_status")
            .key_schema(key("status_shard", KeyType::Hash))
            .key_schema(key("due_at", KeyType::Range))
            .projection(
                Projection::builder()
                    .projection_type(ProjectionType::KeysOnly)
                    .build(),
            );
        let mut create = services
            .dynamodb
            .create_table()
            .table_name(&name)
            .billing_mode(BillingMode::PayPerRequest)
            .key_schema(key("id", KeyType::Hash))
            .global_secondary_indexes(index.build().expect("complete"));
        for name in ["id", "status_shard", "due_at"] {
            let definition = AttributeDefinition::builder().attribute_name(name);
            let definition = definition.attribute_type(ScalarAttributeType::S).build();
            create = create.attribute_definitions(definition.expect("complete"));
        }
        create.send().await.expect("a table is created");
        eventually("the table is active", async || {
            let shown = services
                .dynamodb
                .describe_table()
                .table_name(&name)
                .send()
                .await
                .expect("described");
            (shown.table()?.table_status()? == &TableStatus::Active).then_some(())
        })
        .await;
        Self {
            client: services.dynamodb.clone(),
            name,
        }
    }

    pub async fn put(&self, item: Item) {
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.expect("put");
    }

    pub async fn get(&self, id: &str) -> Option<Item> {
        let get = self
            .client
            .get_item()
            .table_name(&self.name)
            .key("id", s(id))
            .consistent_read(true);
        get.send().await.expect("got").item
    }

    /// A statement on this table (`{}` stands for its name), ALL_OLD on a failed condition.
    pub fn statement(&self, text: &str, parameters: &[AttributeValue]) -> BatchStatementRequest {
        let text = text.replace("{}", &format!("\"{}\"", self.name));
        let request = BatchStatementRequest::builder().statement(text);
        let request =
            request.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        request
            .set_parameters(Some(parameters.to_vec()))
            .build()
            .expect("complete")
    }

    pub fn insert(&self, id: &str) -> BatchStatementRequest {
        let text = "INSERT INTO {} VALUE {'id':?,'status_shard':?,'due_at':?,'attempt':?}";
        self.statement(text, &[s(id), s("PENDING#1"), s("1"), n(0)])
    }

    pub async fn execute(
        &self,
        statements: Vec<BatchStatementRequest>,
    ) -> Result<BatchExecuteStatementOutput, SdkError<BatchExecuteStatementError>> {
        let execute = self
            .client
            .batch_execute_statement()
            .set_statements(Some(statements));
        execute
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .send()
            .await
    }
}

/// Per statement: `ok`, `ok+item`, or the error's code, with `+item` where it carries one.
pub fn outcomes(output: &BatchExecuteStatementOutput) -> Vec<String> {
    let one = |response: &aws_sdk_dynamodb::types::BatchStatementResponse| match response.error() {
        Some(error) => {
            let code = error.code().map_or("(none)", |code| code.as_str());
            format!(
                "{code}{}",
                if error.item().is_some_and(|item| !item.is_empty()) {
                    "+item"
                } else {
                    ""
                }
            )
        }
        None if response.item().is_some_and(|item| !item.is_empty()) => "ok+item".to_owned(),
        None => "ok".to_owned(),
    };
    output.responses().iter().map(one).collect()
}
