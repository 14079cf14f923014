//! `daybook why`: every situation planted for real, as far as it can be, and the answer that it gets.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

mod stand_in;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use daybook_local::Outcome as Ended;
use daybook_schema::{Attempt, Outcome, Receipt, Row, Status, Timestamp};
use serde_json::Value;
use stand_in::rows::{self, FUTURE, Fixtures, PAST, row_in};
use stand_in::s3::{self, S3};
use stand_in::{StandIn, daybook, now, run};

const INTAKE: &str = "arn:aws:sqs:us-east-1:000000000000:intake";
const CREATED: &str = "s3:ObjectCreated:*";

/// A century ago, and later than that.
const LATER_PAST: &str = "2020-01-02T00:00:00.000Z";

struct Situation {
    aws: StandIn,
    s3: S3,
}

impl Situation {
    fn new() -> Self {
        let (aws, s3) = (StandIn::start(), S3::start());
        s3.create_bucket("data");
        s3.set_notifications("data", &s3::queue("uploads", INTAKE, &[CREATED], "", ""));
        Self { aws, s3 }
    }

    fn command(&self, what: &str, more: &[&str]) -> Command {
        let machine = ["--state-machine-arn", &self.aws.state_machine];
        let mut command = self.aws.daybook("why", &[&[what], &machine[..], more].concat());
        command.env("AWS_ENDPOINT_URL_S3", &self.s3.endpoint);
        command
    }

    /// Code, JSON, stderr.
    fn ask(&self, what: &str, more: &[&str]) -> (i32, Value) {
        let (code, stdout, stderr) = run(&mut self.command(what, &[&["--output", "json"], more].concat()));
        assert_eq!(stderr, "", "{stdout}");
        (code, serde_json::from_str(&stdout).unwrap())
    }

    fn situation(&self, what: &str) -> String {
        let (code, json) = self.ask(what, &[]);
        assert_eq!(code, 0, "{json}");
        json["situation"].as_str().unwrap().to_owned()
    }
}

fn failed(row: Row, why: &str) -> Row {
    Row {
        last_error: Some(why.to_owned()),
        ..row
    }
}

fn an_hour_ago() -> Timestamp {
    Timestamp::from_unix_millis(now().unix_millis() - 3_600_000).unwrap()
}

fn etag(n: u32) -> String {
    format!("{n:032x}")
}

