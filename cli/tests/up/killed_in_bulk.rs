//! `daybook up` killed while its own console redrives thousands of rows: after a restart what is known of that is true, and the same action
//! does the rest.

use std::collections::BTreeSet;
use std::path::Path;

use daybook_local::LocalAws;
use daybook_schema::{Attempt, Row, Status};
use daybook_tests::rows::row_item;
use http::Request;
use http_body_util::Full;
use serde_json::Value;

use crate::console::with_console;
use crate::machine::{Answer, Up, ledger, rows, until};
use crate::stand_in::rows::{self as fixtures, Fixtures, PAST};
use crate::stand_in::runtime;

const ROWS: u32 = 2_000;

/// Keeps the events of each run in a file of its own.
const WORK: &str = r#"cat > "$(mktemp "$1/XXXXXXXX")""#;

const REDRIVE: &str = "verb=redrive&status=parked&why=the+column+is+there&by=kim";

/// A folder with so many parked rows, all attempts used.
fn parked(dir: &Path) {
    fixtures::folder(dir, async |_: Fixtures<'_>| ());
    let row = |n| Row {
        last_error: Some("FAILED: no such column".to_owned()),
        ..fixtures::row_in(&format!("in/{n:05}.json"), n, Status::Parked, PAST, 5, 1)
    };
    let items = (0..ROWS).map(|n| row_item(&row(n))).collect();
    let aws = LocalAws::builder().data_dir(dir).build().unwrap();
    runtime().block_on(aws.import("daybook-ledger", items)).unwrap();
}

/// The lines of the log of what people did, as far as they are whole.
fn log(dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(dir.join("people.jsonl")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

async fn get(up: &Up, url: &str) -> Answer {
    let request = Request::get(url).body(Full::default()).unwrap();
    up.client.answer(request).await
}

/// Begins the redrive in the console; where its page is.
async fn begin(up: &Up, console: &str) -> String {
    let request = Request::post(format!("{console}/act"))
        .header("sec-fetch-site", "same-origin")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(REDRIVE))
        .unwrap();
    let answer = up.client.answer(request).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    format!("{console}{}", answer.header("location").unwrap())
}

/// How many rows are as they were before anybody redrove them.
async fn untouched(dir: &Path) -> u64 {
    let rows = rows(&ledger(dir)).await;
    let as_it_was = (Status::Parked, Attempt(5), 5);
    let untouched = rows
        .iter()
        .filter(|row| (row.status, row.attempt, row.max_attempts) == as_it_was);
    untouched.count() as u64
}

fn line(page: &str, what: &str, n: u64) -> bool {
    let digits = match n {
        1000.. => format!("{},{:03}", n / 1000, n % 1000),
        n => n.to_string(),
    };
    page.contains(&format!(
        "<th scope=\"row\">{what}</th><td class=\"n\">{digits}</td>"
    ))
}

/// The events that were run at least once.
fn ran(results: &Path) -> BTreeSet<String> {
    let mut ran = BTreeSet::new();
    for file in std::fs::read_dir(results).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        // What a killed run had written of its last line is no event.
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        ran.extend(lines.map(|event| event["id"].as_str().unwrap().to_owned()));
    }
    ran
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_a_redrive_of_its_console_the_log_is_true_and_the_same_action_does_the_rest() {
    let home = tempfile::tempdir().unwrap();
    let (dir, results) = (home.path().join("data"), home.path().join("results"));
    std::fs::create_dir(&results).unwrap();
    let prepared = dir.clone();
    tokio::task::spawn_blocking(move || parked(&prepared))
        .await
        .unwrap();
    let (results_arg, exec) = (results.to_str().unwrap(), ["--exec", "/bin/sh", "-c", WORK, "sh"]);
    let limits = ["--batch-size", "100", "--per-window", "100000"];
    let options = [&limits[..], &exec, &[results_arg]].concat();

    let (mut up, console) = with_console(&dir, &options).await;
    begin(&up, &console).await;
    let has_progress = |line: &Value| line["rows"]["done"].as_u64().is_some_and(|done| done > 0);
    until("rows are redriven", async || log(&dir).iter().any(has_progress)).await;
    up.kill();

    let last = log(&dir).pop().unwrap();
    let told = last["rows"]["done"].as_u64().unwrap();
    let left = untouched(&dir).await;
    let done = u64::from(ROWS) - left;
    assert!(0 < told && told <= done, "{told} told, {done} done");
    assert_eq!(last["rows"]["selected"], ROWS, "{last}");
    assert!(last["ended"].is_null() || left == 0, "{last}");

    let (mut up, console) = with_console(&dir, &options).await;
    let page = get(
        &up,
        &format!("{console}/operations/{}", last["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.body.contains(&format!("{told} done")), "{page:?}");
    assert_eq!(
        page.body.contains("No end was written"),
        last["ended"].is_null(),
        "{page:?}"
    );
    let again = begin(&up, &console).await;
    let mut page = String::new();
    until("the rest is redriven", async || {
        page = get(&up, &again).await.body;
        !page.contains("data-reload")
    })
    .await;
    assert!(line(&page, "redriven", left), "{left} left: {page}");
    assert!(
        line(&page, "refused", 0) && line(&page, "failed", 0) && line(&page, "left", 0),
        "{page}"
    );
    until("all are done", async || {
        let status = get(&up, &format!("{console}/status.json")).await.json();
        ["pending", "claimed", "parked"]
            .iter()
            .all(|word| status[word]["rows"] == 0)
    })
    .await;
    assert_eq!(
        ran(&results).len(),
        ROWS as usize,
        "each of them ran, and none is lost"
    );
    let last = log(&dir).pop().unwrap();
    assert_eq!(
        (&last["ended"], &last["rows"]["done"]),
        (&"done".into(), &left.into())
    );
    up.kill();
}
