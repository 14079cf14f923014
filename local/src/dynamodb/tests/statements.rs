use super::*;

const CLAIM: &str = "UPDATE \"ledger\" SET status_shard=? SET attempt=attempt+1 WHERE id=? AND status_shard=? RETURNING ALL NEW *";

fn insert(id: &str) -> Value {
    json!({
        "Statement": "INSERT INTO \"ledger\" VALUE {'id':?,'status_shard':?,'due_at':?,'attempt':?}",
        "Parameters": [{"S": id}, {"S": "P#1"}, {"S": "1"}, {"N": "0"}],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    })
}

fn claim(id: &str, from: &str) -> Value {
    json!({
        "Statement": CLAIM, "Parameters": [{"S": "C#1"}, {"S": id}, {"S": from}],
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    })
}

fn batch(statements: Vec<Value>) -> Value {
    json!({"Statements": statements, "ReturnConsumedCapacity": "INDEXES"})
}

fn codes(body: &Value) -> Vec<String> {
    let responses = body["Responses"].as_array().expect("responses");
    let code = |response: &Value| response["Error"]["Code"].as_str().unwrap_or("ok").to_owned();
    responses.iter().map(code).collect()
}

#[tokio::test]
async fn each_statement_of_a_batch_is_made_or_refused_for_itself() {
    let world = World::new().await;
    let first = world.ok("BatchExecuteStatement", batch(vec![insert("a")])).await;
    assert_eq!(first["Responses"], json!([{"TableName": "ledger"}]));
    assert_eq!(first["ConsumedCapacity"][0]["CapacityUnits"], 2.0);
    let second = world
        .ok("BatchExecuteStatement", batch(vec![insert("a"), insert("b")]))
        .await;
    assert_eq!(codes(&second), ["DuplicateItem", "ok"]);
    assert_eq!(second["Responses"][0]["Error"].get("Item"), None);
    assert_eq!(
        second["ConsumedCapacity"][0]["CapacityUnits"], 3.0,
        "the refused one as well"
    );
    let refused = world.ok("BatchExecuteStatement", batch(vec![insert("a")])).await;
    assert_eq!(
        refused.get("ConsumedCapacity"),
        None,
        "AWS tells nothing where all are refused"
    );

    let claims = vec![claim("a", "P#1"), claim("b", "other"), claim("none", "P#1")];
    let claimed = world.ok("BatchExecuteStatement", batch(claims)).await;
    assert_eq!(
        codes(&claimed),
        ["ok", "ConditionalCheckFailed", "ConditionalCheckFailed"]
    );
    let responses = &claimed["Responses"];
    assert_eq!(responses[0]["Item"]["attempt"], json!({"N": "1"}));
    assert_eq!(responses[1]["Error"]["Item"], row("b", "P#1", "1"));
    assert_eq!(responses[2]["Error"].get("Item"), None);
    assert_eq!(claimed["ConsumedCapacity"][0]["CapacityUnits"], 3.0 + 2.0);
    let broken = json!({"Statement": "UPSERT INTO ledger"});
    let elsewhere = json!({"Statement": "DELETE FROM absent WHERE id=?", "Parameters": [{"S": "a"}]});
    let rest = world
        .ok(
            "BatchExecuteStatement",
            batch(vec![broken, elsewhere, insert("c")]),
        )
        .await;
    assert_eq!(codes(&rest), ["ValidationError", "ResourceNotFound", "ok"]);
}

#[tokio::test]
async fn two_statements_on_one_item_refuse_the_batch() {
    let world = World::new().await;
    let request = batch(vec![insert("a"), insert("b"), insert("a")]);
    let (code, _) = world.refused("BatchExecuteStatement", request).await;
    assert_eq!(code, "ValidationException");
    assert_eq!(world.get("ledger", json!({"id": {"S": "b"}})).await, Value::Null);
    let many: Vec<Value> = (0..26).map(|n| insert(&n.to_string())).collect();
    let (code, _) = world.refused("BatchExecuteStatement", batch(many)).await;
    assert_eq!(code, "ValidationException");
}

