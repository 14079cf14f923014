//! What goes wrong, and what is said of it.

use daybook_tests::s3::Versioning;
use serde_json::json;

use crate::stand_in::rows::Fixtures;
use crate::stand_in::{StandIn, run};
use crate::world::{AFTER, Folder, INSTALLED, Served};

/// What audits say on stderr, one after the other; nothing is on stdout.
fn said(folder: &Folder, served: &Served, audits: &[(&[&str], i32)]) -> String {
    let mut said = String::new();
    for (arguments, expected) in audits {
        let (code, stdout, stderr) = folder.audit(served, arguments);
        assert_eq!(
            (code, stdout.as_str()),
            (*expected, ""),
            "{arguments:?}\n{stderr}"
        );
        said += &format!("{stderr}----\n");
    }
    said
}

#[test]
fn command_lines_that_make_no_sense() {
    let (served, folder) = (Served::start(Versioning::Never), Folder::empty());
    let audits: [(&[&str], i32); 10] = [
        (&["data"], 2),
        (&["s3://"], 2),
        (&["s3://data", "--since", "yesterday"], 2),
        (&["s3://data", "--format", "csv"], 2),
        (&["s3://data", "--all"], 2),
        (&["s3://data", "--backfill", "--limit", "3"], 2),
        (&["s3://data", "--s3-endpoint", "localhost:9000"], 2),
        (&["s3://data", "--limit", "0"], 2),
        (&["s3://data", "--depth", "-1"], 2),
        (&["s3://data", "--expect", "many"], 2),
    ];
    insta::assert_snapshot!("usage", said(&folder, &served, &audits));
}

#[test]
fn buckets_that_cannot_be_listed() {
    let (served, folder) = (Served::start(Versioning::Never), Folder::empty());
    let mut told = said(
        &folder,
        &served,
        &[(&["s3://dat", "--versions", "never"], 1), (&["s3://dat"], 1)],
    );
    served.s3.fail_next("GetBucketVersioning", [403]);
    told += &said(&folder, &served, &[(&["s3://data"], 1)]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    told += &said(
        &folder,
        &served,
        &[(&["s3://data", "--s3-endpoint", &endpoint], 1)],
    )
    .replace(&endpoint, "CLOSED");
    insta::assert_snapshot!("buckets", told);
}

#[test]
fn credentials_and_region() {
    let (served, folder) = (Served::start(Versioning::Never), Folder::empty());
    let without = |name: &str| {
        let mut command = folder.command(&served, &["s3://data"]);
        let (code, stdout, stderr) = run(command.env_remove(name));
        assert_eq!((code, stdout.as_str()), (1, ""));
        stderr
    };
    insta::assert_snapshot!(
        "credentials",
        without("AWS_ACCESS_KEY_ID") + &without("AWS_REGION")
    );
    let mut command = folder.command(&served, &["s3://data", "--s3-region", "eu-central-1"]);
    assert_eq!(run(command.env_remove("AWS_REGION")).0, 0);
}

#[test]
fn without_receipts_nothing_can_be_told() {
    let served = Served::start(Versioning::Never);
    let folder = Folder::with(0, async |fixtures: Fixtures<'_>| {
        fixtures.install(INSTALLED).await
    });
    let mut told = said(&folder, &served, &[(&["s3://data", "--repair"], 1)]);
    let aws = StandIn::start();
    let off = [
        "s3://data",
        "--receipts-keep",
        "0",
        "--s3-endpoint",
        &served.endpoint,
    ];
    let (code, stdout, stderr) = run(&mut aws.daybook("audit", &off));
    assert_eq!((code, stdout.as_str()), (1, ""));
    told += &stderr;
    insta::assert_snapshot!("receipts_off", told);
}

