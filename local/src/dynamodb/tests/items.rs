use super::*;

fn id(id: &str) -> Value {
    json!({"id": {"S": id}})
}

#[tokio::test]
async fn an_item_is_put_got_updated_and_deleted() {
    let world = World::new().await;
    world.put("ledger", row("a", "PENDING#1", "1")).await;
    assert_eq!(world.get("ledger", id("a")).await, row("a", "PENDING#1", "1"));
    let update = json!({
        "TableName": "ledger", "Key": id("a"), "UpdateExpression": "SET due_at = :due ADD attempt :one REMOVE status_shard",
        "ExpressionAttributeValues": {":due": {"S": "2"}, ":one": {"N": "1"}}, "ReturnValues": "UPDATED_NEW",
    });
    let updated = world.ok("UpdateItem", update).await;
    assert_eq!(
        updated["Attributes"],
        json!({"due_at": {"S": "2"}, "attempt": {"N": "1"}})
    );
    let delete = json!({"TableName": "ledger", "Key": id("a"), "ReturnValues": "ALL_OLD"});
    let deleted = world.ok("DeleteItem", delete.clone()).await;
    assert_eq!(
        deleted["Attributes"],
        json!({"id": {"S": "a"}, "due_at": {"S": "2"}, "attempt": {"N": "1"}})
    );
    assert_eq!(
        world.ok("DeleteItem", delete).await,
        json!({}),
        "done twice is done"
    );
    assert_eq!(world.get("ledger", id("a")).await, Value::Null);
    let made = json!({"TableName": "ledger", "Key": id("new"), "ReturnValues": "ALL_NEW"});
    assert_eq!(world.ok("UpdateItem", made).await["Attributes"], id("new"));
}

#[tokio::test]
async fn a_refused_condition_writes_nothing_and_shows_the_item_where_it_is_asked_for() {
    let world = World::new().await;
    world.put("ledger", row("a", "PENDING#1", "1")).await;
    let mut put = json!({
        "TableName": "ledger", "Item": row("a", "PENDING#2", "2"), "ConditionExpression": "attribute_not_exists(id)",
    });
    let (status, body) = world.ask("PutItem", put.clone()).await;
    assert_eq!((status, &body["Item"]), (400, &Value::Null));
    put["ReturnValuesOnConditionCheckFailure"] = json!("ALL_OLD");
    let (status, body) = world.ask("PutItem", put).await;
    assert_eq!((status, &body["Item"]), (400, &row("a", "PENDING#1", "1")));
    let kind = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
    assert_eq!(
        (&body["__type"], &body["message"]),
        (&json!(kind), &json!("The conditional request failed"))
    );
    assert_eq!(world.get("ledger", id("a")).await["due_at"], json!({"S": "1"}));
}

#[tokio::test]
async fn write_units_are_those_of_the_item_and_of_what_changes_in_its_index() {
    let world = World::new().await;
    let units = |body: &Value| {
        let of = |value: &Value| value["CapacityUnits"].as_f64().unwrap_or_default();
        let consumed = &body["ConsumedCapacity"];
        (
            of(consumed),
            of(&consumed["Table"]),
            of(&consumed["GlobalSecondaryIndexes"]["by_status"]),
        )
    };
    let all = "INDEXES";
    let put = json!({"TableName": "ledger", "Item": row("a", "P#1", "1"), "ReturnConsumedCapacity": all});
    assert_eq!(
        units(&world.ok("PutItem", put.clone()).await),
        (2.0, 1.0, 1.0),
        "new"
    );
    assert_eq!(
        units(&world.ok("PutItem", put).await),
        (1.0, 1.0, 0.0),
        "the same once more"
    );
    let update = |expression: &str, value: Value| {
        json!({
            "TableName": "ledger", "Key": id("a"), "UpdateExpression": expression,
            "ExpressionAttributeValues": {":v": value}, "ReturnConsumedCapacity": all,
        })
    };
    let moved = update("SET status_shard = :v", json!({"S": "C#1"}));
    assert_eq!(
        units(&world.ok("UpdateItem", moved).await),
        (3.0, 1.0, 2.0),
        "its entry moves"
    );
    let large = update("SET notes1 = :v", json!({"S": "x".repeat(3000)}));
    assert_eq!(
        units(&world.ok("UpdateItem", large).await),
        (3.0, 3.0, 0.0),
        "not in the index"
    );
    let delete = json!({"TableName": "ledger", "Key": id("a"), "ReturnConsumedCapacity": all});
    assert_eq!(
        units(&world.ok("DeleteItem", delete).await),
        (4.0, 3.0, 1.0),
        "by what was there"
    );
    let get = |consistent: bool| json!({"TableName": "ledger", "Key": id("a"), "ConsistentRead": consistent, "ReturnConsumedCapacity": "TOTAL"});
    assert_eq!(units(&world.ok("GetItem", get(false)).await).0, 0.5);
    assert_eq!(units(&world.ok("GetItem", get(true)).await).0, 1.0);
}

