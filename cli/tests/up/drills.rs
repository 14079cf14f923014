//! Drills: each thing that goes wrong at night, and what health, status, why, doctor and the log say of it. The snapshots are the text that
//! an operator reads; times, ids, addresses and figures of this run are taken out.
//!
//! Busy workers are in `limits`, a cancelled run in `cancel`; what 100,000 open rows cost tests/rows measures.

use std::path::Path;
use std::process::Command;

use axum::http::StatusCode;
use daybook_schema::Status;
use http::Request;
use http_body_util::Full;

use crate::disk::{forty, limited};
use crate::gate::Gate;
use crate::limits::{masked, said, without_figures};
use crate::lock_file::as_another_user;
use crate::machine::{Up, command, ledger, rows, until, until_none_open};
use crate::notices::upload;
use crate::one_process::verb;
use crate::stand_in::run;

/// What everything says of `s3://data/key`.
async fn look(up: &mut Up, dir: &Path) -> String {
    look_by(up, dir, |mut verb| run(&mut verb)).await
}

/// The same to whom verbs are given by that: how one ended.
async fn look_by(up: &mut Up, dir: &Path, run: impl Fn(Command) -> (i32, String, String)) -> String {
    let said = |arguments: &[&str]| without_figures(dir, run(verb(dir, arguments)));
    let request = Request::get(format!("{}/health", up.url().await));
    let health = up.client.answer(request.body(Full::default()).unwrap()).await;
    let home = dir.parent().unwrap().display().to_string();
    let names = ["trouble", "pending", "claimed", "parked", "limit", "drain"];
    let status = said(&["status"]);
    let is_refused = status.starts_with("error: ");
    let status: Vec<String> = status
        .lines()
        .filter(|line| is_refused || names.iter().any(|name| line.starts_with(name)))
        // A slow machine has it a moment later, and the widest label is of what was counted lately.
        .map(|line| line.replace("recorded now", "recorded LENGTH ago"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let mut log: Vec<String> = up
        .stderr()
        .lines()
        .filter(|line| line.contains(" WARN ") || line.contains(" ERROR "))
        .map(|line| masked(line.split_once("Z ").map_or(line, |(_, line)| line)))
        .map(without_ids)
        .collect();
    // Each line once: how often it is tried while this looks is the machine's business.
    let mut seen = std::collections::BTreeSet::new();
    log.retain(|line| seen.insert(line.clone()));
    let text = format!(
        "health: {} {}\n\nstatus:\n{}\n\nwhy:\n{}\ndoctor:\n{}\nlog:\n{}\n",
        health.status,
        health.body.trim(),
        status.join("\n"),
        said(&["why", "s3://data/key", "--no-s3"]),
        said(&["doctor"]),
        log.join("\n"),
    );
    // It may have been put off once more meanwhile.
    let text = between(&text, "it put off ", " and worked", "N");
    without_ports(&text.replace(&home, "HOME"))
}

/// A log says `event.id=ID` and `due_at="TIME"`.
fn without_ids(line: String) -> String {
    let line = between(&line, "event.id=", " ", "ID");
    between(&line, "due_at=\"", "\"", "TIME")
}

/// The text with something else in place of what stands between these, if both are there.
fn between(text: &str, begin: &str, end: &str, other: &str) -> String {
    let parts = text.split_once(begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(end)?;
        Some(format!("{before}{begin}{other}{end}{after}"))
    });
    parts.unwrap_or_else(|| text.to_owned())
}

fn without_ports(text: &str) -> String {
    let mut parts = text.split("127.0.0.1:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("127.0.0.1:PORT");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

/// Waits until the target has put the event off or failed it.
async fn until_tried(dir: &Path) {
    let ledger = ledger(dir);
    until("it was tried", async || {
        rows(&ledger)
            .await
            .iter()
            .any(|row| row.status != Status::Claimed && row.last_error.is_some())
    })
    .await;
}

/// Records one event with that target, and looks once it has been tried.
async fn drill(dir: &Path, options: &[&str], at_start: impl FnOnce()) -> (Up, String) {
    let mut up = Up::start(dir, options).await;
    at_start();
    assert_eq!(up.record(upload("key", 1)).await, 1);
    until_tried(dir).await;
    up.until_said(" WARN daybook_manager::worker::run_log").await;
    until("what was put off is written beside the ledger", async || {
        crate::one_process::json(dir, &["status"])["lately"]["hour"]["mean_seconds"].is_number()
    })
    .await;
    let seen = look(&mut up, dir).await;
    (up, seen)
}

#[tokio::test]
async fn no_target() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let mut up = Up::start(&dir, &[]).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    insta::assert_snapshot!("no_target", look(&mut up, &dir).await);
    up.drained().await;
}

#[tokio::test]
async fn a_command_that_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let (dir, program) = (home.path().join("data"), home.path().join("work"));
    std::os::unix::fs::symlink("/bin/true", &program).unwrap();
    let options = ["--exec", program.to_str().unwrap()];
    let (up, seen) = drill(&dir, &options, || std::fs::remove_file(&program).unwrap()).await;
    insta::assert_snapshot!("command_gone", seen);
    // Nothing is to be redriven: with the command back it runs by itself.
    std::os::unix::fs::symlink("/bin/true", &program).unwrap();
    until_none_open(&ledger(&dir)).await;
    up.drained().await;
}

#[tokio::test]
async fn a_closed_port() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/work", gone.local_addr().unwrap());
    drop(gone);
    let (up, seen) = drill(&dir, &["--post", &url], || {}).await;
    insta::assert_snapshot!("closed_port", seen);
    up.drained().await;
}

