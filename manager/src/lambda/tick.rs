//! What a schedule invokes a function with.

use daybook_ledger::Clock;
use daybook_schema::Timestamp;
use serde_json::Value;

use super::Event;

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
}
