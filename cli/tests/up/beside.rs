//! Commands beside a folder's pipeline know how it is set.

use std::path::Path;

use std::time::Duration;

use daybook_ledger::{Claim, Clock, Deadline, Extended, Hand, NewRow, Recorded, Taken};
use daybook_schema::{Attempt, DispatchMessage, Status};
use serde_json::Value;

use crate::machine::{Up, ledger, ledger_at, rows, until, until_none_open};
use crate::notices::{events, notification, record, upload};
use crate::stand_in::{daybook, run};

fn beside(dir: &Path, arguments: &[&str]) -> Value {
    let mut command = daybook(arguments);
    command.arg("--local").arg(dir).args(["--output", "json"]);
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[tokio::test]
async fn ingest_and_show_use_the_source_and_the_attempts_of_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let options = ["--source", "minio-home", "--max-attempts", "2"];
    let mut up = Up::start(&dir, &options).await;
    let body = notification(vec![record("a.json", 1)]).to_string();
    assert_eq!(up.record(body.clone()).await, 1);
    // Whether it runs or not, the same notification is the same event.
    let file = home.path().join("notifications.json");
    let more = notification(vec![record("b.json", 2)]).to_string();
    std::fs::write(&file, body + &more).unwrap();
    let file = file.to_str().unwrap();
    let told = beside(&dir, &["ingest", file]);
    assert_eq!(
        (&told["recorded"], &told["already_there"]),
        (&1.into(), &1.into())
    );
    up.drained().await;
    let told = beside(&dir, &["ingest", file]);
    assert_eq!(
        (&told["recorded"], &told["already_there"]),
        (&0.into(), &2.into())
    );
    let rows = beside(&dir, &["list"]);
    let rows = rows["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        assert_eq!(
            (&row["source"], &row["max_attempts"]),
            (&"minio-home".into(), &2.into())
        );
    }
    // A receipt is found under the folder's source.
    let up = Up::start(&dir, &[&options[..], &["--exec", "true"]].concat()).await;
    until("all is done", async || {
        beside(&dir, &["list"])["rows"].as_array().unwrap().is_empty()
    })
    .await;
    up.drained().await;
    let uri = format!("s3://{}/a.json", rows[0]["bucket"].as_str().unwrap());
    let shown = beside(&dir, &["show", &uri]);
    assert_eq!(shown["receipts"][0]["source"], "minio-home");
}

/// A lease, and a patience, that outlasts a test.
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_a_worker_of_another_process_holds_stays_with_it_when_up_starts_anew() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let mut up = Up::start(dir, &[]).await;
    assert_eq!(up.record(upload("theirs", 1)).await, 1);
    // Killed, so that its last words to the ledger are not what is tested.
    up.kill();
    drop(up);
    let theirs = ledger(dir);
    let deadline = Deadline::after(theirs.clock(), LONG);
    let due = theirs.due(Status::Pending, None, 1).next(1).await;
    let Claim::Claimed(row) = theirs.claim(&due, Hand::Queue, LONG, deadline).await.remove(0) else {
        panic!("it is claimed")
    };
    let message = DispatchMessage::for_row(&row).unwrap();
    let Taken::Taken { row, .. } = theirs.take(&message, None, LONG, deadline).await else {
        panic!("it is taken")
    };
    let mut up = Up::start(dir, &["--exec", "true"]).await;
    let said = "1 held by workers of other processes";
    until("the start says so", async || up.stderr().contains(said)).await;
    assert_eq!(up.record(upload("ours", 2)).await, 1);
    until("ours is done", async || rows(&theirs).await.len() == 1).await;
    assert_eq!(rows(&theirs).await, [*row.clone()]);
    // A good end leaves it alone as well.
    assert_eq!(up.drained().await["left"], "1 open (1 claimed)");
    let extended = theirs.extend(&row, LONG, deadline).await;
    assert!(matches!(extended, Extended::Extended(_)), "{extended:?}");
    theirs
        .complete(row.event().unwrap(), Attempt(1), "worker")
        .await
        .unwrap();
    until_none_open(&theirs).await;
}

#[tokio::test]
async fn what_was_recorded_while_the_clock_was_years_ahead_runs_after_a_start() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    Up::start(dir, &[]).await.drained().await;
    let ahead = Clock::new(|| Clock::system().now().plus(Duration::from_secs(10 * 365 * 86_400)));
    let ahead = ledger_at(dir, ahead);
    let event = events(&upload("ahead", 1)).remove(0);
    let row = NewRow::Event {
        event,
        max_attempts: 5,
        trace: None,
        caveat: None,
        at_once: false,
    };
    let deadline = Deadline::after(ahead.clock(), LONG);
    assert_eq!(ahead.record(vec![row], deadline).await, [Recorded::Recorded]);
    let up = Up::start(dir, &["--exec", "true"]).await;
    until_none_open(&ahead).await;
    assert_eq!(up.drained().await["worker"]["completed"], 1);
}