/// Situations that stand beside each other in one deployment.
fn planted() -> (Situation, BTreeMap<&'static str, &'static str>) {
    let world = Situation::new();
    let there = |key: &str, n| world.s3.put("data", key, &etag(n), rows::at(PAST));
    let mut expected = BTreeMap::new();
    let mut rows = Vec::new();
    let mut open = |situation: &'static str, key: &'static str, row: Row| {
        expected.insert(key, situation);
        rows.push(row);
    };
    open("due", "first.json", rows::row("first.json", 1));
    open(
        "backlog",
        "behind.json",
        row_in("behind.json", 2, Status::Pending, LATER_PAST, 0, 0),
    );
    let backoff = row_in("backoff.json", 3, Status::Pending, FUTURE, 2, 0);
    open(
        "backoff",
        "backoff.json",
        failed(backoff, "FAILED: the disk is full"),
    );
    open(
        "queued",
        "queued.json",
        row_in("queued.json", 4, Status::Claimed, FUTURE, 1, 1),
    );
    let running = row_in("running.json", 5, Status::Claimed, FUTURE, 1, 1);
    let ended = row_in("ended.json", 6, Status::Claimed, FUTURE, 1, 1);
    world.aws.start_execution(&running);
    let execution = world.aws.start_execution(&ended);
    let output = Ended::Succeeded {
        output: "{}".to_owned(),
    };
    world.aws.aws.executions().close(&execution, output).unwrap();
    open("running", "running.json", running);
    open("ended", "ended.json", ended);
    open(
        "running",
        "held.json",
        row_in("held.json", 7, Status::Claimed, FUTURE, 1, 0),
    );
    open(
        "lease_over",
        "over.json",
        row_in("over.json", 8, Status::Claimed, PAST, 1, 1),
    );
    open(
        "undelivered",
        "lost.json",
        row_in("lost.json", 9, Status::Claimed, PAST, 1, 5),
    );
    let parked = row_in("parked.json", 10, Status::Parked, PAST, 5, 1);
    open("parked", "parked.json", failed(parked, "FAILED: no such column"));
    open(
        "object_gone",
        "gone.json",
        row_in("gone.json", 11, Status::Parked, PAST, 5, 1),
    );
    open(
        "backlog",
        "again.json",
        row_in("again.json", 13, Status::Pending, LATER_PAST, 0, 0),
    );
    for row in &rows {
        let event = row.event().unwrap();
        if event.key.as_str() != "gone.json" {
            world.s3.put(
                "data",
                event.key.as_str(),
                event.etag.as_ref().unwrap(),
                rows::at(PAST),
            );
        }
    }
    world.aws.fill(async |fixtures: Fixtures<'_>| {
        for row in &rows {
            fixtures.put_row(row).await;
        }
        fixtures.put_receipt(&rows::event("done.json", 14)).await;
        fixtures.put_receipt(&rows::event("again.json", 12)).await;
        fixtures.put_receipt(&rows::event("replaced.json", 15)).await;
        let mut left = rows::row("left.json", 16);
        left.due_at = rows::at(FUTURE);
        fixtures.put_row(&left).await;
        fixtures.put_receipt(left.event().unwrap()).await;
        let keep = Duration::from_secs(200 * 365 * 24 * 3600);
        let why = Some("a test upload".to_owned());
        let removed = rows::event("removed.json", 17);
        let at = rows::at(PAST);
        let removed = Receipt::new(
            &removed,
            Attempt(0),
            Outcome::Removed,
            "kim".to_owned(),
            why,
            at,
            keep,
        );
        fixtures.put_this_receipt(&removed).await;
    });
    for (n, key) in [(14, "done.json"), (16, "left.json"), (17, "removed.json")] {
        there(key, n);
    }
    let an_hour_ago = an_hour_ago();
    world.s3.put("data", "replaced.json", &etag(99), an_hour_ago);
    world.s3.put("data", "unseen.json", &etag(20), an_hour_ago);
    world.s3.put("data", "new.json", &etag(21), now());
    expected.extend([
        ("done.json", "done"),
        ("left.json", "done_row_left"),
        ("removed.json", "removed"),
        ("replaced.json", "missed"),
        ("unseen.json", "missed"),
        ("new.json", "on_its_way"),
        ("nowhere.json", "never_there"),
    ]);
    (world, expected)
}

#[test]
fn every_planted_situation_gets_its_answer() {
    let (world, expected) = planted();
    assert!(expected.len() >= 19);
    for (key, situation) in &expected {
        assert_eq!(world.situation(&format!("s3://data/{key}")), *situation, "{key}");
    }
    // The same by id, where there is a row: what the id is about is learned from it.
    for (key, n) in [("parked.json", 10), ("running.json", 5), ("backoff.json", 3)] {
        let id = rows::event(key, n).id.to_string();
        assert_eq!(world.situation(&id), expected[key], "{key}");
    }
    let (_, older) = world.ask("s3://data/again.json", &[]);
    assert!(
        older["says"]
            .as_str()
            .unwrap()
            .contains("An earlier event of the object was done"),
        "{older}"
    );
    let (_, behind) = world.ask("s3://data/behind.json", &["--per-window", "1"]);
    assert!(
        behind["says"].as_str().unwrap().contains("at 1 per window"),
        "{behind}"
    );

    let said = |what: &str| {
        let (code, stdout, stderr) = run(&mut world.command(what, &[]));
        assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
        rows::normal(&stdout)
    };
    let told = ["done.json", "backoff.json", "held.json", "unseen.json"]
        .map(|key| said(&format!("s3://data/{key}")));
    insta::assert_snapshot!("why", told.join("\n"));
    let (_, mut json) = world.ask("s3://data/parked.json", &[]);
    // It has lengths of time.
    assert!(
        json["says"]
            .take()
            .as_str()
            .unwrap()
            .starts_with("Parked after attempt 5 of 5")
    );
    insta::assert_json_snapshot!("why_json", rows::normal_json(json));
}

