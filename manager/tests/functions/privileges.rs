//! The roles in deploy/template.yaml against what the functions do on the wire.

use std::time::Duration;

use daybook_local::Outcome;
use daybook_tests::Invoking;
use daybook_tests::lambda::{Environment, FaultyAws, batch, failures};
use daybook_tests::lambda_service::{Invocation, TARGET_FUNCTION};
use daybook_tests::notifications::uploads;
use daybook_tests::privileges::{assert_least, assert_least_with};
use serde_json::{Value, json};

use crate::batches;
use crate::complete::{status_event, succeeded_with_input};
use crate::{COMPLETE, INGEST, INVOKE, SCHEDULE};

const LEASE: Duration = Duration::from_secs(900);

#[test]
fn ingest_may_do_what_it_does_and_no_more() {
    let world = FaultyAws::start();
    let notifications = uploads(30).into_iter().map(|upload| upload.notification());
    let bodies: Vec<String> = notifications.chain(["hello".to_owned()]).collect();
    let event = batch(bodies.into_iter().map(|body| ("it", body)));
    let immediate = world.variables(&[("DAYBOOK_DISPATCH", "immediate"), ("DAYBOOK_PER_WINDOW", "40")]);
    let mut function = Environment::start(INGEST, &immediate);
    function.invoke(&event);
    // Claimed, and given back.
    world.deny("SendMessageBatch");
    let later = uploads(31).split_off(30).remove(0).notification();
    function.invoke(&batch([("later", later)]));
    // A batch that is throttled in part is retried row by row.
    world.throttle("BatchExecuteStatement");
    function.invoke_within(&event, Duration::from_secs(4));
    assert_eq!(world.rows().len(), 32);
    assert_least("Ingest", Some("intake"), &world.calls());
}

#[test]
fn schedule_may_do_what_it_does_and_no_more() {
    let world = FaultyAws::start();
    world.record(&uploads(5));
    let capped = world.variables(&[("DAYBOOK_MAX_IN_FLIGHT", "100"), ("DAYBOOK_PER_WINDOW", "2")]);
    let mut function = Environment::start(SCHEDULE, &capped);
    // Sent; then claimed and given back; then nothing is left of the budget.
    assert_eq!(
        function
            .invoke(&json!({"time": "2026-11-21T01:02:03Z"}))
            .response()["sent"],
        2
    );
    world.deny("SendMessageBatch");
    let refused = function.invoke(&json!({"time": "2026-11-21T01:03:03Z"}));
    assert_eq!(refused.response()["released"], 2);
    function.invoke(&json!({"time": "2026-11-21T01:03:04Z"}));
    assert_least("Schedule", None, &world.calls());
}

#[test]
fn invoke_may_do_what_it_does_and_no_more() {
    let world = FaultyAws::start();
    world.record(&uploads(6));
    let messages: Vec<(String, String)> = world
        .claim(LEASE)
        .into_iter()
        .map(|(row, body)| (row.id.to_string(), body))
        .collect();
    let event =
        |messages: &[(String, String)]| batch(messages.iter().map(|(id, body)| (id.as_str(), body.clone())));
    let mut function = Environment::start(INVOKE, &world.variables(&[]));
    let started = function.invoke(&event(&messages[..5]));
    assert_eq!(failures(started.response()), [""; 0]);
    // Once more, when one runs on, one has succeeded, one has failed; and one was delivered before.
    let executions = world.aws.executions().all();
    let close =
        |n: usize, outcome: Outcome| world.aws.executions().close(&executions[n].arn, outcome).unwrap();
    close(1, Outcome::Succeeded { output: "{}".into() });
    close(
        2,
        Outcome::Failed {
            error: "States.TaskFailed".into(),
            cause: "no".into(),
        },
    );
    let mut again = messages[..4].to_vec();
    let mut repeated: Value = serde_json::from_str(&again[3].1).unwrap();
    repeated["delivery"] = json!(2);
    again[3].1 = repeated.to_string();
    // Under another input the name is taken, too.
    for (_, body) in &mut again[..3] {
        let mut message: Value = serde_json::from_str(body).unwrap();
        message["input"]["region"] = json!("elsewhere");
        *body = message.to_string();
    }
    function.invoke(&event(&again));
    world.refuse("StartExecution", "InvalidExecutionInput", "no");
    function.invoke(&event(&messages[5..]));
    // A batch whose end is found by its message.
    world.heal();
    let (body, execution) = batches::started(&world, 3);
    let succeeded = Outcome::Succeeded { output: "{}".into() };
    world.aws.executions().close(&execution, succeeded).unwrap();
    world.note_all();
    let answer = function.invoke(&batch([("batch", body)]));
    assert_eq!(failures(answer.response()), [""; 0]);
    let told = function.end();
    assert_eq!(told.metric("request-3", "EventsParked"), Some(1.0));
    assert_least("Invoke", Some("dispatch"), &world.calls());
}

