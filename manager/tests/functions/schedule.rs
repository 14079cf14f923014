use std::time::Duration;

use daybook_ledger::Clock;
use daybook_schema::Status;
use daybook_tests::lambda::{Environment, FaultyAws, Trouble, Variables};
use daybook_tests::notifications::uploads;
use serde_json::{Value, json};

use crate::{NOWHERE, SCHEDULE};

/// The tick of now.
fn tick() -> Value {
    json!({"time": Clock::system().now().to_string()})
}

/// A world in which so many events are due.
fn due(n: usize) -> FaultyAws {
    let world = FaultyAws::start();
    world.record(&uploads(n));
    world
}

fn claimed(world: &FaultyAws) -> usize {
    world
        .rows()
        .iter()
        .filter(|row| row.status == Status::Claimed)
        .count()
}

#[test]
fn a_tick_sends_n_events_and_a_second_tick_of_the_same_window_sends_no_more() {
    let world = due(5);
    // A window of a day: both ticks are in it, unless a day begins between them, and then the times given decide.
    let mut function = Environment::start(
        SCHEDULE,
        &world.variables(&[("DAYBOOK_PER_WINDOW", "3"), ("DAYBOOK_EVERY", "1 day")]),
    );
    let event = tick();
    let answer = function.invoke(&event);
    let report = answer.response();
    assert_eq!(
        (&report["claimed"], &report["sent"], &report["failures"]),
        (&json!(3), &json!(3), &json!([]))
    );
    assert_eq!(report["window_seconds"], 86400.0);
    assert_eq!(world.dispatched().len(), 3);
    let answer = function.invoke(&event);
    assert_eq!(answer.response()["refusal"], json!({"reason": "window_full"}));
    assert_eq!((world.dispatched().len(), claimed(&world)), (3, 3));

    let told = function.end();
    let metrics = |request| {
        ["ScheduleRuns", "EventsClaimed", "EventsSent", "Paused"].map(|name| told.metric(request, name))
    };
    assert_eq!(metrics("request-1"), [Some(1.0), Some(3.0), Some(3.0), Some(0.0)]);
    assert_eq!(metrics("request-2"), [Some(1.0), None, None, Some(0.0)]);
    assert!(told.metric("request-2", "OldestPendingSeconds").is_some());
    assert_eq!(told.metric("request-1", "Failures"), None);
    // A claim moves a row in the index; the grant is the control item's.
    assert_eq!(told.metric("request-1", "WriteUnits"), Some(3.0 * 3.0 + 1.0));
    assert_eq!(told.metric("request-2", "WriteUnits"), None);
    assert_eq!(told.log_of("request-1").len(), 1);
}

/// The scheduler runs every minute, however long the window is: what a tick that failed did not send, the next one does.
#[test]
fn a_tick_that_fails_loses_nothing_of_a_long_window() {
    let world = due(5);
    let day = world.variables(&[("DAYBOOK_PER_WINDOW", "3"), ("DAYBOOK_EVERY", "24 hours")]);
    let mut function = Environment::start(SCHEDULE, &day);
    let at = |time: &str| json!({"time": format!("2026-11-21T{time}Z")});
    world.deny("GetItem");
    assert!(
        function
            .invoke(&at("00:00:00"))
            .error()
            .contains("LedgerUnavailable")
    );
    world.heal();
    let sent = function.invoke(&at("00:01:00"));
    assert_eq!(sent.response()["sent"], 3);
    // The tick is repeated, and later ones find the window spent.
    for time in ["00:01:00", "00:02:00", "23:59:00"] {
        let answer = function.invoke(&at(time));
        let report = answer.response();
        assert_eq!(
            (&report["granted"], &report["refusal"]),
            (&json!(0), &json!({"reason": "window_full"})),
            "{time}"
        );
    }
    assert_eq!(world.dispatched().len(), 3);
    let next = function.invoke(&json!({"time": "2026-11-22T00:00:00Z"}));
    assert_eq!(next.response()["sent"], 2);
    assert_eq!(world.dispatched().len(), 5);
}

#[test]
fn a_tick_of_a_window_with_something_left_sends_no_more_than_that() {
    let world = due(2);
    let day = world.variables(&[("DAYBOOK_PER_WINDOW", "3"), ("DAYBOOK_EVERY", "24 hours")]);
    let mut function = Environment::start(SCHEDULE, &day);
    let at = |time: &str| json!({"time": format!("2026-11-21T{time}Z")});
    assert_eq!(function.invoke(&at("09:00:00")).response()["sent"], 2);
    assert_eq!(
        function.invoke(&at("09:01:00")).response()["refusal"],
        json!({"reason": "nothing_due"})
    );
    world.record(&uploads(6)[2..]);
    let answer = function.invoke(&at("09:02:00"));
    let report = answer.response();
    assert_eq!((&report["granted"], &report["sent"]), (&json!(1), &json!(1)));
}

