//! Senders of general events: one in a message or several, twice, late, in an envelope or without.

use std::time::Duration;

use serde_json::{Value, json};

use super::Cast;
use crate::simulation::world::GeneralEvent;

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
            id: format!("{burst}/{n} \u{e9}"),
            at_millis: cast.now(),
        };
        let mut events: Vec<GeneralEvent> = (0..rng.usize(1..4)).map(new).collect();
        cast.world.lock().general.extend(events.clone());
        sent.extend(events.clone());
        // A sender without an answer sends it again, at once or much later.
        if rng.u8(0..3) == 0 {
            events.push(sent[rng.usize(0..sent.len())].clone());
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
