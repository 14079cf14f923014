//! `--repeat`: a process that runs again and again, as a deployment without timers has it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use daybook_schema::Status;
use rustix::process::{Pid, Signal, kill_process};

use crate::stand_in::proxy::Proxy;
use crate::stand_in::rows::{self, Fixtures, PAST};
use crate::stand_in::{StandIn, daybook_at};

/// That verb, ten times a second, at that endpoint; what it says goes to a file.
fn repeated(aws: &StandIn, endpoint: &str, verb: &str, says: &Path) -> Child {
    let queue = aws.queue_url.replace(&aws.endpoint, endpoint);
    let arguments = [
        verb,
        "--repeat",
        "100ms",
        "--every",
        "1h",
        "--ledger-table",
        "ledger",
        "--dispatch-queue-url",
        &queue,
    ];
    let mut command = daybook_at(endpoint, &arguments);
    command
        .stdout(Stdio::null())
        .stderr(File::create(says).unwrap())
        .spawn()
        .unwrap()
}

/// Waits until that is so; a minute is far more than it takes.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not within a minute: {what}");
}

/// Ends it as an orchestrator does.
fn ended(mut child: Child) {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_scheduler_runs_again_and_a_run_that_fails_is_said_and_tried_again() {
    let aws = StandIn::start();
    let proxy = Proxy::start(&aws.aws);
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("stderr");
    let said = || std::fs::read_to_string(&file).unwrap();
    aws.record(3);
    let child = repeated(&aws, &proxy.endpoint, "schedule", &file);
    wait_until("what was due is sent", || aws.queued() == 3);
    let begins = "schedule: every 100ms; SIGTERM or Ctrl-C ends it";
    assert!(said().contains(begins), "{}", said());
    assert!(!said().contains("WARN"), "{}", said());
    let add = |key: &str, n| {
        let row = rows::row(key, n);
        aws.fill(async |fixtures: Fixtures<'_>| fixtures.put_row(&row).await);
    };
    add("later.json", 101);
    wait_until("what came later is sent by another run", || aws.queued() == 4);
    // The index does not answer for a while.
    proxy.refuse("Query");
    wait_until("a run fails, and says so", || {
        let said = said();
        said.contains(" WARN ") && said.contains("the scheduler could not do all of its work")
    });
    add("meanwhile.json", 102);
    proxy.restore();
    wait_until("the next run tries again", || aws.queued() == 5);
    ended(child);
}

#[test]
fn the_sweep_runs_again() {
    let aws = StandIn::start();
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("stderr");
    let lose = |key: &str, n| {
        let row = rows::row_in(key, n, Status::Claimed, PAST, 1, 1);
        aws.fill(async |fixtures: Fixtures<'_>| fixtures.put_row(&row).await);
    };
    lose("lost.json", 1);
    let child = repeated(&aws, &aws.endpoint, "sweep", &file);
    wait_until("its message is sent again", || aws.queued() == 1);
    // A message that is there may be that of the next row.
    aws.lose_the_queue();
    lose("lost-later.json", 2);
    wait_until("that of the next as well", || aws.queued() == 1);
    let said = std::fs::read_to_string(&file).unwrap();
    assert!(
        said.contains("sweep: every 100ms; SIGTERM or Ctrl-C ends it"),
        "{said}"
    );
    ended(child);
}
