//! What is said while the workers are what limits, and while a target hangs.

use std::path::Path;

use serde_json::Value;

use crate::gate::Gate;
use crate::machine::{Up, counts, ledger, until, until_none_open};
use crate::notices::{notification, record};
use crate::one_process::{json, verb};
use crate::stand_in::run;

/// What a verb says, the figures of times and ids of this run taken out.
pub fn said(dir: &Path, arguments: &[&str]) -> String {
    without_figures(dir, run(&mut verb(dir, arguments)))
}

/// The same of one that has run: its exit code, stdout and stderr.
pub fn without_figures(dir: &Path, (_, stdout, stderr): (i32, String, String)) -> String {
    let text = format!("{stdout}{stderr}").replace(&dir.display().to_string(), "DIR");
    let mut out = String::new();
    for line in text.lines() {
        out.push_str(&masked(line));
        out.push('\n');
    }
    out
}

/// What `daybook status` says of limit and pace, without what a slow machine changes.
fn pace(dir: &Path) -> String {
    let names = ["limit", "drain", "last hour", "last day"];
    let lines = said(dir, &["status"]);
    let told = lines
        .lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)));
    told.collect::<Vec<_>>().join("\n")
}

/// Numbers with a unit, times, addresses, ids and process ids: those are of this run.
pub fn masked(line: &str) -> String {
    let mask = |word: &str| -> String {
        let core = word.trim_matches(|c: char| "(),;:.".contains(c));
        let is_time = core.len() == 24 && core.ends_with('Z') && core.contains('T');
        let is_id = core.len() == 36 && core.matches('-').count() == 4;
        let is_url = core.starts_with("http://127.0.0.1:");
        let digits = core.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &core[digits.len()..];
        let is_length = matches!(unit, "ms" | "s" | "m" | "h") && digits.parse::<f64>().is_ok();
        match () {
            () if is_time => word.replace(core, "TIME"),
            () if is_id => word.replace(core, "ID"),
            () if is_url => word.replace(core, "URL"),
            () if is_length => word.replace(core, "LENGTH"),
            () => word.to_owned(),
        }
    };
    let words: Vec<String> = line.split(' ').map(mask).collect();
    let line = words.join(" ");
    let line = match line.split_once(" per second") {
        None => line,
        Some((before, after)) => {
            let (before, _) = before.rsplit_once(" at ").unwrap_or((before, ""));
            format!("{before} at RATE events per second{after}")
        }
    };
    let line = match line.split_once(" on average") {
        None => line,
        Some((before, after)) => {
            let (before, _) = before.rsplit_once(" a run t").unwrap_or((before, ""));
            format!("{before} a run of LENGTH on average{after}")
        }
    };
    let line = match line.split_once("takes no writes: ") {
        None => line,
        Some((before, _)) => format!("{before}takes no writes: CAUSE"),
    };
    let line = line
        .replace("LENGTH LENGTH", "LENGTH")
        .replace("TIME (now)", "TIME (LENGTH ago)");
    match line.split_once("process ") {
        None => line,
        Some((before, after)) => {
            let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}process PID{after}")
        }
    }
}

#[tokio::test]
async fn busy_workers_are_named_as_the_limit_and_their_pace_gives_the_time() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let gate = Gate::new(home.path());
    let options = gate.options(&["--workers", "2", "--lease", "3m"]);
    let mut up = Up::start(&dir, &options).await;
    let records = (0..20).map(|n| record(&format!("key-{n:02}"), n)).collect();
    assert_eq!(up.record(notification(records).to_string()).await, 20);
    until("both workers run", async || gate.begun().len() == 2).await;
    let limit = |status: &Value| status["limit"].clone();
    let mut status = Value::Null;
    until("the workers are seen to be busy", async || {
        status = json(&dir, &["status"]);
        limit(&status)["by"] == "workers"
    })
    .await;
    assert_eq!(
        (&limit(&status)["workers"], &limit(&status)["in_flight_cap"]),
        (&2.into(), &50.into())
    );
    // No run has ended yet: nobody knows how long they take.
    assert_eq!(
        (&status["drain"], &limit(&status)["per_second"]),
        (&Value::Null, &Value::Null)
    );
    until("what runs is written beside the ledger", async || {
        json(&dir, &["status"])["lately"].is_object()
    })
    .await;
    insta::assert_snapshot!("busy_status", pace(&dir));
    let why = json(&dir, &["why", "s3://data/key-19"]);
    assert_eq!(why["situation"], "backlog");
    insta::assert_snapshot!("busy_why", said(&dir, &["why", "s3://data/key-19"]));
    // Late by far more than three windows, and no word of a schedule that does not run.
    let mut doctor = Value::Null;
    until("the oldest row is late", async || {
        doctor = json(&dir, &["doctor"]);
        let checks = doctor["checks"].as_array().unwrap();
        checks
            .iter()
            .any(|check| check["check"] == "schedule" && check["level"] == "warning")
    })
    .await;
    assert_eq!(doctor["problems"], 0, "{doctor}");
    insta::assert_snapshot!("busy_doctor", said(&dir, &["doctor"]));
    gate.open();
    until_none_open(&ledger(&dir)).await;
    until("what was done is written beside the ledger", async || {
        json(&dir, &["status"])["lately"]["minute"]["done"] == 20
    })
    .await;
    up.drained().await;
    assert_eq!(counts(&ledger(&dir)).await, [0; 3]);
    // It survives the process.
    let lately = json(&dir, &["status"])["lately"].clone();
    for stretch in ["hour", "day"] {
        let told = (&lately[stretch]["done"], &lately[stretch]["exact"]);
        assert_eq!(told, (&20.into(), &true.into()), "{lately}");
    }
    insta::assert_snapshot!("afterwards", pace(&dir));
    let up = Up::start(&dir, &["--exec", "true"]).await;
    assert_eq!(json(&dir, &["status"])["lately"]["hour"]["done"], 20);
    up.drained().await;
}

#[tokio::test]
async fn after_a_kill_the_counts_are_at_least_and_failures_are_counted_apart() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let mut up = Up::start(&dir, &["--exec", "/bin/sh", "-c", "exit 3"]).await;
    assert_eq!(up.record(crate::notices::upload("key", 1)).await, 1);
    until("its failure is written", async || {
        json(&dir, &["status"])["lately"]["minute"]["failed"] == 1
    })
    .await;
    up.kill();
    let up = Up::start(&dir, &["--exec", "true"]).await;
    until("the new process has written", async || {
        json(&dir, &["status"])["lately"]["hour"]["exact"] == false
    })
    .await;
    let hour = json(&dir, &["status"])["lately"]["hour"].clone();
    assert_eq!((&hour["failed"], &hour["done"]), (&1.into(), &0.into()));
    up.drained().await;
}
