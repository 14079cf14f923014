//! The reconcile function as it is deployed: its real binary under the Runtime API, the embedded AWS behind a port.
#![cfg(feature = "lambda")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use daybook_schema::{Outcome, Receipt, Row};
use daybook_tests::lambda::{Environment, FaultyAws, Trouble, Variables};
use daybook_tests::lambda_service::TARGET_FUNCTION;
use daybook_tests::notifications::uploads;
use daybook_tests::privileges::{assert_least, assert_least_with};
use serde_json::{Value, json};

const RECONCILE: &str = env!("CARGO_BIN_EXE_daybook-reconcile");
const NOWHERE: &str = "http://127.0.0.1:1";

/// A world with so many claimed rows whose leases are over, and whose messages are lost.
fn stale(n: usize) -> (FaultyAws, Vec<Row>) {
    let world = FaultyAws::start();
    world.record(&uploads(n));
    let rows = world
        .claim(Duration::ZERO)
        .into_iter()
        .map(|(row, _)| row)
        .collect();
    (world, rows)
}

fn tick() -> Value {
    json!({"time": daybook_ledger::Clock::system().now().to_string()})
}

#[test]
fn lost_messages_are_sent_again_and_rows_are_counted() {
    let (world, _) = stale(3);
    let mut function = Environment::start(
        RECONCILE,
        &world.variables(&[("DAYBOOK_PER_WINDOW", "2"), ("DAYBOOK_EVERY", "1 day")]),
    );
    let event = tick();
    let answer = function.invoke(&event);
    let report = answer.response();
    assert_eq!(
        (
            &report["stale"],
            &report["redelivered"],
            &report["left"],
            &report["failures"]
        ),
        (&json!(3), &json!(2), &json!(1), &json!([])),
        "{report}"
    );
    assert_eq!(world.dispatched().len(), 2);
    // Two messages wait, one row is stale: it may be one of theirs. The budget of the window is used in any case.
    let answer = function.invoke(&event);
    assert_eq!(answer.response()["redelivered"], 0);
    assert_eq!(world.dispatched().len(), 2);

    let told = function.end();
    let metric = |name| told.metric("request-1", name);
    assert_eq!(
        (metric("SweepRuns"), metric("EventsRedelivered")),
        (Some(1.0), Some(2.0))
    );
    assert_eq!(
        (metric("PendingRows"), metric("ClaimedRows"), metric("ParkedRows")),
        (Some(0.0), Some(3.0), Some(0.0))
    );
    assert_eq!(metric("UndeliveredRows"), Some(0.0));
    assert!(metric("OldestClaimedSeconds").is_some());
    assert_eq!(metric("Failures"), None);
    assert!(metric("ReadUnits").unwrap() > 0.0);
    assert_eq!(
        told.metric_by(&["Stack", "Function"], "request-1", "WriteUnits"),
        metric("WriteUnits")
    );
    assert_eq!(told.metric("request-2", "EventsRedelivered"), None);
}

#[test]
fn of_an_express_state_machine_nothing_is_known_to_run_and_that_is_said_once_and_no_failure() {
    let (world, _) = stale(1);
    world.refuse(
        "ListExecutions",
        "StateMachineTypeNotSupported",
        "State Machine type is not supported",
    );
    let mut function = Environment::start(RECONCILE, &world.variables(&[("DAYBOOK_LEASE", "1s")]));
    let answer = function.invoke(&tick());
    assert_eq!(answer.response()["redelivered"], 1, "{answer:?}");
    assert_eq!(answer.response()["failures"], json!([]));
    // The lease of the second delivery is two seconds: then the row is stale again, and the queue holds its message.
    let mut moved = Value::Null;
    while moved["stale"] != 1 {
        moved = function.invoke(&tick()).response().clone();
    }
    assert_eq!(moved["failures"], json!([]));
    let told = function.end();
    let said = told.saying("an Express state machine");
    assert_eq!(said.len(), 1);
    assert_eq!(
        (&said[0]["level"], &said[0]["requestId"]),
        (&json!("INFO"), &json!("request-1"))
    );
    assert_eq!(told.metric("request-1", "Failures"), None);
}

