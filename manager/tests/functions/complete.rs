use std::time::Duration;

use daybook_schema::{DispatchMessage, Row, Status};
use daybook_tests::lambda::{Environment, FaultyAws, Trouble, Variables, batch, failures};
use daybook_tests::notifications::uploads;
use serde_json::{Value, json};

use crate::{COMPLETE, NOWHERE};

const LEASE: Duration = Duration::from_secs(900);

/// A world in which so many events are claimed.
fn claimed(n: usize) -> (FaultyAws, Vec<Row>) {
    let world = FaultyAws::start();
    world.record(&uploads(n));
    let rows = world.claim(LEASE).into_iter().map(|(row, _)| row).collect();
    (world, rows)
}

/// A status event as EventBridge sends it.
pub fn status_event(world: &FaultyAws, row: &Row, status: &str) -> String {
    let name = format!("{}-{}", row.id, row.attempt.0);
    let arn = world.state_machine.replace(":stateMachine:", ":execution:");
    json!({
        "version": "0", "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
        "account": "000000000000", "time": "2026-11-21T19:42:21Z", "region": "us-east-1",
        "resources": [format!("{arn}:{name}")],
        "detail": {
            "executionArn": format!("{arn}:{name}"), "stateMachineArn": world.state_machine, "name": name,
            "status": status, "startDate": row.recorded_at.unix_millis() + 1, "stopDate": null, "input": null,
            "output": null, "error": "States.TaskFailed", "cause": "no such key",
        },
    })
    .to_string()
}

/// The same, of a success, with the input that the execution was given.
pub fn succeeded_with_input(world: &FaultyAws, row: &Row) -> String {
    let mut event: Value = serde_json::from_str(&status_event(world, row, "SUCCEEDED")).unwrap();
    let message = DispatchMessage::for_row(row).unwrap();
    event["detail"]["input"] = message.input.to_json().into();
    event.to_string()
}

/// What the last step of an Express state machine sends: nothing of EventBridge's envelope but what it must have.
fn express_event(world: &FaultyAws, row: &Row, status: &str) -> String {
    let name = format!("{}-{}", row.id, row.attempt.0);
    json!({
        "source": "daybook.express",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": format!("{}:{name}:7d3f", world.state_machine.replace(":stateMachine:", ":express:")),
            "stateMachineArn": world.state_machine,
            "name": name,
            "status": status,
        },
    })
    .to_string()
}

fn has_receipt(world: &FaultyAws, row: &Row) -> bool {
    let object = row.event().unwrap().object_id();
    world
        .block_on(world.ledger.receipts([object]))
        .contains_key(&object)
}

#[test]
fn rows_follow_their_executions_and_exactly_the_poison_comes_again() {
    let (world, rows) = claimed(5);
    let foreign = status_event(&world, &rows[2], "SUCCEEDED").replace(":work", ":another");
    let event = batch([
        ("done", status_event(&world, &rows[0], "SUCCEEDED")),
        ("done too", status_event(&world, &rows[4], "SUCCEEDED")),
        ("failed", status_event(&world, &rows[1], "FAILED")),
        ("foreign", foreign),
        ("running", status_event(&world, &rows[3], "RUNNING")),
        ("poison", "hello".to_owned()),
    ]);
    let mut function = Environment::start(
        COMPLETE,
        &world.variables(&[("DAYBOOK_BACKOFF", "2h"), ("DAYBOOK_BACKOFF_LIMIT", "3h")]),
    );
    let answer = function.invoke(&event);
    assert_eq!(failures(answer.response()), ["poison"]);
    assert!(has_receipt(&world, &rows[0]) && !has_receipt(&world, &rows[1]));
    let left = world.rows();
    assert_eq!(left.len(), 3);
    let failed = left.iter().find(|row| row.id == rows[1].id).unwrap();
    assert_eq!((failed.status, failed.attempt.0), (Status::Pending, 1));
    let wait = failed.due_at.since(rows[1].recorded_at);
    assert!(
        wait >= Duration::from_secs(3600),
        "half of two hours at least: {wait:?}"
    );
    assert!(
        failed
            .last_error
            .as_deref()
            .unwrap()
            .contains("States.TaskFailed: no such key")
    );

    let told = function.end();
    let metric = |name| told.metric("request-1", name);
    assert_eq!(metric("EventsCompleted"), Some(2.0));
    assert_eq!(metric("AttemptsFailed"), Some(1.0));
    assert_eq!(metric("StatusEventsIgnored"), Some(2.0));
    assert_eq!(metric("MessagesReturned"), Some(1.0));
    assert_eq!(metric("EventsParked"), None);
    // Two receipts, two deletions with their index, and a row that moves in the index.
    assert_eq!(metric("WriteUnits"), Some(2.0 * (1.0 + 2.0) + 3.0));
    assert!(metric("ReadUnits").unwrap() > 0.0);
}