#[test]
fn files_that_cannot_be_used() {
    let (served, folder) = (Served::start(Versioning::Never), Folder::empty());
    for key in ["a", "b", "c"] {
        served.put(key, key, AFTER);
    }
    let (checkpoint, report) = (folder.file("checkpoint"), folder.file("report"));
    let slice = [
        "s3://data",
        "--limit",
        "1",
        "--checkpoint",
        &checkpoint,
        "--report",
        &report,
    ];
    assert_eq!(folder.audit(&served, &slice).0, 3);
    let with = |more: &[&'static str]| -> Vec<String> {
        slice
            .iter()
            .chain(more)
            .map(|argument| (*argument).to_owned())
            .collect()
    };
    let mut told = String::new();
    let mut say = |arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        told.push_str(&said(&folder, &served, &[(&arguments, 1)]));
    };
    // Another audit, in one way or another.
    say(&with(&["--repair"]));
    say(&with(&["--since", "2020-01-01"]));
    let mut other = with(&[]);
    other[0] = "s3://data/a".to_owned();
    say(&other);
    // The report is not the one that was written.
    std::fs::write(&report, "").unwrap();
    say(&with(&[]));
    // No checkpoint at all.
    for text in ["hello", "{\"v\":1,\"terms\":{\"depl", "{\"v\":1}", "{\"v\":2}"] {
        std::fs::write(&checkpoint, text).unwrap();
        say(&with(&[]));
    }
    let nowhere = folder.file("no/such/folder");
    let plain = |flag: &str| vec!["s3://data".to_owned(), flag.to_owned(), nowhere.clone()];
    say(&plain("--report"));
    say(&plain("--checkpoint"));
    insta::assert_snapshot!("files", told);
}

#[test]
fn what_cannot_work_is_refused_before_s3_is_asked() {
    let (served, folder) = (Served::start(Versioning::Never), Folder::empty());
    let before = served.s3.requests();
    let (nowhere, here) = (folder.file("no/such/folder"), folder.file("."));
    let audits: [(&[&str], i32, &str); 5] = [
        (&["--report", &nowhere], 1, "error: the report "),
        (&["--checkpoint", &nowhere], 1, "error: the checkpoint "),
        (&["--report", &here], 1, "error: the report "),
        (
            &["--since", "2026-11-21", "--until", "2026-11-21"],
            2,
            "--since: ",
        ),
        (
            &["--since", "2026-11-22", "--until", "2026-11-21"],
            2,
            "--since: ",
        ),
    ];
    for (more, code, says) in audits {
        let (was, stdout, stderr) = folder.audit(&served, &[&["s3://data"], more].concat());
        assert_eq!((was, stdout.as_str()), (code, ""), "{more:?}: {stderr}");
        assert!(stderr.contains(says), "{more:?}: {stderr}");
    }
    // Nor is a deployment looked for with a checkpoint that nobody can read.
    let damaged = folder.file("damaged");
    std::fs::write(&damaged, "hello").unwrap();
    let audit = ["--local", &nowhere, "s3://data", "--checkpoint", &damaged];
    let (code, _, stderr) = run(&mut served.command(&audit));
    assert!(code == 1 && stderr.contains("is damaged"), "{code}: {stderr}");
    assert_eq!(served.s3.requests(), before);
}

#[test]
fn a_bucket_that_breaks_off_says_how_far_it_came() {
    let (served, folder) = (Served::start(Versioning::Never), Folder::empty());
    for n in 0..1500 {
        served.put(&format!("{n:04}"), "x", AFTER);
    }
    let failing = served.s3.clone();
    served.s3.observe(move |operation| {
        // Every page but the first is refused.
        if operation == "ListObjectsV2" && failing.requests().contains_key("ListObjectsV2") {
            failing.fail_next("ListObjectsV2", [403]);
        }
    });
    let checkpoint = folder.file("checkpoint");
    let (code, json) = folder.json(&served, &["s3://data", "--checkpoint", &checkpoint]);
    assert_eq!(
        (code, &json["objects"], &json["finished"]),
        (1, &json!(1000), &json!(false))
    );
    assert_eq!(json["failures"].as_array().unwrap().len(), 1);
    served.s3.observe(|_| {});
    let (code, json) = folder.json(&served, &["s3://data", "--checkpoint", &checkpoint]);
    assert_eq!(
        (code, &json["objects"], &json["finished"]),
        (3, &json!(1500), &json!(true))
    );
}
