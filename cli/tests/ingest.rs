//! `daybook ingest`: files and pipes into a ledger.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "ingest/queue.rs"]
mod queue;
mod stand_in;

use std::io::Write;
use std::process::{Command, Stdio};

use daybook_schema::Status;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
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
fn piped(mut command: Command, text: impl AsRef<[u8]>) -> (i32, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whoever does not want the rest may close the pipe.
    let _ = child.stdin.take().unwrap().write_all(text.as_ref());
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
    let (code, stdout, stderr) = piped(command, line(5));
    assert_eq!(code, 0, "{stderr}");
    let result = result(&stdout);
    assert_eq!(result["notifications"], 731);
    assert_eq!(
        (&result["recorded"], &result["already_there"]),
        (&720.into(), &11.into())
    );
    assert_eq!(rows(&aws, Status::Pending), 720);
}

/// What the AWS CLI prints of these messages.
fn received(numbers: std::ops::Range<u32>) -> Value {
    let message = |n: u32| json!({"MessageId": n.to_string(), "ReceiptHandle": "rh", "MD5OfBody": "0", "Body": notification(n)});
    json!({"Messages": numbers.map(message).collect::<Vec<_>>()})
}

#[test]
fn what_the_aws_cli_received_from_a_queue_is_recorded_in_every_way_to_keep_it() {
    let aws = StandIn::start();
    let documents = [
        format!("{:#}\n", received(0..10)),
        format!("{}\n{}\n", received(10..20), received(20..30)),
        format!("{:#}", received(30..40)).replace('\n', "\r\n"),
        r#"{"Messages":[]} "#.to_owned(),
        // A message, and bodies.
        received(40..41)["Messages"][0].to_string(),
        json!(notification(41)).to_string(),
        json!([notification(42), notification(43)]).to_string(),
        format!("\u{feff}{:#}", received(0..44)),
    ];
    let (code, stdout, stderr) = piped(ingest(&aws, &["-"]), documents.concat());
    assert_eq!(code, 0, "{stderr}");
    let result = result(&stdout);
    assert_eq!(
        (
            &result["recorded"],
            &result["already_there"],
            &result["unreadable"]
        ),
        (&44.into(), &44.into(), &0.into())
    );
    assert_eq!(rows(&aws, Status::Pending), 44);
}

#[test]
fn an_empty_queue_is_no_fault() {
    let aws = StandIn::start();
    for nothing in ["", "\r\n", r#"{"Messages": []}"#] {
        let (code, stdout, stderr) = piped(ingest(&aws, &["-"]), nothing);
        assert_eq!(code, 0, "{stderr}");
        assert_eq!(
            (&result(&stdout)["recorded"], &result(&stdout)["unreadable"]),
            (&0.into(), &0.into())
        );
    }
    assert_eq!(rows(&aws, Status::Parked), 0);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn marks_utf_16_and_gzip_are_read() {
    let aws = StandIn::start();
    let home = tempfile::tempdir().unwrap();
    let marked = |n| format!("\u{feff}{}", notification(n).replace('\n', "\r\n"));
    let lines: String = (5..500).map(line).collect();
    let inputs = [
        // Two files of Windows, one after another.
        format!("{}{}", marked(0), marked(1)).into_bytes(),
        marked(2).encode_utf16().flat_map(u16::to_le_bytes).collect(),
        notification(3)
            .encode_utf16()
            .flat_map(u16::to_be_bytes)
            .collect(),
        gzip(marked(4).as_bytes()),
        [gzip(lines.as_bytes()), gzip(line(500).as_bytes())].concat(),
    ];
    let mut files = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        files.push(home.path().join(number.to_string()).to_str().unwrap().to_owned());
        std::fs::write(&files[number], input).unwrap();
    }
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = run(&mut ingest(&aws, &files));
    assert_eq!(code, 0, "{stderr}");
    let result = result(&stdout);
    assert_eq!(
        (&result["recorded"], &result["unreadable"]),
        (&501.into(), &0.into())
    );
}

