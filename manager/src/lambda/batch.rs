//! What a queue invokes a function with.

use std::collections::HashSet;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use daybook_schema::Timestamp;
use serde_json::Value;

use super::function::Event;
use crate::delivery::{Delivered, Disposition, batch_response};

/// Messages of a queue that a Lambda function is invoked with, at least one. Each has an id, so that it can be returned by
/// itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    messages: Vec<Delivered>,
    /// When each was sent, where SQS says so.
    sent_at: Vec<Option<Timestamp>>,
}

impl Batch {
    /// The messages.
    pub fn messages(&self) -> &[Delivered] {
        &self.messages
    }

    /// What Lambda is answered: exactly the messages that are to come again (`ReportBatchItemFailures` must be on).
    pub fn answer(&self, dispositions: impl IntoIterator<Item = Disposition>) -> SqsBatchResponse {
        let dispositions: Vec<Disposition> = dispositions.into_iter().collect();
        batch_response(&self.messages, &dispositions)
    }
}

impl Event for Batch {
    type Answer = SqsBatchResponse;

    fn read(payload: Value) -> Result<Self, String> {
        let Some(records) = payload.get("Records").filter(|records| records.is_array()) else {
            return Err("the event is no batch of an SQS queue: it has no list of Records".into());
        };
        let first = records.get(0).ok_or("the batch has no Records")?;
        // A record of S3 or SNS says so in another way of writing.
        let source = first.get("eventSource").or_else(|| first.get("EventSource"));
        if source.is_some_and(|source| source != "aws:sqs") {
            return Err("the event's Records are not messages of an SQS queue: let the notifications go to the queue, and the queue invoke the function".into());
        }
        let event: SqsEvent = serde_json::from_value(payload)
            .map_err(|error| format!("the event is no batch of an SQS queue: {error}"))?;
        let sent_at = event.records.iter().map(sent_at).collect();
        let messages = event.records.into_iter().enumerate().map(message);
        Ok(Self {
            messages: messages.collect::<Result<_, _>>()?,
            sent_at,
        })
    }

    /// Every message comes again.
    fn cut(&self) -> SqsBatchResponse {
        self.answer(self.messages.iter().map(|_| Disposition::Return))
    }

    fn oldest_returned(&self, answer: &SqsBatchResponse) -> Option<Timestamp> {
        let failures = answer.batch_item_failures.iter();
        let returned: HashSet<&str> = failures.map(|failure| failure.item_identifier.as_str()).collect();
        let sent = self.messages.iter().zip(&self.sent_at);
        sent.filter(|(message, _)| returned.contains(message.message_id.as_str()))
            .filter_map(|(_, sent_at)| *sent_at)
            .min()
    }
}

fn sent_at(message: &SqsMessage) -> Option<Timestamp> {
    let millis = message.attributes.get("SentTimestamp")?.parse().ok()?;
    Timestamp::from_unix_millis(millis)
}

/// Without an id a message could not be returned by itself, and without a body it is none of SQS's.
fn message((position, message): (usize, SqsMessage)) -> Result<Delivered, String> {
    let missing = |what| format!("message {} of the batch has no {what}", position + 1);
    if message.message_id.as_deref().is_none_or(str::is_empty) {
        return Err(missing("messageId"));
    }
    if message.body.is_none() {
        return Err(missing("body"));
    }
    Ok(message.into())
}
