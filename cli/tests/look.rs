//! `daybook status`, `daybook list` and `daybook show`: on a folder, and on an endpoint.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "look/forms.rs"]
mod forms;
mod stand_in;

use daybook_local::Outcome;
use daybook_schema::{Row, Status};
use serde_json::{Value, json};
use stand_in::rows::{self, FUTURE, Fixtures, HOSTILE_KEY, PAST};
use stand_in::{StandIn, daybook, run};

/// Everything in a folder.
struct Local(tempfile::TempDir);

impl Local {
    fn new() -> Self {
        Self::with(async |fixtures: Fixtures<'_>| fixtures.put_all().await)
    }

    fn with(fill: impl AsyncFnOnce(Fixtures<'_>)) -> Self {
        let home = tempfile::tempdir().unwrap();
        rows::folder(home.path(), fill);
        Self(home)
    }

    /// Code, stdout, stderr of that verb here.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let path = self.0.path().to_str().unwrap();
        let (code, stdout, stderr) = run(&mut daybook(&[arguments, &["--local", path]].concat()));
        (code, stdout.replace(path, "DIR"), stderr.replace(path, "DIR"))
    }

    fn table(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        rows::normal(&stdout)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (code, stdout, stderr) = self.run(&[arguments, &["--output", "json"]].concat());
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        rows::normal_json(serde_json::from_str(&stdout).unwrap())
    }
}

/// Everything at an endpoint, with executions: one runs, one failed, one was never started.
fn filled() -> StandIn {
    let aws = StandIn::start();
    aws.fill(async |fixtures: Fixtures<'_>| fixtures.put_all().await);
    let all = rows::all();
    aws.start_execution(of(&all, "running.json"));
    let failed = aws.start_execution(of(&all, "parked.json"));
    let outcome = Outcome::Failed {
        error: "NoSuchColumn".to_owned(),
        cause: "a\u{1b}[0m".to_owned(),
    };
    aws.aws.executions().close(&failed, outcome).unwrap();
    aws
}

fn of<'a>(rows: &'a [Row], key: &str) -> &'a Row {
    let is_it = |row: &&Row| row.event().is_some_and(|event| event.key.as_str() == key);
    rows.iter().find(is_it).unwrap()
}

fn id_of(key: &str) -> String {
    of(&rows::all(), key).id.to_string()
}

/// Code, stdout, stderr of that verb at the endpoint, executions known.
fn at_endpoint(aws: &StandIn, verb: &str, more: &[&str]) -> (i32, String, String) {
    let machine = ["--state-machine-arn", &aws.state_machine];
    let (code, stdout, stderr) = run(&mut aws.daybook(verb, &[more, &machine].concat()));
    let normal = |text: String| rows::normal(&text.replace(&aws.endpoint, "ENDPOINT"));
    (code, normal(stdout), normal(stderr))
}

#[test]
fn status_of_a_folder() {
    let local = Local::new();
    insta::assert_snapshot!("status_local", local.table(&["status"]));
    insta::assert_json_snapshot!("status_local_json", local.json(&["status"]));
}

