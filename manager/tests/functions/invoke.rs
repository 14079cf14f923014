use std::time::Duration;

use daybook_schema::Status;
use daybook_tests::lambda::{Environment, FaultyAws, Trouble, Variables, batch, failures};
use daybook_tests::notifications::uploads;
use serde_json::json;
use tokio::time::Instant;

use crate::{INVOKE, NOWHERE};

const LEASE: Duration = Duration::from_secs(900);

/// A world in which so many events are claimed; their messages, with ids `0`, `1` …
fn claimed(n: usize) -> (FaultyAws, Vec<(String, String)>) {
    let world = FaultyAws::start();
    world.record(&uploads(n));
    let messages = world.claim(LEASE).into_iter().enumerate();
    let messages = messages
        .map(|(position, (_, body))| (position.to_string(), body))
        .collect();
    (world, messages)
}

fn event(messages: &[(String, String)]) -> serde_json::Value {
    batch(messages.iter().map(|(id, body)| (id.as_str(), body.clone())))
}

#[test]
fn executions_are_started_and_exactly_the_poison_comes_again() {
    let (world, mut messages) = claimed(3);
    messages.insert(1, ("poison".into(), "hello".into()));
    let mut function = Environment::start(INVOKE, &world.variables(&[]));
    let answer = function.invoke(&event(&messages));
    assert_eq!(failures(answer.response()), ["poison"]);
    assert_eq!(world.executions().len(), 3);
    // The same messages once more, by a queue that delivers twice: the names protect.
    let answer = function.invoke(&event(&messages));
    assert_eq!(failures(answer.response()), ["poison"]);
    assert_eq!(world.executions().len(), 3);
    let told = function.end();
    assert_eq!(told.metric("request-1", "ExecutionsStarted"), Some(3.0));
    assert_eq!(told.metric("request-1", "MessagesReturned"), Some(1.0));
    assert_eq!(told.metric("request-1", "StartsThrottled"), None);
    assert_eq!(told.log_of("request-1").len(), 2, "the warning, and the summary");
}

#[test]
fn the_pace_of_starts_is_kept_across_invocations() {
    let (world, messages) = claimed(2);
    let mut function = Environment::start(INVOKE, &world.variables(&[("DAYBOOK_STARTS_PER_SECOND", "1")]));
    let begin = Instant::now();
    for message in &messages {
        let answer = function.invoke(&event(std::slice::from_ref(message)));
        assert_eq!(failures(answer.response()), [""; 0]);
    }
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[test]
fn while_nothing_can_be_started_messages_come_again_and_rows_stay_as_they_are() {
    let cases: [(Trouble, Variables, &str, Option<f64>); 5] = [
        (
            |_| {},
            &[("AWS_ENDPOINT_URL_SFN", NOWHERE)],
            "no connection",
            None,
        ),
        (
            |world| world.throttle("StartExecution"),
            &[],
            "ThrottlingException",
            Some(1.0),
        ),
        (
            |world| {
                world.refuse(
                    "StartExecution",
                    "StateMachineDoesNotExist",
                    "State Machine Does Not Exist",
                )
            },
            &[],
            "StateMachineDoesNotExist",
            None,
        ),
        (|world| world.deny("StartExecution"), &[], "not authorized", None),
        (
            |world| world.hang_after("StartExecution", 0),
            &[],
            "no answer before the deadline",
            None,
        ),
    ];
    for (trouble, more, why, throttled) in cases {
        let (world, messages) = claimed(1);
        trouble(&world);
        let before = world.rows();
        let mut function = Environment::start(INVOKE, &world.variables(more));
        let answer = function.invoke_within(&event(&messages), Duration::from_secs(6));
        assert_eq!(failures(answer.response()), ["0"], "{why}");
        assert_eq!(world.rows(), before, "{why}");
        let told = function.end();
        let warnings = told.saying("a dispatch message is returned");
        assert!(
            warnings[0]["cause"].as_str().unwrap().contains(why),
            "{why}: {warnings:?}"
        );
        assert_eq!(told.metric("request-1", "StartsThrottled"), throttled, "{why}");
        assert_eq!(told.metric("request-1", "MessagesReturned"), Some(1.0), "{why}");
    }
}

#[test]
fn a_redelivery_reads_the_row_first_so_without_the_ledger_it_comes_again() {
    let (world, mut messages) = claimed(1);
    let mut message: serde_json::Value = serde_json::from_str(&messages[0].1).unwrap();
    message["delivery"] = json!(2);
    messages[0].1 = message.to_string();
    world.deny("GetItem");
    let mut function = Environment::start(INVOKE, &world.variables(&[]));
    assert_eq!(failures(function.invoke(&event(&messages)).response()), ["0"]);
    world.heal();
    let id = world.rows()[0].id;
    world.block_on(async {
        let row = world.ledger.get(id).await.unwrap().unwrap();
        world.ledger.delete_done(&row).await.unwrap();
    });
    assert_eq!(failures(function.invoke(&event(&messages)).response()), [""; 0]);
    assert!(world.executions().is_empty());
    let told = function.end();
    assert_eq!(told.metric("request-2", "MessagesDropped"), Some(1.0));
}

#[test]
fn an_input_that_step_functions_calls_invalid_parks_its_row() {
    let (world, messages) = claimed(1);
    world.refuse(
        "StartExecution",
        "InvalidExecutionInput",
        "Invalid State Machine Execution Input",
    );
    let mut function = Environment::start(INVOKE, &world.variables(&[]));
    assert_eq!(failures(function.invoke(&event(&messages)).response()), [""; 0]);
    assert_eq!(world.rows()[0].status, Status::Parked);
    let told = function.end();
    assert_eq!(told.metric("request-1", "EventsParked"), Some(1.0));
}
