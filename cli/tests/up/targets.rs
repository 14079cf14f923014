//! What commands and endpoints answer, and what becomes of their events.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use daybook_schema::{Attempt, Row, Status};
use serde_json::Value;

use crate::gate::{Gate, group_runs};
use crate::machine::{Up, command, counts, ledger, rows, until, until_none_open};
use crate::notices::{notification, record, upload};
use crate::stand_in::{daybook, run};

/// The row of a single event, once it has that status.
async fn the_row(dir: &Path, status: Status) -> Row {
    let ledger = ledger(dir);
    let mut found = None;
    until("the row is where it belongs", async || {
        found = rows(&ledger)
            .await
            .pop()
            .filter(|row| row.status == status && row.last_error.is_some());
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// Runs that script for one event.
async fn run_once(dir: &Path, options: &[&str], script: &str) -> Up {
    let exec = ["--exec", "/bin/sh", "-c", script, "sh", dir.to_str().unwrap()];
    let mut up = Up::start(dir, &[options, &exec].concat()).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    up
}

#[tokio::test]
async fn a_command_that_succeeds_leaves_no_row_and_a_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let up = run_once(folder.path(), &[], "exit 0").await;
    let ledger = ledger(folder.path());
    until_none_open(&ledger).await;
    let body = upload("key", 1);
    let event = crate::notices::events(&body).remove(0);
    let receipts = ledger.receipts([event.object_id()]).await;
    assert!(receipts[&event.object_id()].covers(&event));
    let report = up.drained().await;
    assert_eq!(
        (&report["recorded"], &report["worker"]["completed"]),
        (&1.into(), &1.into())
    );
}

#[tokio::test]
async fn what_is_done_is_recognised_when_it_is_sent_again_even_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = run_once(folder.path(), &[], "exit 0").await;
    until_none_open(&ledger(folder.path())).await;
    up.kill();
    let mut up = Up::start(folder.path(), &["--exec", "true"]).await;
    let two = notification(vec![record("key", 1), record("key", 2)]).to_string();
    let answer = up.post(two.clone()).await.json();
    assert_eq!(
        (&answer["done_before"], &answer["recorded"]),
        (&1.into(), &1.into()),
        "{answer}"
    );
    until_none_open(&ledger(folder.path())).await;
    assert_eq!(up.drained().await["worker"]["completed"], 1);
}

#[tokio::test]
async fn a_command_that_fails_its_last_attempt_parks_its_event_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let up = run_once(
        folder.path(),
        &["--max-attempts", "1"],
        "echo 'the disk is full' >&2; exit 3",
    )
    .await;
    let row = the_row(folder.path(), Status::Parked).await;
    assert_eq!(row.attempt, Attempt(1));
    assert_eq!(row.last_error.as_deref(), Some("exit status 3: the disk is full"));
    let report = up.drained().await;
    assert_eq!(
        (&report["worker"]["failed"], &report["left"]),
        (&1.into(), &"1 open (1 parked)".into())
    );
}

#[tokio::test]
async fn a_command_that_fails_before_its_last_attempt_is_due_later() {
    let folder = tempfile::tempdir().unwrap();
    let up = run_once(folder.path(), &["--max-attempts", "2"], "exit 3").await;
    let row = the_row(folder.path(), Status::Pending).await;
    assert_eq!((row.attempt, row.max_attempts), (Attempt(1), 2));
    assert!(
        row.due_at.since(row.recorded_at) >= Duration::from_secs(10),
        "{row:?}"
    );
    assert_eq!(up.drained().await["worker"]["failed"], 1);
}

