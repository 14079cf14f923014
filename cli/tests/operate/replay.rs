//! Objects once more, on purpose.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use daybook_schema::{Origin, Status};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::stand_in::gate::{Gate, Then};
use crate::stand_in::rows::{self, Fixtures};
use crate::stand_in::{StandIn, daybook_at, run};
use crate::world::{Local, all_rows};

const DONE: &str = "s3://data/done.json";

/// `done.json` has a receipt, `open.json` a row.
fn local() -> Local {
    Local::with(async |fixtures: Fixtures<'_>| {
        fixtures.put_receipt(&rows::event("done.json", 7)).await;
        fixtures.put_row(&rows::row("open.json", 1)).await;
    })
}

fn notification(key: &str, n: u32) -> String {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": rows::PAST,
        "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "data"}, "object": {
            "key": key, "size": n, "eTag": format!("{n:032x}"), "sequencer": format!("0068B5C2F4A1{n:04X}"),
        }},
    }]})
    .to_string()
}

/// A file with these notifications, in the folder.
fn file(local: &Local, lines: &[String]) -> String {
    let path = format!("{}/notifications.ndjson", local.path());
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn files_without_an_object_event_do_not_end_well() {
    let local = local();
    let garbage = file(&local, &["{\"no\": \"event\"}".to_owned(), "[]".to_owned()]);
    for more in [&["--yes"][..], &["--dry-run"], &[]] {
        let (code, _, stderr) = local.run(&[&["replay", "--files", &garbage], more].concat());
        assert_eq!(code, 1, "{more:?}: {stderr}");
        assert!(stderr.contains("the files have no object event"), "{stderr}");
    }
    // Beside an event they are counted.
    let mixed = file(&local, &["{}".to_owned(), notification("new.json", 3)]);
    let json = local.json(&["replay", "--files", &mixed]);
    assert_eq!((&json["recorded"], &json["unreadable"]), (&json!(1), &json!(1)));
    let empty = file(&local, &[]);
    assert_eq!(local.run(&["replay", "--files", &empty]).0, 0);
}

#[test]
fn objects_are_replayed_with_what_rows_and_receipts_know_of_them() {
    let local = local();
    let objects = [
        "replay",
        DONE,
        "s3://data/open.json",
        "s3://data/never.json?versionId=v1",
        "--nonce",
        "ticket-4711",
        "--yes",
    ];
    insta::assert_snapshot!("replay", local.told(&objects));
    let rows = local.rows();
    let replays: Vec<_> = rows
        .values()
        .filter_map(|row| row.event())
        .filter(|event| event.origin != Origin::Notification)
        .map(|event| (event.key.as_str(), event.size, event.version_id.as_deref()))
        .collect();
    assert_eq!((rows.len(), replays.len()), (4, 3));
    for replay in [
        ("done.json", Some(10), None),
        ("open.json", Some(10), None),
        ("never.json", None, Some("v1")),
    ] {
        assert!(replays.contains(&replay), "{replays:?}");
    }
    assert!(rows.values().all(|row| row.status == Status::Pending));
    // With the same nonce nothing is done twice, with another one it is.
    let again = local.json(&objects);
    assert_eq!(
        (&again["recorded"], &again["already_there"]),
        (&json!(0), &json!(3))
    );
    let other = local.json(&["replay", DONE]);
    assert_eq!(other["recorded"], 1);
    assert_ne!(other["nonce"], again["nonce"]);
    assert_eq!(other["nonce"].as_str().unwrap().len(), 16);
}

#[test]
fn a_replay_as_json() {
    let arguments = ["replay", DONE, "--nonce", "ticket-4711"];
    insta::assert_json_snapshot!("replay_json", local().json(&arguments));
}

#[test]
fn every_event_of_files_is_replayed_once_whatever_is_done() {
    let local = local();
    // Two uploads of one key, one of them notified twice; a test event; something else.
    let lines = [
        notification("done.json", 7),
        notification("done.json", 8),
        notification("done.json", 8),
        notification("new.json", 1),
        r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2020-01-01T00:00:00Z","Bucket":"data"}"#
            .to_owned(),
        r#"{"hello":"world"}"#.to_owned(),
    ];
    let path = file(&local, &lines);
    let replay = ["replay", "--files", &path, "--nonce", "again"];
    let dry = local.told(&[&replay[..], &["--dry-run"]].concat());
    insta::assert_snapshot!("replay_files_dry_run", dry);
    assert_eq!(local.rows().len(), 1, "nothing was changed");
    let (code, stdout, stderr) = local.run(&replay);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.contains("nothing was changed: there is no terminal to ask on"),
        "{stderr}"
    );
    assert_eq!(local.rows().len(), 1);
    let told = local.told(&[&replay[..], &["--yes"]].concat());
    insta::assert_snapshot!("replay_files", told);
    assert_eq!(local.rows().len(), 1 + 3);
    let nonces: Vec<String> = local
        .rows()
        .values()
        .filter_map(|row| match &row.event()?.origin {
            Origin::Replay { nonce } => Some(nonce.clone()),
            _ => None,
        })
        .collect();
    assert!(
        nonces.iter().all(|nonce| nonce.starts_with("again/")),
        "{nonces:?}"
    );
    let again = local.json(&[&replay[..], &["--yes"]].concat());
    assert_eq!(
        (&again["recorded"], &again["already_there"]),
        (&json!(0), &json!(4))
    );
}

