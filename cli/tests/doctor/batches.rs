//! What has to be as it should for batches.

use super::*;

const BATCHES: [&str; 2] = ["--batch-size", "10"];

fn described(world: &Deployment, more: Value) -> Value {
    let mut described = json!({"stateMachineArn": world.state_machine, "name": "work", "definition": "{}", "roleArn": "arn:r",
        "type": "STANDARD", "creationDate": 1.0});
    described
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    described
}

/// The finding of that check.
fn finding(world: &Deployment, more: &[&str], check: &str) -> String {
    let (_, json) = world.examine(more);
    let items = json["checks"].as_array().unwrap();
    let found = items.iter().find(|item| item["check"] == check).unwrap();
    found["finding"].as_str().unwrap().to_owned()
}

#[test]
fn with_batches_executions_must_be_describable_and_readable() {
    let world = Deployment::new();
    world.finds_with(&BATCHES, "state machine", "ok", "");
    assert!(finding(&world, &BATCHES, "state machine").contains("can be described"));
    world.proxy.refuse("DescribeExecution");
    world.finds_with(&BATCHES, "state machine", "unknown", "states:DescribeExecution");
    // Without batches nothing is asked.
    world.finds("state machine", "ok", "");
    world.proxy.restore();
    let key = "arn:aws:kms:us-east-1:000000000000:key/0b8f7a52-9c5e-4a06-8d6c-0d6f1a3e9a11";
    let encryption =
        json!({"encryptionConfiguration": {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": key}});
    world
        .proxy
        .answer("DescribeStateMachine", 200, described(&world, encryption));
    world.finds_with(&BATCHES, "state machine", "warning", "kms:Decrypt");
    assert!(finding(&world, &BATCHES, "state machine").contains(key));
    world.finds("state machine", "ok", "");
}

#[test]
fn an_express_state_machine_must_report_more_of_a_batch() {
    let world = Deployment::new();
    let express = described(&world, json!({"type": "EXPRESS"}));
    world.proxy.answer("DescribeStateMachine", 200, express);
    world.finds_with(&BATCHES, "state machine", "problem", "STANDARD");
    let (with, without) = (
        finding(&world, &BATCHES, "state machine"),
        finding(&world, &[], "state machine"),
    );
    let more = "of a batch it must report input and output as well";
    assert!(
        with.contains(more) && !without.contains(more),
        "{with}; {without}"
    );
}

#[test]
fn a_row_that_waits_for_company_does_not_stop_the_schedule() {
    let world = Deployment::new();
    let ten_minutes_ago = daybook_schema::Timestamp::from_unix_millis(now().unix_millis() - 600_000);
    world.fill(async |fixtures: Fixtures<'_>| {
        let waiting = daybook_schema::Row {
            due_at: ten_minutes_ago.unwrap(),
            ..rows::row("waiting.json", 1)
        };
        fixtures.put_row(&waiting).await;
    });
    world.finds("schedule", "problem", "daybook schedule");
    world.finds_with(&BATCHES, "schedule", "problem", "daybook schedule");
    world.finds_with(
        &["--batch-size", "10", "--batch-window", "1h"],
        "schedule",
        "ok",
        "",
    );
    world.finds_with(
        &["--batch-size", "10", "--batch-window", "5m"],
        "schedule",
        "problem",
        "",
    );
}
