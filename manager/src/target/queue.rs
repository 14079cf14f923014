//! An SQS queue as a target: each attempt is one message.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::types::{
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_ledger::{AnswerWatch, Verdict, describe};

use crate::executions::Started;
use crate::queue::DispatchQueue;
use crate::rate_limiter::Pace;
use crate::send_batch::{Delivery, entry_id, send_batch};
use crate::target::outbox::{Message, Outbox};

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
    outbox: Arc<Outbox>,
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
            outbox: Arc::default(),
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

    /// Sends that message, with what else waits to be sent. One whose answer is lost is not done: the queue may have it, and it is sent
    /// again.
    pub(super) async fn send(&self, message: Message, pace: &Pace) -> Started {
        let mut told = self.outbox.put(message);
        // Those that come at the same moment are there before the first of them sends.
        tokio::task::yield_now().await;
        let _turn = self.outbox.turn().await;
        loop {
            if let Some(started) = told.now() {
                return started;
            }
            let together = self.outbox.take();
            pace.turns(together.messages.len()).await;
            let started = self.send_together(&together.messages).await;
            together.tell(started);
        }
    }

    /// Sends up to ten; the outcome of each, in their order.
    async fn send_together(&self, messages: &[Message]) -> Vec<Started> {
        if let [one] = messages {
            return vec![self.send_one(one).await];
        }
        let entries = messages.iter().enumerate();
        let entries = entries
            .map(|(position, message)| self.entry(position, message))
            .collect();
        let sent = send_batch(&self.client, &self.url, entries).await;
        let mut outcomes = Vec::with_capacity(messages.len());
        for (message, delivery) in messages.iter().zip(sent) {
            outcomes.push(match delivery {
                Delivery::Sent(id) => self.taken(id.as_deref()),
                Delivery::Throttled(cause) => Started::Throttled(cause.into()),
                // By itself, so that the answer is about this one.
                Delivery::NotSent(cause) if is_of_content(cause.code()) => self.send_one(message).await,
                Delivery::NotSent(cause) | Delivery::Unknown(cause) => Started::NotStarted(cause.into()),
            });
        }
        outcomes
    }

    fn entry(&self, position: usize, message: &Message) -> SendMessageBatchRequestEntry {
        let entry = SendMessageBatchRequestEntry::builder()
            .id(entry_id(position))
            .message_body(&message.body);
        let entry = match self.fifo {
            true => entry
                .message_group_id(&message.group)
                .message_deduplication_id(message.name.to_string()),
            false => entry,
        };
        let entry = match message.trace.as_deref().and_then(trace_attribute) {
            Some(trace) => {
                entry.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
            }
            None => entry,
        };
        entry.build().expect("id and body are set")
    }

    async fn send_one(&self, message: &Message) -> Started {
        let watch = AnswerWatch::default();
        let request = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(&message.body);
        let request = match self.fifo {
            true => request
                .message_group_id(&message.group)
                .message_deduplication_id(message.name.to_string()),
            false => request,
        };
        let request = match message.trace.as_deref().and_then(trace_attribute) {
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
        let error = match answer {
            Ok(sent) => return self.taken(sent.message_id()),
            Err(error) => error,
        };
        let cause = describe(&error).into();
        match watch.verdict(&error) {
            Verdict::Throttled => Started::Throttled(cause),
            // Both are about this message alone: what it consists of, and how long it is (SendMessage, SQS API Reference).
            Verdict::Refused | Verdict::Invalid if is_of_content(error.code()) => Started::Invalid(cause),
            Verdict::Refused | Verdict::Invalid | Verdict::Unknown => Started::NotStarted(cause),
        }
    }

    /// What it is to an attempt that the queue has its message.
    fn taken(&self, message_id: Option<&str>) -> Started {
        match self.completion {
            QueueCompletion::Reported => Started::Untracked,
            QueueCompletion::Sent => Started::Done(self.done(message_id)),
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

/// Whether an error is about what a message consists of, or how long it is; of a batch, that of any of its messages.
fn is_of_content(code: Option<&str>) -> bool {
    code.is_some_and(|code| {
        let code = code.rsplit('.').next().unwrap_or_default();
        matches!(
            code,
            "InvalidMessageContents"
                | "InvalidParameterValue"
                | "InvalidParameterValueException"
                | "BatchRequestTooLong"
        )
    })
}

fn trace_attribute(header: &str) -> Option<MessageSystemAttributeValue> {
    let value = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value(header);
    value.build().ok()
}
