//! The alarms, played through: what CloudWatch makes of the metrics that a trouble leaves, period by period.

use std::collections::BTreeMap;

use daybook_tests::template::{of_type, read};

use super::cloudwatch::{Alarms, DAY, HOUR, MINUTE, Measured, metric, number, text};

/// After that a message is visible again, and its function is invoked with it once more.
const VISIBILITY: u64 = 370;

/// The functions, and how often each runs: by its schedule, or with a message that comes again and again.
fn intervals() -> Vec<(String, u64)> {
    let template = read("deploy/template.yaml");
    let schedules = of_type(&template, "AWS::Scheduler::Schedule").map(|(_, schedule)| {
        let properties = &schedule["Properties"];
        let minutes = text(&properties["ScheduleExpression"]).replace("rate(", "");
        let minutes: u64 = minutes.split(' ').next().unwrap().parse().unwrap();
        (
            text(&properties["Target"]["Arn"]["Fn::GetAtt"][0]),
            minutes * MINUTE,
        )
    });
    let queues =
        ["IngestFunction", "InvokeFunction", "CompleteFunction"].map(|name| (name.to_owned(), VISIBILITY));
    schedules.chain(queues).collect()
}

/// When a function runs that is late by up to a minute each time: from one hour on, for three.
fn runs(interval: u64, seed: u64) -> impl Iterator<Item = u64> {
    let late = move |n: u64| (n * 37 + seed * 17) % MINUTE;
    (0..3 * HOUR / interval).map(move |n| HOUR + seed * 29 + n * interval + late(n))
}

/// A function that fails each time it runs, however seldom that is, is an alarm within the hour.
#[test]
fn a_function_that_always_fails_alarms_at_every_interval() {
    let alarms = Alarms::usual();
    let functions = intervals();
    assert_eq!(functions.len(), 6);
    for (function, interval) in &functions {
        let lambda = [("FunctionName", &*format!("ref {function}"))];
        // It crashes; it says what it could not do; it is not run at all.
        for failing in [
            metric("AWS/Lambda", "Errors", &lambda),
            metric("Daybook", "Failures", &[("Stack", "stack")]),
            metric("AWS/Lambda", "Throttles", &lambda),
        ] {
            for seed in 0..30 {
                let points = runs(*interval, seed).map(|at| (at, 1.0)).collect();
                let measured = Measured::from([(failing.clone(), points)]);
                let raised = alarms.raised(&measured, 4 * HOUR);
                let first = raised.values().min();
                assert!(
                    first.is_some_and(|at| *at <= 2 * HOUR),
                    "{function} every {interval} s, {failing:?}, seed {seed}: {raised:?}"
                );
            }
        }
    }
}

#[test]
fn one_failure_that_the_next_run_repairs_is_no_alarm() {
    let alarms = Alarms::usual();
    for (function, _) in intervals() {
        let lambda = [("FunctionName", &*format!("ref {function}"))];
        for failing in [
            metric("AWS/Lambda", "Errors", &lambda),
            metric("AWS/Lambda", "Throttles", &lambda),
            metric("Daybook", "Failures", &[("Stack", "stack")]),
            metric(
                "AWS/Scheduler",
                "TargetErrorCount",
                &[("ScheduleGroup", "ref Ticks")],
            ),
        ] {
            let measured = Measured::from([(failing, vec![(2 * HOUR, 1.0)])]);
            assert_eq!(alarms.raised(&measured, 4 * HOUR), BTreeMap::new(), "{function}");
        }
    }
}