#[test]
fn a_file_that_is_broken_is_told_and_what_stands_before_is_replayed() {
    let local = local();
    let path = file(&local, &[notification("a.json", 1), "{\"no".to_owned()]);
    let told = local.told(&["replay", "--files", &path, "--nonce", "n", "--yes"]);
    insta::assert_snapshot!("replay_broken", told);
    assert_eq!(local.rows().len(), 2);
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let local = local();
    for arguments in [
        &["replay"][..],
        &["replay", "done.json"],
        &["replay", "s3://data"],
        &["replay", DONE, "--nonce", "two words"],
        &["replay", DONE, "--files", "x"],
        &["replay", "--files", "-"],
    ] {
        let (code, stdout, stderr) = local.run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
    }
    let (code, _, stderr) = local.run(&["replay", "--files", "/nonexistent/file", "--yes"]);
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with("error: cannot read /nonexistent/file\n"),
        "{stderr}"
    );
    assert_eq!(local.rows().len(), 1);
}

#[test]
fn at_an_endpoint_a_replay_is_sent_though_the_object_is_done() {
    let aws = StandIn::start();
    aws.fill(async |fixtures: Fixtures<'_>| fixtures.put_receipt(&rows::event("done.json", 7)).await);
    let (code, _, stderr) = run(&mut aws.daybook("replay", &[DONE]));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let (code, stdout, _) = run(&mut aws.daybook("schedule", &["--output", "json"]));
    let sent: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &sent["sent"]), (0, &json!(1)));
    assert_eq!(aws.queued(), 1);
}

#[test]
fn thousands_are_replayed_from_a_file() {
    let local = local();
    let mut lines = String::new();
    for n in 0..2_000 {
        writeln!(lines, "{}", notification(&format!("{n}.json"), n)).unwrap();
    }
    let path = file(&local, &[lines]);
    let json = local.json(&["replay", "--files", &path, "--yes"]);
    assert_eq!(
        (&json["recorded"], &json["selected"]),
        (&json!(2_000), &json!(null))
    );
}

#[test]
fn stopped_in_the_middle_and_given_again_with_its_nonce_every_event_is_replayed_once() {
    let aws = StandIn::start();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("notifications.ndjson");
    let lines: Vec<String> = (0..2_000)
        .map(|n| notification(&format!("{n}.json"), n))
        .collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let gate = Gate::new(&aws.aws, "BatchExecuteStatement", 20, Then::Hold);
    let replay = ["replay", "--nonce", "again", "--yes", "--output", "json"];
    let replay = [
        &replay[..],
        &["--ledger-table=ledger", "--files", path.to_str().unwrap()],
    ]
    .concat();
    let mut child = daybook_at(&gate.endpoint, &replay)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    gate.wait_for(1);
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
        rest,
        "interrupted: the same command with --nonce again resumes with the rest\n"
    );
    let first: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let recorded = first["recorded"].as_u64().unwrap();
    assert!((500..2_000).contains(&recorded), "{first}");
    assert_eq!(first["interrupted"], true);
    assert_eq!(all_rows(&aws.aws, "ledger").len() as u64, recorded);
    let (code, stdout, stderr) = run(&mut daybook_at(&aws.endpoint, &replay));
    assert_eq!(code, 0, "{stderr}");
    let second: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (&second["recorded"], &second["already_there"]),
        (&json!(2_000 - recorded), &json!(recorded))
    );
    assert_eq!(all_rows(&aws.aws, "ledger").len(), 2_000);
}

#[test]
fn help_says_what_a_replay_is() {
    let (code, stdout, _) = run(&mut crate::stand_in::daybook(&["replay", "--help"]));
    assert_eq!(code, 0);
    let own = stdout.split("\nDeployment:\n").next().unwrap();
    insta::assert_snapshot!("help_replay", own);
}

#[test]
fn a_replay_is_kept_with_who_and_why() {
    let local = local();
    let replay = ["replay", DONE, "--by", "kim", "--why", "the old target was wrong"];
    assert_eq!(local.run(&replay).0, 0);
    let rows = local.rows();
    let notes: Vec<&str> = rows.values().filter_map(|row| row.note.as_deref()).collect();
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].ends_with(" replayed by kim: the old target was wrong"),
        "{notes:?}"
    );
}
