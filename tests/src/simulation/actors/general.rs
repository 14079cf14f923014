//! Senders of general events: one in a message or several, again at once or much later, in an envelope or without.

use std::time::Duration;

use serde_json::{Value, json};

use super::Cast;
use crate::simulation::world::GeneralEvent;

/// They use the same ids: two sources of one id are two events.
const SOURCES: [&str; 2] = ["/simulation/general", "urn:simulation:\u{e9}"];

pub(super) async fn events(cast: Cast) {
    let mut rng = cast.chaos.stream("general events");
    let span = cast.scenario.span.as_secs() * 9 / 10;
    let mut times: Vec<u64> = (0..cast.scenario.uploads / 3)
        .map(|_| rng.u64(10..span))
        .collect();
    times.sort_unstable();
    let mut sent: Vec<GeneralEvent> = Vec::new();
    let mut before = 0;
    for (burst, at) in times.into_iter().enumerate() {
        tokio::time::sleep(Duration::from_secs(at - before)).await;
        before = at;
        let new = |n: usize| GeneralEvent {
            source: SOURCES[n % 2],
            id: format!("{burst}/{} \u{e9}", n / 2),
        };
        let mut events: Vec<GeneralEvent> = (0..rng.usize(1..4)).map(new).collect();
        cast.world.lock().general.extend(events.clone());
        // A sender without an answer sends it again: one of those that it is just sending, or any that it ever sent.
        let again = match rng.u8(0..6) {
            0 => Some(events[rng.usize(0..events.len())].clone()),
            1 if cast.scenario.knows_done_events() => {
                (!sent.is_empty()).then(|| sent[rng.usize(0..sent.len())].clone())
            }
            _ => None,
        };
        sent.extend(events.clone());
        if let Some(again) = again {
            events.push(again);
            cast.world.lock().count("general events sent again");
        }
        let one: Vec<Value> = events.iter().map(GeneralEvent::json).collect();
        let bodies = match rng.u8(0..3) {
            0 => one.iter().map(Value::to_string).collect(),
            1 => vec![json!(one).to_string()],
            _ => vec![
                json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:1:t",
                    "Message": json!(one).to_string(), "Timestamp": "2026-11-21T00:00:00.000Z"})
                .to_string(),
            ],
        };
        cast.line(|| format!("general events: {events:?}"));
        for body in bodies {
            cast.stage.aws.sqs().send(&cast.stage.intake, &body).unwrap();
        }
    }
}
