//! A deployment in mid-flight: rows, receipts, messages, executions and status events as the release before this one wrote them go
//! through the functions of this one. The fixture is what was stored and sent then; it never changes, but for the id of the event that
//! still waits in the intake: this release records it, and gives it an id of its own. Ids were computed by another implementation.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "upgrade/history.rs"]
mod history;
#[path = "upgrade/newer.rs"]
mod newer;

use std::time::Duration;

use daybook_ledger::{Person, Redriven};
use daybook_local::ExecutionStatus;
use daybook_schema::{EventId, Status};
use daybook_tests::Stage;
use daybook_tests::rows::item;
use serde_json::{Value, json};

fn previous() -> Value {
    serde_json::from_str(include_str!("upgrade/previous.json")).unwrap()
}

fn list(previous: &Value, name: &str) -> Vec<Value> {
    previous[name].as_array().unwrap().clone()
}

/// The tables, queues and executions as the previous release left them.
async fn left_by(previous: &Value) -> Stage {
    let stage = Stage::usual().await;
    for table in ["ledger", "receipts"] {
        stage.put_items(table, list(previous, table).into_iter().map(item).collect());
    }
    for execution in list(previous, "executions") {
        let started = json!({
            "stateMachineArn": stage.state_machine, "name": execution["name"], "input": execution["input"],
        });
        let started = started.to_string();
        let answer = stage
            .aws
            .handle("AWSStepFunctions.StartExecution", started.as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let sqs = stage.aws.sqs();
    for (name, url) in [
        ("intake", &stage.intake),
        ("dispatch", &stage.dispatch_queue),
        ("completion", &stage.completion),
    ] {
        for message in list(previous, name) {
            let body = match message {
                Value::String(body) => body,
                event => event.to_string().replace("STATE_MACHINE", &stage.state_machine),
            };
            sqs.send(url, &body).unwrap();
        }
    }
    stage
}

fn id(previous: &Value, name: &str) -> EventId {
    previous["events"][name].as_str().unwrap().parse().unwrap()
}

/// How often an execution of that event was started, and of which attempts.
fn attempts(stage: &Stage, id: EventId) -> Vec<String> {
    let of_event = |name: &String| name.strip_prefix(&format!("{id}-")).map(str::to_owned);
    stage.execution_names().iter().filter_map(of_event).collect()
}

#[tokio::test(start_paused = true)]
async fn what_the_previous_release_left_in_flight_is_processed_once() {
    let previous = previous();
    let stage = left_by(&previous).await;
    let person = Person {
        by: "kim",
        why: Some("the column is there"),
    };
    let parked = stage.row(id(&previous, "parked")).await.unwrap();
    let redriven = stage
        .ledger
        .redrive_rows(&[parked], 5, Some(person), stage.deadline())
        .await;
    assert!(matches!(redriven[..], [Ok(Redriven::Redriven)]), "{redriven:?}");
    stage.pump_ingest().await.unwrap();
    let waiting = stage.row(id(&previous, "waiting")).await;
    assert!(
        waiting.is_some(),
        "what waited in the intake is recorded, under the id that this release gives it"
    );
    let done = stage.row(id(&previous, "done")).await;
    assert_eq!(done, None, "a receipt of then covers what arrives late");
    for _ in 0..90 {
        stage.schedule().await;
        stage.sweep().await;
        stage.invoke_all().await;
        stage.succeed_running();
        stage.complete_all().await;
        stage.pass(Duration::from_secs(60)).await;
    }
    assert_eq!(stage.rows().await.len(), 0);
    assert_eq!(stage.dispatched().len(), 0);
    for (name, expected) in [
        ("pending", &["1"][..]),
        ("queued", &["1"]),
        ("running", &["2"]),
        ("ended", &[]),
        ("lost", &["1"]),
        ("parked", &["6"]),
        ("done", &[]),
        ("waiting", &["1"]),
    ] {
        assert_eq!(attempts(&stage, id(&previous, name)), expected, "{name}");
    }
    let all = stage.aws.executions().all();
    for one in &all {
        assert_eq!(one.status, ExecutionStatus::Succeeded, "{one:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_runs_since_before_the_upgrade_is_left_alone_until_it_ends() {
    let previous = previous();
    let stage = left_by(&previous).await;
    let running = id(&previous, "running");
    for _ in 0..60 {
        stage.sweep().await;
        stage.invoke_all().await;
        stage.pass(Duration::from_secs(60)).await;
    }
    let row = stage.row(running).await.unwrap();
    assert_eq!((row.status, row.attempt.0), (Status::Claimed, 2));
    assert!(row.due_at > stage.now(), "its lease was renewed");
    assert_eq!(attempts(&stage, running), ["2"]);
    stage.fail_running();
    stage.complete_all().await;
    let row = stage.row(running).await.unwrap();
    assert_eq!(
        (row.status, row.attempt.0),
        (Status::Pending, 2),
        "it counts its attempts on"
    );
}