#[tokio::test]
async fn a_deletion_asks_its_condition_only_of_what_is_there() {
    let world = World::new().await;
    world
        .put("ledger", json!({"id": {"S": "new"}, "v": {"N": "3"}}))
        .await;
    let delete = |id: &str| json!({"Statement": "DELETE FROM \"ledger\" WHERE \"id\" = ? AND \"v\" <= ?", "Parameters": [{"S": id}, {"N": "2"}]});
    let deleted = world
        .ok(
            "BatchExecuteStatement",
            batch(vec![delete("gone"), delete("new")]),
        )
        .await;
    assert_eq!(codes(&deleted), ["ok", "ConditionalCheckFailed"]);
}

#[tokio::test]
async fn a_statement_selects_by_key_and_by_pages() {
    let world = World::new().await;
    for s in 0..5 {
        world
            .put("sorted", json!({"p": {"S": "a"}, "s": {"N": s.to_string()}}))
            .await;
    }
    let mut request = json!({
        "Statement": "SELECT s FROM \"sorted\" WHERE p = ? AND s >= ? ORDER BY s DESC",
        "Parameters": [{"S": "a"}, {"N": "1"}], "Limit": 3,
    });
    let first = world.ok("ExecuteStatement", request.clone()).await;
    assert_eq!(texts(&first["Items"], "s"), ["4", "3", "2"]);
    request["NextToken"] = first["NextToken"].clone();
    let second = world.ok("ExecuteStatement", request).await;
    assert_eq!(texts(&second["Items"], "s"), ["1"]);
    let keyed = |s: &str| json!({"Statement": "SELECT * FROM sorted WHERE p = ? AND s = ?", "Parameters": [{"S": "a"}, {"N": s}]});
    let got = world
        .ok("BatchExecuteStatement", batch(vec![keyed("1"), keyed("9")]))
        .await;
    assert_eq!(
        got["Responses"][0]["Item"],
        json!({"p": {"S": "a"}, "s": {"N": "1"}})
    );
    assert_eq!(got["Responses"][1], json!({"TableName": "sorted"}));
    let (_, message) = world
        .refused("BatchExecuteStatement", batch(vec![keyed("1"), insert("x")]))
        .await;
    assert!(
        message.starts_with("Read and write requests together"),
        "{message}"
    );
}

#[tokio::test]
async fn a_statement_inserts_once() {
    let world = World::new().await;
    assert_eq!(
        world.ok("ExecuteStatement", insert("a")).await,
        json!({"Items": []})
    );
    let (code, message) = world.refused("ExecuteStatement", insert("a")).await;
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("DuplicateItemException", "Duplicate primary key exists in table")
    );
    let claimed = world.ok("ExecuteStatement", claim("a", "P#1")).await;
    assert_eq!(claimed["Items"][0]["status_shard"], json!({"S": "C#1"}));
    let (status, body) = world.ask("ExecuteStatement", claim("a", "P#1")).await;
    assert_eq!((status, &body["Item"]["attempt"]), (400, &json!({"N": "1"})));
}

#[tokio::test]
async fn statements_of_a_transaction_are_made_together() {
    let world = World::new().await;
    let request = |statements: Vec<Value>| json!({"TransactStatements": statements});
    world
        .ok("ExecuteTransaction", request(vec![insert("a"), insert("b")]))
        .await;
    let (status, body) = world
        .ask("ExecuteTransaction", request(vec![insert("c"), insert("a")]))
        .await;
    assert_eq!(
        (status, &body["CancellationReasons"][1]["Code"]),
        (400, &json!("DuplicateItem"))
    );
    assert_eq!(world.get("ledger", json!({"id": {"S": "c"}})).await, Value::Null);
    let select = json!({"Statement": "SELECT * FROM ledger WHERE id = ?", "Parameters": [{"S": "a"}]});
    let read = world.ok("ExecuteTransaction", request(vec![select])).await;
    assert_eq!(read["Responses"][0]["Item"], row("a", "P#1", "1"));
}
