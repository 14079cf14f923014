//! cancel at an endpoint: rows are parked, and then what runs for them is stopped.

use std::process::Stdio;

use daybook_local::{ExecutionStatus, Outcome};
use daybook_schema::{BatchId, BatchInput, ExecutionInput, Row, Status};
use serde_json::{Value, json};

use crate::stand_in::gate::{Gate, Then};
use crate::stand_in::proxy::Proxy;
use crate::stand_in::rows::{FUTURE, Fixtures, row_in};
use crate::stand_in::{StandIn, daybook_at, run};
use crate::world::all_rows;

const BATCH: &str = "5f0c2b7e31d84a6f9e0d4c3b2a190817";

fn claimed(key: &str, n: u32) -> Row {
    row_in(key, n, Status::Claimed, FUTURE, 1, 1)
}

fn filled(rows: &[Row]) -> StandIn {
    let aws = StandIn::start();
    aws.fill(async |fixtures: Fixtures<'_>| {
        for row in rows {
            fixtures.put_row(row).await;
        }
    });
    aws
}

/// `daybook cancel` of all claimed events.
fn arguments(aws: &StandIn) -> Vec<String> {
    let arguments = [
        "cancel",
        "--all",
        "--yes",
        "--why",
        "the wrong file",
        "--ledger-table",
        "ledger",
        "--output",
        "json",
        "--state-machine-arn",
        &aws.state_machine,
    ];
    arguments.map(str::to_owned).to_vec()
}

fn cancel_at(aws: &StandIn, endpoint: &str) -> (Value, String) {
    let arguments = arguments(aws);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = run(&mut daybook_at(endpoint, &arguments));
    assert_eq!(code, 0, "{stderr}");
    (serde_json::from_str(&stdout).unwrap(), stderr)
}

fn execution(aws: &StandIn, arn: &str) -> (ExecutionStatus, Option<Outcome>) {
    let executions = aws.aws.executions().all();
    let one = executions.into_iter().find(|one| one.arn == arn).unwrap();
    (one.status, one.outcome)
}

fn is_cancelled(row: &Row) -> bool {
    (row.status, row.last_error.as_deref()) == (Status::Parked, Some("cancelled: the wrong file"))
}

#[test]
fn an_execution_of_its_own_is_stopped_and_a_batch_goes_on() {
    let batched = Row {
        batch: Some(BATCH.parse().unwrap()),
        ..claimed("batched.json", 2)
    };
    let rows = [claimed("single.json", 1), batched, claimed("queued.json", 3)];
    let aws = filled(&rows);
    let single = aws.start_execution(&rows[0]);
    let id: BatchId = BATCH.parse().unwrap();
    let input = ExecutionInput::new(rows[1].event().unwrap(), rows[1].attempt);
    let batch = BatchInput::new(id, vec![input]).to_json();
    let request = json!({"stateMachineArn": aws.state_machine, "name": format!("b-{BATCH}"), "input": batch});
    aws.handle("AWSStepFunctions.StartExecution", &request.to_string());

    let (report, stderr) = cancel_at(&aws, &aws.endpoint);
    assert_eq!(report["outcomes"]["cancelled"], 3, "{report}");
    assert_eq!(
        stderr,
        "note: 1 of them were in batches, whose executions go on: an event that succeeds there is done\n"
    );
    let (status, outcome) = execution(&aws, &single);
    assert_eq!(status, ExecutionStatus::Aborted);
    let Some(Outcome::Aborted { error, .. }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.as_deref(), Some("Cancelled"));
    let batch = single.rsplit_once(':').unwrap().0.to_owned() + ":b-" + BATCH;
    assert_eq!(execution(&aws, &batch).0, ExecutionStatus::Running);
    let left = all_rows(&aws.aws, "ledger");
    assert!(left.len() == 3 && left.values().all(is_cancelled), "{left:?}");
}

/// The other way round its end would be settled as a failed attempt.
#[test]
fn the_row_is_parked_before_the_execution_is_stopped() {
    let rows = [claimed("single.json", 1)];
    let aws = filled(&rows);
    let arn = aws.start_execution(&rows[0]);
    let gate = Gate::new(&aws.aws, "StopExecution", 0, Then::Hold);
    let mut child = daybook_at(&gate.endpoint, &[])
        .args(arguments(&aws))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    gate.wait_for(1);
    assert!(all_rows(&aws.aws, "ledger").values().all(is_cancelled));
    // It dies there: nothing more happens to the row, and the execution goes on.
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(all_rows(&aws.aws, "ledger").values().all(is_cancelled));
    assert_eq!(execution(&aws, &arn).0, ExecutionStatus::Running);
}

#[test]
fn an_execution_that_may_not_be_stopped_is_named_with_the_command_that_stops_it() {
    let rows: Vec<Row> = (1..=7).map(|n| claimed(&format!("{n}.json"), n)).collect();
    let aws = filled(&rows);
    let arns: Vec<String> = rows.iter().map(|row| aws.start_execution(row)).collect();
    let proxy = Proxy::start(&aws.aws);
    proxy.refuse("StopExecution");
    let (report, stderr) = cancel_at(&aws, &proxy.endpoint);
    assert_eq!(report["outcomes"]["cancelled"], 7, "{report}");
    let told = arns.iter().filter(|arn| {
        let command = format!("`aws stepfunctions stop-execution --execution-arn {arn}` stops it");
        stderr.contains(&command)
    });
    assert_eq!(told.count(), 5, "{stderr}");
    assert!(stderr.contains("states:StopExecution"), "{stderr}");
    assert!(
        stderr.ends_with("note: and 2 more executions may still run\n"),
        "{stderr}"
    );
    let left = all_rows(&aws.aws, "ledger");
    assert!(left.len() == 7 && left.values().all(is_cancelled), "{left:?}");
}
