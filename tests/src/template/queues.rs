//! The queues of deploy/template.yaml.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use super::read;
use crate::stage::{QueueOptions, Queues};

/// The three queues with the template's own visibility timeouts, receive counts and retentions; read once.
pub fn queues() -> Queues {
    static QUEUES: OnceLock<Queues> = OnceLock::new();
    *QUEUES.get_or_init(|| {
        let template = read("deploy/template.yaml");
        Queues {
            intake: queue(&template, "Intake"),
            dispatch: queue(&template, "Dispatch"),
            completion: queue(&template, "Completion"),
        }
    })
}

fn queue(template: &Value, name: &str) -> QueueOptions {
    let properties = |id: String| &template["Resources"][id]["Properties"];
    let number = |value: &Value| value.as_u64().expect("the template's queues say numbers");
    let seconds = |value: &Value| Duration::from_secs(number(value));
    let live = properties(format!("{name}Queue"));
    let letters = properties(format!("{name}DeadLetters"));
    let receives = number(&live["RedrivePolicy"]["maxReceiveCount"]);
    QueueOptions {
        visibility: seconds(&live["VisibilityTimeout"]),
        max_receive_count: receives.try_into().expect("at most 1,000"),
        retention: seconds(&live["MessageRetentionPeriod"]),
        dead_letter_retention: seconds(&letters["MessageRetentionPeriod"]),
    }
}
