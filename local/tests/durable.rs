//! DynamoDB on disk: what is flushed before an answer, how often, and what a restart finds.

use daybook_local::LocalAws;
use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

fn open(directory: &TempDir) -> LocalAws {
    LocalAws::builder()
        .data_dir(directory.path())
        .build()
        .expect("it starts")
}

async fn dynamodb(aws: &LocalAws, operation: &str, body: Value) -> (u16, Value) {
    let target = format!("DynamoDB_20120810.{operation}");
    let answer = aws.handle(&target, body.to_string().as_bytes()).await;
    (answer.status, serde_json::from_slice(&answer.body).expect("JSON"))
}

async fn create_table(aws: &LocalAws) {
    let table = json!({
        "TableName": "events",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    });
    let (status, answer) = dynamodb(aws, "CreateTable", table).await;
    assert_eq!(status, 200, "{answer}");
}

async fn put_new(aws: &LocalAws, id: &str) -> u16 {
    let put = json!({
        "TableName": "events",
        "Item": {"id": {"S": id}},
        "ConditionExpression": "attribute_not_exists(id)",
    });
    dynamodb(aws, "PutItem", put).await.0
}

async fn is_there(aws: &LocalAws, id: &str) -> bool {
    let get = json!({"TableName": "events", "Key": {"id": {"S": id}}, "ConsistentRead": true});
    let (status, answer) = dynamodb(aws, "GetItem", get).await;
    assert_eq!(status, 200, "{answer}");
    answer.get("Item").is_some()
}

#[tokio::test]
async fn a_write_is_flushed_before_its_answer_and_a_read_of_what_is_flushed_costs_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let aws = open(&directory);
    assert_eq!(aws.syncs(), 0);
    create_table(&aws).await;
    assert_eq!(aws.syncs(), 1);
    assert_eq!(put_new(&aws, "a").await, 200);
    assert_eq!(aws.syncs(), 2);
    assert!(is_there(&aws, "a").await);
    assert_eq!(aws.syncs(), 2);
    // A refusal rests on what is on the disk, and writes nothing.
    assert_eq!(put_new(&aws, "a").await, 400);
    assert_eq!(aws.syncs(), 2);
}

#[tokio::test]
async fn a_batch_of_25_statements_is_flushed_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let aws = open(&directory);
    create_table(&aws).await;
    let statement =
        |row: usize| json!({"Statement": format!("INSERT INTO events VALUE {{'id': 'row-{row}'}}")});
    let batch: Vec<Value> = (0..25).map(statement).collect();
    let before = aws.syncs();
    let (status, answer) = dynamodb(&aws, "BatchExecuteStatement", json!({"Statements": batch})).await;
    assert_eq!(status, 200, "{answer}");
    assert!(!answer.to_string().contains("Error"), "{answer}");
    assert_eq!(aws.syncs(), before + 1);
    assert!(is_there(&aws, "row-24").await);
}

#[tokio::test]
async fn everything_is_found_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let aws = open(&directory);
    create_table(&aws).await;
    let ids: Vec<String> = (0..200).map(|row| format!("row-{row}")).collect();
    let answers = join_all(ids.iter().map(|id| put_new(&aws, id))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    // The table's, and at most one for each row.
    assert!((2..=201).contains(&aws.syncs()), "{}", aws.syncs());
    drop(aws);

    let aws = open(&directory);
    for id in &ids {
        assert!(is_there(&aws, id).await, "{id}");
    }
    assert_eq!(aws.syncs(), 0);
}

#[tokio::test]
async fn memory_has_nothing_to_flush() {
    let aws = LocalAws::builder().build().expect("it starts");
    create_table(&aws).await;
    assert_eq!(put_new(&aws, "a").await, 200);
    assert_eq!(aws.syncs(), 0);
}
