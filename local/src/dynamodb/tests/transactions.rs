use super::*;

fn put(id: &str) -> Value {
    json!({"Put": {
        "TableName": "ledger", "Item": row(id, "P#1", "1"), "ConditionExpression": "attribute_not_exists(id)",
    }})
}

fn key(id: &str) -> Value {
    json!({"id": {"S": id}})
}

#[tokio::test]
async fn a_transaction_writes_all_or_nothing_and_says_why() {
    let world = World::new().await;
    let written = world
        .ok(
            "TransactWriteItems",
            json!({"TransactItems": [put("a"), put("b")], "ReturnConsumedCapacity": "INDEXES"}),
        )
        .await;
    let consumed = &written["ConsumedCapacity"][0];
    assert_eq!(consumed["Table"]["CapacityUnits"], 4.0, "double");
    assert_eq!(consumed["WriteCapacityUnits"], consumed["CapacityUnits"]);
    let mut second = put("b");
    second["Put"]["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
    let (status, body) = world
        .ask("TransactWriteItems", json!({"TransactItems": [put("c"), second]}))
        .await;
    assert_eq!(status, 400);
    let reasons = &body["CancellationReasons"];
    assert_eq!(reasons[0], json!({"Code": "None"}));
    assert_eq!(
        (&reasons[1]["Code"], &reasons[1]["Item"]),
        (&json!("ConditionalCheckFailed"), &row("b", "P#1", "1"))
    );
    assert!(
        body["Message"]
            .as_str()
            .expect("words")
            .ends_with("[None, ConditionalCheckFailed]")
    );
    assert_eq!(world.get("ledger", key("c")).await, Value::Null);

    let all = json!({"TransactItems": [
        {"ConditionCheck": {"TableName": "ledger", "Key": key("a"), "ConditionExpression": "attribute_exists(id)"}},
        {"Update": {
            "TableName": "ledger", "Key": key("b"), "UpdateExpression": "SET due_at = :d",
            "ExpressionAttributeValues": {":d": {"S": "7"}},
        }},
        {"Delete": {"TableName": "ledger", "Key": key("z")}},
    ]});
    world.ok("TransactWriteItems", all).await;
    assert_eq!(world.get("ledger", key("b")).await["due_at"], json!({"S": "7"}));
    let (_, message) = world
        .refused(
            "TransactWriteItems",
            json!({"TransactItems": [put("d"), put("d")]}),
        )
        .await;
    assert_eq!(
        message,
        "Transaction request cannot include multiple operations on one item"
    );
}

#[tokio::test]
async fn a_token_makes_a_transaction_once_within_ten_minutes() {
    let world = World::new().await;
    let request = json!({"TransactItems": [put("a")], "ClientRequestToken": "once"});
    world.ok("TransactWriteItems", request.clone()).await;
    world.ok("TransactWriteItems", request.clone()).await;
    let other = json!({"TransactItems": [put("b")], "ClientRequestToken": "once"});
    let (code, _) = world.refused("TransactWriteItems", other).await;
    assert_eq!(code, "IdempotentParameterMismatchException");
    world.now_ms.fetch_add(10 * 60 * 1000, Ordering::Relaxed);
    let (code, _) = world.refused("TransactWriteItems", request).await;
    assert_eq!(code, "TransactionCanceledException");
    assert_eq!(
        world.ok("ListTables", json!({})).await["TableNames"],
        json!(["ledger", "sorted"])
    );
}

#[tokio::test]
async fn a_transaction_reads_from_one_commit() {
    let world = World::new().await;
    world.put("ledger", row("a", "P#1", "1")).await;
    let get =
        |id: &str| json!({"Get": {"TableName": "ledger", "Key": key(id), "ProjectionExpression": "due_at"}});
    let request = json!({"TransactItems": [get("a"), get("none")], "ReturnConsumedCapacity": "TOTAL"});
    let got = world.ok("TransactGetItems", request).await;
    assert_eq!(got["Responses"], json!([{"Item": {"due_at": {"S": "1"}}}, {}]));
    assert_eq!(got["ConsumedCapacity"][0]["ReadCapacityUnits"], 4.0);
}
