//! `daybook init`: it makes what is missing, once, and changes nothing that is there.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod stand_in;

use daybook_local::LocalAws;
use serde_json::{Value, json};
use stand_in::proxy::Proxy;
use stand_in::{daybook_at, run, runtime};

fn failing(arguments: &[&str], endpoint: &str) -> String {
    let (code, stdout, stderr) = run(&mut daybook_at(endpoint, arguments));
    assert_ne!(code, 0);
    assert_eq!(stdout, "");
    stderr
}

#[test]
fn init_asks_shows_and_is_done_once() {
    let aws = LocalAws::builder().build().unwrap();
    let proxy = Proxy::start(&aws);
    let told = failing(&["init", "--prefix", "prod"], &proxy.endpoint);
    insta::assert_snapshot!("init_asks", told);
    let init = |more: &[&str]| {
        let (code, stdout, stderr) = run(&mut daybook_at(
            &proxy.endpoint,
            &[&["init", "--prefix", "prod", "--yes"], more].concat(),
        ));
        assert_eq!(code, 0, "{stderr}");
        (stdout, stderr)
    };
    let first = init(&["--output", "json"]);
    insta::assert_json_snapshot!("init_json", serde_json::from_str::<Value>(&first.0).unwrap());
    assert!(
        first
            .1
            .contains("note: table prod-ledger has no point-in-time recovery"),
        "{}",
        first.1
    );
    // From now on an audit can call something missing, and it stays so.
    let installed = || {
        let key = json!({"TableName": "prod-ledger", "Key": {"id": {"S": "control"}}}).to_string();
        let found = runtime().block_on(aws.handle("DynamoDB_20120810.GetItem", key.as_bytes()));
        let found: Value = serde_json::from_slice(&found.body).unwrap();
        found["Item"]["installed_at"]["S"].as_str().unwrap().to_owned()
    };
    let begun = installed();
    let (stdout, stderr) = init(&[]);
    assert_eq!(installed(), begun);
    insta::assert_snapshot!("init_again", format!("{stdout}\n{stderr}"));
    let again: Value = serde_json::from_str(&init(&["--output", "json"]).0).unwrap();
    assert_eq!(again["made"], json!([]));
    assert_eq!(again["kept"].as_array().unwrap().len(), 5);
}

#[test]
fn init_never_changes_what_differs() {
    let aws = LocalAws::builder().build().unwrap();
    let proxy = Proxy::start(&aws);
    let handle = |target: &str, request: Value| {
        let answer = runtime().block_on(aws.handle(target, request.to_string().as_bytes()));
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice::<Value>(&answer.body).unwrap_or_default()
    };
    handle(
        "DynamoDB_20120810.CreateTable",
        json!({
            "TableName": "prod-ledger", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        }),
    );
    let told = failing(&["init", "--prefix", "prod", "--yes"], &proxy.endpoint);
    insta::assert_snapshot!("init_differs", told);
    let tables = handle("DynamoDB_20120810.ListTables", json!({}));
    assert_eq!(
        tables["TableNames"],
        json!(["prod-ledger"]),
        "nothing else was made"
    );
    // What differs in less is named and kept.
    let other = [
        "init",
        "--prefix",
        "prod",
        "--ledger-table",
        "other",
        "--yes",
        "--workers",
    ];
    handle("AmazonSQS.CreateQueue", json!({"QueueName": "prod-dispatch"}));
    let (code, stdout, stderr) = run(&mut daybook_at(&proxy.endpoint, &other));
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("keep  dispatch queue prod-dispatch\n        warning: "),
        "{stderr}"
    );
    assert!(!stdout.contains("COMPLETION"), "{stdout}");
}

#[test]
fn init_without_names_or_permission() {
    let aws = LocalAws::builder().build().unwrap();
    let proxy = Proxy::start(&aws);
    let mut told = vec![
        failing(&["init", "--yes"], &proxy.endpoint),
        failing(&["init", "--prefix", "a b", "--yes"], &proxy.endpoint),
    ];
    proxy.refuse("CreateTable");
    told.push(failing(&["init", "--prefix", "prod", "--yes"], &proxy.endpoint));
    proxy.refuse("DescribeTable");
    told.push(failing(&["init", "--prefix", "prod", "--yes"], &proxy.endpoint));
    insta::assert_snapshot!("init_errors", told.join("\n\n"));
}