#[test]
fn what_is_not_known_is_not_told_as_zero() {
    let (world, rows) = stale(1);
    world.deny("Query");
    let mut function = Environment::start(RECONCILE, &world.variables(&[]));
    let answer = function.invoke(&tick());
    assert!(
        answer.response()["failures"][0]
            .as_str()
            .unwrap()
            .contains("not authorized")
    );
    assert_eq!(world.rows(), rows);
    let told = function.end();
    for name in [
        "PendingRows",
        "ClaimedRows",
        "ParkedRows",
        "UndeliveredRows",
        "OldestClaimedSeconds",
        "NewerRows",
    ] {
        assert_eq!(told.metric("request-1", name), None, "{name}");
    }
    assert_eq!(told.metric("request-1", "Failures"), Some(1.0));
    assert_eq!(told.saying("is not known").len(), 5);
}

#[test]
fn without_ledger_queue_or_state_machine_nothing_is_redelivered() {
    let cases: [(Trouble, Variables, &str); 5] = [
        (|world| world.deny("GetQueueAttributes"), &[], "not authorized"),
        (|_| {}, &[("AWS_ENDPOINT_URL_SQS", NOWHERE)], "no connection"),
        (|world| world.throttle("GetItem"), &[], "ThrottlingException"),
        (|_| {}, &[("AWS_ENDPOINT_URL_DYNAMODB", NOWHERE)], "no connection"),
        (|_| {}, &[("DAYBOOK_LEDGER_TABLE", "missing")], "ResourceNotFound"),
    ];
    for (trouble, more, why) in cases {
        let (world, rows) = stale(1);
        trouble(&world);
        let mut function = Environment::start(RECONCILE, &world.variables(more));
        let answer = function.invoke(&tick());
        let told_why = match &answer {
            daybook_tests::lambda::Answer::Response(report) => {
                report["failures"][0].as_str().unwrap().to_owned()
            }
            daybook_tests::lambda::Answer::Error(_) => answer.error(),
        };
        assert!(told_why.contains(why), "{told_why}");
        assert_eq!(world.rows(), rows, "{why}");
        assert!(world.dispatched().is_empty());
        assert_eq!(function.end().metric("request-1", "Failures"), Some(1.0), "{why}");
    }
}

#[test]
fn a_sweep_that_hangs_ends_before_lambda_ends_it_and_says_what_is_left() {
    let (world, rows) = stale(1);
    world.hang_after("GetQueueAttributes", 0);
    let mut function = Environment::start(RECONCILE, &world.variables(&[]));
    let answer = function.invoke_within(&tick(), Duration::from_secs(6));
    let report = answer.response();
    assert_eq!(
        (&report["out_of_time"], &report["redelivered"]),
        (&json!(true), &json!(0)),
        "{report}"
    );
    assert_eq!(world.rows(), rows);
    world.heal();
    assert_eq!(function.invoke(&tick()).response()["redelivered"], 1);
    let told = function.end();
    assert_eq!(told.metric("request-1", "Failures"), Some(1.0));
}

#[test]
fn garbage_is_an_error_and_a_bad_setting_one_at_start() {
    let world = FaultyAws::start();
    let mut function = Environment::start(RECONCILE, &world.variables(&[]));
    assert!(
        function
            .invoke(&json!({"time": "soon"}))
            .error()
            .starts_with("InvalidEvent: ")
    );
    let (code, told) =
        daybook_tests::lambda::fails_to_start(RECONCILE, &world.variables(&[("DAYBOOK_LEASE", "forever")]));
    assert_eq!((code, told.saying("DAYBOOK_LEASE is \"forever\"").len()), (1, 1));
}

