//! Batches: from the schedule or the intake through one execution to its end.

use std::time::Duration;

use daybook_ledger::{Claim, Deadline, Hand};
use daybook_local::Outcome;
use daybook_schema::{BatchMessage, Row, RunName, Status};
use daybook_tests::lambda::{Environment, FaultyAws, batch, failures};
use daybook_tests::notifications::uploads;
use serde_json::json;

use crate::{COMPLETE, INGEST, INVOKE, SCHEDULE};

/// Records so many events and claims them into one batch, by no function; its message.
pub fn claimed(world: &FaultyAws, size: usize) -> BatchMessage {
    world.record(&uploads(40 + size).split_off(40));
    world.block_on(async {
        let now = world.ledger.clock().now();
        let due = world.ledger.due(Status::Pending, Some(now), 100).next(100).await;
        let deadline = Deadline::after(world.ledger.clock(), Duration::from_secs(30));
        let hand = Hand::Batches(100);
        let claims = world
            .ledger
            .claim(&due, hand, Duration::from_secs(900), deadline)
            .await;
        let claimed = claims.into_iter().map(|claim| match claim {
            Claim::Claimed(row) => *row,
            other => panic!("{other:?}"),
        });
        let rows: Vec<Row> = claimed.collect();
        let RunName::Batch(name) = rows[0].run_name() else {
            panic!("{:?}", rows[0]);
        };
        BatchMessage::for_rows(name, &rows).unwrap()
    })
}

/// The same, and its execution started, by no function; the message, and the execution's ARN.
pub fn started(world: &FaultyAws, size: usize) -> (String, String) {
    let message = claimed(world, size);
    let start = json!({
        "stateMachineArn": world.state_machine, "name": message.name().to_string(), "input": message.input().to_json(),
    });
    let start = start.to_string();
    let handled = world
        .aws
        .handle("AWSStepFunctions.StartExecution", start.as_bytes());
    assert_eq!(world.block_on(handled).status, 200);
    let machine = world.state_machine.replace(":stateMachine:", ":execution:");
    (message.to_json(), format!("{machine}:{}", message.name()))
}

/// A success of a batch as EventBridge tells it; without details they were too large.
pub fn status_event_of_batch(world: &FaultyAws, arn: &str, details: Option<(&str, &str)>) -> String {
    let name = arn.rsplit(':').next().unwrap();
    json!({
        "version": "0", "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change", "source": "aws.states",
        "account": "000000000000", "time": "2026-11-21T19:42:21Z", "region": "us-east-1", "resources": [arn],
        "detail": {
            "executionArn": arn, "stateMachineArn": world.state_machine, "name": name, "status": "SUCCEEDED",
            "startDate": 1_795_000_000_000_i64, "stopDate": null,
            "input": details.map(|(input, _)| input), "inputDetails": {"included": details.is_some()},
            "output": details.map(|(_, output)| output), "outputDetails": {"included": details.is_some()},
        },
    })
    .to_string()
}

#[test]
fn events_of_a_schedule_share_an_execution_and_end_with_it_one_by_one() {
    for included in [true, false] {
        let world = FaultyAws::start();
        world.record(&uploads(3));
        let variables = world.variables(&[("DAYBOOK_BATCH_SIZE", "3")]);
        Environment::start(SCHEDULE, &variables).invoke(&json!({"time": "2026-11-21T01:02:03Z"}));
        let messages = batch(world.dispatched().into_iter().map(|body| ("m", body)));
        let mut invoke = Environment::start(INVOKE, &world.variables(&[]));
        assert_eq!(failures(invoke.invoke(&messages).response()), [""; 0]);
        assert_eq!(world.executions().len(), 1);
        let rows = world.rows();
        assert!(
            rows.iter()
                .all(|row| row.status == Status::Claimed && row.batch.is_some())
        );
        let output = json!({"batchItemFailures": [{"itemIdentifier": rows[1].id}]}).to_string();
        let execution = world.aws.executions().all().remove(0);
        let succeeded = Outcome::Succeeded {
            output: output.clone(),
        };
        world.aws.executions().close(&execution.arn, succeeded).unwrap();
        let details = included.then_some((execution.input.as_str(), output.as_str()));
        let event = batch([("end", status_event_of_batch(&world, &execution.arn, details))]);
        let mut function = Environment::start(COMPLETE, &world.variables(&[]));
        assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
        let left = world.rows();
        assert_eq!(left.len(), 1);
        assert_eq!(
            (left[0].id, left[0].status, left[0].alone, left[0].batch),
            (rows[1].id, Status::Pending, true, None)
        );
        let told = function.end();
        assert_eq!(told.metric("request-1", "EventsCompleted"), Some(2.0));
        assert_eq!(told.metric("request-1", "AttemptsFailed"), Some(1.0));
    }
}

/// What cannot be asked for is unknown, and comes again.
#[test]
fn an_end_without_its_details_comes_again_while_the_execution_cannot_be_described() {
    let world = FaultyAws::start();
    let (_, arn) = started(&world, 3);
    let succeeded = Outcome::Succeeded { output: "{}".into() };
    world.aws.executions().close(&arn, succeeded).unwrap();
    world.deny("DescribeExecution");
    let event = batch([("end", status_event_of_batch(&world, &arn, None))]);
    let mut function = Environment::start(COMPLETE, &world.variables(&[]));
    assert_eq!(failures(function.invoke(&event).response()), ["end"]);
    assert_eq!(world.rows().len(), 3);
    world.heal();
    assert_eq!(failures(function.invoke(&event).response()), [""; 0]);
    assert_eq!(world.rows(), []);
}

#[test]
fn newcomers_are_sent_in_batches_at_once_and_wait_for_company_where_they_may() {
    for (window, sent) in [("0", 2), ("5m", 1)] {
        let world = FaultyAws::start();
        let variables = world.variables(&[
            ("DAYBOOK_DISPATCH", "immediate"),
            ("DAYBOOK_BATCH_SIZE", "3"),
            ("DAYBOOK_BATCH_WINDOW", window),
        ]);
        let notifications = uploads(5).into_iter().map(|upload| upload.notification());
        let mut function = Environment::start(INGEST, &variables);
        let event = batch(notifications.map(|body| ("it", body)));
        let answer = function.invoke_within(&event, Duration::from_secs(30));
        assert_eq!(failures(answer.response()), [""; 0]);
        assert_eq!(world.dispatched().len(), sent, "{window}");
        let rows = world.rows();
        let pending = rows.iter().filter(|row| row.status == Status::Pending).count();
        assert_eq!((rows.len(), pending), (5, if window == "0" { 0 } else { 2 }));
    }
}
