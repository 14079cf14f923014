//! What a person does to an event while its run is under way: within a second nothing of the run is left.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use daybook_schema::{Attempt, Row, Status};
use serde_json::Value;

use crate::gate::{Gate, group_runs};
use crate::limits::said;
use crate::machine::{Up, ledger, rows, until, until_none_open};
use crate::notices::{events, upload};
use crate::one_process::json;

/// One event, whose command waits at the gate; and the command's process group.
async fn one_runs(dir: &Path, gate: &Gate) -> (Up, u32) {
    let mut up = Up::start(dir, &gate.options(&["--workers", "2"])).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    until("it runs", async || gate.begun().len() == 1).await;
    let group = gate.begun()[0];
    assert!(group_runs(group));
    (up, group)
}

async fn the_row(dir: &Path) -> Row {
    rows(&ledger(dir)).await.pop().unwrap()
}

fn id() -> String {
    events(&upload("key", 1)).remove(0).id.to_string()
}

/// What the worker reports, which counted no failure and stopped one run.
fn stopped_and_not_failed(report: &Value) {
    let worker = &report["worker"];
    assert_eq!(
        (&worker["failed"], &worker["lost"], &worker["completed"]),
        (&0.into(), &1.into(), &0.into()),
        "{report}"
    );
}

#[tokio::test]
async fn a_cancelled_run_is_stopped_and_its_event_waits_for_a_person() {
    let home = tempfile::tempdir().unwrap();
    let (dir, gate) = (home.path().join("data"), Gate::new(home.path()));
    let (mut up, group) = one_runs(&dir, &gate).await;
    let pid = up.pid();
    // What runs is shown with since when, and where.
    let mut listed = Value::Null;
    until("the list says that it runs", async || {
        listed = json(&dir, &["list"])["rows"][0].clone();
        listed["running_in"] == pid
    })
    .await;
    assert!(listed["running_since"].is_string(), "{listed}");
    let shown = json(&dir, &["show", "s3://data/key"]);
    assert_eq!(shown["open"][0]["row"]["running_in"], pid);
    assert!(
        said(&dir, &["list"]).contains("runs for "),
        "{}",
        said(&dir, &["list"])
    );
    let shown = said(&dir, &["show", "s3://data/key"]);
    assert!(shown.contains("in process PID (`daybook up`)"), "{shown}");

    insta::assert_snapshot!(
        "cancel",
        said(&dir, &["cancel", &id(), "--why", "it hangs", "--yes"])
    );
    until("its command is stopped", async || !group_runs(group)).await;
    up.until_said("a run is stopped, because its event is no longer this worker's")
        .await;
    let row = the_row(&dir).await;
    assert_eq!((row.status, row.attempt), (Status::Parked, Attempt(1)));
    assert_eq!(row.last_error.as_deref(), Some("cancelled: it hangs"));
    insta::assert_snapshot!("cancel_why", said(&dir, &["why", "s3://data/key"]));
    insta::assert_snapshot!("cancel_doctor", said(&dir, &["doctor"]));
    assert!(!up.stderr().contains("an attempt failed"), "{}", up.stderr());
    let lately = json(&dir, &["status"])["lately"].clone();
    assert_eq!(lately["hour"]["failed"], 0, "{lately}");

    // Another round begins with the attempts that were asked for.
    gate.open();
    json(&dir, &["redrive", &id(), "--attempts", "5", "--yes"]);
    until_none_open(&ledger(&dir)).await;
    assert_eq!(gate.ended(), ["2"]);
    let report = up.drained().await;
    assert_eq!(report["worker"]["failed"], 0, "{report}");
}

#[tokio::test]
async fn what_a_person_completes_or_removes_is_stopped_and_stays_done() {
    for verb in ["complete", "remove"] {
        let home = tempfile::tempdir().unwrap();
        let (dir, gate) = (home.path().join("data"), Gate::new(home.path()));
        let (mut up, group) = one_runs(&dir, &gate).await;
        json(&dir, &[verb, &id(), "--why", "by hand", "--yes"]);
        until("its command is stopped", async || !group_runs(group)).await;
        up.until_said("it was completed or removed").await;
        assert!(rows(&ledger(&dir)).await.is_empty());
        let shown = json(&dir, &["show", "s3://data/key"]);
        assert_eq!(shown["receipts"][0]["why"], "by hand", "{shown}");
        assert!(gate.ended().is_empty());
        stopped_and_not_failed(&up.drained().await);
    }
}

#[tokio::test]
async fn what_a_person_fails_is_stopped_and_fails_once() {
    let home = tempfile::tempdir().unwrap();
    let (dir, gate) = (home.path().join("data"), Gate::new(home.path()));
    let (up, group) = one_runs(&dir, &gate).await;
    json(&dir, &["fail", &id(), "--why", "it hangs", "--yes"]);
    until("its command is stopped", async || !group_runs(group)).await;
    let row = the_row(&dir).await;
    assert_eq!((row.status, row.attempt), (Status::Pending, Attempt(1)));
    assert_eq!(row.last_error.as_deref(), Some("it hangs"));
    stopped_and_not_failed(&up.drained().await);
}

#[tokio::test]
async fn what_a_person_releases_is_stopped_and_runs_again_in_the_same_attempt() {
    let home = tempfile::tempdir().unwrap();
    let (dir, gate) = (home.path().join("data"), Gate::new(home.path()));
    let (up, group) = one_runs(&dir, &gate).await;
    json(&dir, &["release", &id(), "--yes"]);
    until("its command is stopped", async || !group_runs(group)).await;
    gate.open();
    until_none_open(&ledger(&dir)).await;
    assert_eq!((gate.begun().len(), gate.ended()), (2, vec!["1".to_owned()]));
    let report = up.drained().await;
    assert_eq!(report["worker"]["failed"], 0, "{report}");
}

/// A request that is under way, until it is answered or dropped.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn the_request_of_a_cancelled_event_is_dropped() {
    let under_way = Arc::new(AtomicUsize::new(0));
    let count = under_way.clone();
    let hang = move || {
        count.fetch_add(1, Ordering::SeqCst);
        let under_way = UnderWay(count.clone());
        async move {
            let _under_way = under_way;
            std::future::pending::<()>().await;
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/work", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(hang);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let mut up = Up::start(&dir, &["--post", &url]).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    until("the request is there", async || {
        under_way.load(Ordering::SeqCst) == 1
    })
    .await;
    let cancel = {
        let dir = dir.clone();
        tokio::task::spawn_blocking(move || json(&dir, &["cancel", &id(), "--why", "it hangs", "--yes"]))
    };
    assert_eq!(cancel.await.unwrap()["outcomes"]["cancelled"], 1);
    until("the request is gone", async || {
        under_way.load(Ordering::SeqCst) == 0
    })
    .await;
    assert_eq!(the_row(&dir).await.status, Status::Parked);
    stopped_and_not_failed(&up.drained().await);
    server.abort();
}
