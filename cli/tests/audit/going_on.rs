//! Audits that end early, and those that go on.

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, mpsc};

use daybook_tests::s3::Versioning;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::files::{csv, jsonl};
use crate::world::{AFTER, Folder, Served, every_class};

/// More than two pages, all of them missing.
const OBJECTS: usize = 2500;

fn many() -> Served {
    let served = Served::start(Versioning::Never);
    for n in 0..OBJECTS {
        served.put(&format!("in/{n:05}"), "x", AFTER);
    }
    served
}

fn keys(file: &str, class: &str) -> Vec<String> {
    let lines = jsonl(file).into_iter().filter(|line| line["class"] == class);
    lines
        .map(|line| line["key"].as_str().unwrap().to_owned())
        .collect()
}

fn assert_each_once(file: &str, class: &str) {
    let keys = keys(file, class);
    assert_eq!(keys.len(), OBJECTS);
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>().len(), OBJECTS);
}

#[test]
fn slices_add_up_to_one_audit() {
    for versioning in [Versioning::Never, Versioning::Enabled] {
        let (served, folder) = every_class(versioning);
        let (whole, sliced) = (folder.file("whole.csv"), folder.file("sliced.csv"));
        let (_, whole_json) = folder.json(&served, &["s3://data", "--report", &whole]);
        let checkpoint = folder.file("checkpoint");
        let slice = [
            "s3://data",
            "--limit",
            "3",
            "--report",
            &sliced,
            "--checkpoint",
            &checkpoint,
        ];
        let mut runs = 0;
        let last = loop {
            let (_, json) = folder.json(&served, &slice);
            runs += 1;
            if json["finished"] == json!(true) {
                break json;
            }
            assert!(runs < 10, "{json:#}");
        };
        assert_eq!(runs, 3);
        for name in [
            "objects",
            "done",
            "open",
            "missing",
            "gone",
            "before_watermark",
            "statement",
        ] {
            assert_eq!(last[name], whole_json[name], "{name}");
        }
        let lines = |file: &str| {
            let mut lines = csv(file);
            lines.sort();
            lines
        };
        assert_eq!(lines(&whole), lines(&sliced));
        // Finished: the next run is a new audit.
        let (_, json) = folder.json(&served, &slice);
        assert_eq!((&json["objects"], &json["finished"]), (&json!(3), &json!(false)));
    }
}

/// Runs a command until it asks for its third page, which never comes: Ctrl-C does. The page before it is being judged then, and
/// the checkpoint behind the first is written.
fn interrupted(served: &Served, mut command: Command) -> Output {
    let (tell_pid, pid) = mpsc::channel::<u32>();
    let (over, is_over) = mpsc::channel::<()>();
    let (waits, pages) = (Mutex::new((pid, is_over)), AtomicU32::new(0));
    served.s3.observe(move |operation| {
        if operation == "ListObjectsV2" && pages.fetch_add(1, Ordering::SeqCst) == 2 {
            let (pid, is_over) = &*waits.lock().unwrap();
            let pid = Pid::from_raw(pid.recv().unwrap().try_into().unwrap()).unwrap();
            kill_process(pid, Signal::INT).unwrap();
            let _ = is_over.recv();
        }
    });
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tell_pid.send(child.id()).unwrap();
    let ended = child.wait_with_output().unwrap();
    drop(over);
    served.s3.observe(|_| {});
    ended
}

#[test]
fn ctrl_c_leaves_a_checkpoint_that_the_same_command_goes_on_from() {
    for repair in [false, true] {
        let served = many();
        let folder = Folder::empty();
        let (file, checkpoint) = (folder.file("findings"), folder.file("checkpoint"));
        let mut audit = vec!["s3://data", "--report", &file, "--checkpoint", &checkpoint];
        audit.extend(repair.then_some("--repair"));
        let mut command = folder.command(&served, &audit);
        command.args(["--output", "json"]);
        let ended = interrupted(&served, command);
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(130), "{stderr}");
        assert!(
            stderr.contains("interrupted: the same command resumes"),
            "{stderr}"
        );
        let json: Value = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(
            (&json["interrupted"], &json["finished"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(
            (&json["objects"], &json["complete"]),
            (&json!(1000), &json!(false))
        );

        // As if it had been killed between a page's lines and its checkpoint.
        let torn = std::fs::read_to_string(&file).unwrap() + "{\"class\":\"miss";
        std::fs::write(&file, torn).unwrap();
        let (code, json) = folder.json(&served, &audit);
        assert_eq!(code, if repair { 0 } else { 3 }, "{json:#}");
        assert_eq!(
            (&json["objects"], &json["missing"]),
            (&json!(OBJECTS), &json!(OBJECTS))
        );
        assert_each_once(&file, "missing");
        if repair {
            assert_eq!(json["repair"]["recorded"], json!(OBJECTS));
            assert_each_once(&file, "repaired");
        }
    }
}

#[test]
fn ctrl_c_without_a_checkpoint_says_that_it_begins_again() {
    let served = many();
    let folder = Folder::empty();
    let ended = interrupted(&served, folder.command(&served, &["s3://data"]));
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    assert!(
        stderr.contains("interrupted: the same command starts over"),
        "{stderr}"
    );
}

#[test]
fn a_page_that_fails_once_is_asked_for_again() {
    let served = many();
    let folder = Folder::empty();
    let failing = served.s3.clone();
    let pages = AtomicU32::new(0);
    served.s3.observe(move |operation| {
        if operation == "ListObjectsV2" && pages.fetch_add(1, Ordering::SeqCst) == 1 {
            failing.fail_next("ListObjectsV2", [400]);
        }
    });
    let (code, json) = folder.json(&served, &["s3://data"]);
    assert_eq!(
        (code, &json["objects"], &json["failures"]),
        (3, &json!(OBJECTS), &json!([]))
    );
}
