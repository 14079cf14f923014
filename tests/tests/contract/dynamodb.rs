//! What the ledger relies on in DynamoDB.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, KeysAndAttributes, Put, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use crate::{
    services::{Services, code},
    table::{Table, n, outcomes, row, s},
};

pub async fn a_conditional_put_keeps_the_first_row(services: Services) {
    let table = Table::new(&services).await;
    table.put(row("a", "PENDING#1", "1")).await;
    let put = table
        .client
        .put_item()
        .table_name(&table.name)
        .set_item(Some(row("a", "PENDING#2", "2")));
    let put = put
        .condition_expression("attribute_not_exists(id)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = put.send().await.expect_err("refused").into_service_error();
    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(failed) = error
    else {
        panic!("checked above");
    };
    assert_eq!(
        failed.item().and_then(|item| item.get("due_at")),
        Some(&s("1")),
        "ALL_OLD"
    );
}

pub async fn a_duplicate_in_a_batch_of_inserts_fails_alone(services: Services) {
    let table = Table::new(&services).await;
    table.put(row("b", "PENDING#1", "1")).await;
    let output = table
        .execute(vec![table.insert("a"), table.insert("b"), table.insert("c")])
        .await
        .expect("200");
    assert_eq!(outcomes(&output), ["ok", "DuplicateItem", "ok"]);
    assert!(table.get("c").await.is_some());
}

pub async fn two_statements_on_one_key_fail_the_whole_batch(services: Services) {
    let table = Table::new(&services).await;
    let refused = table
        .execute(vec![table.insert("a"), table.insert("b"), table.insert("a")])
        .await;
    assert_eq!(code(refused), "ValidationException");
    assert!(table.get("b").await.is_none(), "nothing of it is written");
}

pub async fn a_batch_has_25_statements_at_most(services: Services) {
    let table = Table::new(&services).await;
    let inserts = |count: usize| {
        (0..count)
            .map(|index| table.insert(&format!("r{index}")))
            .collect()
    };
    assert_eq!(
        table
            .execute(inserts(25))
            .await
            .expect("25 are taken")
            .responses()
            .len(),
        25
    );
    assert_eq!(code(table.execute(inserts(26)).await), "ValidationException");
}

const CLAIM: &str = "UPDATE {} SET status_shard=? SET due_at=? SET attempt=attempt+1 \
                     WHERE id=? AND status_shard=? AND due_at=? RETURNING ALL NEW *";

fn claim(id: &str, due_at: &str) -> [AttributeValue; 5] {
    [s("CLAIMED#1"), s("9"), s(id), s("PENDING#1"), s(due_at)]
}

pub async fn an_update_in_a_batch_returns_the_new_row(services: Services) {
    let table = Table::new(&services).await;
    table.put(row("a", "PENDING#1", "1")).await;
    let output = table
        .execute(vec![table.statement(CLAIM, &claim("a", "1"))])
        .await
        .expect("200");
    assert_eq!(outcomes(&output), ["ok+item"]);
    let item = output.responses()[0].item().expect("the row");
    assert_eq!(
        (item.get("attempt"), item.get("status_shard")),
        (Some(&n(1)), Some(&s("CLAIMED#1")))
    );
}

pub async fn a_failed_condition_in_a_batch_shows_the_old_row(services: Services) {
    let table = Table::new(&services).await;
    table.put(row("a", "PENDING#1", "1")).await;
    let statements = vec![
        table.statement(CLAIM, &claim("a", "other")),
        table.statement(CLAIM, &claim("missing", "1")),
    ];
    let output = table.execute(statements).await.expect("200");
    assert_eq!(
        outcomes(&output),
        ["ConditionalCheckFailed+item", "ConditionalCheckFailed"]
    );
    let item = output.responses()[0]
        .error()
        .and_then(|error| error.item())
        .expect("ALL_OLD");
    assert_eq!(item.get("due_at"), Some(&s("1")));
}

pub async fn an_update_removes_attributes(services: Services) {
    let table = Table::new(&services).await;
    table.put(row("a", "PENDING#1", "1")).await;
    let text = "UPDATE {} SET attempt = attempt + ? REMOVE status_shard WHERE id=?";
    let output = table
        .execute(vec![table.statement(text, &[n(2), s("a")])])
        .await
        .expect("200");
    assert_eq!(outcomes(&output), ["ok"]);
    let item = table.get("a").await.expect("the row");
    assert_eq!(
        (item.get("attempt"), item.get("status_shard")),
        (Some(&n(2)), None)
    );
}

pub async fn deleting_a_missing_row_succeeds(services: Services) {
    let table = Table::new(&services).await;
    let delete = table
        .client
        .delete_item()
        .table_name(&table.name)
        .key("id", s("missing"));
    delete.send().await.expect("done twice is done");
    let output = table
        .execute(vec![
            table.statement("DELETE FROM {} WHERE id=?", &[s("missing")]),
        ])
        .await;
    assert_eq!(outcomes(&output.expect("200")), ["ok"]);
}

/// A row goes only where its version is known; one that is gone is as good as deleted.
pub async fn a_conditional_deletion_in_a_batch_shows_the_row_that_it_leaves(services: Services) {
    let table = Table::new(&services).await;
    let of_version = |id: &str, version: Option<i64>| {
        let mut item = row(id, "CLAIMED#1", "1");
        item.extend(version.map(|version| ("v".to_owned(), n(version))));
        item
    };
    for (id, version) in [("known", Some(2)), ("newer", Some(3)), ("old", None)] {
        table.put(of_version(id, version)).await;
    }
    let delete = |id: &str| {
        let text = "DELETE FROM {} WHERE \"id\" = ? AND \"v\" <= ?";
        table.statement(text, &[s(id), n(2)])
    };
    let output = table
        .execute(vec![delete("known"), delete("newer"), delete("old")])
        .await
        .expect("200");
    let left = "ConditionalCheckFailed+item";
    assert_eq!(outcomes(&output), ["ok", left, left]);
    let newer = output.responses()[1].error().and_then(|error| error.item());
    assert_eq!(newer.and_then(|item| item.get("v")), Some(&n(3)));
    assert!(table.get("known").await.is_none());
    assert!(table.get("newer").await.is_some() && table.get("old").await.is_some());
}

pub async fn a_row_without_the_index_key_is_not_in_the_index(services: Services) {
    let table = Table::new(&services).await;
    let control = HashMap::from([("id".to_owned(), s("control")), ("granted".to_owned(), n(0))]);
    table.put(control).await;
    table.put(row("a", "PENDING#1", "1")).await;
    crate::services::eventually("the index", async || {
        let scan = table
            .client
            .scan()
            .table_name(&table.name)
            .index_name("by_status");
        (scan.send().await.expect("scanned").count() == 1).then_some(())
    })
    .await;
}

pub async fn the_index_pages_in_order_of_its_sort_key(services: Services) {
    let table = Table::new(&services).await;
    for due_at in ["3", "1", "2"] {
        table.put(row(&format!("r{due_at}"), "PENDING#1", due_at)).await;
    }
    table.put(row("other", "PENDING#2", "0")).await;
    let query = || {
        let query = table
            .client
            .query()
            .table_name(&table.name)
            .index_name("by_status")
            .limit(2);
        query
            .key_condition_expression("status_shard = :shard AND due_at <= :now")
            .expression_attribute_values(":shard", s("PENDING#1"))
            .expression_attribute_values(":now", s("9"))
    };
    let due = |items: &[HashMap<String, AttributeValue>]| {
        items
            .iter()
            .filter_map(|item| item.get("due_at")?.as_s().ok().cloned())
            .collect::<Vec<_>>()
    };
    crate::services::eventually("two pages", async || {
        let first = query().send().await.expect("queried");
        let next = first.last_evaluated_key().cloned()?;
        let second = query()
            .set_exclusive_start_key(Some(next))
            .send()
            .await
            .expect("queried");
        assert!(!first.items()[0].contains_key("attempt"), "KEYS_ONLY");
        (due(first.items()) == ["1", "2"] && due(second.items()) == ["3"]).then_some(())
    })
    .await;
}

fn units(capacity: Option<&ConsumedCapacity>) -> (f64, f64, f64) {
    let capacity = capacity.expect("the request asked for it");
    let index = capacity
        .global_secondary_indexes()
        .and_then(|all| all.get("by_status"));
    let index = index.and_then(|index| index.capacity_units()).unwrap_or_default();
    let table = capacity
        .table()
        .and_then(|table| table.capacity_units())
        .unwrap_or_default();
    (capacity.capacity_units().unwrap_or_default(), table, index)
}

pub async fn write_units_count_the_index(services: Services) {
    let table = Table::new(&services).await;
    let all = ReturnConsumedCapacity::Indexes;
    let put = table
        .client
        .put_item()
        .table_name(&table.name)
        .set_item(Some(row("a", "PENDING#1", "1")));
    let put = put
        .return_consumed_capacity(all.clone())
        .send()
        .await
        .expect("put");
    assert_eq!(units(put.consumed_capacity()), (2.0, 1.0, 1.0), "insert");
    let update = |expression: &str| {
        let update = table
            .client
            .update_item()
            .table_name(&table.name)
            .key("id", s("a"));
        update
            .update_expression(expression)
            .return_consumed_capacity(all.clone())
    };
    let claim = update("SET status_shard = :new").expression_attribute_values(":new", s("CLAIMED#1"));
    let claim = claim
        .return_values(ReturnValue::AllNew)
        .send()
        .await
        .expect("updated");
    assert_eq!(
        units(claim.consumed_capacity()),
        (3.0, 1.0, 2.0),
        "the index key changes"
    );
    let other = update("SET attempt = :new").expression_attribute_values(":new", n(1));
    let other = other.send().await.expect("updated");
    assert_eq!(units(other.consumed_capacity()), (1.0, 1.0, 0.0), "not projected");
    let delete = table
        .client
        .delete_item()
        .table_name(&table.name)
        .key("id", s("a"));
    let delete = delete
        .return_consumed_capacity(all)
        .send()
        .await
        .expect("deleted");
    assert_eq!(units(delete.consumed_capacity()), (2.0, 1.0, 1.0), "delete");
}

pub async fn write_units_of_a_batch_are_told_per_table(services: Services) {
    let table = Table::new(&services).await;
    let output = table
        .execute(vec![table.insert("a"), table.insert("b")])
        .await
        .expect("200");
    let sum = |output: &[ConsumedCapacity]| {
        output
            .iter()
            .filter_map(ConsumedCapacity::capacity_units)
            .sum::<f64>()
    };
    assert_eq!(sum(output.consumed_capacity()), 4.0, "two inserts");
    let claims = vec![
        table.statement(CLAIM, &claim("a", "1")),
        table.statement(CLAIM, &claim("b", "1")),
    ];
    let output = table.execute(claims).await.expect("200");
    assert_eq!(sum(output.consumed_capacity()), 6.0, "two claims");
    let delete = table.statement("DELETE FROM {} WHERE id=?", &[s("a")]);
    let output = table.execute(vec![delete]).await.expect("200");
    assert_eq!(sum(output.consumed_capacity()), 2.0, "a delete");
}

pub async fn a_row_above_400_kb_fails_alone(services: Services) {
    let table = Table::new(&services).await;
    let big = s(&"x".repeat(409_600));
    let mut item = row("a", "PENDING#1", "1");
    item.insert("raw".to_owned(), big.clone());
    let put = table
        .client
        .put_item()
        .table_name(&table.name)
        .set_item(Some(item))
        .send()
        .await;
    assert_eq!(code(put), "ValidationException");
    let text = "INSERT INTO {} VALUE {'id':?,'raw':?}";
    let statements = vec![table.statement(text, &[s("big"), big]), table.insert("small")];
    let output = table.execute(statements).await.expect("200");
    assert_eq!(outcomes(&output), ["ValidationError", "ok"]);
}

pub async fn a_batch_get_finds_what_is_there(services: Services) {
    let table = Table::new(&services).await;
    table.put(row("a", "PENDING#1", "1")).await;
    let get = |count: usize| {
        let mut keys = vec![HashMap::from([("id".to_owned(), s("a"))])];
        keys.extend(
            (1..count).map(|index| HashMap::from([("id".to_owned(), s(&format!("missing{index}")))])),
        );
        let keys = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .build()
            .expect("complete");
        table
            .client
            .batch_get_item()
            .request_items(&table.name, keys)
            .send()
    };
    let got = get(100).await.expect("100 keys are taken");
    assert_eq!(
        got.responses().and_then(|all| all.get(&table.name)).map(Vec::len),
        Some(1)
    );
    assert_eq!(code(get(101).await), "ValidationException");
}

pub async fn a_cancelled_transaction_says_which_item_failed(services: Services) {
    let table = Table::new(&services).await;
    table.put(row("b", "PENDING#1", "1")).await;
    let put = |id: &str| {
        let put = Put::builder()
            .table_name(&table.name)
            .set_item(Some(row(id, "PENDING#1", "1")));
        let put = put
            .condition_expression("attribute_not_exists(id)")
            .build()
            .expect("complete");
        TransactWriteItem::builder().put(put).build()
    };
    let write = table
        .client
        .transact_write_items()
        .transact_items(put("a"))
        .transact_items(put("b"));
    let error = write.send().await.expect_err("cancelled").into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(error) =
        error
    else {
        panic!("another error: {error:?}");
    };
    let codes: Vec<_> = error
        .cancellation_reasons()
        .iter()
        .filter_map(|reason| reason.code())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert!(table.get("a").await.is_none());
}

pub async fn a_missing_table_is_named_as_such(services: Services) {
    let get = services
        .dynamodb
        .get_item()
        .table_name(services.name("missing"))
        .key("id", s("a"));
    assert_eq!(code(get.send().await), "ResourceNotFoundException");
}

pub async fn a_grant_is_refused_beyond_its_limit(services: Services) {
    let table = Table::new(&services).await;
    let grant = || {
        let update = table
            .client
            .update_item()
            .table_name(&table.name)
            .key("id", s("control"));
        update
            .update_expression("ADD granted :wish")
            .condition_expression("attribute_not_exists(granted) OR granted <= :room")
            .expression_attribute_values(":wish", n(30))
            .expression_attribute_values(":room", n(20))
            .send()
    };
    grant().await.expect("the first 30 of 50");
    assert_eq!(code(grant().await), "ConditionalCheckFailedException");
}
