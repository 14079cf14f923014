//! The worker with real commands against an AWS of its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod stand_in;

use std::process::{Child, Stdio};
use std::time::Duration;

use daybook_schema::Status;
use serde_json::Value;
use stand_in::{StandIn, daybook, run};

/// Starts a worker that runs `script` for each event.
fn worker(aws: &StandIn, script: &str) -> Child {
    let more = [
        "--workers",
        "3",
        "--lease",
        "3s",
        "--output",
        "json",
        "--exec",
        "/bin/sh",
        "-c",
        script,
    ];
    let mut command = aws.daybook("worker", &more);
    command
        .env("PATH", "/usr/bin:/bin")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Ends it as an orchestrator does; its report.
fn drain(worker: Child) -> Value {
    let killed = std::process::Command::new("kill")
        .arg(worker.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    let ended = worker.wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// Waits until that is so; a minute is far more than it takes.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("not within a minute: {what}");
}

fn rows(aws: &StandIn, status: Status) -> u64 {
    aws.with_ledger(async |ledger| ledger.count(status, None, None).await.unwrap().rows)
}

#[test]
fn a_worker_runs_the_command_for_each_event_and_drains() {
    let aws = StandIn::start();
    aws.record(8);
    let scheduled = run(&mut aws.daybook("schedule", &["--output", "json"]));
    assert_eq!(scheduled.0, 0, "{}", scheduled.2);
    let folder = tempfile::tempdir().unwrap();
    // The key is data, the event is on stdin.
    let script = format!("cat > \"{}/$DAYBOOK_KEY\"", folder.path().display());
    let worker = worker(&aws, &script);
    wait_until("no row is open", || rows(&aws, Status::Claimed) == 0);
    let report = drain(worker);
    assert_eq!(
        (&report["completed"], &report["failed"]),
        (&8.into(), &0.into()),
        "{report}"
    );
    for i in 0..8 {
        let written = std::fs::read(folder.path().join(format!("reading-{i}.json"))).unwrap();
        let event: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(event["key"], format!("reading-{i}.json"));
    }
}

#[test]
fn a_command_that_fails_uses_an_attempt_and_says_why_in_the_row() {
    let aws = StandIn::start();
    aws.record(1);
    assert_eq!(run(&mut aws.daybook("schedule", &[])).0, 0);
    let worker = worker(&aws, "echo 'the disk is full' >&2; exit 3");
    wait_until("the row waits for its next attempt", || {
        rows(&aws, Status::Pending) == 1
    });
    let report = drain(worker);
    assert_eq!(report["failed"], 1, "{report}");
    let page = aws.with_ledger(async |ledger| ledger.open_rows().next().await.unwrap().unwrap());
    let row = page.into_iter().next().unwrap().unwrap();
    assert_eq!(row.attempt.0, 1);
    let why = row.last_error.unwrap();
    assert!(why.contains("the disk is full"), "{why}");
}

#[test]
fn when_a_worker_is_killed_another_one_runs_its_event_again_as_the_same_attempt() {
    let aws = StandIn::start();
    aws.record(1);
    assert_eq!(run(&mut aws.daybook("schedule", &[])).0, 0);
    let folder = tempfile::tempdir().unwrap();
    let (group, attempt) = (folder.path().join("group"), folder.path().join("attempt"));
    // A file that is there is whole.
    let endless = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 1000", group.display());
    let mut killed = worker(&aws, &endless);
    wait_until("its command runs", || group.exists());
    killed.kill().unwrap();
    killed.wait().unwrap();
    let orphan: i32 = std::fs::read_to_string(&group).unwrap().trim().parse().unwrap();
    let orphan = rustix::process::Pid::from_raw(orphan).unwrap();
    rustix::process::kill_process_group(orphan, rustix::process::Signal::KILL).unwrap();

    let report = format!("printf %s \"$DAYBOOK_ATTEMPT\" > {}", attempt.display());
    let other = worker(&aws, &report);
    wait_until("no row is open", || {
        rows(&aws, Status::Claimed) + rows(&aws, Status::Pending) == 0
    });
    assert_eq!(drain(other)["completed"], 1);
    assert_eq!(std::fs::read_to_string(&attempt).unwrap(), "1");
    assert_eq!(aws.queued(), 0);
}

#[test]
fn a_worker_without_a_target_or_with_two_is_told_so() {
    let needed = [
        "worker",
        "--ledger-table",
        "ledger",
        "--dispatch-queue-url",
        "http://127.0.0.1:9/0/q",
    ];
    let (code, _, stderr) = run(&mut daybook(&needed));
    assert_eq!(code, 2);
    let needs_one = "one of the arguments --post <URL> or --exec <COMMAND>... is required";
    assert!(stderr.contains(needs_one), "{stderr}");
    let both = [&needed[..], &["--post", "http://127.0.0.1:9/", "--exec", "true"]].concat();
    let (code, _, stderr) = run(&mut daybook(&both));
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot be used with"), "{stderr}");
    let bad = [&needed[..], &["--post", "ftp://127.0.0.1/"]].concat();
    let (code, _, stderr) = run(&mut daybook(&bad));
    assert_eq!(code, 2);
    assert!(stderr.contains("--post"), "{stderr}");
}
