//! What the lock file of a folder says, and to whom: who has the folder, and the credential of its process.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::http::StatusCode;
use http::{Method, Request};
use http_body_util::Full;

use crate::folder::{lock_file, said, take};
use crate::machine::{Up, command};
use crate::one_process::{TOKEN, json, three, timed, verb};
use crate::stand_in::run;

fn key(dir: &Path) -> String {
    let said = said(dir).unwrap();
    said["door"]["credential"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_folder_that_stays_in_use_is_refused_with_who_has_it_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let (named, unnamed, misled) = (
        home.path().join("named"),
        home.path().join("un"),
        home.path().join("misled"),
    );
    let other = home.path().join("other");
    for dir in [&named, &unnamed, &misled] {
        Up::start(dir, &[]).await.drained().await;
    }
    let me = std::process::id();
    let _locks = [&named, &unnamed, &misled].map(|dir| take(dir).unwrap());
    let verb_of_ours = timed(verb(&named, &["status"]));
    let start = timed(command(&named, &[]));
    std::fs::write(lock_file(&unnamed), "{\"pid\": \u{1b}[31m nonsense").unwrap();
    let of_nobody = timed(verb(&unnamed, &["status"]));
    // A text that was left behind, and a port that another folder's process has now. That one takes any credentials of AWS clients.
    let mut up = Up::start(&other, &[]).await;
    assert_eq!(up.record(three()).await, 3);
    let door = serde_json::json!({"url": up.url().await, "credential": "0".repeat(64)});
    let text = serde_json::json!({"pid": 7, "verb": "up", "door": door}).to_string();
    std::fs::write(lock_file(&misled), text).unwrap();
    let elsewhere = timed(verb(&misled, &["list"]));

    let (code, stdout, stderr, took) = verb_of_ours.join().unwrap();
    assert_eq!((code, stdout.as_str()), (1, ""));
    let said = format!(
        "the folder {} is in use: process {me} (`daybook test`) works on it\n",
        named.display()
    );
    assert!(
        stderr.contains(&format!(
            "error: {said}  hint: give the command again when process {me}"
        )),
        "{stderr}"
    );
    assert!(stderr.contains("note: waiting for the folder"), "{stderr}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    let (code, _, stderr, took) = start.join().unwrap();
    assert!(
        code == 1 && stderr.starts_with(&format!("error: {said}")),
        "{stderr}"
    );
    assert!(took < Duration::from_secs(60), "{took:?}");
    let (code, _, stderr, _) = of_nobody.join().unwrap();
    assert!(
        code == 1 && stderr.contains("is in use by another process\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("up.lock does not say") && !stderr.contains('\u{1b}'),
        "{stderr}"
    );
    let (code, stdout, stderr, _) = elsewhere.join().unwrap();
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("UnrecognizedClientException"), "{stderr}");
    assert!(stderr.contains("is in use: process 7 "), "{stderr}");
    up.drained().await;
}

#[tokio::test]
async fn nonsense_in_a_lock_file_that_nobody_holds_is_of_no_weight() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let mut up = Up::start(dir, &[]).await;
    let stale = std::fs::read_to_string(lock_file(dir)).unwrap();
    up.kill();
    for text in [stale.as_str(), "", "\0\0", "{\"pid\":1,\"verb\":\"up\"}", "[]"] {
        std::fs::write(lock_file(dir), text).unwrap();
        assert_eq!(json(dir, &["status"])["local"]["running"], false, "{text}");
        std::fs::write(lock_file(dir), text).unwrap();
        Up::start(dir, &[]).await.drained().await;
    }
    std::fs::remove_file(lock_file(dir)).unwrap();
    assert_eq!(json(dir, &["status"])["local"]["running"], false);
}

/// The same command as a user that the folder does not belong to.
pub fn as_another_user(mut command: Command) -> (i32, String, String) {
    // Nobody; only root can.
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    run(&mut command)
}

#[tokio::test]
async fn a_folder_of_another_user_is_told_as_such() {
    let home = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(home.path(), 0o755);
    let dir = home.path().join("data");
    let (open, closed) = match rustix::process::geteuid().is_root() {
        true => ((0o755, 0o600), 0o700),
        // Its owner is shut out of what has no permissions.
        false => ((0o755, 0o000), 0o000),
    };
    for runs in [true, false] {
        let up = Up::start(&dir, &[]).await;
        let mut up = Some(up);
        if !runs {
            up.take().unwrap().drained().await;
        }
        assert_eq!(
            std::fs::metadata(lock_file(&dir)).unwrap().permissions().mode() & 0o777,
            0o600
        );
        mode(&dir, open.0);
        mode(&lock_file(&dir), open.1);
        let (code, stdout, stderr) = as_another_user(verb(&dir, &["status"]));
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        let says = format!(
            "error: {} cannot be opened\n  caused by: Permission denied",
            lock_file(&dir).display()
        );
        assert!(
            stderr.starts_with(&says) && stderr.contains("another user's"),
            "{stderr}"
        );
        mode(&lock_file(&dir), 0o600);
        mode(&dir, closed);
        let (code, stdout, stderr) = as_another_user(verb(&dir, &["status"]));
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(
            stderr.contains("cannot be looked at\n  caused by: Permission denied"),
            "{stderr}"
        );
        assert!(!stderr.contains("makes one"), "{stderr}");
        mode(&dir, 0o700);
        assert_eq!(json(&dir, &["status"])["local"]["running"], runs);
        if let Some(up) = up {
            up.drained().await;
        }
    }
}

/// A request that bears that credential.
async fn bearing(up: &mut Up, credential: &str, path: &str, target: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}{path}", up.url().await))
        .header("x-daybook-credential", credential)
        .header("x-amz-target", target)
        .body(Full::from("{}"))
        .unwrap();
    let answer = up.client.answer(request).await;
    (StatusCode::from_u16(answer.status).unwrap(), answer.body)
}

