//! One task that moves the messages of a dead-letter queue.

use serde_json::{Value, json};

use super::message::Millis;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MoveStatus {
    Running,
    Completed,
    Cancelled,
    Failed,
}

/// One task. It moves a second's worth of messages at its start and at every second after, whenever somebody
/// looks at the queues.
pub(super) struct MoveTask {
    pub(super) handle: String,
    pub(super) source: String,
    pub(super) source_arn: String,
    /// `None`: each message goes back to the queue it came from.
    pub(super) destination_arn: Option<String>,
    pub(super) asked_per_second: Option<u64>,
    pub(super) started_at: Millis,
    pub(super) next_at: Millis,
    pub(super) moved: u64,
    pub(super) to_move: usize,
    pub(super) status: MoveStatus,
    pub(super) failure: Option<&'static str>,
}

impl MoveTask {
    pub(super) fn shown(&self) -> Value {
        let status = match self.status {
            MoveStatus::Running => "RUNNING",
            MoveStatus::Completed => "COMPLETED",
            MoveStatus::Cancelled => "CANCELLED",
            MoveStatus::Failed => "FAILED",
        };
        let mut shown = json!({
            "Status": status,
            "SourceArn": self.source_arn,
            "ApproximateNumberOfMessagesMoved": self.moved,
            "ApproximateNumberOfMessagesToMove": self.to_move,
            "StartedTimestamp": self.started_at,
        });
        // The handle is given only while it is good for something.
        let optional = [
            (
                "TaskHandle",
                Some(json!(self.handle)).filter(|_| self.status == MoveStatus::Running),
            ),
            (
                "DestinationArn",
                self.destination_arn.as_ref().map(|arn| json!(arn)),
            ),
            (
                "MaxNumberOfMessagesPerSecond",
                self.asked_per_second.map(|rate| json!(rate)),
            ),
            ("FailureReason", self.failure.map(|failure| json!(failure))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                shown[name] = value;
            }
        }
        shown
    }
}
