//! Five rows first: the others follow when those succeed, and are left as they are when they fail or nothing is known of them.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use daybook_schema::{Attempt, Row, Status};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::stand_in::gate::{Gate, Then};
use crate::stand_in::rows::{Fixtures, at};
use crate::stand_in::{StandIn, daybook_at, run};
use crate::world::{Local, all_rows, import, parked};

const LATER: &str = "2020-01-02T00:00:00.000Z";

const REDRIVE: [&str; 9] = [
    "redrive",
    "--all",
    "--yes",
    "--canary=5",
    "--by=kim",
    "--output",
    "json",
    "--ledger-table=ledger",
    "--receipts-table=receipts",
];

fn twenty() -> StandIn {
    let aws = StandIn::start();
    import(&aws.aws, "ledger", &parked(20));
    aws
}

/// The rows that were redriven.
fn pending(aws: &StandIn) -> Vec<Row> {
    let rows = all_rows(&aws.aws, "ledger").into_values();
    rows.filter(|row| row.status == Status::Pending).collect()
}

/// Redrives; what happens to the canaries happens before anybody looks at them.
fn with_canaries(aws: &StandIn, what: impl FnOnce(Vec<Row>)) -> (i32, Value, String) {
    // One look for the selection, two right before the canaries are redriven; the next is for their outcome.
    let gate = Gate::new(&aws.aws, "BatchGetItem", 3, Then::Hold);
    let child = daybook_at(&gate.endpoint, &REDRIVE)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    gate.wait_for(1);
    let canaries = pending(aws);
    assert_eq!(
        canaries.len(),
        5,
        "five are redriven, and no more before it is known"
    );
    what(canaries);
    gate.open();
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    let json = serde_json::from_slice(&ended.stdout).unwrap();
    (ended.status.code().unwrap(), json, stderr)
}

/// As a worker leaves it that succeeded.
fn succeed(aws: &StandIn, rows: &[Row]) {
    aws.fill(async |fixtures: Fixtures<'_>| {
        for row in rows {
            fixtures.put_receipt(row.event().unwrap()).await;
        }
    });
    aws.with_ledger(async |ledger| {
        for row in rows {
            ledger.delete_done(row).await.unwrap();
        }
    });
}

#[test]
fn the_others_follow_when_the_canaries_succeed() {
    let aws = twenty();
    let (code, json, stderr) = with_canaries(&aws, |canaries| succeed(&aws, &canaries));
    assert_eq!(code, 0, "{stderr}");
    let canary = &json["canary"];
    assert_eq!(
        (&canary["redriven"], &canary["succeeded"], &canary["went_on"]),
        (&json!(5), &json!(5), &json!(true))
    );
    assert_eq!(canary["stopped_because"], Value::Null);
    assert_eq!(
        (&json["selected"], &json["outcomes"]["redriven"]),
        (&json!(20), &json!(20))
    );
    assert_eq!(pending(&aws).len(), 15);
    assert!(stderr.contains("canary: 5 events are redriven"), "{stderr}");
    assert!(
        stderr.contains("canary: succeeded; redriving the other 15"),
        "{stderr}"
    );
}

#[test]
fn the_others_are_left_as_they_are_when_canaries_fail() {
    let aws = twenty();
    let (code, json, stderr) = with_canaries(&aws, |canaries| {
        succeed(&aws, &canaries[..3]);
        aws.fill(async |fixtures: Fixtures<'_>| {
            for row in &canaries[3..] {
                let failed = Row {
                    status: Status::Pending,
                    attempt: Attempt(6),
                    due_at: at(LATER),
                    last_error: Some("FAILED: still no such column".to_owned()),
                    ..row.clone()
                };
                fixtures.put_row(&failed).await;
            }
        });
    });
    assert_eq!(code, 1);
    insta::assert_snapshot!(stderr, @r"
    canary: 5 events are redriven; waiting for the outcome
    error: stopped after the canaries: 2 of 5 canaries failed; 15 of 20 parked events are left as they were
      caused by: FAILED: still no such column
      hint: `daybook errors` groups what fails; when it is fixed, the same command tries again
    ");
    let canary = &json["canary"];
    assert_eq!(
        (&canary["succeeded"], &canary["failed"], &canary["went_on"]),
        (&json!(3), &json!(2), &json!(false))
    );
    assert_eq!(canary["stopped_because"], "2 of 5 canaries failed");
    let errors = canary["events"].as_array().unwrap().iter();
    assert_eq!(
        errors
            .filter(|event| event["error"] == "FAILED: still no such column")
            .count(),
        2
    );
    let rows = all_rows(&aws.aws, "ledger").into_values();
    assert_eq!(rows.filter(|row| row.status == Status::Parked).count(), 15);
}

#[test]
fn the_others_are_left_as_they_are_when_nothing_is_known_in_time() {
    let aws = twenty();
    let arguments = [&REDRIVE[..], &["--canary-wait=100ms"]].concat();
    let (code, stdout, stderr) = run(&mut daybook_at(&aws.endpoint, &arguments));
    assert_eq!(code, 1);
    insta::assert_snapshot!(stderr, @r"
    canary: 5 events are redriven; waiting for the outcome
    error: stopped after the canaries: the outcome of 5 of 5 canaries was not known after 100ms; 15 of 20 parked events are left as they were
      hint: `daybook why ID` says how one of them stands; the same command resumes with the others
    ");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&json["canary"]["unknown"], &json["canary"]["went_on"]),
        (&json!(5), &json!(false))
    );
    assert_eq!(
        (&json["outcomes"]["redriven"], pending(&aws).len()),
        (&json!(5), 5)
    );
}

#[test]
fn ctrl_c_while_they_are_waited_for_says_what_was_redriven() {
    let aws = twenty();
    let mut child = daybook_at(&aws.endpoint, &REDRIVE)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("canary: 5 events are redriven") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it says that it waits");
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{rest}");
    assert_eq!(
        rest,
        "interrupted: 15 of 20 parked events are left as they were; the same command resumes with the rest\n"
    );
    let json: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (
            &json["interrupted"],
            &json["canary"]["redriven"],
            &json["canary"]["went_on"]
        ),
        (&json!(true), &json!(5), &json!(false))
    );
    assert_eq!(pending(&aws).len(), 5);
}

#[test]
fn where_no_canary_would_run_nothing_is_changed() {
    let local = Local::new();
    let (code, stdout, stderr) = local.run(&["redrive", "--all", "--yes", "--canary", "5"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!(stderr, @r"
    error: nothing was changed: the outcome of canaries would not become known, because no `daybook up` runs on the folder
      hint: without --canary all are redriven at once
    ");
    assert_eq!(local.row("parked.json").unwrap().status, Status::Parked);
    let aws = twenty();
    aws.with_ledger(async |ledger| ledger.pause(None, "kim", "a release").await.unwrap());
    let (code, _, stderr) = run(&mut daybook_at(&aws.endpoint, &REDRIVE));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("because dispatch is paused by kim until it is resumed: a release\n"),
        "{stderr}"
    );
    assert!(pending(&aws).is_empty());
}
