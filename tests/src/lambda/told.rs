//! What a function said on stdout: lines of its log, and metrics in the embedded metric format.

use serde_json::Value;

/// All of it, line by line; every line is JSON.
#[derive(Clone, Debug)]
pub struct Told(Vec<Value>);

impl Told {
    pub(super) fn of(text: &str) -> Self {
        assert!(!text.contains("very-secret"), "a secret is in the log");
        let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self(text.lines().map(line).collect())
    }

    /// The lines of the log.
    pub fn log(&self) -> Vec<&Value> {
        self.0.iter().filter(|line| line.get("_aws").is_none()).collect()
    }

    /// The lines of the log of that invocation.
    pub fn log_of(&self, request_id: &str) -> Vec<&Value> {
        let is_of = |line: &&Value| line["requestId"] == request_id;
        self.log().into_iter().filter(is_of).collect()
    }

    /// The lines with that message.
    pub fn saying(&self, message: &str) -> Vec<&Value> {
        let says = |line: &&Value| {
            line["message"]
                .as_str()
                .is_some_and(|said| said.contains(message))
        };
        self.log().into_iter().filter(says).collect()
    }

    /// A metric of that invocation by stack alone; `None` when it was not written.
    pub fn metric(&self, request_id: &str, name: &str) -> Option<f64> {
        self.metric_by(&["Stack"], request_id, name)
    }

    /// The same by these dimensions.
    pub fn metric_by(&self, dimensions: &[&str], request_id: &str, name: &str) -> Option<f64> {
        let mut found = None;
        for document in self.0.iter().filter(|line| line["requestId"] == request_id) {
            let Some(metrics) = document.get("_aws").map(|aws| &aws["CloudWatchMetrics"]) else {
                continue;
            };
            let directive = &metrics[0];
            assert_eq!(directive["Namespace"], "Daybook");
            assert!(document["_aws"]["Timestamp"].is_u64());
            let said: Vec<&str> = directive["Dimensions"][0]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect();
            assert!(
                said.iter().all(|dimension| document[*dimension].is_string()),
                "{document}"
            );
            let names = directive["Metrics"].as_array().unwrap();
            if said != dimensions || !names.iter().any(|metric| metric["Name"] == name) {
                continue;
            }
            let value = match &document[name] {
                Value::Array(values) => values.iter().filter_map(Value::as_f64).sum(),
                value => value.as_f64().unwrap(),
            };
            assert_eq!(found.replace(value), None, "{name} is told twice");
        }
        found
    }
}
