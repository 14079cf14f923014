//! What an operator may choose about dispatch, at the edges of what is allowed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_manager::worker::WorkerSettings;
use daybook_manager::{Dispatch, arguments};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
const WEEK: Duration = Duration::from_secs(604_800);

/// What is said of the settings; nothing when they are allowed.
fn refusal(change: impl FnOnce(&mut Dispatch)) -> Option<String> {
    let mut dispatch = Dispatch::default();
    change(&mut dispatch);
    dispatch.checked().err().map(|error| error.to_string())
}

#[test]
fn the_usual_settings_and_those_at_the_edges_are_allowed() {
    assert_eq!(refusal(|_| {}), None);
    assert_eq!(refusal(|dispatch| dispatch.per_window = 1), None);
    assert_eq!(refusal(|dispatch| dispatch.window = 100 * MILLI), None);
    assert_eq!(refusal(|dispatch| dispatch.lease = SECOND), None);
    assert_eq!(refusal(|dispatch| dispatch.lease = WEEK), None);
    assert_eq!(refusal(|dispatch| dispatch.max_attempts = 1), None);
    assert_eq!(refusal(|dispatch| dispatch.max_in_flight = Some(1)), None);
    let same = RetryPolicy {
        first_delay: SECOND,
        longest_delay: SECOND,
    };
    assert_eq!(refusal(|dispatch| dispatch.retry = same), None);
}

#[test]
fn what_is_beyond_an_edge_is_refused_by_name_with_its_value_and_what_is_allowed() {
    let too_short = refusal(|dispatch| dispatch.window = 99 * MILLI);
    assert_eq!(too_short.unwrap(), "every is 0.099 s, but must be at least 0.1 s");
    for lease in [SECOND - MILLI, WEEK + MILLI] {
        let said = refusal(|dispatch| dispatch.lease = lease).unwrap();
        assert_eq!(
            said,
            format!("lease is {} s, but must be 1 s to 7 days", lease.as_secs_f64())
        );
    }
    let downwards = RetryPolicy {
        first_delay: SECOND,
        longest_delay: SECOND - MILLI,
    };
    let said = refusal(|dispatch| dispatch.retry = downwards).unwrap();
    assert_eq!(
        said,
        "backoff is 1 s, with a backoff-limit of 0.999 s, but must be no longer than that"
    );
    assert!(refusal(|dispatch| dispatch.per_window = 0).is_some());
    assert!(refusal(|dispatch| dispatch.max_attempts = 0).is_some());
    assert!(refusal(|dispatch| dispatch.max_in_flight = Some(0)).is_some());
}

#[test]
fn a_workers_lease_is_within_what_sqs_can_hide_a_message_for() {
    let allowed = |lease: Duration| {
        let settings = WorkerSettings {
            lease,
            ..WorkerSettings::new("worker-1")
        };
        settings.checked().is_ok()
    };
    let hours = Duration::from_secs(11 * 3600);
    assert!(allowed(3 * SECOND) && allowed(2 * Duration::from_secs(3600)) && allowed(hours));
    assert!(!allowed(3 * SECOND - MILLI) && !allowed(hours + MILLI));
}

#[test]
fn times_are_read_with_the_edges_that_the_help_names() {
    let day = Duration::from_secs(86_400);
    assert_eq!(arguments::every("1d"), Ok(day));
    assert_eq!(arguments::every("100ms"), Ok(100 * MILLI));
    assert_eq!(arguments::every("24h 1ms"), Err("100ms to 1d is allowed".into()));
    assert_eq!(arguments::lease("7d"), Ok(7 * day));
    assert_eq!(arguments::lease("1s"), Ok(SECOND));
    assert!(arguments::lease("7d 1ms").is_err() && arguments::backoff("999ms").is_err());
}

#[test]
fn a_state_machine_is_known_by_every_part_of_its_arn() {
    let allowed = |arn: &str| arguments::state_machine_arn(arn).is_ok();
    assert!(allowed(
        "arn:aws:states:eu-central-1:123456789012:stateMachine:work"
    ));
    assert!(allowed(
        "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:work"
    ));
    for arn in [
        "arn:aws:states:eu-central-1:123456789012:stateMachine",
        "arn:aws:states:eu-central-1:123456789012:stateMachine:work:1",
        "urn:aws:states:eu-central-1:123456789012:stateMachine:work",
        "arn:aws:lambda:eu-central-1:123456789012:stateMachine:work",
        "arn:aws:states:eu-central-1:123456789012:execution:work",
        "arn:aws:states::123456789012:stateMachine:work",
        "arn:aws:states:eu-central-1:123456789012:stateMachine:",
    ] {
        assert!(!allowed(arn), "{arn}");
    }
}
