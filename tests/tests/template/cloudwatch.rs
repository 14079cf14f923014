//! CloudWatch, as far as the template's alarms need it: metrics put together by period, and so many periods out of the last ones.

use std::collections::BTreeMap;

use daybook_tests::template::{Evaluated, of_type, read};
use serde_json::Value;

pub const MINUTE: u64 = 60;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

/// A metric: namespace, name, and dimensions as `Name=Value`.
pub type Metric = (String, String, String);

/// What was measured, by metric: seconds and values.
pub type Measured = BTreeMap<Metric, Vec<(u64, f64)>>;

pub fn metric(namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Metric {
    let dimensions: Vec<String> = dimensions
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    (namespace.to_owned(), name.to_owned(), dimensions.join(","))
}

/// A stack's alarms.
pub struct Alarms(pub BTreeMap<String, Value>);

pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub fn number(value: &Value) -> u64 {
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
    pub fn of(parameters: &[(&str, &str)]) -> Self {
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
    pub fn usual() -> Self {
        Self::of(&[
            ("Audit", "s3://data"),
            ("AuditBucketArns", "arn:aws:s3:::data"),
            ("EventBridgeBuckets", "data"),
        ])
    }

    /// The ends of the periods at which that alarm is on.
    pub fn on(&self, id: &str, measured: &Measured, until: u64) -> Vec<u64> {
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
    pub fn raised(&self, measured: &Measured, until: u64) -> BTreeMap<&str, u64> {
        let sparse = self
            .0
            .iter()
            .filter(|(_, alarm)| alarm["TreatMissingData"] != "breaching");
        sparse
            .filter_map(|(id, _)| Some((id.as_str(), *self.on(id, measured, until).first()?)))
            .collect()
    }
}
