//! Messages as a queue delivers them, and what becomes of each.

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsMessage};
use daybook_ledger::Cause;

/// One message as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The queue's id for the message.
    pub message_id: String,
    /// Its text.
    pub body: String,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// The X-Ray header.
    pub trace: Option<String>,
}

impl From<SqsMessage> for Delivered {
    fn from(message: SqsMessage) -> Self {
        let attribute = |name: &str| message.attributes.get(name);
        Self {
            receive_count: attribute("ApproximateReceiveCount")
                .and_then(|n| n.parse().ok())
                .unwrap_or(1),
            trace: attribute("AWSTraceHeader").cloned(),
            message_id: message.message_id.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
        }
    }
}

/// Why the outcome of something is not known that was begun and not ended.
pub const NO_ANSWER: Cause = Cause::no_answer("no answer before the deadline of this run");

/// What the queue is to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Forget it: what it said is in the ledger, or needs nothing.
    Acknowledge,
    /// Deliver it again after the visibility timeout; to the dead-letter queue when that happened too often.
    Return,
}

/// What Lambda returns to its queue: exactly the messages that are to come again (`ReportBatchItemFailures` must be on).
pub fn batch_response(messages: &[Delivered], dispositions: &[Disposition]) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for (message, disposition) in messages.iter().zip(dispositions) {
        if *disposition == Disposition::Return {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message.message_id.clone();
            response.batch_item_failures.push(failure);
        }
    }
    response
}
