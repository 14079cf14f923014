//! 10,000 rows by one command; stopped in the middle, and given again.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use daybook_local::LocalAws;
use daybook_schema::{Attempt, Row, Status};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::stand_in::gate::{Gate, Then};
use crate::stand_in::rows::Fixtures;
use crate::stand_in::{StandIn, daybook_at, run};
use crate::world::{Local, all_rows, import, parked};

const REDRIVE: [&str; 8] = [
    "redrive",
    "--all",
    "--yes",
    "--by",
    "kim",
    "--output",
    "json",
    "--ledger-table=ledger",
];

/// Each has one more round of attempts, not two.
fn assert_all_redriven_once<'a>(rows: impl Iterator<Item = &'a Row>) {
    for row in rows {
        assert_eq!(
            (row.status, row.attempt, row.max_attempts),
            (Status::Pending, Attempt(5), 10),
            "{row:?}"
        );
    }
}

#[test]
fn ten_thousand_parked_rows_are_redriven_by_one_command_that_shows_how_far_it_is() {
    let local = Local::with(async |_: Fixtures<'_>| ());
    import(
        &LocalAws::builder().data_dir(local.path()).build().unwrap(),
        "daybook-ledger",
        &parked(10_000),
    );
    let (code, stdout, stderr) = local.run(&["redrive", "--all", "--yes"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("\nredriven          10000  due now"), "{stdout}");
    let told: Vec<&str> = stderr
        .lines()
        .filter(|line| line.starts_with("Redrive: "))
        .collect();
    assert_eq!(told.len(), 10, "{stderr}");
    assert_eq!(
        (told[0], told[9]),
        ("Redrive: 1,000 of 10,000", "Redrive: 10,000 of 10,000")
    );
    let rows = local.rows();
    assert_eq!(rows.len(), 10_000);
    assert_all_redriven_once(rows.values());
}

#[test]
fn stopped_in_the_middle_and_given_again_every_row_is_redriven_once() {
    let aws = StandIn::start();
    import(&aws.aws, "ledger", &parked(3_000));
    // 40 writes of 25 rows each, then 16 that wait: as many as are under way at once.
    let gate = Gate::new(&aws.aws, "BatchExecuteStatement", 40, Then::Hold);
    let mut child = daybook_at(&gate.endpoint, &REDRIVE)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    gate.wait_for(16);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("stopping: requests in flight are finished first") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it says that it stops");
    }
    gate.open();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130), "{rest}");
    assert_eq!(
        rest.lines().last(),
        Some(
            "interrupted: 1,600 of 3,000 parked events are left as they were; the same command resumes with the rest"
        )
    );
    let json: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (&json["outcomes"]["redriven"], &json["interrupted"]),
        (&json!(1_400), &json!(true))
    );
    let rows = all_rows(&aws.aws, "ledger");
    let (redriven, left): (Vec<&Row>, Vec<&Row>) =
        rows.values().partition(|row| row.status == Status::Pending);
    assert_eq!((redriven.len(), left.len()), (1_400, 1_600));
    assert_all_redriven_once(redriven.into_iter());

    let (code, stdout, stderr) = run(&mut daybook_at(&aws.endpoint, &REDRIVE));
    assert_eq!(code, 0, "{stderr}");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (
            &json["selected"],
            &json["outcomes"]["redriven"],
            &json["interrupted"]
        ),
        (&json!(1_600), &json!(1_600), &json!(false))
    );
    let rows = all_rows(&aws.aws, "ledger");
    assert_eq!(rows.len(), 3_000);
    assert_all_redriven_once(rows.values());
}

#[test]
fn what_cannot_be_written_is_told_once_per_cause_and_the_same_command_goes_on() {
    let aws = StandIn::start();
    import(&aws.aws, "ledger", &parked(100));
    let gate = Gate::new(&aws.aws, "BatchExecuteStatement", 1, Then::Refuse);
    let (code, stdout, stderr) = run(&mut daybook_at(&gate.endpoint, &REDRIVE));
    assert_eq!(code, 1);
    insta::assert_snapshot!(stderr, @r"
    error: 75 events may not have been redriven
      caused by: 75 times: BatchExecuteStatement on table ledger: AccessDeniedException: not you
      hint: the credentials are known, but their policy does not allow this; the message says which action
    ");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&json["outcomes"]["redriven"], &json["failed"]),
        (&json!(25), &json!(75))
    );
    let (code, stdout, _) = run(&mut daybook_at(&aws.endpoint, &REDRIVE));
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &json["outcomes"]["redriven"]), (0, &json!(75)));
    assert_all_redriven_once(all_rows(&aws.aws, "ledger").values());
}