#[test]
fn what_is_encoded_otherwise_is_named_and_the_other_files_are_recorded() {
    let aws = StandIn::start();
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = home.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let whole = gzip((0..100).map(line).collect::<String>().as_bytes());
    let files = [
        file("a.zip", b"PK\x03\x04\x14\0\0\0\x08\0"),
        file("b.zst", b"\x28\xb5\x2f\xfd"),
        file("c.gz", &whole[..whole.len() - 4]),
        file("d.json", line(200).as_bytes()),
    ];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (code, stdout, stderr) = run(&mut ingest(&aws, &files));
    assert_eq!(code, 1);
    assert_eq!(result(&stdout)["recorded"], 101);
    let stderr = stderr.replace(home.path().to_str().unwrap(), "HOME");
    insta::assert_snapshot!(stderr, @r"
    error: 3 files could not be read to their ends
      caused by: HOME/a.zip: this is a zip archive, and only JSON as it is, or compressed once by gzip, is read here
      caused by: HOME/b.zst: this is compressed by zstd, and only JSON as it is, or compressed once by gzip, is read here
      caused by: HOME/c.gz: what gzip compressed is damaged or broken off: unexpected end of file
      hint: everything before that place is recorded; fix it and give the file again: recorded events are recognised
    ");
}

#[test]
fn a_document_that_is_huge_unpacked_takes_no_memory() {
    let aws = StandIn::start();
    // One list of 2 GB.
    let bomb = [
        gzip(line(1).as_bytes()),
        gzip(b"["),
        gzip(&b"0,".repeat(4 << 20)).repeat(256),
    ]
    .concat();
    let limit = |command: Command| {
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "ulimit -v 1500000 && exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(command.get_args());
        limited.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        limited
    };
    let (code, stdout, stderr) = piped(limit(ingest(&aws, &["-"])), bomb);
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("unpacked, a document is longer than 32 MiB"),
        "{stderr}"
    );
    assert_eq!(result(&stdout)["recorded"], 1);
    // Smaller ones are longer together, and are read.
    let many = gzip(format!("{}{}", line(2), " ".repeat(1 << 20)).as_bytes()).repeat(40);
    let (code, stdout, stderr) = piped(limit(ingest(&aws, &["-"])), many);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(result(&stdout)["notifications"], 40);
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
      caused by: HOME/broken.ndjson:3:14: this is not JSON: expected value at line 3 column 14
      hint: everything before that place is recorded; fix it and give the file again: recorded events are recognised
    ");
    assert_eq!(rows(&aws, Status::Pending), 3);
}

#[test]
fn a_file_that_is_not_there_is_told_before_anything_is_recorded() {
    let aws = StandIn::start();
    let (code, stdout, stderr) = piped(ingest(&aws, &["-", "/nonexistent/file"]), line(1));
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
        stderr.starts_with("error: 1 event may not be in the ledger\n"),
        "{stderr}"
    );
    assert_eq!(rows(&aws, Status::Pending), 2);
}

#[test]
fn a_folder_without_a_ledger_is_told_and_none_is_made() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("typo");
    let command = daybook(&["ingest", "-", "--local", dir.to_str().unwrap()]);
    let (code, stdout, stderr) = piped(command, line(1));
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

/// Of a server that is not known, `auto` cannot tell whether `+` is a plus sign: said by why, show and doctor. The setting decides.
#[test]
fn an_ambiguous_key_is_reported_and_a_setting_decides() {
    let aws = StandIn::start();
    let plain = line(1)
        .replace("aws:s3", "acme:s3")
        .replace("reading-1.json", "c++/main.cpp");
    let (code, stdout, stderr) = piped(ingest(&aws, &["-"]), &plain);
    assert_eq!((code, &result(&stdout)["recorded"]), (0, &1.into()), "{stderr}");
    let (_, stdout, stderr) = run(&mut aws.daybook("show", &["s3://data/c++/main.cpp", "--output", "json"]));
    let caveat = &result(&stdout)["open"][0]["row"]["caveat"];
    let caveat = caveat.as_str().unwrap_or_else(|| panic!("{stdout}{stderr}"));
    assert!(
        caveat.contains("the key is ambiguous and was taken as sent"),
        "{caveat}"
    );
    let (_, stdout, stderr) = run(&mut aws.daybook("why", &["s3://data/c++/main.cpp"]));
    assert!(
        stdout.contains(caveat) && stdout.contains("--key-encoding"),
        "{stdout}{stderr}"
    );
    let keys = || {
        let (_, stdout, stderr) = run(&mut aws.daybook("doctor", &["--output", "json"]));
        let checks = result(&stdout)["checks"].as_array().cloned();
        let mut checks = checks.unwrap_or_else(|| panic!("{stdout}{stderr}")).into_iter();
        checks.find(|check| check["check"] == "keys").unwrap()
    };
    let check = keys();
    assert_eq!(check["level"], "warning", "{check}");
    assert!(
        check["finding"].as_str().unwrap().starts_with("1 row "),
        "{check}"
    );

    for (setting, key) in [("encoded", "c  /main.cpp"), ("plain", "c++/main.cpp")] {
        let aws = StandIn::start();
        let mut command = ingest(&aws, &["-"]);
        command.env("DAYBOOK_KEY_ENCODING", setting);
        let (code, _, stderr) = piped(command, &plain);
        assert_eq!(code, 0, "{stderr}");
        let (_, stdout, _) = run(&mut aws.daybook("list", &["--output", "json"]));
        let row = &result(&stdout)["rows"][0];
        assert_eq!(row["key"], key, "{setting}");
        assert!(
            !row["caveat"].as_str().unwrap_or_default().contains("ambiguous"),
            "{row}"
        );
    }
}
