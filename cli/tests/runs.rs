//! `daybook schedule` and `daybook sweep` against an endpoint, as a cron would run them.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "runs/repeated.rs"]
mod repeated;
mod stand_in;

use std::time::Duration;

use serde_json::{Value, json};
use stand_in::{StandIn, now, run};

/// The JSON of a run that must succeed.
fn report(aws: &StandIn, verb: &str, more: &[&str]) -> Value {
    let mut arguments = more.to_vec();
    arguments.extend(["--output", "json"]);
    let (code, stdout, stderr) = run(&mut aws.daybook(verb, &arguments));
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert_eq!(stdout.lines().count(), 1);
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn runs_of_one_window_share_its_budget() {
    let aws = StandIn::start();
    aws.record(12);
    let at = now().to_string();
    let run = |more: &[&str]| {
        let mut arguments = vec!["--per-window", "5", "--every", "1h", "--at", &at];
        arguments.extend(more);
        report(&aws, "schedule", &arguments)
    };
    let first = run(&[]);
    assert_eq!(
        (first["sent"].clone(), first["refusal"].clone()),
        (json!(5), Value::Null)
    );
    let second = run(&[]);
    assert_eq!(
        (second["sent"].clone(), second["refusal"].clone()),
        (json!(0), json!({"reason": "window_full"}))
    );
    assert_eq!(aws.queued(), 5);
    let later = now().plus(Duration::from_secs(3600)).to_string();
    let third = report(
        &aws,
        "schedule",
        &["--per-window", "5", "--every", "1h", "--at", &later],
    );
    assert_eq!(third["sent"], 5);
    assert_eq!(aws.queued(), 10);
}

#[test]
fn a_run_for_a_time_far_ahead_sends_nothing_and_stops_no_later_run() {
    let aws = StandIn::start();
    aws.record(3);
    let at = ["--at", "2126-11-21T01:02:03Z"];
    let ahead = report(&aws, "schedule", &at);
    assert_eq!(
        (ahead["sent"].clone(), ahead["refusal"].clone()),
        (json!(0), json!({"reason": "window_ahead"}))
    );
    let (code, stdout, stderr) = run(&mut aws.daybook("schedule", &at));
    assert_eq!((code, stderr.as_str()), (0, ""));
    let refused = stdout.lines().last().unwrap();
    assert_eq!(
        refused,
        "refused   the window begins too far in the future: the clock or the time that was given is wrong"
    );
    assert_eq!(report(&aws, "schedule", &[])["sent"], 3);
}

#[test]
fn settings_may_come_from_the_environment() {
    let aws = StandIn::start();
    aws.record(4);
    let mut command = stand_in::daybook_at(&aws.endpoint, &["schedule"]);
    command
        .env("DAYBOOK_LEDGER_TABLE", "ledger")
        .env("DAYBOOK_DISPATCH_QUEUE_URL", &aws.queue_url)
        .env("DAYBOOK_MAX_IN_FLIGHT", "3")
        .env("DAYBOOK_OUTPUT", "json");
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["sent"], 3);
}

#[test]
fn a_pause_is_said_and_nothing_is_claimed() {
    let aws = StandIn::start();
    aws.record(3);
    let until = "2126-11-21T00:00:00.000Z".parse().unwrap();
    aws.with_ledger(async |ledger| {
        ledger
            .pause(Some(until), "kim", "the target is being repaired")
            .await
            .unwrap();
    });
    let paused = report(&aws, "schedule", &[]);
    assert_eq!(paused["claimed"], 0);
    assert_eq!(
        paused["refusal"],
        json!({"reason": "paused", "until": "2126-11-21T00:00:00.000Z", "by": "kim", "why": "the target is being repaired"})
    );
    let at = ["--at", "2026-11-21T01:02:03Z"];
    insta::assert_json_snapshot!("schedule_json", report(&aws, "schedule", &at));
    let (code, stdout, _) = run(&mut aws.daybook("schedule", &at));
    assert_eq!(code, 0);
    insta::assert_snapshot!(stdout, @r"
    window    2026-11-21T01:02:00.000Z, 1m long
    granted   0  could be claimed, by what is due and left of N in this window
    claimed   0  taken for this run
    sent      0  are in the dispatch queue
    lost      0  claims that another run won
    newer     0  were written by a newer Daybook: they stay as they are
    released  0  given back, because the queue did not take them; no attempt is used
    unknown   0  without an answer: their leases bring them back
    refused   dispatch is paused by kim until 2126-11-21T00:00:00.000Z: the target is being repaired
    ");
    assert_eq!(aws.queued(), 0);
}

#[test]
fn the_sweep_brings_back_what_a_queue_has_lost() {
    let aws = StandIn::start();
    aws.record(6);
    let short = ["--lease", "1s", "--every", "1h"];
    assert_eq!(report(&aws, "schedule", &short)["sent"], 6);
    aws.lose_the_queue();
    std::thread::sleep(Duration::from_millis(1200));
    let machine = aws.state_machine.clone();
    let mut arguments = short.to_vec();
    arguments.extend(["--state-machine-arn", &machine]);
    let swept = report(&aws, "sweep", &arguments);
    assert_eq!(
        (swept["stale"].clone(), swept["redelivered"].clone()),
        (json!(6), json!(6))
    );
    assert_eq!(aws.queued(), 6);
    let calm = ["--at", "2026-11-21T01:02:03Z", "--lease", "1h"];
    insta::assert_json_snapshot!("sweep_json", report(&aws, "sweep", &calm));
    let (code, stdout, stderr) = run(&mut aws.daybook("sweep", &calm));
    assert_eq!(code, 0, "{stderr}");
    insta::assert_snapshot!(stdout, @r"
    window       2026-11-21T01:02:00.000Z, 1m long
    stale        0  events whose leases have run out
    newer        0  were written by a newer Daybook: they stay as they are
    renewed      0  run: they have a new lease
    deleted      0  are done, as their receipts say
    moved        0  probably wait in the dispatch queue: they have more time
    redelivered  0  sent again; no attempt is used
    unsent       0  not taken by the queue: the next sweep tries again
    left         0  left for the next sweep
    unknown      0  without an answer: their leases bring them back
    ");
}

#[test]
fn a_run_that_could_not_do_its_work_fails_and_says_why() {
    let aws = StandIn::start();
    aws.record(2);
    // A budget in a table without the index: the control item answers, the due rows do not.
    let request = r#"{"TableName":"bare","BillingMode":"PAY_PER_REQUEST",
        "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],
        "KeySchema":[{"AttributeName":"id","KeyType":"HASH"}]}"#;
    aws.handle("DynamoDB_20120810.CreateTable", request);
    let arguments = [
        "schedule",
        "--ledger-table",
        "bare",
        "--dispatch-queue-url",
        &aws.queue_url,
    ];
    let (code, stdout, stderr) = run(&mut stand_in::daybook_at(&aws.endpoint, &arguments));
    assert_eq!(code, 1, "{stdout}{stderr}");
    assert!(
        stdout.contains("sent      0"),
        "the report is shown all the same: {stdout}"
    );
    assert!(
        stderr.starts_with("error: the scheduler could not do all of its work"),
        "{stderr}"
    );
    assert!(stderr.contains("by_status"), "{stderr}");
}