#[tokio::test]
async fn a_command_that_says_later_uses_no_attempt_and_is_due_in_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let up = run_once(
        folder.path(),
        &["--max-attempts", "1"],
        "echo not yet >&2; exit 75",
    )
    .await;
    let row = the_row(folder.path(), Status::Pending).await;
    assert_eq!(
        (row.attempt, row.last_error.as_deref()),
        (Attempt(0), Some("exit status 75: not yet"))
    );
    assert!(
        row.due_at.since(row.recorded_at) >= Duration::from_secs(60),
        "{row:?}"
    );
    let report = up.drained().await;
    assert_eq!(
        (&report["worker"]["later"], &report["worker"]["failed"]),
        (&1.into(), &0.into())
    );
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_all_its_children() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody of them minds SIGTERM. The file appears whole.
    let script =
        r#"trap '' TERM; (sleep 1000) & sleep 1000 & echo $$ > "$1/new"; mv "$1/new" "$1/group"; wait"#;
    let up = run_once(folder.path(), &["--max-attempts", "1", "--timeout", "2s"], script).await;
    let row = the_row(folder.path(), Status::Parked).await;
    assert_eq!(row.last_error.as_deref(), Some("timed out after 2 s"));
    let group = std::fs::read_to_string(folder.path().join("group")).unwrap();
    let group = group.trim().parse().unwrap();
    until("nobody of the group runs", async || !group_runs(group)).await;
    assert_eq!(up.drained().await["worker"]["failed"], 1);
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_refused_before_anything_is_made() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let plain = home.path().join("plain");
    std::fs::write(&plain, "#!/bin/sh\n").unwrap();
    for (program, why) in [
        ("/no/such/command", "/no/such/command is not there"),
        ("no-such-command", "no-such-command is in no folder of PATH"),
        (plain.to_str().unwrap(), "may not be executed"),
        (home.path().to_str().unwrap(), "is a folder"),
    ] {
        let ended = Up::spawn(command(&dir, &["--exec", program])).ended().await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.starts_with("error: --exec: ") && ended.stderr.contains(why),
            "{}",
            ended.stderr
        );
    }
    assert!(!dir.exists());
}

#[tokio::test]
async fn while_a_command_is_missing_no_attempt_is_used() {
    let home = tempfile::tempdir().unwrap();
    let (dir, program) = (home.path().join("data"), home.path().join("work"));
    std::os::unix::fs::symlink("/bin/true", &program).unwrap();
    let options = ["--max-attempts", "1", "--exec", program.to_str().unwrap()];
    let mut up = Up::start(&dir, &options).await;
    std::fs::remove_file(&program).unwrap();
    up.record(upload("key", 1)).await;
    let row = the_row(&dir, Status::Pending).await;
    let why = row.last_error.unwrap();
    assert!(
        why.starts_with(&format!("{} could not be started: ", program.display())),
        "{why}"
    );
    assert_eq!(row.attempt, Attempt(0));
    up.until_said("no attempt is used").await;
    std::os::unix::fs::symlink("/bin/true", &program).unwrap();
    until_none_open(&ledger(&dir)).await;
    up.until_said("the target is there again").await;
    let report = up.drained().await;
    assert_eq!(
        (&report["worker"]["completed"], &report["worker"]["failed"]),
        (&1.into(), &0.into())
    );
}

#[tokio::test]
async fn while_an_endpoint_is_down_or_only_its_proxy_answers_no_attempt_is_used() {
    let home = tempfile::tempdir().unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let mut cases = vec![
        format!("http://{address}/"),
        "http://no-such-host.invalid/".to_owned(),
    ];
    let mut endpoints = Vec::new();
    for status in [
        StatusCode::BAD_GATEWAY,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::GATEWAY_TIMEOUT,
    ] {
        let (endpoint, url) = Endpoint::start(vec![(status, vec![], "upstream")]).await;
        endpoints.push(endpoint);
        cases.push(url);
    }
    for (n, url) in cases.iter().enumerate() {
        let dir = home.path().join(n.to_string());
        let mut up = Up::start(&dir, &["--max-attempts", "1", "--post", url]).await;
        up.record(upload("key", 1)).await;
        let ledger = ledger(&dir);
        until("it was put off", async || {
            rows(&ledger)
                .await
                .iter()
                .any(|row| row.status == Status::Pending && row.last_error.is_some())
        })
        .await;
        let row = rows(&ledger).await.remove(0);
        assert_eq!(
            (row.status, row.attempt),
            (Status::Pending, Attempt(0)),
            "{url}: {row:?}"
        );
        up.until_said("the target cannot be reached").await;
        let worker = up.drained().await["worker"].clone();
        assert_eq!(worker["failed"], 0, "{url}: {worker}");
    }
}