#[tokio::test]
async fn what_is_no_item_or_no_key_is_refused() {
    let world = World::new().await;
    let put = |item: Value| json!({"TableName": "ledger", "Item": item});
    let key = |key: Value| json!({"TableName": "ledger", "Key": key});
    let schema = "The provided key element does not match the schema";
    let empty = "cannot contain an empty string value. Key: id";
    let mut big = row("a", "P", "1");
    big["raw"] = json!({"S": "x".repeat(409_600)});
    for (operation, request, words) in [
        (
            "PutItem",
            put(json!({"x": {"S": "a"}})),
            "Missing the key id in the item",
        ),
        (
            "PutItem",
            put(json!({"id": {"N": "1"}})),
            "Type mismatch for key id expected: S actual: N",
        ),
        ("PutItem", put(id("")), empty),
        (
            "PutItem",
            put(json!({"id": {"S": "a"}, "due_at": {"N": "1"}})),
            "IndexName: by_status",
        ),
        (
            "PutItem",
            put(json!({"id": {"S": "a"}, "due_at": {"S": ""}})),
            "IndexKey: due_at",
        ),
        ("PutItem", put(id(&"x".repeat(2049))), "Size of hashkey"),
        (
            "PutItem",
            put(big),
            "Item size has exceeded the maximum allowed size",
        ),
        ("GetItem", key(json!({"id": {"N": "1"}})), schema),
        ("GetItem", key(json!({"id": {"S": "a"}, "x": {"S": "a"}})), schema),
        ("DeleteItem", key(json!({})), schema),
        ("DeleteItem", key(id("")), empty),
        ("GetItem", json!({"TableName": "ledger"}), "Value null at 'key'"),
        ("GetItem", json!({"Key": {}}), "TableName"),
    ] {
        let (code, message) = world.refused(operation, request).await;
        assert_eq!(code, "ValidationException", "{message}");
        assert!(message.contains(words), "{message}");
    }
    let update = json!({
        "TableName": "ledger", "Key": id("a"), "UpdateExpression": "SET id = :v",
        "ExpressionAttributeValues": {":v": {"S": "b"}},
    });
    let (_, message) = world.refused("UpdateItem", update).await;
    assert!(
        message.ends_with("Cannot update attribute id. This attribute is part of the key"),
        "{message}"
    );
    let missing = json!({"TableName": "missing", "Key": id("a")});
    let (code, message) = world.refused("GetItem", missing).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("ResourceNotFoundException", "Requested resource not found")
    );
}

