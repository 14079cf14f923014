use super::*;

#[tokio::test]
async fn a_table_is_made_described_listed_and_deleted() {
    let world = World::new().await;
    let table = world.ok("DescribeTable", json!({"TableName": "ledger"})).await["Table"].clone();
    assert_eq!(table["TableStatus"], "ACTIVE");
    assert_eq!(
        table["TableArn"],
        "arn:aws:dynamodb:us-east-1:000000000000:table/ledger"
    );
    assert_eq!(table["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
    assert_eq!(table["CreationDateTime"], 1_700_000_000.0);
    let index = &table["GlobalSecondaryIndexes"][0];
    assert_eq!(index["IndexStatus"], "ACTIVE");
    assert_eq!(index["Projection"]["ProjectionType"], "KEYS_ONLY");
    assert_eq!(
        index["KeySchema"][1],
        json!({"AttributeName": "due_at", "KeyType": "RANGE"})
    );
    let (code, _) = world.refused("CreateTable", ledger("ledger")).await;
    assert_eq!(code, "ResourceInUseException");
    assert_eq!(
        world.ok("ListTables", json!({})).await["TableNames"],
        json!(["ledger", "sorted"])
    );
    let page = world.ok("ListTables", json!({"Limit": 1})).await;
    assert_eq!(
        page,
        json!({"TableNames": ["ledger"], "LastEvaluatedTableName": "ledger"})
    );
    let page = world
        .ok(
            "ListTables",
            json!({"Limit": 1, "ExclusiveStartTableName": "ledger"}),
        )
        .await;
    assert_eq!(page, json!({"TableNames": ["sorted"]}));

    world.put("ledger", row("a", "PENDING#1", "1")).await;
    let deleted = world.ok("DeleteTable", json!({"TableName": "ledger"})).await;
    assert_eq!(deleted["TableDescription"]["TableStatus"], "DELETING");
    let (code, message) = world
        .refused("DescribeTable", json!({"TableName": "ledger"}))
        .await;
    assert_eq!(code, "ResourceNotFoundException");
    assert!(message.ends_with("Table: ledger not found"), "{message}");
    world.ok("CreateTable", ledger("ledger")).await;
    let scan = world
        .ok("Scan", json!({"TableName": "ledger", "IndexName": "by_status"}))
        .await;
    assert_eq!(scan["Count"], 0, "nothing of the one before is left");
}

#[tokio::test]
async fn a_protected_table_stays() {
    let world = World::new().await;
    let protect = |on: bool| json!({"TableName": "ledger", "DeletionProtectionEnabled": on});
    let table = world.ok("UpdateTable", protect(true)).await;
    assert_eq!(table["TableDescription"]["DeletionProtectionEnabled"], true);
    let (code, message) = world.refused("DeleteTable", json!({"TableName": "ledger"})).await;
    assert_eq!(code, "ValidationException");
    assert!(message.contains("protected against deletion"), "{message}");
    world.ok("UpdateTable", protect(false)).await;
    world.ok("DeleteTable", json!({"TableName": "ledger"})).await;
}

#[tokio::test]
async fn an_index_is_added_with_what_is_there_and_deleted() {
    let world = World::new().await;
    world.put("ledger", row("a", "PENDING#1", "1")).await;
    world.put("ledger", json!({"id": {"S": "control"}})).await;
    let create = json!({
        "TableName": "ledger",
        "AttributeDefinitions": [{"AttributeName": "due_at", "AttributeType": "S"}],
        "GlobalSecondaryIndexUpdates": [{"Create": {
            "IndexName": "by_due", "Projection": {"ProjectionType": "ALL"},
            "KeySchema": [{"AttributeName": "due_at", "KeyType": "HASH"}],
        }}],
    });
    world.ok("UpdateTable", create.clone()).await;
    let (_, message) = world.refused("UpdateTable", create).await;
    assert!(message.contains("Duplicate index name: by_due"), "{message}");
    let scan = json!({"TableName": "ledger", "IndexName": "by_due"});
    assert_eq!(
        world.ok("Scan", scan.clone()).await["Items"],
        json!([row("a", "PENDING#1", "1")])
    );
    let delete = json!({
        "TableName": "ledger", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by_due"}}],
    });
    world.ok("UpdateTable", delete.clone()).await;
    let (code, _) = world.refused("Scan", scan).await;
    assert_eq!(code, "ValidationException");
    let (code, _) = world.refused("UpdateTable", delete).await;
    assert_eq!(code, "ResourceNotFoundException");
    let stream = json!({"TableName": "ledger", "StreamSpecification": {"StreamEnabled": true}});
    let (_, message) = world.refused("UpdateTable", stream).await;
    assert!(message.contains("StreamSpecification"), "{message}");
}

#[tokio::test]
async fn a_table_has_a_ttl_and_tags() {
    let world = World::new().await;
    let describe = json!({"TableName": "ledger"});
    let ttl = world.ok("DescribeTimeToLive", describe.clone()).await;
    assert_eq!(
        ttl["TimeToLiveDescription"],
        json!({"TimeToLiveStatus": "DISABLED"})
    );
    let enable = json!({
        "TableName": "ledger", "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": true},
    });
    world.ok("UpdateTimeToLive", enable.clone()).await;
    let ttl = world.ok("DescribeTimeToLive", describe).await;
    let on = json!({"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"});
    assert_eq!(ttl["TimeToLiveDescription"], on);
    let (_, message) = world.refused("UpdateTimeToLive", enable).await;
    assert_eq!(message, "TimeToLive is already enabled");

    let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/ledger";
    let tag = json!({"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]});
    world.ok("TagResource", tag).await;
    world
        .ok("UntagResource", json!({"ResourceArn": arn, "TagKeys": ["a"]}))
        .await;
    let tags = world.ok("ListTagsOfResource", json!({"ResourceArn": arn})).await;
    assert_eq!(tags["Tags"], json!([{"Key": "b", "Value": "2"}]));
}

#[tokio::test]
async fn a_table_that_makes_no_sense_is_refused() {
    let world = World::empty();
    let with = |name: &str, value: Value| {
        let mut request = ledger("odd");
        request[name] = value;
        request
    };
    for (request, words) in [
        (
            with("TableName", json!("x")),
            "Member must have length greater than or equal to 3",
        ),
        (
            with("TableName", json!("with space")),
            "regular expression pattern",
        ),
        (
            with("BillingMode", json!("PROVISIONED")),
            "must both be specified",
        ),
        (
            with("KeySchema", json!([{"AttributeName": "none", "KeyType": "HASH"}])),
            "not defined in AttributeDefinitions",
        ),
        (
            with("KeySchema", json!([{"AttributeName": "id", "KeyType": "RANGE"}])),
            "is not a HASH key type",
        ),
        (
            with("GlobalSecondaryIndexes", json!([])),
            "does not exactly match",
        ),
    ] {
        let (code, message) = world.refused("CreateTable", request).await;
        assert!(code.ends_with("ValidationException"), "{code}: {message}");
        assert!(message.contains(words), "{message}");
    }
}
