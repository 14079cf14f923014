//! The alarms, played through: what CloudWatch makes of the metrics that a trouble leaves, period by period.

use std::collections::BTreeMap;

use daybook_tests::template::{Evaluated, of_type, read};
use serde_json::Value;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// After that a message is visible again, and its function is invoked with it once more.
const VISIBILITY: u64 = 370;

/// A metric: namespace, name, and dimensions as `Name=Value`.
type Metric = (String, String, String);

/// What was measured, by metric: seconds and values.
type Measured = BTreeMap<Metric, Vec<(u64, f64)>>;

fn metric(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Metric {
    let dimensions: Vec<String> = dimensions
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    (namespace.to_owned(), name.to_owned(), dimensions.join(","))
}

/// A stack's alarms.
struct Alarms(BTreeMap<String, Value>);

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(value: &Value) -> u64 {
    text(value).parse().unwrap()
}

/// The metrics of an alarm or of one of its parts, and in which periods and how they are put together.
fn parts(alarm: &Value) -> Vec<(Metric, u64, String)> {
    let part = |metric: &Value, period: &Value, statistic: &Value| {
        let dimensions = metric["Dimensions"].as_array().unwrap().iter();
        let dimensions: Vec<String> = dimensions
            .map(|one| format!("{}={}", text(&one["Name"]), text(&one["Value"])))
            .collect();
        let named = (
            text(&metric["Namespace"]),
            text(&metric["MetricName"]),
            dimensions.join(","),
        );
        (named, number(period), text(statistic))
    };
    match alarm["Metrics"].as_array() {
        None => vec![part(alarm, &alarm["Period"], &alarm["Statistic"])],
        Some(metrics) => {
            let measured = metrics
                .iter()
                .map(|one| &one["MetricStat"])
                .filter(|one| !one.is_null());
            measured
                .map(|one| part(&one["Metric"], &one["Period"], &one["Stat"]))
                .collect()
        }
    }
}

fn put_together(how: &str, values: impl Iterator<Item = f64>) -> Option<f64> {
    match how {
        "Sum" | "SUM(METRICS())" => values.reduce(|a, b| a + b),
        "Maximum" | "MAX(METRICS())" => values.reduce(f64::max),
        other => panic!("{other}"),
    }
}

impl Alarms {
    fn of(parameters: &[(&str, &str)]) -> Self {
        let template = read("deploy/template.yaml");
        let machine = (
            "StateMachineArn",
            "arn:aws:states:us-east-1:000000000000:stateMachine:work",
        );
        let stack = Evaluated::new(&template, &[&[machine], parameters].concat(), &[]);
        assert_eq!(stack.refusals(), [""; 0]);
        let alarms = of_type(&template, "AWS::CloudWatch::Alarm").filter(|(id, _)| stack.makes(id));
        Self(
            alarms
                .map(|(id, _)| (id.to_owned(), stack.properties(id)))
                .collect(),
        )
    }

    /// All of them, those over audits and EventBridge included.
    fn usual() -> Self {
        Self::of(&[
            ("Audit", "s3://data"),
            ("AuditBucketArns", "arn:aws:s3:::data"),
            ("EventBridgeBuckets", "data"),
        ])
    }

    /// The ends of the periods at which that alarm is on.
    fn on(&self, id: &str, measured: &Measured, until: u64) -> Vec<u64> {
        let alarm = &self.0[id];
        let parts = parts(alarm);
        let period = parts[0].1;
        assert!(
            parts.iter().all(|part| part.1 == period),
            "{id}: one period for all"
        );
        let expression = text(&alarm["Metrics"][0]["Expression"]);
        let value = |position: u64| {
            let begin = position * period;
            let values = parts.iter().filter_map(|(metric, _, statistic)| {
                let points = measured.get(metric).into_iter().flatten();
                let within = points
                    .filter(|(at, _)| (begin..begin + period).contains(at))
                    .map(|(_, value)| *value);
                put_together(statistic, within)
            });
            let values: Vec<f64> = values.collect();
            match alarm["Metrics"].is_null() {
                true => values.first().copied(),
                false => put_together(&expression, values.into_iter()),
            }
        };
        let threshold = text(&alarm["Threshold"]).parse::<f64>().unwrap();
        let breaches = |position: u64| match (value(position), text(&alarm["ComparisonOperator"]).as_str()) {
            (Some(value), "GreaterThanThreshold") => value > threshold,
            (Some(value), "LessThanThreshold") => value < threshold,
            (None, _) => alarm["TreatMissingData"] == "breaching",
            (_, other) => panic!("{other}"),
        };
        let periods = number(&alarm["EvaluationPeriods"]);
        let datapoints = alarm.get("DatapointsToAlarm").map_or(periods, number);
        // What CloudWatch can watch: a day, and with periods of an hour a week.
        let limit = if period < HOUR { DAY } else { 7 * DAY };
        assert!(datapoints <= periods && periods * period <= limit, "{id}");
        let is_on =
            |last: &u64| (last + 1 - periods..=*last).filter(|n| breaches(*n)).count() as u64 >= datapoints;
        (periods..until / period)
            .filter(is_on)
            .map(|last| (last + 1) * period)
            .collect()
    }

    /// Which alarms are on at some time, those that are on without data left out; and since when the first of them is.
    fn raised(&self, measured: &Measured, until: u64) -> BTreeMap<&str, u64> {
        let sparse = self
            .0
            .iter()
            .filter(|(_, alarm)| alarm["TreatMissingData"] != "breaching");
        sparse
            .filter_map(|(id, _)| Some((id.as_str(), *self.on(id, measured, until).first()?)))
            .collect()
    }
}

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