/// The requests of a sweep whose queue takes two, then has some left, then refuses: of five rows one is done and was left.
fn sweep_all(
    world: &FaultyAws,
    rows: &[Row],
    mut variables: Vec<(&str, String)>,
    renewed: u64,
) -> Environment {
    world.block_on(leave_a_receipt(world, &rows[1]));
    world.note_all();
    variables.extend([
        ("DAYBOOK_PER_WINDOW", "2".to_owned()),
        ("DAYBOOK_LEASE", "1s".to_owned()),
    ]);
    let mut function = Environment::start(RECONCILE, &variables);
    // Without time for a turn in the next window.
    let answer = function.invoke_within(&minute(1), Duration::from_secs(15));
    let report = answer.response().clone();
    assert_eq!(
        (&report["renewed"], &report["deleted"], &report["redelivered"]),
        (&json!(renewed), &json!(1), &json!(2)),
        "{report}"
    );
    // Of the others a message may wait in the queue; then the queue is empty, and refuses.
    sweep_until(&mut function, 2, "moved");
    world.aws.sqs().purge(&world.dispatch_queue).unwrap();
    world.deny("SendMessageBatch");
    sweep_until(&mut function, 3, "unsent");
    function
}

fn minute(minute: u32) -> Value {
    json!({"time": format!("2026-11-21T01:{minute:02}:03Z")})
}

fn sweep_until(function: &mut Environment, at: u32, what: &str) {
    let mut ticks = 0..20_000;
    let is_none = |report: &Value| report[what].as_u64() == Some(0);
    while is_none(function.invoke(&minute(at)).response()) {
        assert!(ticks.next().is_some(), "nothing was {what}");
    }
}

#[test]
fn reconcile_may_do_what_it_does_and_no_more() {
    let (world, rows) = stale(5);
    let machine = world.state_machine.clone();
    let start = json!({
        "stateMachineArn": machine, "name": format!("{}-{}", rows[0].id, rows[0].attempt.0), "input": "{}",
    });
    let start = start.to_string();
    let started = world.block_on(
        world
            .aws
            .handle("AWSStepFunctions.StartExecution", start.as_bytes()),
    );
    assert_eq!(started.status, 200, "{started:?}");
    let mut function = sweep_all(&world, &rows, world.variables(&[]), 1);
    // What runs is found by a look at it when it cannot be listed.
    world.throttle("ListExecutions");
    sweep_until(&mut function, 4, "renewed");
    assert_least("Reconcile", None, &world.calls());
}

#[test]
fn with_a_function_as_the_target_reconcile_may_do_what_it_does_and_no_more() {
    let (world, rows) = stale(5);
    sweep_all(&world, &rows, world.of_function(), 0);
    let parameters = [("StateMachineArn", ""), ("TargetFunctionArn", TARGET_FUNCTION)];
    assert_least_with(&parameters, "Reconcile", None, &world.calls());
}

#[test]
fn with_a_queue_as_the_target_reconcile_may_do_what_it_does_and_no_more() {
    for completion in ["sent", "reported"] {
        let (world, rows) = stale(5);
        let (variables, queue) = world.of_queue(completion);
        sweep_all(&world, &rows, variables, 0);
        let parameters = [
            ("StateMachineArn", ""),
            ("TargetQueueUrl", &*queue),
            ("TargetCompletion", completion),
        ];
        assert_least_with(&parameters, "Reconcile", None, &world.calls());
    }
}

/// The receipt of an event whose row was not deleted: its completion died in between.
async fn leave_a_receipt(world: &FaultyAws, row: &Row) {
    let event = row.event().unwrap();
    let now = daybook_ledger::Clock::system().now();
    let keep = Duration::from_secs(3600);
    let receipt = Receipt::new(
        event,
        row.attempt,
        Outcome::Succeeded,
        "an execution".into(),
        None,
        now,
        keep,
    );
    let item = serde_json::to_value(&receipt).unwrap();
    let items = vec![daybook_tests::rows::item(item)];
    world.aws.import("receipts", items).await.unwrap();
}