#[test]
fn errors_are_told_cause_by_cause() {
    let local = Local::with(async |fixtures: Fixtures<'_>| {
        fixtures.put_all().await;
        for n in 10..60 {
            let key = format!("in/{n}/photo-{n}.jpg");
            let status = if n % 5 == 0 {
                Status::Pending
            } else {
                Status::Parked
            };
            let row = Row {
                last_error: Some(format!(
                    "exit status 3: photo-{n}.jpg: can't read byte {}",
                    n * 17
                )),
                ..rows::row_in(&key, n, status, FUTURE, 2, 0)
            };
            fixtures.put_row(&row).await;
        }
    });
    let (code, stdout, stderr) = local.run(&["errors"]);
    assert_eq!(code, 0, "{stderr}");
    insta::assert_snapshot!("errors_local", rows::normal(&stdout) + &stderr);
    let (_, stdout, _) = local.run(&["errors", "--limit", "2", "--output", "json"]);
    let json = rows::normal_json(serde_json::from_str(&stdout).unwrap());
    insta::assert_json_snapshot!("errors_local_json", json);
    // What it says for redriving selects the group's parked rows and nobody else's.
    let (_, stdout, _) = local.run(&[
        "redrive",
        "--error",
        "can't read byte",
        "--dry-run",
        "--output",
        "json",
    ]);
    let redriven: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(redriven["selected"], 40, "{redriven}");
    // Nothing failed, and that is said.
    let fine = Local::with(async |fixtures: Fixtures<'_>| fixtures.put_row(&rows::row("due.json", 1)).await);
    let (code, stdout, stderr) = fine.run(&["errors"]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert_eq!(stderr, "note: no open event in folder DIR has failed\n");
}

#[test]
fn status_of_an_endpoint() {
    let aws = filled();
    let until = rows::at(FUTURE);
    aws.with_ledger(async |ledger| {
        ledger.pause(Some(until), "kim", "repair\u{1b}[2J").await.unwrap();
        let kim = daybook_ledger::Person {
            by: "kim",
            why: Some("the target is slow"),
        };
        ledger.set_per_window(Some(7), kim).await.unwrap();
    });
    let (code, stdout, stderr) = at_endpoint(&aws, "status", &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!("status_endpoint", stdout);
    let (_, stdout, _) = run(&mut aws.daybook("status", &["--output", "json"]));
    let json = rows::normal_json(serde_json::from_str(&stdout).unwrap());
    insta::assert_json_snapshot!("status_endpoint_json", json);
    let (_, told, _) = at_endpoint(&aws, "doctor", &[]);
    assert!(
        told.contains(r": repair\u{1b}[2J: nothing is sent"),
        "escaped once: {told}"
    );
}

#[test]
fn status_after_a_window_tells_what_was_granted() {
    let aws = StandIn::start();
    aws.record(3);
    let sent = run(&mut aws.daybook("schedule", &["--per-window", "2", "--every", "1h"]));
    assert_eq!(sent.0, 0);
    let (_, stdout, _) = run(&mut aws.daybook("status", &["--output", "json"]));
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["pending"]["due"], 1);
    assert_eq!(json["claimed"]["within_lease"], 2);
    assert_eq!(json["queue_depth"], 2);
    assert_eq!(json["dispatch"]["window"]["granted"], 2);
    assert_eq!(json["dispatch"]["window"]["seconds"], 3600.0);
}

#[test]
fn counts_stop_where_they_are_told_to() {
    let local = Local::with(async |fixtures: Fixtures<'_>| {
        for n in 0..80 {
            fixtures.put_row(&rows::row(&format!("{n}.json"), n)).await;
        }
    });
    let json = local.json(&["status", "--count-to", "1"]);
    let counted = json["pending"]["due"].as_u64().unwrap();
    assert!((1..80).contains(&counted), "{json}");
    assert_eq!(json["pending"]["due_exact"], false);
    assert_eq!(json["pending"]["exact"], false);
    assert_eq!(json["pending"]["later_exact"], true);
    let table = local.table(&["status", "--count-to", "1"]);
    assert!(table.contains(&format!("due  at least {counted}")), "{table}");
    let json = local.json(&["status", "--exact"]);
    assert_eq!(
        (&json["pending"]["rows"], &json["pending"]["exact"]),
        (&json!(80), &json!(true))
    );
}

#[test]
fn what_status_cannot_find_out_is_unknown_and_hides_nothing_else() {
    let aws = filled();
    let url = format!("{}-old", aws.queue_url);
    let arguments = ["status", "--ledger-table", "ledger", "--dispatch-queue-url", &url];
    let (code, stdout, stderr) = run(&mut stand_in::daybook_at(&aws.endpoint, &arguments));
    assert_eq!(code, 1);
    let queue = rows::normal(&stdout);
    assert!(queue.contains("\nqueue  unknown  messages"), "{queue}");
    assert!(queue.contains("\nparked  2  wait for a person"), "{queue}");
    insta::assert_snapshot!("status_queue_missing", stderr.replace(&aws.endpoint, "ENDPOINT"));
    // Not named is not failed.
    let arguments = ["status", "--ledger-table", "ledger", "--output", "json"];
    let (code, stdout, stderr) = run(&mut stand_in::daybook_at(&aws.endpoint, &arguments));
    assert_eq!(code, 0);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["queue_depth"], Value::Null);
    assert!(
        stderr.starts_with("note: the queue's depth is unknown, because no queue is named"),
        "{stderr}"
    );
}