/// A target that answers everything so; its URL.
async fn answering(status: StatusCode) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/work", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(move || async move { (status, "upstream is away") });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn a_503_without_retry_after() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let url = answering(StatusCode::SERVICE_UNAVAILABLE).await;
    let (up, seen) = drill(&dir, &["--post", &url], || {}).await;
    insta::assert_snapshot!("gateway_503", seen);
    up.drained().await;
}

#[tokio::test]
async fn an_answer_that_is_a_failure() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let url = answering(StatusCode::INTERNAL_SERVER_ERROR).await;
    let (up, seen) = drill(&dir, &["--max-attempts", "1", "--post", &url], || {}).await;
    insta::assert_snapshot!("poisoned", seen);
    up.drained().await;
}

#[tokio::test]
async fn a_hung_target() {
    let home = tempfile::tempdir().unwrap();
    let (dir, gate) = (home.path().join("data"), Gate::new(home.path()));
    let mut up = Up::start(&dir, &gate.options(&["--workers", "1"])).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    until("it runs", async || gate.begun().len() == 1).await;
    until("what runs is written beside the ledger", async || {
        said(&dir, &["list"]).contains("runs for ")
    })
    .await;
    insta::assert_snapshot!("hung", look(&mut up, &dir).await);
    gate.open();
    until_none_open(&ledger(&dir)).await;
    up.drained().await;
}

/// So many rows are written before the disk is full.
fn without_count(text: &str, name: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(' ') {
        Some((first, rest)) if first == name => {
            let (_, rest) = rest.split_once(' ').unwrap_or_default();
            format!("{name} N {rest}\n")
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[tokio::test]
async fn a_full_disk() {
    let home = tempfile::tempdir().unwrap();
    let (dir, gate) = (home.path().join("data"), Gate::new(home.path()));
    let options = gate.options(&["--workers", "1"]);
    let mut up = Up::spawn(limited(&dir, 2048, &options));
    assert_eq!(up.record(upload("key", 1)).await, 1);
    until("it runs", async || gate.begun().len() == 1).await;
    let mut refused = 0;
    for n in 1..200 {
        match up.post(forty(n)).await.status {
            200 => {}
            status => {
                assert_eq!(status, 503);
                refused = n;
                break;
            }
        }
    }
    assert!(refused > 1, "it had room for some, and not for 8,000 events");
    up.until_said("the ledger takes no writes").await;
    until("what runs is written beside the ledger", async || {
        said(&dir, &["list", "--status", "claimed"]).contains("runs for ")
    })
    .await;
    let seen = without_count(&look(&mut up, &dir).await, "pending");
    // Whose write was refused first, and whether the scheduler had one, differs from run to run.
    let seen = between(&seen, "the ledger takes no writes: ", "\n", "CAUSE");
    let lines = seen.lines().filter(|line| !line.contains("up::pipeline: "));
    insta::assert_snapshot!("full_disk", lines.collect::<Vec<_>>().join("\n"));
}

#[tokio::test]
async fn permission_denied() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(home.path(), 0o755);
    let dir = home.path().join("data");
    let mut up = Up::start(&dir, &["--exec", "true"]).await;
    assert_eq!(up.record(upload("key", 1)).await, 1);
    until_none_open(&ledger(&dir)).await;
    // Modes bind whoever is not root: root asks as somebody else, and the owner shuts themselves out.
    let lock = dir.join("up.lock");
    mode(&dir, 0o755);
    mode(
        &lock,
        if rustix::process::geteuid().is_root() {
            0o600
        } else {
            0
        },
    );
    let seen = look_by(&mut up, &dir, as_another_user).await;
    mode(&lock, 0o600);
    insta::assert_snapshot!("permission_denied", seen);
    up.drained().await;
}

/// With few descriptors it works, more slowly: connections wait, and nothing that was acknowledged is lost.
#[tokio::test]
async fn few_descriptors() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let up = command(&dir, &["--workers", "4", "--exec", "true"]);
    let mut shell = std::process::Command::new("/bin/sh");
    shell
        .env_clear()
        // Both limits: it may not raise its own.
        .args(["-c", r#"ulimit -n 64; exec "$@""#, "sh"])
        .arg(up.get_program())
        .args(up.get_args());
    for (name, value) in up.get_envs() {
        shell.env(name, value.unwrap());
    }
    let mut up = Up::spawn(shell);
    for n in 0..20 {
        assert_eq!(up.record(upload(&format!("key-{n}"), n)).await, 1);
    }
    until_none_open(&ledger(&dir)).await;
    // Whether a look gets a descriptor in time differs from run to run; that the log does not flood does not.
    let said = up.stderr();
    assert!(
        said.matches("connections cannot be accepted").count() <= 1,
        "{said}"
    );
    up.drained().await;
}
