use super::*;

async fn sorted() -> World {
    let world = World::new().await;
    for s in [-2, 10, 3, 1] {
        let item = json!({
            "p": {"S": "a"}, "s": {"N": s.to_string()}, "l": {"S": format!("l{}", s % 2)}, "x": {"N": s.to_string()},
        });
        world.put("sorted", item).await;
    }
    world
        .put("sorted", json!({"p": {"S": "b"}, "s": {"N": "0"}}))
        .await;
    world
}

fn query(condition: &str, values: Value) -> Value {
    json!({"TableName": "sorted", "KeyConditionExpression": condition, "ExpressionAttributeValues": values})
}

fn with(mut request: Value, name: &str, value: Value) -> Value {
    request[name] = value;
    request
}

#[tokio::test]
async fn a_query_reads_a_partition_in_the_order_of_its_sort_key() {
    let world = sorted().await;
    let (a, n) = (json!({"S": "a"}), |n: i32| json!({"N": n.to_string()}));
    for (condition, values, expected) in [
        ("p = :p", json!({":p": a}), vec!["-2", "1", "3", "10"]),
        ("p = :p AND s < :s", json!({":p": a, ":s": n(3)}), vec!["-2", "1"]),
        (
            "p = :p AND s <= :s",
            json!({":p": a, ":s": n(3)}),
            vec!["-2", "1", "3"],
        ),
        ("p = :p AND s > :s", json!({":p": a, ":s": n(1)}), vec!["3", "10"]),
        (
            "p = :p AND s >= :s",
            json!({":p": a, ":s": n(1)}),
            vec!["1", "3", "10"],
        ),
        ("p = :p AND s = :s", json!({":p": a, ":s": n(3)}), vec!["3"]),
        (
            "p = :p AND s BETWEEN :s AND :t",
            json!({":p": a, ":s": n(-2), ":t": n(1)}),
            vec!["-2", "1"],
        ),
    ] {
        let request = query(condition, values);
        let found = world.ok("Query", request.clone()).await;
        assert_eq!(texts(&found["Items"], "s"), expected, "{condition}");
        let backwards = world
            .ok("Query", with(request, "ScanIndexForward", json!(false)))
            .await;
        let turned: Vec<&str> = expected.into_iter().rev().collect();
        assert_eq!(texts(&backwards["Items"], "s"), turned, "{condition}");
    }
}

#[tokio::test]
async fn pages_go_on_behind_the_last_key_and_count_what_they_scan() {
    let world = sorted().await;
    for forward in [true, false] {
        let mut request = with(query("p = :p", json!({":p": {"S": "a"}})), "Limit", json!(3));
        request["ScanIndexForward"] = json!(forward);
        request["ReturnConsumedCapacity"] = json!("TOTAL");
        let first = world.ok("Query", request.clone()).await;
        assert_eq!(
            (&first["Count"], &first["ConsumedCapacity"]["CapacityUnits"]),
            (&json!(3), &json!(0.5))
        );
        let last = first["LastEvaluatedKey"].clone();
        assert_eq!(
            last,
            json!({"p": {"S": "a"}, "s": {"N": if forward { "3" } else { "1" }}})
        );
        let second = world
            .ok("Query", with(request.clone(), "ExclusiveStartKey", last))
            .await;
        assert_eq!(texts(&second["Items"], "s"), [if forward { "10" } else { "-2" }]);
        assert_eq!(second.get("LastEvaluatedKey"), None);
        let elsewhere = json!({"p": {"S": "b"}, "s": {"N": "0"}});
        let (code, _) = world
            .refused("Query", with(request, "ExclusiveStartKey", elsewhere))
            .await;
        assert_eq!(code, "ValidationException");
    }
    let filtered = with(
        query("p = :p", json!({":p": {"S": "a"}, ":x": {"N": "1"}})),
        "FilterExpression",
        json!("x > :x"),
    );
    let found = world.ok("Query", filtered.clone()).await;
    assert_eq!((&found["Count"], &found["ScannedCount"]), (&json!(2), &json!(4)));
    let count = world.ok("Query", with(filtered, "Select", json!("COUNT"))).await;
    assert_eq!(count, json!({"Count": 2, "ScannedCount": 4}));
}

#[tokio::test]
async fn a_page_ends_before_a_megabyte() {
    let world = World::new().await;
    for s in 0..6 {
        world
            .put(
                "sorted",
                json!({"p": {"S": "a"}, "s": {"N": s.to_string()}, "x": {"S": "x".repeat(300_000)}}),
            )
            .await;
    }
    let request = query("p = :p", json!({":p": {"S": "a"}}));
    let first = world.ok("Query", request.clone()).await;
    assert_eq!(texts(&first["Items"], "s"), ["0", "1", "2"]);
    let second = with(request, "ExclusiveStartKey", first["LastEvaluatedKey"].clone());
    assert_eq!(
        texts(&world.ok("Query", second).await["Items"], "s"),
        ["3", "4", "5"]
    );
}

