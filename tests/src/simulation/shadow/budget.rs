//! What is granted, and what is sent.

use serde_json::Value;

use super::{PER_WINDOW, Property, Request, SKEW, Shadow, WINDOW, millis, plain};
use crate::wire::Process;

impl Shadow {
    /// Grants, pauses, and N.
    pub(super) fn control(&mut self, request: &Request, answer: &Value, now: i64) {
        self.spend(answer, 1.0, "the control item", now);
        let values = &request.body["ExpressionAttributeValues"];
        let expression = request.body["UpdateExpression"].as_str().unwrap_or_default();
        self.commands += u64::from(values.get(":granted").is_none());
        if expression.contains("paused_at = :at") {
            let until = values.get(":until").map(|at| millis(&plain(at)));
            self.paused = Some(until);
        } else if expression.contains("REMOVE paused_at") {
            self.paused = None;
        } else if expression.contains("per_window") {
            let n = values.get(":n").and_then(|n| plain(n).parse().ok());
            self.per_window.push((now, n.unwrap_or(PER_WINDOW)));
        } else if values.get(":granted").is_some() {
            self.grants += 1;
            self.granted_to(request, values);
            self.history(values, now);
            let skew = SKEW.as_millis() as i64;
            let is_paused = |until: Option<i64>| until.is_none_or(|until| now + skew < until);
            if self.paused.is_some_and(is_paused) {
                self.violation(
                    now,
                    Property::Budget,
                    "something was granted during a pause".into(),
                );
            }
        }
    }

    /// Which window that grant was of: a sweep that stays is granted something of several.
    fn granted_to(&mut self, request: &Request, values: &Value) {
        let number = |name: &str| plain(&values[name]).parse().unwrap_or(0);
        let window = millis(&plain(&values[":window"]));
        let now = (window, number(":granted"), number(":before"));
        let before = std::mem::replace(&mut self.newest, now);
        self.granted_since(before);
        let of = match (window == before.0, now.1 > before.1, now.2 > before.2) {
            (true, false, true) => window - WINDOW.as_millis() as i64,
            (true, false, false) => return,
            _ => window,
        };
        if let Some(process) = &request.process {
            self.granted.insert(process.number, of);
        }
    }

    /// Whoever sends an event has claimed it.
    fn sent_by(&mut self, input: &Value, process: Option<&Process>, now: i64) {
        let id = input["id"].as_str().unwrap_or_default().to_owned();
        let attempt = input["attempt"].as_u64().unwrap_or(0);
        if let Some(process) = process {
            let sent_by = (process.number, id.clone());
            if !self.claimers.contains(&sent_by) || self.refused.contains(&sent_by) {
                let text = format!(
                    "{id} was sent by {}#{}, which had not claimed it",
                    process.name, process.number
                );
                self.violation(now, Property::Budget, text);
            }
        }
        *self.deliveries.entry((id, attempt)).or_default() += 1;
    }

    pub(super) fn messages(&mut self, request: &Request, answer: &Value, now: i64) {
        let length = WINDOW.as_millis() as i64;
        let by_clock = (now - now.rem_euclid(length)).max(0);
        let window = request
            .process
            .as_ref()
            .and_then(|process| self.granted.get(&process.number).copied().or(process.window))
            .unwrap_or(by_clock);
        let entries: Vec<&Value> = request.body["Entries"].as_array().into_iter().flatten().collect();
        for done in answer["Successful"].as_array().into_iter().flatten() {
            for entry in entries.iter().filter(|entry| entry["Id"] == done["Id"]) {
                let body = entry["MessageBody"].as_str().unwrap_or_default();
                let message: Value = serde_json::from_str(body).unwrap_or_default();
                let inputs: Vec<&Value> = match message["events"].as_array() {
                    Some(events) => events.iter().map(|event| &event["input"]).collect(),
                    None => vec![&message["input"]],
                };
                *self.sent.entry(window).or_default() += inputs.len() as u64;
                for input in inputs {
                    self.sent_by(input, request.process.as_ref(), now);
                }
            }
        }
        let sent = self.sent.get(&window).copied().unwrap_or(0);
        let n = self.most_per_window(window);
        if sent > u64::from(n) && !self.forgotten.contains(&window) {
            self.violation(
                now,
                Property::Budget,
                format!("{sent} messages sent in window {window}, N is {n}"),
            );
        }
    }
}