#[test]
fn the_successes_of_a_batch_are_settled_together_and_each_message_by_its_own_outcome() {
    let (world, rows) = claimed(30);
    let ids: Vec<String> = (0..30).map(|n| format!("m{n}")).collect();
    let mut messages: Vec<(&str, String)> = ids
        .iter()
        .zip(&rows)
        .map(|(id, row)| (id.as_str(), succeeded_with_input(&world, row)))
        .collect();
    messages[3].1 = status_event(&world, &rows[3], "FAILED");
    messages[4].1 = status_event(&world, &rows[4], "SUCCEEDED");
    messages.push(("twice", messages[7].1.clone()));
    messages.push(("poison", "hello".to_owned()));
    let mut function = Environment::start(COMPLETE, &world.variables(&[]));
    let answer = function.invoke(&batch(messages));
    assert_eq!(failures(answer.response()), ["poison"]);
    let left = world.rows();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].id, left[0].status), (rows[3].id, Status::Pending));
    assert!(
        rows.iter()
            .all(|row| has_receipt(&world, row) == (row.id != rows[3].id))
    );
    let told = function.end();
    assert_eq!(told.metric("request-1", "EventsCompleted"), Some(30.0));
    assert_eq!(told.metric("request-1", "AttemptsFailed"), Some(1.0));
    assert_eq!(told.metric("request-1", "MessagesReturned"), Some(1.0));
}

#[test]
fn while_batches_are_throttled_refused_or_silent_only_what_is_not_done_comes_again() {
    let cases: [(Trouble, &[&str]); 4] = [
        (|_| {}, &[]),
        (|world| world.throttle("BatchExecuteStatement"), &[]),
        (|world| world.deny("BatchExecuteStatement"), &[]),
        (|world| world.hang_after("BatchExecuteStatement", 0), &["a", "b"]),
    ];
    for (trouble, returned) in cases {
        let (world, rows) = claimed(3);
        trouble(&world);
        let mut function = Environment::start(COMPLETE, &world.variables(&[]));
        let event = batch([
            ("a", succeeded_with_input(&world, &rows[0])),
            ("b", succeeded_with_input(&world, &rows[1])),
            ("c", status_event(&world, &rows[2], "SUCCEEDED")),
        ]);
        let answer = function.invoke_within(&event, Duration::from_secs(6));
        assert_eq!(failures(answer.response()), returned);
        let left: Vec<_> = world.rows().into_iter().map(|row| row.id).collect();
        assert_eq!(left.len(), returned.len());
        assert!(!left.contains(&rows[2].id));
    }
}

#[test]
fn an_express_execution_tells_how_it_ended_in_its_own_words() {
    let (world, rows) = claimed(2);
    let event = batch([
        ("done", express_event(&world, &rows[0], "SUCCEEDED")),
        ("failed", express_event(&world, &rows[1], "FAILED")),
    ]);
    let mut function = Environment::start(COMPLETE, &world.variables(&[]));
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    assert!(has_receipt(&world, &rows[0]));
    let left = world.rows();
    assert_eq!(
        (left.len(), left[0].id, left[0].status),
        (1, rows[1].id, Status::Pending)
    );
    // Done twice is done.
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    assert_eq!(world.rows(), left);
}

#[test]
fn while_the_ledger_is_down_throttled_missing_forbidden_or_silent_the_events_come_again() {
    let cases: [(Trouble, Variables, &str); 5] = [
        (|_| {}, &[("AWS_ENDPOINT_URL_DYNAMODB", NOWHERE)], "no connection"),
        (|world| world.throttle("GetItem"), &[], "ThrottlingException"),
        (|_| {}, &[("DAYBOOK_LEDGER_TABLE", "missing")], "ResourceNotFound"),
        (|world| world.deny("GetItem"), &[], "not authorized"),
        (
            |world| world.hang_after("GetItem", 0),
            &[],
            "no answer before the deadline",
        ),
    ];
    for (trouble, more, why) in cases {
        let (world, rows) = claimed(1);
        let before = world.rows();
        trouble(&world);
        let mut function = Environment::start(COMPLETE, &world.variables(more));
        let event = batch([("m", status_event(&world, &rows[0], "FAILED"))]);
        let answer = function.invoke_within(&event, Duration::from_secs(6));
        assert_eq!(failures(answer.response()), ["m"], "{why}");
        assert_eq!(world.rows(), before, "{why}");
        let told = function.end();
        let warnings: Vec<&Value> = told.saying("a status event is returned");
        assert!(
            warnings[0]["cause"].as_str().unwrap().contains(why),
            "{why}: {warnings:?}"
        );
    }
}
