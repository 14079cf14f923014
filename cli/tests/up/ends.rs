//! How it ends, and starts again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use daybook_schema::{Attempt, Status};
use rustix::process::Signal;

use crate::gate::{Gate, group_runs};
use crate::machine::{Up, command, ledger, rows, until, until_none_open};
use crate::notices::{notification, record};

/// Five uploads in one notification.
fn five() -> String {
    notification((0..5).map(|n| record(&format!("key {n}"), n)).collect()).to_string()
}

/// The address of a URL.
fn address(url: &str) -> &str {
    url.strip_prefix("http://").unwrap()
}

/// One that runs two commands, which wait at the gate, of five events.
async fn two_of_five(data: &Path, gate: &Gate) -> Up {
    let mut up = Up::start(data, &gate.options(&["--workers", "2"])).await;
    assert_eq!(up.record(five()).await, 5);
    until("two commands run", async || gate.begun().len() == 2).await;
    up
}

async fn a_signal_lets_what_runs_finish_and_claims_nothing_more(signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let (data, gate) = (folder.path().join("data"), Gate::new(folder.path()));
    let mut up = two_of_five(&data, &gate).await;
    let url = up.url().await;
    up.signal(signal);
    up.until_said("draining: running events get 20s to finish; ")
        .await;
    until("nobody listens", async || {
        TcpStream::connect(address(&url)).is_err()
    })
    .await;
    gate.open();
    let report = up.report().await;
    assert_eq!(
        (&report["recorded"], &report["left"]),
        (&5.into(), &"3 open (3 pending)".into())
    );
    let worker = &report["worker"];
    assert_eq!(
        (&worker["completed"], &worker["stopped"]),
        (&2.into(), &0.into()),
        "{report}"
    );
    assert_eq!((gate.begun().len(), gate.ended().len()), (2, 2));
    for row in rows(&ledger(&data)).await {
        assert_eq!(
            (row.status, row.attempt, row.deaths),
            (Status::Pending, Attempt(0), 0)
        );
    }

    let up = Up::start(&data, &gate.options(&[])).await;
    until_none_open(&ledger(&data)).await;
    assert_eq!(up.drained().await["worker"]["completed"], 3);
    assert_eq!(gate.ended(), ["1"; 5]);
    assert_eq!(gate.begun().len(), 5, "none ran twice");
}

#[tokio::test]
async fn sigterm_lets_what_runs_finish_and_claims_nothing_more() {
    a_signal_lets_what_runs_finish_and_claims_nothing_more(Signal::TERM).await;
}

#[tokio::test]
async fn ctrl_c_lets_what_runs_finish_and_claims_nothing_more() {
    a_signal_lets_what_runs_finish_and_claims_nothing_more(Signal::INT).await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once_with_all_commands_and_the_next_start_puts_their_events_back() {
    let folder = tempfile::tempdir().unwrap();
    let (data, gate) = (folder.path().join("data"), Gate::new(folder.path()));
    let mut up = two_of_five(&data, &gate).await;
    up.signal(Signal::TERM);
    up.until_said("draining: ").await;
    up.signal(Signal::INT);
    let ended = up.ended().await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(130), ""),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("stopped immediately: "), "{}", ended.stderr);
    for group in gate.begun() {
        until("its commands have ended", async || !group_runs(group)).await;
    }
    assert!(gate.ended().is_empty());

    gate.open();
    let mut up = Up::start(&data, &gate.options(&[])).await;
    up.until_said("; 2 of the last run put back\n").await;
    until_none_open(&ledger(&data)).await;
    assert_eq!(gate.ended(), ["1"; 5], "no attempt was used");
    up.drained().await;
}

