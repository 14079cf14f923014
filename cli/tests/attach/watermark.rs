//! From when on an audit may call uploads of an attached bucket missing.

use daybook_schema::tables;
use serde_json::{Value, json};

use crate::stand_in::runtime;
use crate::{INTAKE, IntakeAndBucket};

/// DynamoDB's answer, which must be a good one.
fn dynamodb(world: &IntakeAndBucket, operation: &str, request: &Value) -> Value {
    let target = format!("DynamoDB_20120810.{operation}");
    let answer = runtime().block_on(world.aws.handle(&target, request.to_string().as_bytes()));
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

fn watermark(world: &IntakeAndBucket) -> Option<String> {
    let request = json!({"TableName": "ledger", "Key": {"id": {"S": "control"}}});
    let found = dynamodb(world, "GetItem", &request);
    found["Item"]["installed_at"]["S"].as_str().map(str::to_owned)
}

#[test]
fn attach_begins_it_in_the_ledger_that_is_named_and_never_moves_it() {
    let world = IntakeAndBucket::new();
    dynamodb(&world, "CreateTable", &tables::LEDGER.create_table("ledger"));
    world.attach(&["--prefix", "in/"]);
    assert_eq!(watermark(&world), None, "no ledger is named");
    // Nothing is left to attach: a run that ended before this is repeated.
    let again = world.attach(&["--prefix", "in/", "--ledger-table", "ledger"]);
    assert_eq!(again["change"], "none");
    let begun = watermark(&world);
    assert!(begun.is_some());
    world.attach(&["--prefix", "out/", "--ledger-table", "ledger"]);
    assert_eq!(watermark(&world), begun);
}

#[test]
fn a_ledger_that_is_not_there_is_a_note_and_the_bucket_is_attached() {
    let world = IntakeAndBucket::new();
    let arguments = [
        "attach",
        "s3://data",
        "--queue-arn",
        INTAKE,
        "--yes",
        "--ledger-table",
        "nowhere",
    ];
    let (code, _, stderr) = world.run(&arguments);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("note: audits call nothing missing from before the first dispatch"),
        "{stderr}"
    );
    assert!(world.s3.notifications("data").contains(INTAKE));
}