#[tokio::test]
async fn at_most_so_many_commands_run_at_once_as_there_are_workers() {
    // Events that are handed over wait no longer than a moment: of long runs none is claimed that cannot begin.
    three_run_and_so_many_are_in_flight(&["--workers", "3"], [6, 3, 0]).await;
    let scheduled = [
        "--workers",
        "3",
        "--max-in-flight",
        "5",
        "--dispatch",
        "scheduled",
    ];
    three_run_and_so_many_are_in_flight(&scheduled, [4, 5, 0]).await;
}

async fn three_run_and_so_many_are_in_flight(options: &[&str], in_flight: [u64; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let (data, gate) = (folder.path().join("data"), Gate::new(folder.path()));
    let mut up = Up::start(&data, &gate.options(options)).await;
    let body = notification((0..9).map(|n| record(&format!("{n}"), n)).collect());
    assert_eq!(up.record(body.to_string()).await, 9);
    let ledger = ledger(&data);
    until("as many are in flight", async || {
        counts(&ledger).await == in_flight
    })
    .await;
    until("three run", async || gate.begun().len() == 3).await;
    gate.open();
    until_none_open(&ledger).await;
    assert_eq!((gate.begun().len(), gate.ended().len()), (9, 9));
    assert_eq!(up.drained().await["worker"]["completed"], 9);
}

#[tokio::test]
async fn without_a_target_events_are_kept_and_printed_and_wait_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    let key = "line\nbreak\u{1b}[31m";
    let body = notification(vec![record("a", 1), record(key, 2)]).to_string();
    assert_eq!(up.record(body.clone()).await, 2);
    assert_eq!(up.record(body).await, 0, "and not printed again");
    let printed = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["key"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    until("both are printed", async || up.stdout().lines().count() == 2).await;
    assert_eq!(up.stdout().lines().map(printed).collect::<Vec<_>>(), ["a", key]);
    assert_eq!(up.drained().await["left"], "2 open (2 pending)");

    let mut table = crate::machine::command(folder.path(), &["--output", "table"]);
    table.env_remove("DAYBOOK_OUTPUT");
    let mut up = Up::spawn(table);
    assert_eq!(up.record(upload(key, 3)).await, 1);
    until(
        "it is printed on one line, with nothing that a terminal obeys",
        async || {
            up.stdout()
                .starts_with(r"would run for s3://data/line\nbreak\u{1b}[31m  (s3:ObjectCreated:Put, ")
        },
    )
    .await;
    drop(up);

    let up = Up::start(folder.path(), &["--exec", "true"]).await;
    until_none_open(&ledger(folder.path())).await;
    assert_eq!(up.drained().await["worker"]["completed"], 3);
}

/// Answers that an endpoint gives, the last of them for ever, and the bodies that it was sent.
#[derive(Clone, Default)]
struct Endpoint(Arc<Mutex<(Vec<Reply>, Vec<String>)>>);

type Reply = (StatusCode, Vec<(HeaderName, &'static str)>, &'static str);

impl Endpoint {
    /// On a free port; its URL.
    async fn start(replies: Vec<Reply>) -> (Self, String) {
        let endpoint = Self(Arc::new(Mutex::new((replies, Vec::new()))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/work?a=b", listener.local_addr().unwrap());
        let router = axum::Router::new()
            .fallback(Self::answer)
            .with_state(endpoint.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (endpoint, url)
    }

    async fn answer(
        State(endpoint): State<Self>,
        body: String,
    ) -> (
        StatusCode,
        axum::response::AppendHeaders<Vec<(HeaderName, &'static str)>>,
        &'static str,
    ) {
        let mut state = endpoint.0.lock().unwrap();
        state.1.push(body);
        let (status, headers, text) = match state.0.len() {
            1 => state.0[0].clone(),
            _ => state.0.remove(0),
        };
        (status, axum::response::AppendHeaders(headers), text)
    }

    /// The keys and attempts that it was sent.
    fn sent(&self) -> Vec<(String, u64)> {
        let event = |body: &String| -> Value { serde_json::from_str(body).unwrap() };
        let seen = |event: Value| {
            (
                event["key"].as_str().unwrap().to_owned(),
                event["attempt"].as_u64().unwrap(),
            )
        };
        self.0.lock().unwrap().1.iter().map(event).map(seen).collect()
    }
}

#[tokio::test]
async fn an_endpoint_that_says_later_is_asked_again_and_no_attempt_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let later = |status| (status, vec![(header::RETRY_AFTER, "1")], "busy");
    let (endpoint, url) = Endpoint::start(vec![
        later(StatusCode::TOO_MANY_REQUESTS),
        later(StatusCode::SERVICE_UNAVAILABLE),
        (StatusCode::NO_CONTENT, vec![], ""),
    ])
    .await;
    let mut up = Up::start(folder.path(), &["--max-attempts", "1", "--post", &url]).await;
    up.record(upload("a key", 1)).await;
    until_none_open(&ledger(folder.path())).await;
    assert_eq!(
        endpoint.sent(),
        [
            ("a key".to_owned(), 1),
            ("a key".to_owned(), 1),
            ("a key".to_owned(), 1)
        ]
    );
    let worker = up.drained().await["worker"].clone();
    assert_eq!(
        (&worker["later"], &worker["completed"], &worker["failed"]),
        (&2.into(), &1.into(), &0.into())
    );
}

#[tokio::test]
async fn an_endpoint_that_fails_parks_its_event_with_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let replies = vec![(StatusCode::INTERNAL_SERVER_ERROR, vec![], "no disk\nleft")];
    let (endpoint, url) = Endpoint::start(replies).await;
    let mut up = Up::start(folder.path(), &["--max-attempts", "1", "--post", &url]).await;
    up.record(upload("key", 1)).await;
    let row = the_row(folder.path(), Status::Parked).await;
    assert_eq!(
        row.last_error.as_deref(),
        Some("500 Internal Server Error: no disk left")
    );
    assert_eq!(endpoint.sent().len(), 1);
    assert_eq!(up.drained().await["worker"]["failed"], 1);
}

/// What these verbs say of the folder, one after the other.
fn views(dir: &Path) -> [String; 5] {
    let verbs: [&[&str]; 5] = [
        &["status"],
        &["why", "s3://data/key", "--no-s3"],
        &["show", "s3://data/key"],
        &["doctor"],
        &["status", "--output", "json"],
    ];
    verbs.map(|arguments| run(daybook(arguments).arg("--local").arg(dir)).1)
}

#[tokio::test]
async fn that_there_is_no_target_is_said_wherever_somebody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let mut up = Up::start(&dir, &[]).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    let [status, why, show, doctor, json] = views(&dir);
    assert!(
        status.contains("runs without a target, so nothing is sent"),
        "{status}"
    );
    assert!(
        status.contains("never: `daybook up` runs without a target"),
        "{status}"
    );
    assert!(why.starts_with("s3://data/key: no target\n"), "{why}");
    assert!(why.contains("--exec COMMAND or --post URL"), "{why}");
    assert!(
        show.contains("(`daybook up` runs without a target: nothing is sent"),
        "{show}"
    );
    assert!(doctor.contains("problem  daybook up\n"), "{doctor}");
    assert!(doctor.contains("it runs without a target"), "{doctor}");
    assert!(doctor.contains("1 problem,"), "{doctor}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["local"]["has_target"], &json["drain"]),
        (&false.into(), &Value::Null)
    );
    up.drained().await;

    let gate = Gate::new(folder.path());
    let mut up = Up::start(&dir, &gate.options(&["--workers", "1"])).await;
    assert_eq!(up.record(upload("other", 2)).await, 1);
    until("one runs", async || gate.begun().len() == 1).await;
    for said in views(&dir) {
        assert!(
            !said.contains("target, ") && !said.contains("no target"),
            "{said}"
        );
    }
    gate.open();
    until_none_open(&ledger(&dir)).await;
    up.drained().await;
}
