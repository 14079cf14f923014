//! An SQS queue as a target: each attempt is one message.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::types::{MessageSystemAttributeNameForSends, MessageSystemAttributeValue};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_ledger::{AnswerWatch, Verdict, describe};
use daybook_schema::RunName;

use crate::executions::Started;
use crate::queue::DispatchQueue;

/// A FIFO queue drops what it had within five minutes (SQS Developer Guide), so a message that is sent again must come later.
const DEDUPLICATION: Duration = Duration::from_secs(6 * 60);

/// When an event is done whose message the queue has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "arguments", derive(clap::ValueEnum))]
pub enum QueueCompletion {
    /// As soon as the queue certainly has its message
    Sent,
    /// When the queue's consumer has reported its success to the completion queue
    Reported,
}

/// A queue that gets the attempts as messages; standard, or FIFO by its name.
#[derive(Clone, Debug)]
pub struct QueueTarget {
    client: Client,
    url: String,
    fifo: bool,
    completion: QueueCompletion,
}

/// A message for the queue.
pub(super) struct Message {
    /// What a FIFO queue recognises a copy by: an event and its attempt, or a batch.
    pub(super) name: RunName,
    /// What a FIFO queue keeps in order.
    pub(super) group: String,
    pub(super) body: String,
}

impl QueueTarget {
    /// The queue at that URL; a name that ends in `.fifo` is a FIFO queue (SQS's own rule).
    pub fn new(client: Client, url: impl Into<String>, completion: QueueCompletion) -> Self {
        let url = url.into();
        Self {
            client,
            fifo: url.ends_with(".fifo"),
            url,
            completion,
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// When its events are done.
    pub fn completion(&self) -> QueueCompletion {
        self.completion
    }

    /// The queue, to ask how many messages it holds.
    pub(super) fn as_queue(&self) -> DispatchQueue {
        DispatchQueue::new(self.client.clone(), &self.url)
    }

    /// The shortest lease of a start that is counted: what is sent after it is no copy to the queue.
    pub(super) fn least_lease(&self) -> Duration {
        match self.fifo {
            true => DEDUPLICATION,
            false => Duration::ZERO,
        }
    }

    /// Sends that message. One whose answer is lost is not done: the queue may have it, and it is sent again.
    pub(super) async fn send(&self, message: Message, trace: Option<&str>) -> Started {
        let watch = AnswerWatch::default();
        let request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(message.body);
        let request = match self.fifo {
            true => request
                .message_group_id(message.group)
                .message_deduplication_id(message.name.to_string()),
            false => request,
        };
        let request = match trace.and_then(trace_attribute) {
            Some(trace) => {
                request.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
            }
            None => request,
        };
        let answer = request
            .customize()
            // The SDK would send once more what was perhaps sent.
            .config_override(aws_sdk_sqs::config::Builder::default().retry_config(RetryConfig::disabled()))
            .interceptor(watch.clone())
            .send()
            .await;
        let error = match (answer, self.completion) {
            (Ok(_), QueueCompletion::Reported) => return Started::Untracked,
            (Ok(sent), QueueCompletion::Sent) => return Started::Done(self.done(sent.message_id())),
            (Err(error), _) => error,
        };
        let cause = describe(&error).into();
        match watch.verdict(&error) {
            Verdict::Throttled => Started::Throttled(cause),
            // Both are about this message alone: what it consists of, and how long it is (SendMessage, SQS API Reference).
            Verdict::Refused | Verdict::Invalid
                if matches!(
                    error.code(),
                    Some(
                        "InvalidMessageContents" | "InvalidParameterValue" | "InvalidParameterValueException"
                    )
                ) =>
            {
                Started::Invalid(cause)
            }
            Verdict::Refused | Verdict::Invalid | Verdict::Unknown => Started::NotStarted(cause),
        }
    }

    /// What a receipt says that an event was done by.
    fn done(&self, message_id: Option<&str>) -> String {
        match message_id {
            Some(id) => format!("{} {id}", self.url),
            None => self.url.clone(),
        }
    }
}

fn trace_attribute(header: &str) -> Option<MessageSystemAttributeValue> {
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(header);
    value.build().ok()
}