#[tokio::test]
async fn old_parameters_are_refused_by_their_names() {
    let world = World::new().await;
    for (operation, name) in [
        ("PutItem", "Expected"),
        ("UpdateItem", "AttributeUpdates"),
        ("DeleteItem", "Expected"),
        ("GetItem", "AttributesToGet"),
        ("Query", "KeyConditions"),
        ("Query", "QueryFilter"),
        ("Scan", "ScanFilter"),
    ] {
        let mut request = json!({"TableName": "ledger", "Item": id("a"), "Key": id("a")});
        request[name] = json!({});
        let (code, message) = world.refused(operation, request).await;
        assert_eq!(code, "ValidationException");
        assert!(message.contains(name), "{operation}: {message}");
    }
}

#[tokio::test]
async fn a_batch_writes_all_or_nothing_and_gets_what_is_there() {
    let world = World::new().await;
    let put = |id: &str| json!({"PutRequest": {"Item": row(id, "P#1", "1")}});
    let write = |requests: Vec<Value>| json!({"RequestItems": {"ledger": requests}, "ReturnConsumedCapacity": "TOTAL"});
    let delete = json!({"DeleteRequest": {"Key": id("gone")}});
    let written = world
        .ok("BatchWriteItem", write(vec![put("a"), put("b"), delete]))
        .await;
    assert_eq!(written["UnprocessedItems"], json!({}));
    assert_eq!(written["ConsumedCapacity"][0]["CapacityUnits"], 5.0);
    let (_, message) = world
        .refused("BatchWriteItem", write(vec![put("c"), put("c")]))
        .await;
    assert_eq!(message, "Provided list of item keys contains duplicates");
    assert_eq!(world.get("ledger", id("c")).await, Value::Null);
    let many: Vec<Value> = (0..26).map(|n| put(&format!("m{n}"))).collect();
    let (code, _) = world.refused("BatchWriteItem", write(many)).await;
    assert_eq!(code, "ValidationException");

    let get = |ids: &[&str]| {
        let keys: Vec<Value> = ids.iter().map(|one| id(one)).collect();
        json!({"RequestItems": {"ledger": {"Keys": keys}}, "ReturnConsumedCapacity": "TOTAL"})
    };
    let got = world.ok("BatchGetItem", get(&["a", "none", "b"])).await;
    assert_eq!(texts(&got["Responses"]["ledger"], "id"), ["a", "b"]);
    assert_eq!(got["UnprocessedKeys"], json!({}));
    assert_eq!(got["ConsumedCapacity"][0]["CapacityUnits"], 1.5);
    let (_, message) = world.refused("BatchGetItem", get(&["a", "a"])).await;
    assert_eq!(message, "Provided list of item keys contains duplicates");
    let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (code, _) = world.refused("BatchGetItem", get(&many)).await;
    assert_eq!(code, "ValidationException");
}

#[tokio::test]
async fn items_go_when_their_time_to_live_is_over_and_only_then() {
    let world = World::new().await;
    let enable = json!({
        "TableName": "ledger", "TimeToLiveSpecification": {"AttributeName": "due_at", "Enabled": true},
    });
    world.ok("UpdateTimeToLive", enable).await;
    for (id, expires) in [
        ("old", 1_699_999_999_u64),
        ("now", 1_700_000_000),
        ("later", 1_700_000_001),
    ] {
        world
            .put(
                "sorted",
                json!({"p": {"S": id}, "s": {"N": "1"}, "until": {"N": expires.to_string()}}),
            )
            .await;
    }
    let enable = json!({
        "TableName": "sorted", "TimeToLiveSpecification": {"AttributeName": "until", "Enabled": true},
    });
    world.ok("UpdateTimeToLive", enable).await;
    world
        .put(
            "sorted",
            json!({"p": {"S": "none"}, "s": {"N": "1"}, "until": {"S": "1"}}),
        )
        .await;
    assert_eq!(crate::dynamodb::expire(&world.engine).await, Ok(1));
    world.now_ms.fetch_add(10_000, Ordering::Relaxed);
    assert_eq!(crate::dynamodb::expire(&world.engine).await, Ok(2));
    let left = world.ok("Scan", json!({"TableName": "sorted"})).await;
    assert_eq!(texts(&left["Items"], "p"), ["none"]);
}
