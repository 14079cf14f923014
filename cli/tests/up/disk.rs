//! Disks that take nothing more, and folders that take nothing at all.
//!
//! A file-size limit stands for the full disk: it needs no root, and a write fails in the same place.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use daybook_schema::EventId;
use http::Request;
use http_body_util::Full;

use crate::machine::{Up, Web, command, ledger, rows, until};
use crate::notices::{events, notification, record};
use crate::one_process::json;

/// `daybook up` whose files may not become larger than so many blocks of 512 bytes.
pub fn limited(dir: &Path, blocks: u32, options: &[&str]) -> Command {
    let up = command(dir, options);
    let mut shell = Command::new("/bin/sh");
    shell
        .env_clear()
        .args(["-c", r#"ulimit -f "$1"; shift; exec "$@""#, "sh"])
        .arg(blocks.to_string())
        .arg(up.get_program())
        .args(up.get_args());
    for (name, value) in up.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell
}

/// Forty uploads of a long key.
pub fn forty(n: u64) -> String {
    let key = |k: u64| format!("{}/{}", "k".repeat(600), n * 40 + k);
    notification((0..40).map(|k| record(&key(k), n * 40 + k)).collect()).to_string()
}

fn ids(body: &str) -> BTreeSet<EventId> {
    events(body).into_iter().map(|event| event.id).collect()
}

async fn ids_in(dir: &Path) -> BTreeSet<EventId> {
    rows(&ledger(dir)).await.into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_keeps_what_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let mut up = Up::spawn(limited(&dir, 2048, &[]));
    let mut acknowledged = BTreeSet::new();
    let mut refused = None;
    for n in 0..200 {
        let body = forty(n);
        let answer = up.post(body.clone()).await;
        if answer.status != 200 {
            // Send again: nothing is said to be lost.
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            refused = Some(body);
            break;
        }
        acknowledged.extend(ids(&body));
    }
    let refused = refused.expect("a megabyte is not enough for 8,000 events");
    assert!(acknowledged.len() >= 40, "it had room for some");
    // It goes on, and says the same of what still does not fit; and so does whoever asks for its health.
    assert_eq!(up.post(refused.clone()).await.status, 503);
    let (web, health) = (Web::new(), format!("{}/health", up.url().await));
    until("its health is no better than its intake", async || {
        let health = web
            .answer(Request::get(&health).body(Full::default()).unwrap())
            .await;
        health.status == 503 && health.body.contains("the ledger takes no writes")
    })
    .await;
    // So says whoever is asked what is wrong, and the exit code with it.
    let doctor = crate::limits::said(&dir, &["doctor"]);
    assert!(doctor.contains("the ledger takes no writes"), "{doctor}");
    insta::assert_snapshot!("full_disk_doctor", doctor);
    insta::assert_snapshot!(
        "full_disk_why",
        crate::limits::said(&dir, &["why", "s3://data/not-there"])
    );
    // It has been written by then, and may not have been read yet.
    up.until_said("the ledger takes no writes").await;
    let said = up.stderr();
    assert_eq!(said.matches("the ledger takes no writes").count(), 1, "{said}");
    assert!(
        !said.contains("connection_poisoning"),
        "the SDK's own words: {said}"
    );
    assert!(ids_in(&dir).await.is_superset(&acknowledged));
    up.kill();

    let mut up = Up::start(&dir, &[]).await;
    assert!(ids_in(&dir).await.is_superset(&acknowledged));
    let answer = up.post(refused.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    acknowledged.extend(ids(&refused));
    assert_eq!(ids_in(&dir).await, acknowledged);
    up.drained().await;
}

#[tokio::test]
async fn a_disk_that_is_full_from_the_start_is_an_error_and_no_signal() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    // Room for the lock and the settings, and no more.
    let ended = Up::spawn(limited(&dir, 4, &[])).ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    let said = format!("error: the ledger in {} cannot be opened", dir.display());
    assert!(ended.stderr.starts_with(&said), "{}", ended.stderr);
    assert!(ended.stderr.contains("disk is full"), "{}", ended.stderr);
    // With room it starts there.
    let mut up = Up::start(&dir, &[]).await;
    assert_eq!(up.record(forty(1)).await, 40);
    up.drained().await;
}

/// A file that is written anew has another inode: it is renamed into its place.
#[tokio::test]
async fn settings_that_did_not_change_are_not_written_and_need_no_room() {
    use std::os::unix::fs::MetadataExt;
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let inode = || std::fs::metadata(dir.join("settings.json")).unwrap().ino();
    Up::start(&dir, &["--per-window", "7"]).await.drained().await;
    let first = inode();
    // So that a file that is written anew cannot have its inode.
    std::fs::hard_link(dir.join("settings.json"), home.path().join("kept")).unwrap();
    Up::start(&dir, &["--per-window", "7"]).await.drained().await;
    assert_eq!(inode(), first);
    Up::start(&dir, &["--per-window", "8"]).await.drained().await;
    assert_ne!(inode(), first);
    let settings = std::fs::read_to_string(dir.join("settings.json")).unwrap();
    assert!(settings.contains("\"per_window\":8"), "{settings}");
}

/// Starts on that folder, which must be refused; what it says.
async fn refused(dir: &Path) -> String {
    let ended = Up::spawn(command(dir, &[])).ended().await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(
        ended.stderr.contains(&dir.display().to_string()),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
    ended.stderr
}

/// These refuse root as well, whom modes do not bind.
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    refused(&file).await;
    refused(&file.join("below")).await;
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    if cfg!(target_os = "linux") {
        // Nobody makes a folder there.
        refused(Path::new("/proc/daybook")).await;
    }
    let taken = home.path().join("taken");
    std::fs::create_dir_all(taken.join("ledger.redb")).unwrap();
    let said = refused(&taken).await;
    assert!(said.contains("ledger.redb"), "{said}");
    assert!(taken.join("ledger.redb").is_dir());
}

#[tokio::test]
async fn modes_bind_whoever_is_not_root() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o500)).unwrap();
    match rustix::process::geteuid().is_root() {
        true => drop(Up::start(&dir, &[]).await),
        false => {
            let said = refused(&dir).await;
            assert!(said.contains("Permission denied"), "{said}");
            assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        }
    }
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    Up::start(&dir, &[]).await.drained().await;
}

/// An audit can call what was uploaded before the first dispatch missing, and a restart does not move that.
#[tokio::test]
async fn the_audits_watermark_begins_when_the_ledger_is_made() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("data");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut up = Up::start(&dir, &[]).await;
        up.url().await;
        let installed = json(&dir, &["status"])["dispatch"]["installed_at"].clone();
        assert!(installed.is_string(), "{installed}");
        seen.push(installed);
        up.drained().await;
    }
    assert_eq!(seen[0], seen[1]);
}