#[test]
fn the_window_is_the_ticks_own_and_without_a_time_the_clocks() {
    let world = due(1);
    let mut function = Environment::start(SCHEDULE, &world.variables(&[]));
    let answer = function.invoke(&json!({"time": "2026-11-21T01:02:59Z"}));
    assert_eq!(answer.response()["window_start"], "2026-11-21T01:02:00.000Z");
    for event in [
        Value::Null,
        json!({}),
        json!({"time": null}),
        json!({"source": "aws.events"}),
    ] {
        let before = Clock::system().now().window_start(Duration::from_secs(60));
        let answer = function.invoke(&event);
        let window = answer.response()["window_start"].as_str().unwrap().to_owned();
        let after = Clock::system().now().window_start(Duration::from_secs(60));
        assert!(
            (before.to_string()..=after.to_string()).contains(&window),
            "{event}: {window}"
        );
    }
    for (event, why) in [
        (json!({"time": "yesterday"}), "an RFC 3339 time is needed"),
        (json!({"time": 5}), "a string is needed"),
        (json!([]), "not a JSON object"),
        (json!({"Records": []}), "for a schedule, not for a queue"),
    ] {
        let error = function.invoke(&event).error();
        assert!(
            error.starts_with("InvalidEvent: ") && error.contains(why),
            "{event}: {error}"
        );
    }
}

#[test]
fn a_pause_is_told_and_what_waits_is_still_seen() {
    let world = due(2);
    world
        .block_on(world.ledger.pause(None, "ops", "maintenance"))
        .unwrap();
    let mut function = Environment::start(SCHEDULE, &world.variables(&[]));
    let answer = function.invoke(&tick());
    assert_eq!(answer.response()["refusal"]["reason"], "paused");
    assert!(world.dispatched().is_empty());
    let told = function.end();
    assert_eq!(told.metric("request-1", "Paused"), Some(1.0));
    assert!(told.metric("request-1", "OldestPendingSeconds").is_some());
}

#[test]
fn without_a_queue_rows_are_given_back_or_kept_for_their_lease() {
    let cases: [(Trouble, Variables, &str, &str, usize); 4] = [
        (
            |world| world.deny("SendMessageBatch"),
            &[],
            "released",
            "not authorized",
            0,
        ),
        (
            |world| world.throttle("SendMessageBatch"),
            &[],
            "released",
            "Rate exceeded",
            0,
        ),
        (
            |world| {
                world.refuse(
                    "SendMessageBatch",
                    "QueueDoesNotExist",
                    "The specified queue does not exist.",
                )
            },
            &[],
            "released",
            "does not exist",
            0,
        ),
        (
            |world| world.hang_after("SendMessageBatch", 0),
            &[],
            "unknown",
            "no answer",
            2,
        ),
    ];
    for (trouble, more, outcome, why, kept) in cases {
        let world = due(2);
        trouble(&world);
        let mut function = Environment::start(SCHEDULE, &world.variables(more));
        let answer = function.invoke_within(&tick(), Duration::from_secs(12));
        let report = answer.response();
        assert_eq!(
            (&report["claimed"], &report["sent"], &report[outcome]),
            (&json!(2), &json!(0), &json!(2)),
            "{report}"
        );
        assert!(report["failures"][0].as_str().unwrap().contains(why), "{report}");
        assert_eq!(claimed(&world), kept, "{why}");
        let told = function.end();
        assert_eq!(told.metric("request-1", "Failures"), Some(1.0));
        let name = if outcome == "released" {
            "EventsReleased"
        } else {
            "EventsUnknown"
        };
        assert_eq!(told.metric("request-1", name), Some(2.0));
        assert_eq!(told.saying("could not do everything").len(), 1);
    }
}

#[test]
fn without_the_ledger_the_run_fails_and_claims_nothing() {
    let cases: [(Trouble, Variables, &str); 4] = [
        (|_| {}, &[("AWS_ENDPOINT_URL_DYNAMODB", NOWHERE)], "no connection"),
        (|world| world.throttle("GetItem"), &[], "ThrottlingException"),
        (|_| {}, &[("DAYBOOK_LEDGER_TABLE", "missing")], "ResourceNotFound"),
        (|world| world.deny("GetItem"), &[], "not authorized"),
    ];
    for (trouble, more, why) in cases {
        let world = due(1);
        trouble(&world);
        let mut function = Environment::start(SCHEDULE, &world.variables(more));
        let error = function.invoke(&tick()).error();
        assert!(
            error.starts_with("LedgerUnavailable: ") && error.contains(why),
            "{error}"
        );
        let told = function.end();
        assert_eq!(told.metric("request-1", "Failures"), Some(1.0));
        assert_eq!(
            told.metric("request-1", "OldestPendingSeconds"),
            None,
            "unknown is not 0"
        );
        assert_eq!(told.metric("request-1", "ScheduleRuns"), None);
        assert_eq!(told.saying("the invocation failed").len(), 1);
        assert_eq!(claimed(&world), 0);
    }
}

#[test]
fn a_run_that_hangs_ends_before_lambda_ends_it_and_says_what_is_left() {
    let world = due(1);
    world.hang_after("Query", 0);
    let mut function = Environment::start(SCHEDULE, &world.variables(&[]));
    let answer = function.invoke_within(&tick(), Duration::from_secs(8));
    let report = answer.response();
    assert_eq!(
        (&report["out_of_time"], &report["claimed"]),
        (&json!(true), &json!(0)),
        "{report}"
    );
    assert_eq!(report["oldest_pending_seconds"], Value::Null);
    assert_eq!(claimed(&world), 0);
    world.heal();
    assert_eq!(function.invoke(&tick()).response()["sent"], 1);
    let told = function.end();
    assert_eq!(told.metric("request-1", "Failures"), Some(1.0));
    assert_eq!(told.metric("request-1", "OldestPendingSeconds"), None);
    assert_eq!(told.metric("request-2", "Failures"), None);
}
