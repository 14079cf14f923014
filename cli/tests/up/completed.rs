//! `daybook list --status done`: what was completed lately, over restarts and kills.

use std::path::Path;

use serde_json::Value;

use crate::machine::{Up, ledger, until, until_none_open};
use crate::notices::{notification, record, upload};
use crate::one_process::{json, verb};
use crate::stand_in::run;

fn done(dir: &Path, more: &[&str]) -> Value {
    json(dir, &[&["list", "--status", "done"], more].concat())
}

fn keys(found: &Value) -> Vec<&str> {
    let completed = found["completed"].as_array().unwrap();
    completed
        .iter()
        .map(|done| done["key"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn what_was_completed_is_listed_and_survives_the_process() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let mut up = Up::start(&dir, &["--exec", "true"]).await;
    let records = (0..3).map(|n| record(&format!("in/key-{n}"), n)).collect();
    assert_eq!(up.record(notification(records).to_string()).await, 3);
    assert_eq!(up.record(upload("other", 9)).await, 1);
    until_none_open(&ledger(&dir)).await;
    until("all of them are listed", async || {
        keys(&done(&dir, &[])).len() == 4
    })
    .await;
    let below = done(&dir, &["--since", "1h", "--prefix", "s3://data/in/"]);
    let mut listed = keys(&below);
    listed.sort_unstable();
    assert_eq!(listed, ["in/key-0", "in/key-1", "in/key-2"]);
    let one = done(&dir, &["--limit", "1"]);
    assert_eq!((keys(&one).len(), &one["more"]), (1, &true.into()));
    // Known since this process began: asked for the last hour, that is said.
    assert!(below["known_since"].is_string(), "{below}");
    up.drained().await;
    let after = done(&dir, &[]);
    assert_eq!((keys(&after).len(), &after["may_miss_until"]), (4, &Value::Null));

    // What the process that was killed may not have written is not passed over in silence.
    let mut up = Up::start(&dir, &["--exec", "true"]).await;
    assert_eq!(done(&dir, &[])["may_miss_until"], Value::Null);
    assert_eq!(up.record(upload("late", 10)).await, 1);
    until("it is listed", async || keys(&done(&dir, &[]))[0] == "late").await;
    up.kill();
    let up = Up::start(&dir, &["--exec", "true"]).await;
    until("the next process has written", async || {
        done(&dir, &[])["may_miss_until"].is_string()
    })
    .await;
    assert_eq!(keys(&done(&dir, &[])).len(), 5);
    let (code, stdout, stderr) = run(&mut verb(&dir, &["list", "--status", "done", "--since", "1h"]));
    assert_eq!((code, stdout.lines().count()), (0, 6), "{stdout}{stderr}");
    assert!(stdout.contains("s3://data/late"), "{stdout}");
    for said in ["known since ", "may be missing"] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    up.drained().await;
}

#[tokio::test]
async fn of_a_folder_whose_process_was_killed_nothing_is_said_to_go_on_or_to_be_all() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let mut up = Up::start(&dir, &["--workers", "1", "--exec", "sleep", "5"]).await;
    assert_eq!(up.record(upload("slow", 1)).await, 1);
    assert_eq!(up.record(upload("waits", 2)).await, 1);
    until("it runs, and that is written", async || {
        let status = json(&dir, &["status"]);
        status["lately"]["hour"]["exact"] == true && status["claimed"]["rows"] == 1
    })
    .await;
    up.kill();
    let status = json(&dir, &["status"]);
    assert_eq!(status["lately"]["hour"]["exact"], false, "{status}");
    assert_eq!(
        (&status["drain"], &status["limit"]["by"]),
        (&Value::Null, &"stopped".into())
    );
    assert!(done(&dir, &[])["may_miss_until"].is_string());
    for key in ["slow", "waits"] {
        let why = json(&dir, &["why", &format!("s3://data/{key}"), "--no-s3"]);
        assert_eq!(why["situation"], "not_running", "{why}");
    }
}

#[tokio::test]
async fn questions_about_open_events_are_not_asked_of_those_that_are_done() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    Up::start(&dir, &[]).await.drained().await;
    for arguments in [
        &["--status", "done", "--error", "x"][..],
        &["--status", "done", "--older-than", "1h"],
        &["--status", "done", "--columns", "id"],
        &["--status", "parked", "--since", "1h"],
        &["--since", "1h"],
        &["--status", "finished"],
    ] {
        let (code, stdout, stderr) = run(&mut verb(&dir, &[&["list"], arguments].concat()));
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
    }
    // Without a target nothing was completed, and nobody keeps a list.
    let (code, stdout, stderr) = run(&mut verb(&dir, &["list", "--status", "done"]));
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert!(
        stderr.contains("once a `daybook up` with a target runs there"),
        "{stderr}"
    );
}