#[tokio::test]
async fn the_credential_opens_the_ledger_alone_ends_with_its_process_and_is_shown_to_nobody() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path();
    let loud = |listen: &str| {
        let mut command = command(dir, &["--listen", listen]);
        command.env("DAYBOOK_TOKEN", TOKEN).env("RUST_LOG", "trace");
        Up::spawn(command)
    };
    let mut up = loud("0.0.0.0:0");
    up.url().await;
    let first = key(dir);
    assert_eq!(first.len(), 64);
    let tables = "DynamoDB_20120810.ListTables";
    assert_eq!(bearing(&mut up, &first, "/", tables).await.0, StatusCode::OK);
    for wrong in [
        "",
        &first[1..],
        &format!("{first}0"),
        &first.replace('a', "b").replace('1', "2"),
        TOKEN,
    ] {
        let (status, body) = bearing(&mut up, wrong, "/", tables).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
        assert!(
            body.contains("UnrecognizedClientException") && !body.contains(&first),
            "{body}"
        );
    }
    for target in ["AmazonSQS.ListQueues", "AWSStepFunctions.ListStateMachines", "x"] {
        let (status, body) = bearing(&mut up, &first, "/", target).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{target}: {body}");
    }
    let (status, _) = bearing(&mut up, &first, "/events", "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "it is no token");
    let (code, stdout, stderr) = run(verb(dir, &["list"]).env("RUST_LOG", "trace"));
    assert_eq!(code, 0, "{stderr}");
    let (shown, logged) = (up.stdout(), up.stderr());
    assert!(logged.len() > 1000 && stderr.len() > 1000);
    for text in [&stdout, &stderr, &shown, &logged] {
        assert!(!text.contains(&first));
    }
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let has_it = bytes.windows(first.len()).any(|part| part == first.as_bytes());
        assert_eq!(has_it, path == lock_file(dir), "{}", path.display());
    }
    up.kill();
    let mut up = loud("127.0.0.1:0");
    up.url().await;
    assert_ne!(key(dir), first);
    // Refused also where AWS clients are answered.
    assert_eq!(
        bearing(&mut up, &first, "/", tables).await.0,
        StatusCode::UNAUTHORIZED
    );
    up.drained().await;
    assert_eq!(std::fs::read_to_string(lock_file(dir)).unwrap(), "");
}