/// The requests of a role whose target takes everything, and lets rows be failed and renewed: of six messages one is sent again, one is
/// the fourth in a row, one is too long.
fn invoke_all(world: &FaultyAws, variables: &[(&str, String)]) {
    world.record(&uploads(6));
    let messages: Vec<(String, String)> = world
        .claim(LEASE)
        .into_iter()
        .map(|(row, body)| (row.id.to_string(), body))
        .collect();
    let mut function = Environment::start(INVOKE, variables);
    let event =
        |messages: &[(String, String)]| batch(messages.iter().map(|(id, body)| (id.as_str(), body.clone())));
    function.invoke(&event(&messages[..4]));
    let mut repeated: Value = serde_json::from_str(&messages[4].1).unwrap();
    repeated["delivery"] = json!(2);
    function.invoke(&batch([("repeated", repeated.to_string())]));
    world.functions.next([Invoking::TooLong]);
    world.refuse("SendMessage", "InvalidMessageContents", "no");
    function.invoke(&event(&messages[5..]));
    world.heal();
    // A batch, whose rows people noted something about.
    let body = batches::claimed(world, 3).to_json();
    world.note_all();
    let answer = function.invoke(&batch([("batch", body)]));
    assert_eq!(failures(answer.response()), [""; 0]);
}

#[test]
fn with_a_function_as_the_target_invoke_may_do_what_it_does_and_no_more() {
    let world = FaultyAws::start();
    invoke_all(&world, &world.of_function());
    let parameters = [("StateMachineArn", ""), ("TargetFunctionArn", TARGET_FUNCTION)];
    assert_least_with(&parameters, "Invoke", Some("dispatch"), &world.calls());
}

#[test]
fn with_a_queue_as_the_target_invoke_may_do_what_it_does_and_no_more() {
    for completion in ["sent", "reported"] {
        let world = FaultyAws::start();
        let (variables, queue) = world.of_queue(completion);
        invoke_all(&world, &variables);
        let parameters = [
            ("StateMachineArn", ""),
            ("TargetQueueUrl", &*queue),
            ("TargetCompletion", completion),
        ];
        assert_least_with(&parameters, "Invoke", Some("dispatch"), &world.calls());
    }
}

#[test]
fn complete_may_do_what_it_does_and_no_more() {
    let world = FaultyAws::start();
    world.record(&uploads(4));
    let rows: Vec<_> = world.claim(LEASE).into_iter().map(|(row, _)| row).collect();
    let event = batch([
        ("done", status_event(&world, &rows[0], "SUCCEEDED")),
        ("failed", status_event(&world, &rows[1], "FAILED")),
        ("done with it", succeeded_with_input(&world, &rows[2])),
        ("and another", succeeded_with_input(&world, &rows[3])),
    ]);
    let mut function = Environment::start(COMPLETE, &world.variables(&[]));
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    // Late, for rows that went on or are gone.
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    // A batch's status event that leaves out what the execution was given.
    let (_, execution) = batches::started(&world, 3);
    let succeeded = Outcome::Succeeded { output: "{}".into() };
    world.aws.executions().close(&execution, succeeded).unwrap();
    world.note_all();
    let event = batch([("batch", batches::status_event_of_batch(&world, &execution, None))]);
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    assert_least("Complete", Some("completion"), &world.calls());
}

/// The requests of a role that hears of the ends of six rows, by what `told` makes of an input and of whether it failed: of one that failed,
/// of some that are done, once more of all of these, and of a batch whose rows people noted something about.
fn complete_all(world: &FaultyAws, variables: &[(&str, String)], told: impl Fn(&Value, bool) -> String) {
    world.record(&uploads(4));
    let inputs: Vec<Value> = world
        .claim(LEASE)
        .into_iter()
        .map(|(_, body)| serde_json::from_str::<Value>(&body).unwrap()["input"].clone())
        .collect();
    let event = batch([
        ("done", told(&inputs[0], false)),
        ("failed", told(&inputs[1], true)),
        ("done with it", told(&inputs[2], false)),
        ("and another", told(&inputs[3], false)),
    ]);
    let mut function = Environment::start(COMPLETE, variables);
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    let input = batches::claimed(world, 3).input().to_json();
    world.note_all();
    let event = batch([("batch", told(&serde_json::from_str(&input).unwrap(), false))]);
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    assert_eq!(world.rows().len(), 1);
}

#[test]
fn with_a_function_as_the_target_complete_may_do_what_it_does_and_no_more() {
    let world = FaultyAws::start();
    complete_all(&world, &world.of_function(), |input, has_failed| {
        let invocation = Invocation {
            function: TARGET_FUNCTION.to_owned(),
            payload: input.clone(),
            trace: None,
        };
        match has_failed {
            true => invocation.raised("KeyError", "no such key"),
            false => invocation.returned(Value::Null),
        }
    });
    let parameters = [("StateMachineArn", ""), ("TargetFunctionArn", TARGET_FUNCTION)];
    assert_least_with(&parameters, "Complete", Some("completion"), &world.calls());
}

#[test]
fn with_a_queue_whose_consumer_reports_complete_may_do_what_it_does_and_no_more() {
    let world = FaultyAws::start();
    let (variables, queue) = world.of_queue("reported");
    complete_all(&world, &variables, |input, has_failed| {
        let events = match &input["events"] {
            Value::Array(events) => events.clone(),
            _ => vec![input.clone()],
        };
        let told = events.iter().map(|event| {
            let mut told = json!({"id": event["id"], "attempt": event["attempt"]});
            if has_failed {
                told["failed"] = json!("no such key");
            }
            told
        });
        let mut detail = json!({"events": told.collect::<Vec<Value>>()});
        if let Some(batch) = input.get("batch") {
            detail["batch"] = batch.clone();
        }
        json!({"source": "daybook.report", "detail": detail}).to_string()
    });
    let parameters = [
        ("StateMachineArn", ""),
        ("TargetQueueUrl", &*queue),
        ("TargetCompletion", "reported"),
    ];
    assert_least_with(&parameters, "Complete", Some("completion"), &world.calls());
}
