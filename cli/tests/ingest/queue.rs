//! The intake queue as a source.

use std::process::{Child, Stdio};
use std::time::Duration;

use daybook_local::QueueAttributes;
use daybook_schema::Status;
use serde_json::{Value, json};

use crate::stand_in::gate::{Gate, Then};
use crate::stand_in::{StandIn, daybook_at, run};
use crate::{line, result, rows};

/// The intake queue, whose messages come again after two seconds; its name at that endpoint.
fn intake(aws: &StandIn, endpoint: &str) -> String {
    let attributes = QueueAttributes {
        visibility_timeout: Duration::from_secs(2),
        ..QueueAttributes::default()
    };
    let url = aws.aws.sqs().create_queue("intake", attributes).unwrap();
    format!("{endpoint}/{}", url.splitn(4, '/').nth(3).unwrap())
}

fn send(aws: &StandIn, url: &str, events: std::ops::Range<u32>) {
    for n in events {
        aws.aws.sqs().send(url, &line(n)).unwrap();
    }
}

/// `daybook ingest --queue` as a process, at that endpoint.
fn from_queue(endpoint: &str, url: &str) -> Child {
    let arguments = [
        "ingest",
        "--queue",
        url,
        "--ledger-table",
        "ledger",
        "--receipts-table",
        "receipts",
        "--output",
        "json",
    ];
    let mut command = daybook_at(endpoint, &arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Ends it as an orchestrator does; what it says that it did.
fn ended(child: Child) -> Value {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{stderr}");
    assert!(stderr.contains("SIGTERM or Ctrl-C ends it"), "{stderr}");
    result(&String::from_utf8_lossy(&ended.stdout))
}

/// How many messages it has, received or not.
fn messages(aws: &StandIn, url: &str) -> usize {
    let depth = aws.aws.sqs().depth(url).unwrap();
    depth.visible + depth.in_flight
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

#[test]
fn a_queue_is_read_until_sigterm_and_its_messages_are_deleted_when_their_rows_are_safe() {
    let aws = StandIn::start();
    let url = intake(&aws, &aws.endpoint);
    send(&aws, &url, 0..25);
    let reader = from_queue(&aws.endpoint, &url);
    wait_until("all messages are deleted", || messages(&aws, &url) == 0);
    assert_eq!(rows(&aws, Status::Pending), 25);
    // It waits for more, and takes it.
    send(&aws, &url, 25..30);
    wait_until("those too", || {
        rows(&aws, Status::Pending) == 30 && messages(&aws, &url) == 0
    });
    let report = ended(reader);
    assert_eq!(
        (&report["notifications"], &report["recorded"], &report["not_safe"]),
        (&json!(30), &json!(30), &json!(0)),
        "{report}"
    );
}

#[test]
fn killed_between_record_and_delete_it_loses_nothing_and_records_nothing_twice() {
    let aws = StandIn::start();
    let gate = Gate::new(&aws.aws, "DeleteMessageBatch", 0, Then::Hold);
    let url = intake(&aws, &gate.endpoint);
    send(&aws, &url, 0..8);
    let mut reader = from_queue(&gate.endpoint, &url);
    gate.wait_for(1);
    // Recorded, and not deleted.
    reader.kill().unwrap();
    reader.wait().unwrap();
    assert!(rows(&aws, Status::Pending) > 0);
    assert_eq!(
        messages(&aws, &url),
        8,
        "a message whose deletion was never answered is still there"
    );
    // They come again when their visibility timeouts are over.
    let again = from_queue(&aws.endpoint, &url.replace(&gate.endpoint, &aws.endpoint));
    wait_until("all messages are deleted", || messages(&aws, &url) == 0);
    let report = ended(again);
    assert_eq!(rows(&aws, Status::Pending), 8, "{report}");
    assert_eq!(report["notifications"], 8, "{report}");
    assert!(report["already_there"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn a_queue_that_is_not_there_and_a_queue_beside_files_are_told_at_once() {
    let aws = StandIn::start();
    let nowhere = format!("{}/000000000000/nowhere", aws.endpoint);
    let (code, _, stderr) = run(&mut aws.daybook("ingest", &["--queue", &nowhere]));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("error: the intake queue cannot be used"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&mut aws.daybook("ingest", &["--queue", &nowhere, "-"]));
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("cannot be used with"), "{stderr}");
}
