//! Very many, very slow and very large at once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use http::Request;
use http_body_util::Full;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::machine::{LOOK_AGAIN, PATIENCE, Up, ledger, until, until_none_open};
use crate::notices::{notification, record, upload};

/// As many open files as the system allows: connections are files on this side, too.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    // What it does not allow is found out by the test.
    let _ = setrlimit(Resource::Nofile, most);
}

async fn connect(up: &mut Up) -> TcpStream {
    let url = up.url().await;
    TcpStream::connect(url.strip_prefix("http://").unwrap())
        .await
        .unwrap()
}

fn request(body: &str) -> String {
    format!(
        "POST /events HTTP/1.1\r\nhost: daybook\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_thousand_connections_at_once_are_all_answered_and_all_their_events_complete() {
    raise_file_limit();
    let folder = tempfile::tempdir().unwrap();
    let script = r#"printf '%s\n' "$DAYBOOK_KEY" >> "$1/ran""#;
    let options = [
        "--workers",
        "8",
        "--exec",
        "/bin/sh",
        "-c",
        script,
        "sh",
        folder.path().to_str().unwrap(),
    ];
    let mut up = Up::start(&folder.path().join("data"), &options).await;
    let mut connections = Vec::new();
    for _ in 0..1000 {
        connections.push(connect(&mut up).await);
    }
    // All are open before the first one asks.
    let answers = join_all(
        connections
            .into_iter()
            .enumerate()
            .map(|(n, mut connection)| async move {
                let body = upload(&format!("key {n}"), n as u64);
                connection.write_all(request(&body).as_bytes()).await.unwrap();
                let mut answer = String::new();
                connection.read_to_string(&mut answer).await.unwrap();
                answer
            }),
    );
    for answer in tokio::time::timeout(PATIENCE, answers).await.unwrap() {
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(r#""recorded":1,"#),
            "{answer}"
        );
    }
    until_none_open(&ledger(&folder.path().join("data"))).await;
    let ran = std::fs::read_to_string(folder.path().join("ran")).unwrap();
    let keys: BTreeSet<&str> = ran.lines().collect();
    assert_eq!((keys.len(), ran.lines().count()), (1000, 1000), "each once");
    let report = up.drained().await;
    assert_eq!(
        (&report["recorded"], &report["worker"]["completed"]),
        (&1000.into(), &1000.into())
    );
}

#[tokio::test]
async fn slow_clients_hold_nobody_up_and_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["--exec", "true"]).await;
    let open_before = open_files(&up);
    let body = upload("slow", 0);
    let begun = request(&body);
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut connection = connect(&mut up).await;
        // Some are in their heads, some in their bodies, some have not begun.
        let end = [0, 10, begun.len() - body.len() + 1][n % 3];
        connection.write_all(&begun.as_bytes()[..end]).await.unwrap();
        slow.push((connection, end));
    }
    let dripping = async {
        loop {
            for (connection, end) in &mut slow {
                // It may have been cut off for being slow on a machine that is slower still.
                let _ = connection.write_all(&begun.as_bytes()[*end..=*end]).await;
                *end = (*end + 1).min(begun.len() / 2);
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    let others = async {
        for n in 1..=20 {
            assert_eq!(up.record(upload("quick", n)).await, 1);
        }
        until_none_open(&ledger(folder.path())).await;
    };
    tokio::select! {
        () = dripping => {}
        () = others => {}
    }
    drop(slow);
    until("their connections are gone", async || {
        open_files(&up) <= open_before + 2
    })
    .await;
    let report = up.drained().await;
    assert_eq!(
        (&report["recorded"], &report["left"]),
        (&20.into(), &"none open".into())
    );
}

fn open_files(up: &Up) -> usize {
    let sockets = |entry: std::io::Result<std::fs::DirEntry>| {
        let target = std::fs::read_link(entry.ok()?.path()).ok()?;
        target.to_str()?.starts_with("socket:").then_some(())
    };
    std::fs::read_dir(format!("/proc/{}/fd", up.pid()))
        .unwrap()
        .filter_map(sockets)
        .count()
}

#[tokio::test]
async fn a_hundred_bodies_of_a_megabyte_at_once_are_all_taken_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &["--exec", "true"]).await;
    let (url, web) = (up.url().await, up.client.clone());
    let posts = (0..100).map(|n| {
        let (url, web) = (url.clone(), web.clone());
        async move {
            let mut body = notification(vec![record(&format!("key {n}"), n)]);
            body["padding"] = "x".repeat(1_000_000).into();
            let body = body.to_string();
            loop {
                let request = Request::post(format!("{url}/events"))
                    .body(Full::from(body.clone()))
                    .unwrap();
                match web.ask(request).await {
                    Ok(answer) if answer.status == 200 => return,
                    // Too many bodies are being read; and a connection on which that is said is closed.
                    Ok(answer) => assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1"))),
                    Err(_) => {}
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
    });
    tokio::time::timeout(PATIENCE, join_all(posts)).await.unwrap();
    let peak = up.peak_memory();
    println!("at most {} MB", peak >> 20);
    assert!(peak < 300 << 20, "{peak}");
    until_none_open(&ledger(folder.path())).await;
    assert_eq!(up.drained().await["worker"]["completed"], 100);
}

#[tokio::test]
async fn very_many_events_in_one_body_are_recorded_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut up = Up::start(folder.path(), &[]).await;
    let small = |n: u64| {
        let mut record = record(&format!("{n}"), n);
        for field in ["userIdentity", "requestParameters", "responseElements", "source"] {
            record.as_object_mut().unwrap().remove(field);
        }
        record
    };
    let body = notification((0..2000).map(small).collect()).to_string();
    assert!(body.len() < 1024 * 1024, "{}", body.len());
    assert_eq!(up.record(body).await, 2000);
    assert_eq!(up.drained().await["left"], "2000 open (2000 pending)");
}
