//! The examples of Standard state machines: waiting for capacity uses no attempt.

use daybook_tests::template::read;
use serde_json::{Value, json};

const DAY: f64 = 24.0 * 3600.0;

/// Step Functions fails an execution at its 25,000th event ("Avoid reaching the history quota", Step Functions Developer Guide);
/// what else it does needs a few.
const MOST_EVENTS: f64 = 24_000.0;

/// What one try leaves: scheduled, started, failed to submit, and what goes before a retry.
const EVENTS_PER_TRY: f64 = 5.0;

fn definition(path: &str) -> Value {
    read(path)["Resources"]["StateMachine"]["Properties"]["Definition"].clone()
}

fn retrier<'a>(state: &'a Value, error: &str) -> &'a Value {
    let is_of = |one: &&Value| one["ErrorEquals"].as_array().unwrap().contains(&json!(error));
    let retriers = state["Retry"].as_array().unwrap();
    retriers
        .iter()
        .find(is_of)
        .unwrap_or_else(|| panic!("{error} is not tried again"))
}

/// How many tries there are in so many seconds, at the mean of the delays (full jitter: half of each).
fn tries(retrier: &Value, within: f64) -> f64 {
    let number = |name: &str| retrier[name].as_f64().unwrap();
    let (mut delay, mut waited, mut tries) = (number("IntervalSeconds"), 0.0, 0.0);
    assert_eq!(retrier["JitterStrategy"], "FULL");
    while waited < within {
        waited += delay / 2.0;
        delay = (delay * number("BackoffRate")).min(number("MaxDelaySeconds"));
        tries += 1.0;
    }
    tries
}

#[test]
fn an_execution_waits_for_capacity_as_long_as_it_may_run() {
    let cases: [(&str, &[&str], f64); 2] = [
        (
            "deploy/examples/standard-glue.yaml",
            &[
                "Glue.ConcurrentRunsExceededException",
                "Glue.ResourceNumberLimitExceededException",
                "Glue.ThrottlingException",
            ],
            14.0 * DAY,
        ),
        (
            "deploy/examples/standard-lambda.yaml",
            &["Lambda.TooManyRequestsException"],
            DAY,
        ),
    ];
    for (path, errors, at_least) in cases {
        let definition = definition(path);
        let whole = definition["TimeoutSeconds"].as_f64().unwrap();
        assert!(whole >= at_least, "{path}: {whole}");
        let process = &definition["States"]["Process"];
        // The whole may take days; what is done for the object has a limit of its own, for each try.
        assert!(process["TimeoutSeconds"].as_f64().unwrap() < DAY, "{path}");
        for error in errors {
            let retrier = retrier(process, error);
            // The retries never end before the time does: not by their number, and not by the history's length.
            let tries = tries(retrier, whole);
            assert!(
                retrier["MaxAttempts"].as_f64().unwrap() > 4.0 * tries,
                "{path}: {error}"
            );
            assert!(
                tries * EVENTS_PER_TRY < MOST_EVENTS,
                "{path}: {error}: {tries} tries"
            );
        }
    }
}

#[test]
fn the_example_with_glue_says_how_many_events_may_be_in_flight() {
    let template = read("deploy/examples/standard-glue.yaml");
    let runs = &template["Parameters"]["MaxConcurrentRuns"];
    // Glue's own default.
    assert_eq!((&runs["Default"], &runs["MinValue"]), (&json!(1), &json!(1)));
    assert_eq!(
        template["Outputs"]["MaxInFlight"]["Value"],
        json!({"Ref": "MaxConcurrentRuns"})
    );
}
