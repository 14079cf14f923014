//! What a schedule invokes a function with.

use daybook_ledger::Clock;
use daybook_schema::Timestamp;
use serde_json::{Value, json};

use super::function::Event;

/// A tick of a schedule: `{"time": "2026-11-21T01:02:00Z"}`. The window comes from the schedule's own time, so that a tick that
/// arrives late has the budget that is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    time: Option<Timestamp>,
}

impl Tick {
    /// The schedule's time; the clock's where it gave none.
    pub fn time(&self, clock: &Clock) -> Timestamp {
        self.time.unwrap_or_else(|| clock.now())
    }
}

impl Event for Tick {
    type Answer = Value;

    fn read(payload: Value) -> Result<Self, String> {
        let fields = match payload {
            Value::Null => return Ok(Self { time: None }),
            Value::Object(fields) => fields,
            _ => {
                return Err(
                    "the event is not a JSON object such as {\"time\": \"2026-11-21T01:02:00Z\"}".into(),
                );
            }
        };
        if fields.contains_key("Records") {
            return Err(
                "the event is a batch of records: this function is for a schedule, not for a queue".into(),
            );
        }
        let time = match fields.get("time") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => {
                let time = text.parse();
                Some(time.map_err(|_| format!("the event's time is {text:?}: an RFC 3339 time is needed, such as 2026-11-21T01:02:00Z"))?)
            }
            Some(other) => return Err(format!("the event's time is {other}: a string is needed")),
        };
        Ok(Self { time })
    }

    fn cut(&self) -> Value {
        json!({"cut": true, "failures": ["cut off at the deadline: what was claimed and not sent waits for its lease"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_may_leave_its_time_out_in_several_ways() {
        for payload in [json!(null), json!({}), json!({"time": null}), json!({"time": ""})] {
            assert_eq!(Tick::read(payload.clone()), Ok(Tick { time: None }), "{payload}");
        }
        let given = Tick::read(json!({"time": "2026-11-21T01:02:00Z", "source": "aws.scheduler"}));
        assert_eq!(
            given.map(|tick| tick.time),
            Ok("2026-11-21T01:02:00Z".parse().ok())
        );
        for payload in [
            json!([]),
            json!({"Records": []}),
            json!({"time": 7}),
            json!({"time": "noon"}),
        ] {
            assert!(Tick::read(payload.clone()).is_err(), "{payload}");
        }
    }

    #[test]
    fn a_tick_that_was_cut_off_is_answered_with_a_failure() {
        let answer = Tick { time: None }.cut();
        assert_eq!(answer["cut"], true);
        assert_eq!(answer["failures"].as_array().map(Vec::len), Some(1), "{answer}");
    }
}
