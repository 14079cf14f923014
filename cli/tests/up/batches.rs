//! Many events in one command or one request, and what these say of single events.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use daybook_schema::{Attempt, Row, Status};
use serde_json::{Value, json};

use crate::machine::{Up, ledger, rows, until};
use crate::notices::{notification, record};
use crate::stand_in::{daybook, run};

/// Notes the keys of each call on a line, and lists the event of the key `bad`.
const LISTS: &str = r#"
cat > "$1/input.$$"
sed 's/.*"key":"\([^"]*\)".*/\1/' "$1/input.$$" | tr '\n' ' ' > "$1/line.$$"
echo "$DAYBOOK_BATCH" >> "$1/line.$$"
cat "$1/line.$$" >> "$1/calls"
sed -n '/"key":"bad"/s/.*"id":"\([^"]*\)".*/\1/p' "$1/input.$$" > "$DAYBOOK_FAILURES"
"#;

/// As a body with an upload of each.
fn uploads(keys: &[&str]) -> String {
    let records = keys.iter().zip(1..).map(|(key, n)| record(key, n)).collect();
    notification(records).to_string()
}

/// The keys of each call.
fn calls(folder: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder.join("calls")).unwrap_or_default();
    let keys = |line: &str| {
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let batch = words.pop().unwrap();
        assert_eq!(batch.len(), 32, "{line}");
        words.sort();
        words
    };
    text.lines().map(keys).collect()
}

async fn the_only_row(data: &Path, status: Status) -> Row {
    let ledger = ledger(data);
    let mut found = Vec::new();
    until("one row is left, and where it belongs", async || {
        found = rows(&ledger).await;
        found.len() == 1 && found[0].status == status && found[0].last_error.is_some()
    })
    .await;
    found.remove(0)
}

#[tokio::test]
async fn a_command_has_many_events_and_only_what_it_lists_has_failed() {
    for dispatch in ["immediate", "scheduled"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let options = [
            "--batch-size",
            "10",
            "--max-attempts",
            "1",
            "--dispatch",
            dispatch,
        ];
        let exec = [
            "--exec",
            "/bin/sh",
            "-c",
            LISTS,
            "sh",
            folder.path().to_str().unwrap(),
        ];
        let mut up = Up::start(&data, &[&options[..], &exec].concat()).await;
        assert_eq!(up.record(uploads(&["a", "b", "bad", "c"])).await, 4);
        let row = the_only_row(&data, Status::Parked).await;
        assert_eq!(
            (row.attempt, row.alone, row.batch),
            (Attempt(1), true, None),
            "{dispatch}"
        );
        assert_eq!(row.last_error.as_deref(), Some("listed in DAYBOOK_FAILURES"));
        assert_eq!(calls(folder.path()), [["a", "b", "bad", "c"]], "{dispatch}");
        let worker = up.drained().await["worker"].clone();
        assert_eq!((&worker["completed"], &worker["failed"]), (&3.into(), &1.into()));
    }
}

#[tokio::test]
async fn an_event_waits_for_company_as_long_as_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let options = ["--batch-size", "3", "--batch-window", "1h"];
    let exec = [
        "--exec",
        "/bin/sh",
        "-c",
        LISTS,
        "sh",
        folder.path().to_str().unwrap(),
    ];
    let mut up = Up::start(&data, &[&options[..], &exec].concat()).await;
    assert_eq!(up.record(uploads(&["a", "b"])).await, 2);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(calls(folder.path()).is_empty());
    let third = notification(vec![record("c", 3)]).to_string();
    assert_eq!(up.record(third).await, 1);
    until("the three run", async || {
        calls(folder.path()) == [["a", "b", "c"]]
    })
    .await;
    up.drained().await;
}

#[tokio::test]
async fn a_command_that_fails_for_many_parks_none_of_them_and_finds_the_one_that_is_to_blame() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let script =
        r#"cat > "$1/input.$$"; if grep -q '"key":"bad"' "$1/input.$$"; then echo no pixels >&2; exit 1; fi"#;
    let options = [
        "--batch-size",
        "10",
        "--max-attempts",
        "1",
        "--backoff",
        "1s",
        "--backoff-limit",
        "1s",
    ];
    let exec = [
        "--exec",
        "/bin/sh",
        "-c",
        script,
        "sh",
        folder.path().to_str().unwrap(),
    ];
    let mut up = Up::start(&data, &[&options[..], &exec].concat()).await;
    assert_eq!(up.record(uploads(&["a", "bad", "c"])).await, 3);
    let row = the_only_row(&data, Status::Parked).await;
    assert_eq!(
        (row.attempt, row.max_attempts),
        (Attempt(2), 2),
        "once in company, once by itself"
    );
    assert_eq!(row.last_error.as_deref(), Some("exit status 1: no pixels"));
    let worker = up.drained().await["worker"].clone();
    assert_eq!((&worker["completed"], &worker["failed"]), (&2.into(), &4.into()));
}

