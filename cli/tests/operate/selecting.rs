//! Which rows, and what is said when nothing or something else is meant.

use serde_json::json;

use crate::stand_in::rows::{self, Fixtures};
use crate::stand_in::{StandIn, daybook, daybook_at, run};
use crate::world::{Local, id_of};

/// What a command line that makes no sense is told.
fn usage(arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run(&mut daybook(&[arguments, &["--local", "/nonexistent"]].concat()));
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    stderr
}

#[test]
fn nothing_said_is_nothing_done() {
    insta::assert_snapshot!(usage(&["redrive", "--yes"]), @r"
    error: no events are selected; select them with one of these:
      ID or s3://bucket/key …             single events, or the open events of objects
      --prefix, --error, --older-than …   all that these let through
      --all                               all of them

      hint: --dry-run shows how many that would be, and a few of them
    ");
    insta::assert_snapshot!(usage(&["remove", "--all", "--yes"]).lines().next().unwrap(), @"error: the following required arguments were not provided:");
    insta::assert_snapshot!(usage(&["redrive", "--all", "--prefix", "in/"]).lines().next().unwrap(), @"error: the argument '--all' cannot be used with '--prefix <PREFIX>'");
    insta::assert_snapshot!(usage(&["release", "s3://data/a.json", "--all"]).lines().next().unwrap(), @"error: the argument '[ID|S3-URI]...' cannot be used with '--all'");
    insta::assert_snapshot!(usage(&["fail", "a.json", "--why", "x"]).lines().next().unwrap(), @"error: invalid value 'a.json' for '[ID|S3-URI]...': an event's id (a UUID), or s3://bucket/key, is needed");
    insta::assert_snapshot!(usage(&["fail", "--all", "--why", " "]).lines().next().unwrap(), @"error: invalid value ' ' for '--why <TEXT>': it must not be empty");
    insta::assert_snapshot!(usage(&["complete", "--status", "done", "--why", "x"]).lines().next().unwrap(), @"error: invalid value 'done' for '--status <STATUS>': pending, claimed or parked is needed");
}

#[test]
fn named_events_that_are_not_meant_are_told_and_passed_over() {
    let local = Local::with(async |fixtures: Fixtures<'_>| {
        for row in rows::all() {
            fixtures.put_row(&row).await;
        }
    });
    let (parked, due) = (id_of("parked.json").to_string(), id_of("due.json").to_string());
    let never = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11";
    let arguments = [
        "redrive",
        &parked,
        &parked,
        &due,
        never,
        "s3://data/running.json",
        "s3://data/never.json",
        "--yes",
    ];
    insta::assert_snapshot!("passed_over", local.told(&arguments));
    // Once more: now the first one is not parked any more, and that is no error.
    let json = local.json(&["redrive", &parked, "--yes"]);
    assert_eq!((&json["selected"], &json["passed_over"]), (&json!(0), &json!(1)));
}

#[test]
fn filters_select_what_list_lists() {
    let local = Local::with(async |fixtures: Fixtures<'_>| {
        for row in crate::world::parked(250) {
            let error = format!("FAILED: column {}", row.event().unwrap().key.as_str().len());
            fixtures
                .put_row(&daybook_schema::Row {
                    last_error: Some(error),
                    ..row
                })
                .await;
        }
    });
    for filter in [
        ["--prefix", "in/001"],
        ["--prefix", "s3://data/in/0000"],
        ["--prefix", "s3://other/"],
        ["--error", "column 13"],
        ["--error", "Column"],
        ["--older-than", "1d"],
        ["--older-than", "36500d"],
    ] {
        let listed = local.json(&[&["list", "--limit", "1000"], &filter[..]].concat());
        let listed = listed["rows"].as_array().unwrap().len();
        let dry = local.json(&[&["redrive", "--dry-run"], &filter[..]].concat());
        assert_eq!(dry["selected"], listed, "{filter:?}");
    }
}

#[test]
fn a_table_that_is_missing_is_told_and_nothing_is_asked() {
    let aws = StandIn::start();
    let arguments = ["redrive", "--ledger-table", "nope", "--all", "--yes"];
    let (code, stdout, stderr) = run(&mut daybook_at(&aws.endpoint, &arguments));
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!(stderr.replace(&aws.endpoint, "ENDPOINT"));
}

#[test]
fn who_and_why_need_a_place_to_be_kept() {
    let aws = StandIn::start();
    aws.record(1);
    let arguments = [
        "remove",
        "--ledger-table",
        "ledger",
        "--all",
        "--yes",
        "--why",
        "x",
    ];
    let (code, stdout, stderr) = run(&mut daybook_at(&aws.endpoint, &arguments));
    assert_eq!((code, stdout.as_str()), (1, ""));
    insta::assert_snapshot!(stderr, @r"
    error: nothing was changed: no receipts table is named, so who and why could not be kept
      hint: --receipts-table (DAYBOOK_RECEIPTS_TABLE) names it; --receipts-keep 0 says that receipts are off here
    ");
    let missing = [&arguments[..], &["--receipts-table", "nope"]].concat();
    let (code, stdout, stderr) = run(&mut daybook_at(&aws.endpoint, &missing));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.starts_with("error: nothing was changed: the receipts table cannot be used\n"),
        "{stderr}"
    );
    let off = [&arguments[..], &["--receipts-keep", "0"]].concat();
    let (code, _, stderr) = run(&mut daybook_at(&aws.endpoint, &off));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        stderr,
        "note: receipts are off, so who and why are kept nowhere\n"
    );
}

#[test]
fn without_a_name_given_it_is_the_users() {
    let local = Local::new();
    let arguments = [
        "redrive",
        "--all",
        "--yes",
        "--local",
        local.path(),
        "--output",
        "json",
    ];
    let (_, stdout, _) = run(daybook(&arguments).env("USER", "kim"));
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let by = json["by"].as_str().unwrap();
    assert!(by.starts_with("kim@") && by.len() > 4, "{by}");
}
