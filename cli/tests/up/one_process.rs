//! One process has a folder: verbs go through the `daybook up` that has it, and take it themselves when none has.

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daybook_ledger::{Deadline, Hand};
use daybook_schema::Status;
use rustix::process::Signal;
use serde_json::Value;

use crate::folder::{lock_file, said, take};
use crate::gate::Gate;
use crate::machine::{Up, command, ledger, rows, until, until_none_open};
use crate::notices::{notification, record, upload};
use crate::stand_in::gate::{Gate as Door, Then};
use crate::stand_in::rows::{Fixtures, folder};
use crate::stand_in::{daybook, run};

pub const TOKEN: &str = "a-token-that-nobody-guesses";

/// A verb on that folder.
pub fn verb(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = daybook(arguments);
    command.arg("--local").arg(dir).env("DAYBOOK_BY", "kim@busan");
    command
}

pub fn json(dir: &Path, arguments: &[&str]) -> Value {
    let (code, stdout, stderr) = run(verb(dir, arguments).args(["--output", "json"]));
    assert_eq!(code, 0, "{arguments:?}: {stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// A verb that runs; its stdin is open until it is taken.
fn running(mut command: Command) -> Child {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn ended(child: Child) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// In a thread of its own: how it ended, and how long that took.
pub fn timed(mut command: Command) -> JoinHandle<(i32, String, String, Duration)> {
    std::thread::spawn(move || {
        let begun = Instant::now();
        let (code, stdout, stderr) = run(&mut command);
        (code, stdout, stderr, begun.elapsed())
    })
}

/// Whether this machine has IPv6.
fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

pub fn three() -> String {
    notification((0..3).map(|n| record(&format!("key {n}"), n)).collect()).to_string()
}

/// The ids of the rows that `daybook list` shows.
fn ids(dir: &Path, more: &[&str]) -> Vec<String> {
    let listed = json(dir, &[&["list"], more].concat());
    let rows = listed["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Puts the files of the ledger out of reach: only who has them open already can use them.
fn hide_ledger(dir: &Path) {
    let away = dir.join("away");
    std::fs::create_dir(&away).unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("ledger.") {
            std::fs::rename(&path, away.join(name)).unwrap();
        }
    }
    assert_ne!(away.read_dir().unwrap().count(), 0);
}

/// Every verb once beside such an `up`, each with something to do.
async fn every_verb(dir: &Path, listen: &str, token: Option<&str>) {
    let mut command = command(dir, &["--listen", listen, "--max-attempts", "1"]);
    if let Some(token) = token {
        command.env("DAYBOOK_TOKEN", token);
    }
    let mut up = Up::spawn(command);
    let url = up.url().await;
    hide_ledger(dir);
    let file = dir.join("notifications.json");
    std::fs::write(&file, three()).unwrap();
    assert_eq!(json(dir, &["ingest", file.to_str().unwrap()])["recorded"], 3);
    looks(dir, (up.pid(), &url)).await;
    operates(dir).await;
    up.kill();
}

async fn looks(dir: &Path, (pid, url): (u32, &str)) {
    let status = json(dir, &["status"]);
    let local = &status["local"];
    assert_eq!(
        (&local["running"], &local["pid"], &local["url"]),
        (&true.into(), &pid.into(), &url.into())
    );
    let (_, table, _) = run(&mut verb(dir, &["status"]));
    let says = format!("  runs without a target, so nothing is sent: process {pid}, at {url}\n");
    assert!(table.contains(&says), "{table}");
    let found = ids(dir, &[]);
    assert_eq!(found.len(), 3);
    assert_eq!(json(dir, &["show", &found[0]])["open"][0]["row"]["id"], *found[0]);
    assert_eq!(json(dir, &["errors"])["groups"].as_array().unwrap().len(), 0);
    let (code, why, _) = run(&mut verb(dir, &["why", &found[0]]));
    assert!(code == 0 && why.contains("Waiting"), "{why}");
    let (_, checks, stderr) = run(&mut verb(dir, &["doctor", "--all"]));
    assert!(checks.contains(" 0 unknown"), "{checks}{stderr}");
    let s3 = daybook_tests::S3::new(daybook_ledger::Clock::system());
    s3.create_bucket("data", daybook_tests::s3::Versioning::Never);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { s3.serve(listener).await });
    let mut audit = verb(
        dir,
        &[
            "audit",
            "s3://data",
            "--s3-endpoint",
            &endpoint,
            "--output",
            "json",
        ],
    );
    audit
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret");
    let (_, report, stderr) = tokio::task::spawn_blocking(move || run(&mut audit))
        .await
        .unwrap();
    assert!(report.contains("\"gone\""), "{report}{stderr}");
    serving.abort();
}

async fn operates(dir: &Path) {
    let paused = json(dir, &["pause", "--why", "a look"]);
    assert_eq!(paused["after"]["paused"]["why"], "a look");
    assert_eq!(json(dir, &["resume"])["before"]["paused"]["by"], "kim@busan");
    assert_eq!(json(dir, &["set", "--per-window", "7"])["after"]["per_window"], 7);
    let theirs = ledger(dir);
    let long = Duration::from_secs(3600);
    let deadline = Deadline::after(theirs.clock(), long);
    let due = theirs.due(Status::Pending, None, 2).next(2).await;
    assert_eq!(theirs.claim(&due, Hand::Queue, long, deadline).await.len(), 2);
    let claimed = ids(dir, &["--status", "claimed"]);
    let [one, other] = &claimed[..] else {
        panic!("{claimed:?}")
    };
    let all = ids(dir, &[]);
    let third = all.iter().find(|id| !claimed.contains(id)).unwrap();
    for (verb, id, outcome) in [
        ("release", one, "released"),
        ("fail", other, "parked"),
        ("redrive", other, "redriven"),
        ("complete", one, "completed"),
        ("remove", third, "removed"),
    ] {
        let told = json(dir, &[verb, id, "--why", "a test", "--yes"]);
        assert_eq!(told["outcomes"][outcome], 1, "{verb}: {told}");
    }
    let done = json(dir, &["show", one]);
    assert_eq!(done["receipts"][0]["by"], "kim@busan", "{done}");
    let uri = format!("s3://data/{}", done["receipts"][0]["key"].as_str().unwrap());
    assert_eq!(
        json(dir, &["replay", &uri, "--why", "again", "--yes"])["recorded"],
        1
    );
    assert_eq!(rows(&theirs).await.len(), 2);
}

#[tokio::test]
async fn every_verb_works_beside_up_which_alone_has_the_ledger() {
    let home = tempfile::tempdir().unwrap();
    every_verb(&home.path().join("a"), "127.0.0.1:0", None).await;
    every_verb(&home.path().join("b"), "127.0.0.1:0", Some(TOKEN)).await;
    every_verb(&home.path().join("c"), "0.0.0.0:0", Some(TOKEN)).await;
    if has_ipv6() {
        every_verb(&home.path().join("d"), "[::1]:0", None).await;
        every_verb(&home.path().join("e"), "[::]:0", Some(TOKEN)).await;
    }
}

#[tokio::test]
async fn no_proxy_of_the_environment_is_asked_for_what_is_on_this_machine() {
    let home = tempfile::tempdir().unwrap();
    let up = Up::start(home.path(), &[]).await;
    let mut command = verb(home.path(), &["status"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    let (code, _, stderr) = run(&mut command);
    assert_eq!(code, 0, "{stderr}");
    up.drained().await;
}

#[tokio::test]
async fn beside_up_and_alone_the_same_is_said() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let mut up = Up::start(dir, &[]).await;
    assert_eq!(up.record(three()).await, 3);
    let verbs: [&[&str]; 3] = [
        &["list"],
        &["show", "s3://data/key 1"],
        &["why", "s3://data/key 1", "--no-s3"],
    ];
    let all = || {
        verbs.map(|arguments| {
            let (code, stdout, stderr) = run(verb(dir, arguments).args(["--output", "json"]));
            (
                code,
                crate::stand_in::rows::normal_json(serde_json::from_str(&stdout).unwrap()),
                stderr,
            )
        })
    };
    let beside = all();
    up.drained().await;
    let alone = all();
    assert_eq!(beside[..2], alone[..2]);
    assert_eq!(alone[0].1["rows"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_second_verb_waits_for_the_first_and_up_for_both() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    Up::start(dir, &[]).await.drained().await;
    let mut first = running(verb(dir, &["ingest", "-"]));
    until("it has the folder", async || {
        said(dir).is_some_and(|said| said["pid"] == first.id())
    })
    .await;
    assert_eq!(said(dir).unwrap()["verb"], "ingest");
    let second = timed(verb(dir, &["list", "--output", "json"]));
    let mut up = Up::spawn(command(dir, &[]));
    std::thread::sleep(Duration::from_millis(500));
    assert!(!second.is_finished() && !up.has_ended());
    assert!(!up.stderr().contains("listening"), "{}", up.stderr());
    first.stdin.take().unwrap().write_all(three().as_bytes()).unwrap();
    let (code, _, stderr) = ended(first);
    assert_eq!(code, 0, "{stderr}");
    let (code, stdout, stderr, _) = second.join().unwrap();
    assert_eq!(code, 0, "{stderr}");
    let listed: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(listed["rows"].as_array().unwrap().len(), 3);
    up.url().await;
    assert_eq!(json(dir, &["status"])["local"]["pid"], up.pid());
    up.drained().await;
}

#[tokio::test]
async fn a_verb_waits_for_an_up_that_drains() {
    let home = tempfile::tempdir().unwrap();
    let (dir, gate) = (home.path().join("data"), Gate::new(home.path()));
    let mut up = Up::start(&dir, &gate.options(&[])).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    until("its command runs", async || gate.begun().len() == 1).await;
    let url = up.url().await;
    up.signal(Signal::TERM);
    until("nobody listens", async || {
        std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).is_err()
    })
    .await;
    let waiting = timed(verb(&dir, &["status", "--output", "json"]));
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waiting.is_finished());
    gate.open();
    up.report().await;
    let (code, stdout, stderr, _) = waiting.join().unwrap();
    assert_eq!(code, 0, "{stderr}");
    let status: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(status["local"]["running"], false);
    until_none_open(&ledger(&dir)).await;
}

#[tokio::test]
async fn a_verb_whose_up_is_killed_says_so_and_the_same_again_completes_it() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let mut up = Up::start(dir, &[]).await;
    let mut ingest = running(verb(dir, &["ingest", "-"]));
    let mut stdin = ingest.stdin.take().unwrap();
    // A batch is read when its end is known.
    stdin
        .write_all((upload("a", 1) + "\n" + &upload("b", 2).repeat(300)).as_bytes())
        .unwrap();
    until("some are recorded", async || !rows(&ledger(dir)).await.is_empty()).await;
    let pid = up.pid();
    up.kill();
    stdin.write_all(upload("c", 3).as_bytes()).unwrap();
    drop(stdin);
    let (code, _, stderr) = ended(ingest);
    assert_eq!(code, 1, "{stderr}");
    let said = format!(
        "process {pid}, the `daybook up` through which this worked, ended in the middle of it: give the same files again"
    );
    assert!(stderr.contains(&said), "{stderr}");
    let file = dir.join("again.json");
    std::fs::write(&file, upload("a", 1) + &upload("b", 2) + &upload("c", 3)).unwrap();
    json(dir, &["ingest", file.to_str().unwrap()]);
    assert_eq!(rows(&ledger(dir)).await.len(), 3);
}

/// For each verb: its first request is answered when the process that had the folder is gone.
#[test]
fn whatever_a_verb_is_doing_when_its_up_ends_it_says_that() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    folder(&dir, async |fixtures: Fixtures<'_>| fixtures.put_all().await);
    let aws = daybook_local::LocalAws::builder().data_dir(&dir).build().unwrap();
    let verbs: [&[&str]; 9] = [
        &["status"],
        &["list"],
        &["errors"],
        &["show", "s3://data/due.json"],
        &["why", "s3://data/due.json"],
        &["doctor"],
        &["pause"],
        &["redrive", "--all", "--yes"],
        &["replay", "s3://data/done.json", "--yes"],
    ];
    for arguments in verbs {
        let door = Door::new(&aws, "", 0, Then::HoldAndRefuse);
        let lock = take(&dir).unwrap();
        let says = serde_json::json!({
            "pid": 7, "verb": "up", "door": {"url": door.endpoint, "credential": "0".repeat(64)},
        });
        std::fs::write(lock_file(&dir), says.to_string()).unwrap();
        let child = running(verb(&dir, arguments));
        door.wait_for(1);
        drop(lock);
        door.open();
        let (code, stdout, stderr) = ended(child);
        assert!(
            code != 0 || arguments[0] == "doctor",
            "{arguments:?}: {stdout}{stderr}"
        );
        assert!(
            stderr.contains(
                "process 7, the `daybook up` through which this worked, ended in the middle of it: "
            ),
            "{arguments:?}: {stdout}{stderr}"
        );
    }
}
