//! `daybook ingest`: files and pipes into a ledger.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod stand_in;

use std::io::Write;
use std::process::{Command, Stdio};

use daybook_schema::Status;
use serde_json::Value;
use stand_in::{StandIn, daybook, run};

/// A notification of one event.
fn notification(n: u32) -> String {
    format!(
        r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2026-11-20T10:15:00.000Z",
        "eventName":"ObjectCreated:Put","s3":{{"bucket":{{"name":"data"}},"object":{{"key":"reading-{n}.json","size":10,
        "eTag":"{n:032x}","sequencer":"0068B5C2F4A1{n:04X}"}}}}}}]}}"#
    )
}

/// The same on one line.
fn line(n: u32) -> String {
    notification(n).replace('\n', "") + "\n"
}

fn ingest(aws: &StandIn, files: &[&str]) -> Command {
    let mut arguments = files.to_vec();
    arguments.extend(["--output", "json"]);
    aws.daybook("ingest", &arguments)
}

fn rows(aws: &StandIn, status: Status) -> u64 {
    let count = aws.with_ledger(async |ledger| ledger.count(status, None, None).await.unwrap());
    count.rows
}

fn result(stdout: &str) -> Value {
    serde_json::from_str(stdout).unwrap()
}

/// Runs it with that on stdin.
fn piped(mut command: Command, text: &str) -> (i32, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn lines_pretty_documents_and_stdin_are_read_alike_and_duplicates_are_recognised() {
    let aws = StandIn::start();
    let home = tempfile::tempdir().unwrap();
    let lines: String = (0..700).map(line).collect();
    let pretty: String = (690..720).map(notification).collect();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (lines, pretty) = (file("lines.ndjson", &lines), file("pretty.json", &pretty));
    let command = ingest(&aws, &[&lines, &pretty, "-"]);
    let (code, stdout, stderr) = piped(command, &line(5));
    assert_eq!(code, 0, "{stderr}");
    let result = result(&stdout);
    assert_eq!(result["notifications"], 731);
    assert_eq!(
        (&result["recorded"], &result["already_there"]),
        (&720.into(), &11.into())
    );
    assert_eq!(rows(&aws, Status::Pending), 720);
}

#[test]
fn what_is_no_event_is_kept_and_test_events_are_counted() {
    let aws = StandIn::start();
    let documents = r#"{"hello":"world"} {"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-20T10:15:00.000Z","Bucket":"data","RequestId":"R","HostId":"H"}"#;
    let (code, stdout, stderr) = piped(ingest(&aws, &["-"]), documents);
    assert_eq!(code, 0, "{stderr}");
    let result = result(&stdout);
    assert_eq!(
        (&result["unreadable"], &result["test_events"]),
        (&1.into(), &1.into())
    );
    assert_eq!(rows(&aws, Status::Parked), 1);
}

#[test]
fn a_file_that_is_broken_in_the_middle_is_recorded_up_to_there_and_the_other_files_are_recorded() {
    let aws = StandIn::start();
    let home = tempfile::tempdir().unwrap();
    let broken = home.path().join("broken.ndjson");
    let whole = home.path().join("whole.ndjson");
    std::fs::write(
        &broken,
        format!("{}{}{{\"Records\": [}}\n{}", line(1), line(2), line(3)),
    )
    .unwrap();
    std::fs::write(&whole, line(4)).unwrap();
    let files = [broken.to_str().unwrap(), whole.to_str().unwrap()];
    let (code, stdout, stderr) = run(&mut ingest(&aws, &files));
    assert_eq!(code, 1);
    assert_eq!(result(&stdout)["recorded"], 3);
    let stderr = stderr.replace(home.path().to_str().unwrap(), "HOME");
    insta::assert_snapshot!(stderr, @r"
    error: a file could not be read to its end
      caused by: HOME/broken.ndjson:3:14: this is no JSON: expected value at line 3 column 14
      hint: what stands before that place is recorded; mend it and give the file again: what is there is recognised
    ");
    assert_eq!(rows(&aws, Status::Pending), 3);
}

#[test]
fn a_file_that_is_not_there_is_told_before_anything_is_recorded() {
    let aws = StandIn::start();
    let (code, stdout, stderr) = piped(ingest(&aws, &["-", "/nonexistent/file"]), &line(1));
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!(stderr, @r"
    error: cannot read /nonexistent/file
      caused by: No such file or directory (os error 2)
    ");
    assert_eq!(rows(&aws, Status::Pending), 0);
}

#[test]
fn an_event_that_fits_no_row_is_an_error_and_its_neighbours_are_recorded() {
    let aws = StandIn::start();
    let large = format!("{{\"no\":\"{}\"}}\n", "x".repeat(500_000));
    let documents = format!("{}{large}{}", line(1), line(2));
    let (code, stdout, stderr) = piped(ingest(&aws, &["-"]), &documents);
    assert_eq!(code, 1);
    let result = result(&stdout);
    assert_eq!((&result["recorded"], &result["not_safe"]), (&2.into(), &1.into()));
    assert!(
        stderr.starts_with("error: 1 events are not in the ledger for certain\n"),
        "{stderr}"
    );
    assert_eq!(rows(&aws, Status::Pending), 2);
}

#[test]
fn a_folder_without_a_ledger_is_told_and_none_is_made() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("typo");
    let command = daybook(&["ingest", "-", "--local", dir.to_str().unwrap()]);
    let (code, stdout, stderr) = piped(command, &line(1));
    assert_eq!((code, stdout.as_str()), (1, ""));
    let stderr = stderr.replace(home.path().to_str().unwrap(), "HOME");
    insta::assert_snapshot!(stderr, @r"
    error: there is no ledger in HOME/typo
      hint: `daybook up --data-dir HOME/typo` makes one; --local (DAYBOOK_LOCAL) names the folder that it made
    ");
    assert!(!dir.exists());
}

#[test]
fn what_a_folder_took_in_is_told_as_a_table_and_as_json() {
    let home = tempfile::tempdir().unwrap();
    stand_in::rows::folder(home.path(), async |_: stand_in::rows::Fixtures<'_>| ());
    let path = home.path().to_str().unwrap();
    let ingest = |documents: &str, output: &str| {
        let command = daybook(&["ingest", "-", "--local", path, "--output", output]);
        let (code, stdout, stderr) = piped(command, documents);
        assert_eq!(code, 0, "{stderr}");
        format!("{stderr}{stdout}").replace(path, "DIR")
    };
    let documents = format!("{}{}{}", line(1), line(2), r#"{"hello":"world"}"#);
    insta::assert_snapshot!("ingest_local", ingest(&documents, "table"));
    let again = ingest(&format!("{documents}{}", line(3)), "json");
    insta::assert_snapshot!("ingest_local_json", again);
}
