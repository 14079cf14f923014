//! pause, resume, set.

use serde_json::json;

use crate::stand_in::rows::{self, FUTURE, Fixtures};
use crate::stand_in::{StandIn, run};
use crate::world::Local;

#[test]
fn pause_resume_and_set_say_what_was_and_what_is() {
    let local = Local::with(async |_: Fixtures<'_>| ());
    let told = [
        local.told(&["pause", "--until", FUTURE, "--why", "the target is down"]),
        local.told(&["pause"]),
        local.told(&["set", "--per-window", "7"]),
        local.told(&["resume"]),
        local.told(&["resume"]),
        local.told(&["set", "--per-window-as-configured"]),
    ];
    insta::assert_snapshot!("dispatch", told.join("\n"));
}

#[test]
fn pause_resume_and_set_as_json() {
    let local = Local::with(async |_: Fixtures<'_>| ());
    let told = [
        local.json(&["pause", "--until", FUTURE, "--why", "the target is down"]),
        local.json(&["set", "--per-window", "7"]),
        local.json(&["resume"]),
    ];
    insta::assert_json_snapshot!("dispatch_json", told);
}

#[test]
fn a_pause_for_a_while_ends_then() {
    let local = Local::with(async |_: Fixtures<'_>| ());
    let (code, stdout, _) = local.run(&["pause", "--until", "2h", "--output", "json"]);
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let paused = &json["after"]["paused"];
    let at = |name: &str| rows::at(paused[name].as_str().unwrap());
    let length = at("until").since(at("since")).as_secs();
    assert!((7190..=7200).contains(&length), "{paused}");
}

#[test]
fn at_an_endpoint_the_scheduler_heeds_them() {
    let aws = StandIn::start();
    aws.record(3);
    let sent = |aws: &StandIn| {
        let (code, stdout, stderr) = run(&mut aws.daybook("schedule", &["--output", "json"]));
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str::<serde_json::Value>(&stdout).unwrap()["sent"].clone()
    };
    assert_eq!(run(&mut aws.daybook("pause", &["--by", "kim"])).0, 0);
    assert_eq!(sent(&aws), 0);
    assert_eq!(run(&mut aws.daybook("set", &["--per-window", "2"])).0, 0);
    assert_eq!(run(&mut aws.daybook("resume", &[])).0, 0);
    assert_eq!(sent(&aws), 2);
}

#[test]
fn what_makes_no_sense_changes_nothing() {
    let local = Local::with(async |_: Fixtures<'_>| ());
    for arguments in [
        &["pause", "--until", "2020-01-01T00:00:00Z"][..],
        &["pause", "--until", "tomorrow"],
        &["set"],
        &["set", "--per-window", "0"],
        &["set", "--per-window", "7", "--per-window-as-configured"],
    ] {
        let (code, stdout, stderr) = local.run(arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
    }
    let status = local.json(&["status"]);
    assert_eq!(
        (&status["dispatch"]["paused"], &status["dispatch"]["per_window"]),
        (&json!(null), &json!(null))
    );
    let (_, _, stderr) = local.run(&["pause", "--until", "2020-01-01T00:00:00Z"]);
    assert_eq!(
        stderr,
        "error: --until: 2020-01-01T00:00:00.000Z has passed; a time to come is needed\n"
    );
    let (_, _, stderr) = local.run(&["pause", "--until", "tomorrow"]);
    assert!(stderr.contains("a length of time such as 30m or 2h"), "{stderr}");
}

#[test]
fn a_redrive_while_paused_says_so() {
    let local = Local::new();
    local.run(&["pause", "--until", FUTURE, "--why", "the target is down"]);
    let told = local.told(&["redrive", "--prefix", "parked", "--yes"]);
    assert!(
        told.contains(&format!(
            "note: dispatch is paused by kim@busan until {FUTURE}: the target is down; the events wait until `daybook resume`"
        )),
        "{told}"
    );
    let json = local.json(&["redrive", "--all", "--dry-run"]);
    assert_eq!(json["paused"], true);
}