#[test]
fn a_pause_is_the_reason_while_it_lasts() {
    let world = Situation::new();
    world
        .aws
        .fill(async |fixtures: Fixtures<'_>| fixtures.put_row(&rows::row("a.json", 1)).await);
    world.s3.put("data", "a.json", &etag(1), rows::at(PAST));
    world.aws.with_ledger(async |ledger| {
        ledger
            .pause(Some(rows::at(FUTURE)), "kim", "repair")
            .await
            .unwrap();
    });
    let (_, json) = world.ask("s3://data/a.json", &[]);
    assert_eq!(json["situation"], "paused");
    let says = json["says"].as_str().unwrap();
    assert!(
        says.contains("by kim until") && says.contains(": repair"),
        "{says}"
    );
}

#[test]
fn notifications_that_do_not_cover_it() {
    let world = Situation::new();
    let at = an_hour_ago();
    world.s3.put("data", "in/a.json", &etag(1), at);
    world.s3.put("data", "in/large.bin", "0123-7", at);
    let ask = |inner: &str, what: &str| {
        world.s3.set_notifications("data", inner);
        world.situation(what)
    };
    let object = "s3://data/in/a.json";
    assert_eq!(ask("", object), "not_covered");
    assert_eq!(
        ask(&s3::queue("q", INTAKE, &[CREATED], "out/", ""), object),
        "not_covered"
    );
    assert_eq!(
        ask(&s3::topic("t", INTAKE, &["s3:ObjectRemoved:*"], "", ""), object),
        "not_covered"
    );
    let puts = s3::queue("q", INTAKE, &["s3:ObjectCreated:Put"], "in/", "");
    assert_eq!(ask(&puts, object), "partly_covered");
    assert_eq!(ask(&puts, "s3://data/in/large.bin"), "not_covered");
    assert_eq!(ask("<EventBridgeConfiguration/>", object), "missed");
    let encoded = s3::queue("q", INTAKE, &[CREATED], "a+b%2F", "");
    world.s3.put("data", "a b/c", &etag(2), at);
    assert_eq!(ask(&encoded, "s3://data/a b/c"), "missed");
}

#[test]
fn only_the_intake_queue_counts_where_it_is_named() {
    let world = Situation::new();
    world
        .aws
        .handle("AmazonSQS.CreateQueue", r#"{"QueueName":"intake"}"#);
    world
        .aws
        .handle("AmazonSQS.CreateQueue", r#"{"QueueName":"other"}"#);
    let at = an_hour_ago();
    world.s3.put("data", "a.json", &etag(1), at);
    let named = |name: &str| {
        let url = format!("{}/000000000000/{name}", world.aws.endpoint);
        world.ask("s3://data/a.json", &["--intake-queue-url", &url]).1
    };
    assert_eq!(named("intake")["situation"], "missed");
    assert_eq!(named("other")["situation"], "not_covered");
}

#[test]
fn a_version_that_s3_tells_finds_its_receipt() {
    let world = Situation::new();
    let mut event = rows::event("v.json", 1);
    event.version_id = Some("v1".to_owned());
    world
        .aws
        .fill(async |fixtures: Fixtures<'_>| fixtures.put_receipt(&event).await);
    world
        .s3
        .put_version("data", "v.json", &etag(1), rows::at(PAST), Some("v1"));
    assert_eq!(world.situation("s3://data/v.json"), "done");
    assert_eq!(world.situation("s3://data/v.json?versionId=v1"), "done");
    assert_eq!(world.situation("s3://data/v.json?versionId=v2"), "never_there");
}

#[test]
fn a_parked_payload_that_names_the_object() {
    let world = Situation::new();
    let payload = r#"{"Bucket":"data","Key":"in%2Fa+b.json","Made":"by hand"}"#.to_owned();
    let row = Row::unreadable(
        &daybook_schema::SourceName::default(),
        payload,
        "no such form".to_owned(),
        None,
        rows::at(PAST),
    );
    world
        .aws
        .fill(async |fixtures: Fixtures<'_>| fixtures.put_row(&row).await);
    let at = an_hour_ago();
    world.s3.put("data", "in/a b.json", &etag(1), at);
    world.s3.put("data", "in/c.json", &etag(1), at);
    assert_eq!(world.situation("s3://data/in/a b.json"), "unreadable");
    assert_eq!(world.situation("s3://data/in/c.json"), "missed");
    assert_eq!(world.situation(&row.id.to_string()), "unreadable");
}

#[test]
fn what_s3_does_not_say_is_unknown() {
    let world = Situation::new();
    let told = |what: &str, more: &[&str]| {
        let (code, stdout, stderr) = run(&mut world.command(what, more));
        assert_eq!(stderr, "");
        format!(
            "exit code {code}\n{}",
            rows::normal(&stdout).replace(&world.s3.endpoint, "S3")
        )
    };
    let mut all = vec![
        told("s3://data/a.json", &["--no-s3"]),
        told("s3://nope/a.json", &[]),
    ];
    world.s3.refuse("HeadObject", 403, "AccessDenied");
    world
        .s3
        .refuse("GetBucketNotificationConfiguration", 403, "AccessDenied");
    all.push(told("s3://data/a.json", &[]));
    let id = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11";
    all.push(told(id, &[]));
    all.push(told(id, &["--scan-receipts"]));
    insta::assert_snapshot!("why_unknown", all.join("\n"));
}

#[test]
fn a_folder_asks_s3_only_where_it_is_told_which() {
    let home = tempfile::tempdir().unwrap();
    rows::folder(home.path(), async |fixtures: Fixtures<'_>| {
        fixtures.put_row(&rows::row("due.json", 1)).await;
        fixtures.put_receipt(&rows::event("done.json", 2)).await;
    });
    let path = home.path().to_str().unwrap();
    let ask = |what: &str, s3: Option<&S3>| {
        let mut command = daybook(&["why", what, "--local", path, "--output", "json"]);
        if let Some(s3) = s3 {
            command
                .env("AWS_ENDPOINT_URL_S3", &s3.endpoint)
                .env("AWS_REGION", "us-east-1")
                .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
                .env("AWS_SECRET_ACCESS_KEY", "secret");
        }
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!(stderr, "");
        (code, serde_json::from_str::<Value>(&stdout).unwrap())
    };
    let (code, json) = ask("s3://data/due.json", None);
    assert_eq!((code, json["situation"].as_str()), (0, Some("not_running")));
    let (code, json) = ask("s3://data/done.json", None);
    assert_eq!((code, json["situation"].as_str()), (0, Some("done")));
    let (code, json) = ask("s3://data/unseen.json", None);
    assert_eq!((code, json["situation"].as_str()), (1, Some("never_seen")));
    assert!(
        json["unknown"].to_string().contains("AWS_ENDPOINT_URL_S3"),
        "{json}"
    );
    let s3 = S3::start();
    s3.create_bucket("data");
    let (code, json) = ask("s3://data/due.json", Some(&s3));
    assert_eq!((code, json["situation"].as_str()), (0, Some("object_gone")));
    let (_, json) = ask("s3://data/unseen.json", Some(&s3));
    assert_eq!(json["situation"], "never_there");
}

#[test]
fn what_was_put_off_before_its_first_attempt_has_failed_none() {
    let home = tempfile::tempdir().unwrap();
    let row = failed(
        row_in("late.json", 1, Status::Pending, FUTURE, 0, 0),
        "503 Service Unavailable",
    );
    rows::folder(home.path(), async |fixtures: Fixtures<'_>| {
        fixtures.put_row(&row).await
    });
    let mut why = daybook(&["why", &row.id.to_string(), "--local"]);
    let (code, told, stderr) = run(why.arg(home.path()));
    assert_eq!(code, 0, "{stderr}");
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.contains("it was put off, no attempt used: 503 Service Unavailable"),
        "{told}"
    );
    assert!(!told.contains("attempt 0"), "{told}");
}

#[test]
fn a_command_line_that_makes_no_sense() {
    let said = |arguments: &[&str]| {
        let (code, stdout, stderr) = run(&mut daybook(arguments));
        assert_eq!((code, stdout.as_str()), (2, ""));
        stderr
    };
    let told = [
        said(&["why", "reading.json", "--local", "x"]),
        said(&["why", "s3://data/a", "--event", "Put", "--local", "x"]),
        said(&["why", "s3://data/a"]),
    ];
    insta::assert_snapshot!("why_usage", told.join("\n\n"));
}