/// The ledger is away for four hours: every message is received three times within a quarter of an hour, and from then on SQS's own
/// age leaves it out.
#[test]
fn an_intake_that_is_received_in_vain_alarms_and_stays_on() {
    let alarms = Alarms::usual();
    let (begin, end) = (HOUR, 5 * HOUR);
    let queue = metric(
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        &[("QueueName", "attribute IntakeQueue.QueueName")],
    );
    let returned = metric(
        "Daybook",
        "OldestReturnedSeconds",
        &[("Stack", "stack"), ("Function", "ingest")],
    );
    let by_sqs = (0..6 * HOUR / MINUTE).map(|minute| minute * MINUTE);
    let age = |at: u64| match (begin..begin + 2 * VISIBILITY).contains(&at) {
        true => (at - begin) as f64,
        false => 0.0,
    };
    let by_sqs: Vec<(u64, f64)> = by_sqs.map(|at| (at, age(at))).collect();
    let by_ingest: Vec<(u64, f64)> = (begin..end)
        .step_by(VISIBILITY as usize)
        .map(|at| (at, (at - begin) as f64))
        .collect();
    let blind = Measured::from([(queue.clone(), by_sqs.clone())]);
    assert_eq!(
        alarms.on("IntakeBehindAlarm", &blind, 6 * HOUR),
        [0; 0],
        "SQS's own age does not tell"
    );
    let measured = Measured::from([(queue, by_sqs), (returned, by_ingest)]);
    let on = alarms.on("IntakeBehindAlarm", &measured, 6 * HOUR);
    assert!(
        on.first().is_some_and(|at| *at <= begin + HOUR / 2 + 300),
        "{on:?}"
    );
    let all: Vec<u64> = (on[0]..=end).step_by(300).collect();
    assert!(
        all.iter().all(|at| on.contains(at)),
        "it is off in between: {on:?}"
    );
    assert!(on.last().is_some_and(|at| *at <= end + HOUR), "it ends: {on:?}");
}

#[test]
fn there_are_days_between_the_last_alarm_and_what_the_intake_deletes() {
    let alarms = Alarms::usual();
    let kept = number(
        &read("deploy/template.yaml")["Resources"]["IntakeQueue"]["Properties"]["MessageRetentionPeriod"],
    );
    let returned = metric(
        "Daybook",
        "OldestReturnedSeconds",
        &[("Stack", "stack"), ("Function", "ingest")],
    );
    let ages = (0..kept)
        .step_by(VISIBILITY as usize)
        .map(|at| (at, at as f64))
        .collect();
    let on = alarms.on("IntakeExpiringAlarm", &Measured::from([(returned, ages)]), kept);
    assert!(
        (2 * DAY..3 * DAY).contains(&on[0]) && on[0] + 7 * DAY <= kept,
        "{}",
        on[0]
    );
}

/// The three schedules' heartbeats: silent when they beat, on when they stop.
#[test]
fn a_heartbeat_that_stops_is_an_alarm_and_one_that_is_late_is_none() {
    let beats = |name: &str, interval: u64| {
        let all = (0..20 * HOUR / interval)
            .map(|n| (n * interval + (n * 37) % MINUTE, 1.0))
            .collect();
        Measured::from([(metric("Daybook", name, &[("Stack", "stack")]), all)])
    };
    let template = read("deploy/template.yaml");
    let silences = template["Parameters"]["ScheduleSilence"]["AllowedValues"]
        .as_array()
        .unwrap();
    // Whatever the window is, so that no silence is too short for it.
    for every in ["1 minute", "7 minutes", "1 hour", "24 hours"] {
        for silence in silences {
            let silence = text(silence);
            let alarms = Alarms::of(&[("Every", every), ("ScheduleSilence", &silence)]);
            let on = alarms.on("ScheduleSilentAlarm", &beats("ScheduleRuns", MINUTE), 20 * HOUR);
            assert_eq!(on, [0; 0], "{every}, {silence}");
        }
    }
    let alarms = Alarms::usual();
    for (id, name, interval, within) in [
        ("ScheduleSilentAlarm", "ScheduleRuns", MINUTE, 10 * MINUTE),
        ("SweepSilentAlarm", "SweepRuns", 5 * MINUTE, HOUR),
        ("AuditSilentAlarm", "AuditRounds", 15 * MINUTE, 2 * HOUR),
    ] {
        let measured = beats(name, interval);
        assert_eq!(alarms.on(id, &measured, 20 * HOUR), [0; 0], "{id}");
        let on = alarms.on(id, &measured, 24 * HOUR);
        assert!(
            on.first().is_some_and(|at| *at <= 20 * HOUR + within),
            "{id}: {on:?}"
        );
    }
}