#[tokio::test]
async fn an_object_that_kills_daybook_parks_by_itself_and_its_companions_complete() {
    for dispatch in ["immediate", "scheduled"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let script = r#"
cat > "$1/input.$$"
if grep -q '"key":"kills"' "$1/input.$$"; then kill -9 $PPID; exit 1; fi
sed 's/.*"key":"\([^"]*\)".*/\1/' "$1/input.$$" >> "$1/done"
"#;
        let options = [
            "--batch-size",
            "10",
            "--workers",
            "1",
            "--max-attempts",
            "1",
            "--dispatch",
            dispatch,
        ];
        let exec = [
            "--exec",
            "/bin/sh",
            "-c",
            script,
            "sh",
            folder.path().to_str().unwrap(),
        ];
        let options = [&options[..], &exec].concat();
        let mut up = Up::start(&data, &options).await;
        assert_eq!(up.record(uploads(&["a", "b", "kills", "c"])).await, 4);
        let mut deaths = 0;
        let row = loop {
            let ledger = ledger(&data);
            let mut left = Vec::new();
            until("it ends, or the row is parked", async || {
                left = rows(&ledger).await;
                up.has_ended() || left.iter().all(|row| row.status == Status::Parked)
            })
            .await;
            if !up.has_ended() {
                break left.remove(0);
            }
            deaths += 1;
            up = Up::start(&data, &options).await;
        };
        assert_eq!(
            (deaths, row.event().unwrap().key.as_str()),
            (4, "kills"),
            "{dispatch}"
        );
        let mut done: Vec<String> = std::fs::read_to_string(folder.path().join("done"))
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        done.sort();
        assert_eq!(done, ["a", "b", "c"], "{dispatch}");
        up.drained().await;
    }
}

type Bodies = Arc<Mutex<Vec<Value>>>;

/// Names the event of the key `bad`.
async fn answer(State(bodies): State<Bodies>, body: String) -> axum::Json<Value> {
    let body: Value = serde_json::from_str(&body).unwrap();
    let events = body["events"].as_array().unwrap().clone();
    bodies.lock().unwrap().push(body);
    let bad = events.iter().filter(|event| event["key"] == "bad");
    let failures: Vec<Value> = bad.map(|event| json!({"itemIdentifier": event["id"]})).collect();
    axum::Json(json!({"batchItemFailures": failures}))
}

#[tokio::test]
async fn an_endpoint_has_many_events_and_only_what_it_names_has_failed() {
    let bodies = Bodies::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer).with_state(bodies.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let options = ["--batch-size", "100", "--max-attempts", "1", "--post", &url];
    let mut up = Up::start(folder.path(), &options).await;
    assert_eq!(up.record(uploads(&["a", "bad", "c", "d"])).await, 4);
    let row = the_only_row(folder.path(), Status::Parked).await;
    assert_eq!(row.event().unwrap().key.as_str(), "bad");
    assert_eq!(row.last_error.as_deref(), Some("named in batchItemFailures"));
    let bodies = bodies.lock().unwrap().clone();
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0]["events"].as_array().unwrap().len(), 4);
    assert_eq!(up.drained().await["worker"]["completed"], 3);
}

#[test]
fn sizes_and_windows_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, why) in [
        (["--batch-size", "0"], "1 to 100"),
        (["--batch-size", "101"], "1 to 100"),
        (["--batch-size", "ten"], "1 to 100"),
        (["--batch-window", "5"], "time with its unit"),
        (["--batch-window", "5s"], "batch-size is 1"),
    ] {
        let data = folder.path().to_str().unwrap();
        let mut command = daybook(&[
            "up",
            "--data-dir",
            data,
            arguments[0],
            arguments[1],
            "--exec",
            "true",
        ]);
        let (code, _, said) = run(&mut command);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(why), "{said}");
    }
}
