use daybook_tests::lambda::{FaultyAws, fails_to_start};

use crate::{COMPLETE, INGEST, INVOKE, SCHEDULE};

/// Why the function does not start; it is said once, and ends the process.
fn why(binary: &str, more: &[(&str, &str)]) -> String {
    let world = FaultyAws::start();
    let (code, told) = fails_to_start(binary, &world.variables(more));
    assert_eq!(code, 1);
    let log = told.log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0]["level"], "ERROR");
    let message = log[0]["message"].as_str().unwrap();
    message
        .strip_prefix("the function cannot start: ")
        .unwrap()
        .to_owned()
}

#[test]
fn a_bad_value_is_an_error_at_start_that_names_variable_value_and_what_is_allowed() {
    for (binary, name, value, allowed) in [
        (INGEST, "DAYBOOK_LEDGER_TABLE", "a b", "3 to 255 letters"),
        (
            INGEST,
            "DAYBOOK_RECEIPTS_KEEP",
            "14",
            "a time with its unit is needed",
        ),
        (INGEST, "DAYBOOK_MAX_ATTEMPTS", "0", "at least 1"),
        (
            INGEST,
            "AWS_LAMBDA_LOG_LEVEL",
            "LOUD",
            "TRACE, DEBUG, INFO, WARN, ERROR or FATAL is allowed",
        ),
        (
            SCHEDULE,
            "DAYBOOK_PER_WINDOW",
            "many",
            "a whole number of at least 1 is needed",
        ),
        (SCHEDULE, "DAYBOOK_EVERY", "2 days", "100ms to 1d is allowed"),
        (SCHEDULE, "DAYBOOK_LEASE", "0s", "1s to 7d is allowed"),
        (SCHEDULE, "DAYBOOK_MAX_IN_FLIGHT", "-1", "at least 1"),
        (
            SCHEDULE,
            "DAYBOOK_DISPATCH_QUEUE_URL",
            "dispatch",
            "a queue URL is needed",
        ),
        (INVOKE, "DAYBOOK_STARTS_PER_SECOND", "0", "at least 1"),
        (INVOKE, "DAYBOOK_STATE_MACHINE_ARN", "work", "an ARN is needed"),
        (COMPLETE, "DAYBOOK_BACKOFF", "8d", "1s to 7d is allowed"),
    ] {
        let told = why(binary, &[(name, value)]);
        assert!(told.starts_with(&format!("{name} is {value:?}: ")), "{told}");
        assert!(told.contains(allowed), "{told}");
    }
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    assert_eq!(
        why(INGEST, &[("DAYBOOK_LEDGER_TABLE", "")]),
        "DAYBOOK_LEDGER_TABLE is not set"
    );
    assert_eq!(
        why(
            SCHEDULE,
            &[("DAYBOOK_STACK", ""), ("DAYBOOK_DISPATCH_QUEUE_URL", "")]
        ),
        "DAYBOOK_STACK, DAYBOOK_DISPATCH_QUEUE_URL are not set"
    );
    assert_eq!(why(INVOKE, &[("AWS_REGION", "")]), "AWS_REGION is not set");
    assert_eq!(
        why(INVOKE, &[("AWS_ACCESS_KEY_ID", "")]),
        "AWS_ACCESS_KEY_ID is not set"
    );
}

#[test]
fn settings_that_do_not_go_together_are_named_together() {
    assert_eq!(
        why(COMPLETE, &[("DAYBOOK_BACKOFF", "2h")]),
        "DAYBOOK_BACKOFF is 7200 s, with a backoff-limit of 3600 s, but must be no longer than that"
    );
    assert_eq!(
        why(
            SCHEDULE,
            &[("DAYBOOK_DISPATCH", "immediate"), ("DAYBOOK_MAX_IN_FLIGHT", "5")]
        ),
        "DAYBOOK_DISPATCH is immediate, but must be scheduled where max-in-flight is set: nobody counts what is in flight before a \
         new event is sent"
    );
    assert_eq!(
        why(
            INGEST,
            &[
                ("DAYBOOK_DISPATCH", "immediate"),
                ("DAYBOOK_DISPATCH_QUEUE_URL", "")
            ]
        ),
        "DAYBOOK_DISPATCH_QUEUE_URL is not set: it is needed where DAYBOOK_DISPATCH is immediate"
    );
    for (function, more) in [(SCHEDULE, "scheduled"), (INGEST, "immediate")] {
        assert_eq!(
            why(
                function,
                &[("DAYBOOK_DISPATCH", more), ("DAYBOOK_BATCH_WINDOW", "5m")]
            ),
            "DAYBOOK_BATCH_WINDOW is 300 s, but must be 0 where batch-size is 1: nothing waits for company then"
        );
    }
    assert_eq!(
        why(SCHEDULE, &[("DAYBOOK_BATCH_SIZE", "101")]),
        "DAYBOOK_BATCH_SIZE is \"101\": a whole number from 1 to 100 is needed"
    );
    assert_eq!(
        why(INGEST, &[("DAYBOOK_RECEIPTS_TABLE", "")]),
        "DAYBOOK_RECEIPTS_TABLE is not set: it is needed unless DAYBOOK_RECEIPTS_KEEP is 0"
    );
}

#[test]
fn asked_for_help_a_function_tells_its_variables() {
    for binary in [INGEST, SCHEDULE, INVOKE, COMPLETE] {
        let help = std::process::Command::new(binary).arg("--help").output().unwrap();
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(
            help.status.success() && text.contains("DAYBOOK_LEDGER_TABLE"),
            "{text}"
        );
    }
}

#[test]
fn exactly_one_target_is_named() {
    const FUNCTION: &str = "arn:aws:lambda:eu-central-1:123456789012:function:work";
    const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/work";
    let (machine, function) = ("DAYBOOK_STATE_MACHINE_ARN", "DAYBOOK_TARGET_FUNCTION_ARN");
    let (queue, completion) = ("DAYBOOK_TARGET_QUEUE_URL", "DAYBOOK_TARGET_COMPLETION");
    for binary in [INVOKE, COMPLETE] {
        assert_eq!(
            why(binary, &[(machine, "")]),
            "none of DAYBOOK_STATE_MACHINE_ARN, DAYBOOK_TARGET_FUNCTION_ARN and DAYBOOK_TARGET_QUEUE_URL is set: one of them is needed"
        );
        for second in [
            &[(function, FUNCTION)][..],
            &[(queue, QUEUE), (completion, "sent")],
        ] {
            assert_eq!(
                why(binary, second),
                "more than one of DAYBOOK_STATE_MACHINE_ARN, DAYBOOK_TARGET_FUNCTION_ARN and DAYBOOK_TARGET_QUEUE_URL is set: a \
                 deployment has one target"
            );
        }
        assert_eq!(
            why(binary, &[(machine, ""), (queue, QUEUE)]),
            "DAYBOOK_TARGET_COMPLETION is not set: with DAYBOOK_TARGET_QUEUE_URL it is needed, as sent or reported"
        );
        assert_eq!(
            why(binary, &[(completion, "sent")]),
            "DAYBOOK_TARGET_COMPLETION is set without DAYBOOK_TARGET_QUEUE_URL: it is about a queue alone"
        );
    }
    for (name, value, allowed) in [
        (function, "work", "an ARN is needed"),
        (queue, "work", "a queue URL is needed"),
        (completion, "done", "sent or reported is allowed"),
    ] {
        let told = why(INVOKE, &[(machine, ""), (name, value)]);
        assert!(
            told.starts_with(&format!("{name} is {value:?}: ")) && told.contains(allowed),
            "{told}"
        );
    }
}