/// What each of the others looks at, and from when on it is on.
#[test]
fn what_is_lost_or_late_or_throttled_has_an_alarm() {
    let alarms = Alarms::usual();
    let stack = ("Stack", "stack");
    let rule = |name| [("RuleName", name)];
    let throttled = |dimensions: &[(&str, &str)]| metric("AWS/DynamoDB", "ReadThrottleEvents", dimensions);
    let age = |queue: &str| {
        let queue = format!("attribute {queue}.QueueName");
        metric(
            "AWS/SQS",
            "ApproximateAgeOfOldestMessage",
            &[("QueueName", &queue)],
        )
    };
    let returned = |function| {
        metric(
            "Daybook",
            "OldestReturnedSeconds",
            &[stack, ("Function", function)],
        )
    };
    let ticks = |name| metric("AWS/Scheduler", name, &[("ScheduleGroup", "ref Ticks")]);
    let cases = [
        (
            metric("AWS/Events", "FailedInvocations", &rule("ref ExecutionEndsRule")),
            1.0,
            "EventsLostAlarm",
        ),
        (
            metric(
                "AWS/Events",
                "InvocationsFailedToBeSentToDlq",
                &rule("ref ExecutionEndsRule"),
            ),
            1.0,
            "EventsLostAlarm",
        ),
        (
            metric("AWS/Events", "FailedInvocations", &rule("ref ObjectEventsRule")),
            1.0,
            "EventsLostAlarm",
        ),
        (
            metric(
                "AWS/Events",
                "InvocationsFailedToBeSentToDlq",
                &rule("ref ObjectEventsRule"),
            ),
            1.0,
            "EventsLostAlarm",
        ),
        (ticks("TargetErrorCount"), 1.0, "TicksFailAlarm"),
        (ticks("TargetErrorThrottledCount"), 1.0, "TicksFailAlarm"),
        (ticks("InvocationDroppedCount"), 1.0, "TicksFailAlarm"),
        (
            throttled(&[("TableName", "ref LedgerTable")]),
            1.0,
            "ReadsThrottledAlarm",
        ),
        (
            throttled(&[("TableName", "ref ReceiptsTable")]),
            1.0,
            "ReadsThrottledAlarm",
        ),
        (
            throttled(&[
                ("TableName", "ref LedgerTable"),
                ("GlobalSecondaryIndexName", "by_status"),
            ]),
            1.0,
            "ReadsThrottledAlarm",
        ),
        (age("DispatchQueue"), 901.0, "DispatchBehindAlarm"),
        (returned("invoke"), 901.0, "DispatchBehindAlarm"),
        (age("CompletionQueue"), 901.0, "CompletionBehindAlarm"),
        (returned("complete"), 901.0, "CompletionBehindAlarm"),
        (age("IntakeQueue"), 901.0, "IntakeBehindAlarm"),
        (
            metric("Daybook", "OldestClaimedSeconds", &[stack]),
            3601.0,
            "LeasesOverAlarm",
        ),
        (metric("Daybook", "AuditsLate", &[stack]), 1.0, "AuditLateAlarm"),
        (
            metric("Daybook", "StartsThrottled", &[stack]),
            1.0,
            "StartsThrottledAlarm",
        ),
    ];
    for (what, value, id) in cases {
        let points = |every: u64, value: f64| {
            (HOUR..3 * HOUR)
                .step_by(every as usize)
                .map(|at| (at, value))
                .collect()
        };
        let every = if what.1 == "AuditsLate" {
            15 * MINUTE
        } else {
            MINUTE
        };
        let measured = Measured::from([(what.clone(), points(every, value))]);
        let raised = alarms.raised(&measured, 4 * HOUR);
        assert_eq!(raised.keys().collect::<Vec<_>>(), [&id], "{what:?}");
        assert!(raised[id] <= HOUR + 40 * MINUTE, "{what:?}: {raised:?}");
        let less = Measured::from([(what.clone(), points(every, value - 1.0))]);
        assert_eq!(alarms.raised(&less, 4 * HOUR), BTreeMap::new(), "{what:?}");
    }
}

#[test]
fn arrivals_that_stop_are_an_alarm_where_it_is_asked_for() {
    assert!(!Alarms::usual().0.contains_key("ArrivalsStoppedAlarm"));
    let alarms = Alarms::of(&[("ArrivalSilence", "3600")]);
    let sent = metric(
        "AWS/SQS",
        "NumberOfMessagesSent",
        &[("QueueName", "attribute IntakeQueue.QueueName")],
    );
    let arrivals = (0..5 * HOUR)
        .step_by(50 * MINUTE as usize)
        .map(|at| (at, 1.0))
        .collect();
    let measured = Measured::from([(sent, arrivals)]);
    assert_eq!(alarms.on("ArrivalsStoppedAlarm", &measured, 5 * HOUR), [0; 0]);
    assert_eq!(
        alarms.on("ArrivalsStoppedAlarm", &measured, 7 * HOUR),
        [6 * HOUR, 7 * HOUR]
    );
}