#[tokio::test]
async fn an_index_has_what_it_projects_and_pages_among_equals() {
    let world = World::new().await;
    for (id, due) in [("c", "1"), ("a", "1"), ("b", "1"), ("z", "0")] {
        world.put("ledger", row(id, "P#1", due)).await;
    }
    let request = json!({
        "TableName": "ledger", "IndexName": "by_status", "Limit": 2,
        "KeyConditionExpression": "status_shard = :s AND due_at <= :d",
        "ExpressionAttributeValues": {":s": {"S": "P#1"}, ":d": {"S": "1"}},
    });
    let first = world.ok("Query", request.clone()).await;
    assert_eq!(texts(&first["Items"], "id"), ["z", "a"]);
    assert!(first["Items"][0].get("attempt").is_none(), "KEYS_ONLY");
    let last = json!({"id": {"S": "a"}, "status_shard": {"S": "P#1"}, "due_at": {"S": "1"}});
    assert_eq!(first["LastEvaluatedKey"], last);
    let second = world
        .ok("Query", with(request.clone(), "ExclusiveStartKey", last))
        .await;
    assert_eq!(texts(&second["Items"], "id"), ["b", "c"]);
    let (_, message) = world
        .refused("Query", with(request.clone(), "ConsistentRead", json!(true)))
        .await;
    assert_eq!(
        message,
        "Consistent reads are not supported on global secondary indexes"
    );
    let (_, message) = world
        .refused("Query", with(request, "Select", json!("ALL_ATTRIBUTES")))
        .await;
    assert!(message.contains("its projection type is not ALL"), "{message}");
}

#[tokio::test]
async fn a_local_index_gets_from_the_table_what_it_lacks() {
    let world = sorted().await;
    let mut request = query(
        "p = :p AND begins_with(l, :l)",
        json!({":p": {"S": "a"}, ":l": {"S": "l"}}),
    );
    request["IndexName"] = json!("by_l");
    request["ConsistentRead"] = json!(true);
    let found = world.ok("Query", request.clone()).await;
    assert_eq!(texts(&found["Items"], "s"), ["-2", "10", "1", "3"]);
    assert_eq!(found["Items"][0].get("x"), None);
    let found = world
        .ok("Query", with(request, "Select", json!("ALL_ATTRIBUTES")))
        .await;
    assert_eq!(found["Items"][0]["x"], json!({"N": "-2"}));
}

#[tokio::test]
async fn segments_have_every_item_once_and_pages_too() {
    let world = World::new().await;
    let mut ids: Vec<String> = (0..60).map(|n| format!("row {n}")).collect();
    for id in &ids {
        world.put("ledger", row(id, "P#1", "1")).await;
    }
    let mut found = Vec::new();
    for segment in 0..7 {
        let mut request = json!({"TableName": "ledger", "TotalSegments": 7, "Segment": segment, "Limit": 5});
        loop {
            let page = world.ok("Scan", request.clone()).await;
            found.extend(texts(&page["Items"], "id"));
            match page.get("LastEvaluatedKey") {
                Some(last) => request["ExclusiveStartKey"] = last.clone(),
                None => break,
            }
        }
    }
    let all = world.ok("Scan", json!({"TableName": "ledger"})).await;
    assert_eq!(
        texts(&all["Items"], "id"),
        found,
        "segments are parts of the scan, in its order"
    );
    found.sort();
    ids.sort();
    assert_eq!(found, ids);
    let (_, message) = world
        .refused(
            "Scan",
            json!({"TableName": "ledger", "Segment": 1, "TotalSegments": 1}),
        )
        .await;
    assert!(message.contains("zero-based"), "{message}");
}

#[tokio::test]
async fn a_scan_filters_and_projects() {
    let world = World::new().await;
    world.put("ledger", row("a", "P#1", "1")).await;
    world.put("ledger", json!({"id": {"S": "control"}})).await;
    let scan = json!({
        "TableName": "ledger", "FilterExpression": "attribute_exists(status_shard)", "ProjectionExpression": "#i, due_at",
        "ExpressionAttributeNames": {"#i": "id"},
    });
    let found = world.ok("Scan", scan).await;
    assert_eq!(found["Items"], json!([{"id": {"S": "a"}, "due_at": {"S": "1"}}]));
    assert_eq!(found["ScannedCount"], 2);
}
