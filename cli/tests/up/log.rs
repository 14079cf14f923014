//! What the log says while it runs: each failed run with its cause, what people set, and in either form.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::machine::{Up, counts, ledger, rows, until, until_none_open};
use crate::notices::{notification, record, upload};
use crate::stand_in::daybook;

const FAIL: [&str; 4] = [
    "--exec",
    "/bin/sh",
    "-c",
    r#"echo "no \"$DAYBOOK_KEY\"" >&2; exit 3"#,
];

/// The lines of the log that say that.
fn lines(up: &Up, what: &str) -> Vec<String> {
    let said = up.stderr();
    said.lines()
        .filter(|line| line.contains(what))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_failed_run_is_told_with_its_object_its_attempt_and_its_error_as_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[&["--max-attempts", "1"], &FAIL[..]].concat()).await;
    assert_eq!(up.record(upload("a \u{202e}\u{1b}[31m.csv", 1)).await, 1);
    up.until_said("the event waits for a person").await;
    let lines = lines(&up, "the event waits for a person");
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        " WARN ",
        r#"s3.bucket="data""#,
        r#"s3.key="a \u{202e}\u{1b}[31m.csv""#,
        "attempt=1 max_attempts=1",
        r#"error="exit status 3: no \"a "#,
    ] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    assert!(!lines[0].contains(['\u{202e}', '\u{1b}']), "{:?}", lines[0]);
    up.drained().await;
}

#[tokio::test]
async fn a_flood_of_failures_is_told_in_few_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[&["--workers", "8"], &FAIL[..]].concat()).await;
    let records = (0..150).map(|n| record(&format!("key-{n}"), n)).collect();
    assert_eq!(up.record(notification(records).to_string()).await, 150);
    let ledger = ledger(folder.path());
    until("all have failed", async || {
        let rows = rows(&ledger).await;
        rows.iter().filter(|row| row.last_error.is_some()).count() == 150
    })
    .await;
    // At most 20 in ten seconds, however many of these it took.
    let told = lines(&up, "an attempt failed").len();
    assert!((20..150).contains(&told), "{told}");
    assert_eq!(counts(&ledger).await, [150, 0, 0]);
    up.drained().await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[&["--max-attempts", "1"], &FAIL[..]].concat()).await;
    up.close_stderr();
    let ledger = ledger(folder.path());
    for n in 1..=3 {
        assert_eq!(up.record(upload(&format!("key-{n}"), n)).await, 1);
        until("it has failed", async || counts(&ledger).await == [0, 0, n]).await;
    }
    up.drained().await;
}

#[tokio::test]
async fn a_command_does_what_it_is_told_where_nobody_reads_its_notes() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[&["--max-attempts", "1"], &FAIL[..]].concat()).await;
    let ledger = ledger(folder.path());
    assert_eq!(up.record(upload("key", 1)).await, 1);
    until("it waits for a person", async || {
        counts(&ledger).await == [0, 0, 1]
    })
    .await;
    let command = |verb: &[&str]| {
        let mut command = daybook(verb);
        command.arg("--local").arg(folder.path());
        command
    };
    let paused = command(&["pause", "--why", "a test"]).output().unwrap();
    assert_eq!(paused.status.code(), Some(0), "{paused:?}");
    // It has a note: that dispatch is paused.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut redrive = command(&["redrive", "--all", "--yes"]);
    let redriven = redrive.stderr(writer).output().unwrap();
    assert_eq!(redriven.status.code(), Some(0), "{redriven:?}");
    assert_eq!(counts(&ledger).await, [1, 0, 0]);
    up.drained().await;
}

#[tokio::test]
async fn in_json_every_line_is_an_object() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--log-format", "json", "--max-attempts", "1"];
    let mut up = Up::start(folder.path(), &[&options, &FAIL[..]].concat()).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    up.until_said("the event waits for a person").await;
    up.signal(rustix::process::Signal::TERM);
    let ended = up.ended().await;
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(
        lines
            .iter()
            .all(|line| line["timestamp"].is_string() && line["level"].is_string())
    );
    let failed = lines.iter().find(|line| line["level"] == "WARN").unwrap();
    assert_eq!(
        (&failed["s3.key"], &failed["attempt"], &failed["error"]),
        (&"key".into(), &1.into(), &"exit status 3: no \"key\"".into())
    );
}

#[tokio::test]
async fn what_people_set_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["--exec", "true"]).await;
    let beside = |arguments: &[&str]| -> Command {
        let mut command = daybook(arguments);
        command.arg("--local").arg(folder.path());
        command
    };
    for (arguments, told) in [
        (
            &["pause", "--why", "a new release"][..],
            "until it is resumed: a new release",
        ),
        (&["resume"], "dispatch is resumed"),
        (
            &["set", "--per-window", "7"],
            "N is 7 per window, set while running",
        ),
    ] {
        let done = beside(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        up.until_said(told).await;
    }
    up.drained().await;
}

#[tokio::test]
async fn what_a_command_writes_is_kept_whole_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let script = "seq 1 1000; echo the end >&2; exit 4";
    let options = [
        "--max-attempts",
        "1",
        "--target-log",
        kept.to_str().unwrap(),
        "--exec",
        "/bin/sh",
        "-c",
        script,
    ];
    let mut up = Up::start(&folder.path().join("data"), &options).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    up.until_said("the event waits for a person").await;
    let files: Vec<_> = fs::read_dir(&kept)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let event = crate::notices::events(&upload("key", 1)).remove(0);
    assert_eq!(
        files[0].file_name().unwrap().to_str().unwrap(),
        format!("{}-1.log", event.id)
    );
    assert_eq!(
        fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let text = fs::read_to_string(&files[0]).unwrap();
    assert!(text.contains("attempt 1 of \"s3://data/key\""), "{text}");
    assert!(
        text.contains("\n999\n1000\n") && text.contains("the end\n"),
        "{text}"
    );
    assert!(text.ends_with("== exit status: 4\n"), "{text}");
    up.drained().await;

    // A folder that cannot be written is found out at the start.
    let blocked = folder.path().join("file/deep");
    fs::write(folder.path().join("file"), "").unwrap();
    let options = ["--target-log", blocked.to_str().unwrap(), "--exec", "true"];
    let refused = Up::spawn(crate::machine::command(&folder.path().join("other"), &options))
        .ended()
        .await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("cannot keep what the target writes"),
        "{}",
        refused.stderr
    );
    assert!(!folder.path().join("other").exists(), "nothing was made");
}

#[tokio::test]
async fn successes_are_told_where_more_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["-v", "--exec", "true"]).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    up.until_said("an event is done").await;
    until_none_open(&ledger(folder.path())).await;
    up.drained().await;
}