#[tokio::test]
async fn a_folder_has_one_process_at_a_time_and_none_once_that_is_killed_whatever_its_commands_do() {
    let folder = tempfile::tempdir().unwrap();
    let (data, gate) = (folder.path().join("data"), Gate::new(folder.path()));
    let mut first = two_of_five(&data, &gate).await;
    let refused = Up::spawn(command(&data, &[])).ended().await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    let (pid, url) = (first.pid(), first.url().await);
    let said = format!(
        "error: the folder {} is in use: process {pid} runs its pipeline, at {url}\n",
        data.display()
    );
    assert!(refused.stderr.starts_with(&said), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: "), "{}", refused.stderr);
    assert_eq!(first.record(five()).await, 0, "it is not disturbed");

    first.kill();
    let orphans = gate.begun();
    let mut second = Up::start(&data, &gate.options(&["--workers", "5"])).await;
    second.until_said("; 2 of the last run put back\n").await;
    until("all five run", async || gate.begun().len() == 2 + 5).await;
    assert!(
        orphans.into_iter().all(group_runs),
        "the commands of the first still run"
    );
    gate.open();
    until_none_open(&ledger(&data)).await;
    assert_eq!(second.drained().await["worker"]["completed"], 5);
}

#[tokio::test]
async fn an_idle_one_ends_at_once_and_a_killed_one_leaves_its_port_free() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["--exec", "true"]).await;
    let url = up.url().await;
    up.kill();
    // The same port again, as a service manager starts it.
    let again = ["--listen", address(&url), "--exec", "true"];
    let mut up = Up::spawn(command(folder.path(), &again));
    assert_eq!(up.url().await, url);
    let report = up.drained().await;
    assert_eq!(
        (&report["recorded"], &report["left"]),
        (&0.into(), &"none open".into())
    );
}

#[tokio::test]
async fn clients_that_neither_read_nor_write_do_not_keep_it_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["--exec", "true"]).await;
    let url = up.url().await;
    let mut deaf = TcpStream::connect(address(&url)).unwrap();
    deaf.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let questions = "GET /nothing HTTP/1.1\r\nhost: daybook\r\n\r\n".repeat(1000);
    // Until it cannot write its answers, and reads no more.
    while deaf.write_all(questions.as_bytes()).is_ok() {}
    let mut dumb = TcpStream::connect(address(&url)).unwrap();
    dumb.write_all(b"POST /events HTTP/1.1\r\nhost: daybook\r\ncontent-length: 100\r\n\r\n{")
        .unwrap();
    // It is accepted after the first two, so these are.
    assert_eq!(up.post("{}").await.status, 200);
    up.signal(Signal::TERM);
    up.until_said("cut off").await;
    up.report().await;
    let mut answer = Vec::new();
    // It may end as broken off; what counts is that nobody waited for the body.
    let _ = dumb.read_to_end(&mut answer);
    assert_eq!(String::from_utf8_lossy(&answer), "");
}

#[tokio::test]
async fn what_cannot_start_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (file, broken) = (folder.path().join("file"), folder.path().join("broken"));
    std::fs::write(&file, "").unwrap();
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("ledger.redb"), "no ledger".repeat(1000)).unwrap();
    let mut up = Up::start(&folder.path().join("data"), &[]).await;
    let taken = up.url().await;
    let free = folder.path().join("free");
    let cases = [
        (&file, vec![], 1, "not a directory", "--data-dir"),
        (&broken, vec![], 1, "cannot be opened", "hint: "),
        (
            &free,
            vec!["--listen", address(&taken)],
            1,
            "error: cannot listen on 127.0.0.1:",
            "--listen",
        ),
        (
            &free,
            vec!["--listen", "0.0.0.0:0"],
            2,
            "a token is needed",
            "DAYBOOK_TOKEN",
        ),
        (
            &free,
            vec!["--listen", "everywhere"],
            2,
            "HOST:PORT is needed",
            "--listen",
        ),
        (
            &free,
            vec!["--listen", "0.0.0.0:0", "--token", "short"],
            2,
            "8 or more",
            "--token",
        ),
        (
            &free,
            vec!["--admission", "reject"],
            2,
            "--max-backlog",
            "--admission",
        ),
        (&free, vec!["--lease", "1s"], 2, "3 s", "lease"),
        (&free, vec!["--post", "ftp://127.0.0.1/"], 2, "http://", "--post"),
    ];
    for (dir, options, code, why, hint) in cases {
        let ended = Up::spawn(command(dir, &options)).ended().await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(code), ""),
            "{options:?}: {}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains(why) && ended.stderr.contains(hint),
            "{options:?}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        assert!(
            !free.exists(),
            "{options:?}: a failed start leaves a folder behind"
        );
    }
    // Nor a ledger in a folder that was there.
    std::fs::create_dir(&free).unwrap();
    let ended = Up::spawn(command(&free, &["--listen", address(&taken)]))
        .ended()
        .await;
    assert!(ended.stderr.contains("cannot listen on"), "{}", ended.stderr);
    assert!(!free.join("ledger.redb").exists() && !free.join("settings.json").exists());
    up.drained().await;
}