#[test]
fn list_of_a_folder() {
    let local = Local::new();
    let table = local.table(&["list"]);
    assert!(!table.contains('\u{1b}'), "{table}");
    insta::assert_snapshot!("list_local", table);
    let json = local.json(&["list"]);
    let keys: Vec<&Value> = json["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["key"])
        .collect();
    assert!(keys.contains(&&json!(HOSTILE_KEY)), "untouched: {keys:?}");
    insta::assert_json_snapshot!("list_local_json", json);
}

#[test]
fn list_at_an_endpoint_by_status() {
    let aws = filled();
    let (code, stdout, stderr) = at_endpoint(&aws, "list", &["--status", "Parked"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!("list_parked", stdout);
}

/// On AWS nothing lists receipts by time, and that is said, with what answers instead.
#[test]
fn what_is_done_is_not_listed_at_an_endpoint() {
    let (code, stdout, stderr) = at_endpoint(&filled(), "list", &["--status", "done", "--since", "1h"]);
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    for part in [
        "found by their object, not by time",
        "daybook show s3://BUCKET/KEY",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

#[test]
fn a_list_says_when_there_is_more() {
    let local = Local::new();
    let (code, stdout, stderr) = local.run(&["list", "--limit", "1", "--output", "json"]);
    assert_eq!(code, 0);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["more"], true);
    let statuses: Vec<&str> = json["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["pending", "claimed", "parked"]);
    assert!(stderr.starts_with("note: there are more; --limit"), "{stderr}");
    assert_eq!(local.json(&["list", "--limit", "3"])["more"], false);
}

#[test]
fn a_list_by_prefix() {
    let local = Local::with(async |fixtures: Fixtures<'_>| {
        for n in 0..250 {
            let folder = if n % 100 == 99 { "rare" } else { "usual" };
            fixtures
                .put_row(&rows::row(&format!("{folder}/{n}.json"), n))
                .await;
        }
    });
    let keys = |arguments: &[&str]| {
        let json = local.json(&[&["list"], arguments].concat());
        let keys = json["rows"].as_array().unwrap().iter();
        let mut keys: Vec<String> = keys.map(|row| row["key"].as_str().unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    let rare = ["rare/199.json", "rare/99.json"];
    assert_eq!(keys(&["--prefix", "rare/"]), rare);
    assert_eq!(keys(&["--prefix", "s3://data/rare/"]), rare);
    assert_eq!(keys(&["--prefix", "s3://other/rare/"]), [""; 0]);
    assert_eq!(keys(&["--prefix", "s3://data", "--limit", "300"]).len(), 250);
    let (code, stdout, stderr) = local.run(&["list", "--prefix", "nothing/"]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert_eq!(stderr, "note: no such open events in folder DIR\n");
}

#[test]
fn show_every_state_of_a_folder() {
    let local = Local::new();
    let mut told = String::new();
    for row in rows::all() {
        told += &local.table(&["show", &row.id.to_string()]);
        told += "----\n";
    }
    assert!(!told.contains('\u{1b}'), "{told}");
    insta::assert_snapshot!("show_local", told);
}

#[test]
fn why_escapes_for_a_terminal_what_a_program_gets_as_it_is() {
    let local = Local::new();
    let done = ["why", "s3://data/done.json", "--no-s3"];
    let (code, told, stderr) = local.run(&done);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(told.contains(r"by worker a\u{1b}b, in attempt 2"), "{told}");
    let (_, json, _) = local.run(&[&done[..], &["--output", "json"]].concat());
    let json: Value = serde_json::from_str(&json).unwrap();
    let says = json["says"].as_str().unwrap();
    assert!(says.contains("by worker a\u{1b}b, in attempt 2"), "{says}");
}

#[test]
fn show_an_object_of_a_folder() {
    let local = Local::new();
    let (code, stdout, stderr) = local.run(&["show", "s3://data/running.json"]);
    // A row that cannot be read may be about any object.
    assert_eq!(code, 1, "{stderr}");
    insta::assert_snapshot!("show_local_object", rows::normal(&stdout) + &stderr);
    let (_, stdout, _) = local.run(&["show", "s3://data/running.json", "--output", "json"]);
    let json = rows::normal_json(serde_json::from_str(&stdout).unwrap());
    insta::assert_json_snapshot!("show_local_object_json", json);
}

#[test]
fn show_what_is_done_and_what_was_never_seen() {
    let done = rows::event("done.json", 7);
    let local =
        Local::with(async |fixtures: Fixtures<'_>| fixtures.put_receipt(&rows::event("done.json", 7)).await);
    let by_object = local.table(&["show", "s3://data/done.json"]);
    assert_eq!(local.table(&["show", &done.id.to_string()]), by_object);
    insta::assert_snapshot!("show_done", by_object);
    let said = |what: &[&str]| {
        let (code, stdout, stderr) = local.run(&[&["show"], what].concat());
        assert_eq!((code, stdout.as_str()), (1, ""));
        stderr
    };
    let never = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11";
    let said = [
        said(&[never]),
        said(&["s3://data/never.json"]),
        said(&["s3://data/never.json?versionId=v1"]),
        said(&["s3://data/done.json", "--source", "minio"]),
        said(&[never, "--receipts-keep", "0"]),
    ];
    insta::assert_snapshot!("show_nothing", said.join(""));
}

#[test]
fn show_one_version_of_an_object() {
    let local = Local::with(async |fixtures: Fixtures<'_>| {
        for version in ["v1", "v2"] {
            let mut row = rows::row_in("a?b.json", 1, Status::Pending, PAST, 0, 0);
            let mut event = row.event().unwrap().clone();
            event.version_id = Some(version.to_owned());
            let sequencer = event.sequencer.clone().unwrap();
            row.id = event
                .object_parts()
                .event_id(daybook_schema::identity::EventBasis::Sequencer {
                    sequencer: &sequencer,
                    etag: event.etag.as_deref(),
                });
            event.id = row.id;
            row.subject = daybook_schema::Subject::Event(Box::new(event));
            fixtures.put_row(&row).await;
        }
    });
    let versions = |uri: &str| {
        let json = local.json(&["show", uri]);
        let open = json["open"].as_array().unwrap().iter();
        let mut versions: Vec<String> = open
            .map(|open| open["row"]["version_id"].as_str().unwrap().to_owned())
            .collect();
        versions.sort();
        versions
    };
    assert_eq!(versions("s3://data/a?b.json"), ["v1", "v2"]);
    assert_eq!(versions("s3://data/a?b.json?versionId=v2"), ["v2"]);
}

#[test]
fn show_executions_at_an_endpoint() {
    let aws = filled();
    let mut told = String::new();
    for key in ["due.json", "running.json", "lost.json", "parked.json"] {
        let (code, stdout, stderr) = at_endpoint(&aws, "show", &[&id_of(key)]);
        assert_eq!((code, stderr.as_str()), (0, ""));
        told += &(stdout + "----\n");
    }
    assert!(!told.contains('\u{1b}'), "{told}");
    insta::assert_snapshot!("show_endpoint", told);
    let more = [
        &id_of("parked.json"),
        "--state-machine-arn",
        &aws.state_machine,
        "--output",
        "json",
    ];
    let (_, stdout, _) = run(&mut aws.daybook("show", &more));
    let json = rows::normal_json(serde_json::from_str(&stdout).unwrap());
    insta::assert_json_snapshot!("show_endpoint_json", json);
}

#[test]
fn show_finds_what_is_done_by_its_execution() {
    let aws = StandIn::start();
    let row = Row {
        attempt: daybook_schema::Attempt(1),
        ..rows::row("done.json", 7)
    };
    aws.fill(async |fixtures: Fixtures<'_>| fixtures.put_receipt(&rows::event("done.json", 7)).await);
    let id = row.id.to_string();
    let (code, _, stderr) = at_endpoint(&aws, "show", &[&id]);
    assert_eq!(code, 1);
    assert!(stderr.contains("--scan-receipts"), "{stderr}");
    assert_eq!(at_endpoint(&aws, "show", &[&id, "--scan-receipts"]).0, 0);
    aws.start_execution(&row);
    let (code, stdout, stderr) = at_endpoint(&aws, "show", &[&id]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout.starts_with("s3://data/done.json: done\n"), "{stdout}");
}

#[test]
fn an_execution_that_cannot_be_asked_for_is_unknown() {
    let aws = filled();
    let machine = "not:an:arn:stateMachine";
    let (code, _, _) =
        run(&mut aws.daybook("show", &[&id_of("running.json"), "--state-machine-arn", machine]));
    assert_eq!(code, 2);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let id = id_of("running.json");
    let mut command = aws.daybook("show", &[&id, "--state-machine-arn", &aws.state_machine]);
    command.env("AWS_ENDPOINT_URL_SFN", &endpoint);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 1, "{stdout}");
    assert!(stdout.contains("-1: unknown\n"), "{stdout}");
    assert!(stderr.contains("DescribeExecution"), "{stderr}");
}

#[test]
fn help_says_what_it_costs_and_what_json_has() {
    let help = |verb: &str| {
        let (code, stdout, stderr) = run(&mut daybook(&[verb, "--help"]));
        assert_eq!((code, stderr.as_str()), (0, ""));
        stdout
    };
    insta::assert_snapshot!("help_status", help("status"));
    insta::assert_snapshot!("help_list", help("list"));
    insta::assert_snapshot!("help_show", help("show"));
}
