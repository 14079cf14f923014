//! Receiving from a queue where no Lambda event source mapping does it: local mode and tests.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use aws_smithy_types::timeout::TimeoutConfig;
use daybook_ledger::describe;

use crate::delivery::{Delivered, Disposition};

/// One queue, polled.
#[derive(Clone, Debug)]
pub struct Poll {
    /// The client.
    pub client: Client,
    /// The queue.
    pub queue_url: String,
    /// How long a poll waits for a message, up to 20 seconds.
    pub wait: Duration,
}

/// Messages that were received together, up to 10.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What a mover handles.
    pub messages: Vec<Delivered>,
    receipt_handles: Vec<Option<String>>,
}

/// The queue could not be polled, or acknowledged messages could not be deleted; they come again.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on queue {queue_url}: {cause}")]
pub struct PollError {
    operation: &'static str,
    queue_url: String,
    cause: String,
}

impl Poll {
    /// Receives up to 10 messages; none when none came within `wait`.
    ///
    /// # Errors
    /// When SQS cannot be asked.
    pub async fn receive(&self) -> Result<Batch, PollError> {
        let seconds = i32::try_from(self.wait.as_secs()).unwrap_or(20).min(20);
        // A long poll is meant to take long: the client's own patience is for requests that should be quick.
        let patience = Duration::from_secs(5) + self.wait;
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(patience)
            .operation_timeout(patience)
            .build();
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(10)
            .wait_time_seconds(seconds)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::AwsTraceHeader)
            .customize()
            .config_override(aws_sdk_sqs::config::Builder::default().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| self.failed("ReceiveMessage", describe(&error).into()))?;
        let messages = answer.messages.unwrap_or_default();
        Ok(Batch {
            receipt_handles: messages
                .iter()
                .map(|message| message.receipt_handle.clone())
                .collect(),
            messages: messages.iter().map(delivered).collect(),
        })
    }

    /// Deletes the messages that are acknowledged; the others come again after their visibility timeout.
    ///
    /// # Errors
    /// When messages were not certainly deleted. They come again, which every mover absorbs.
    pub async fn acknowledge(&self, batch: Batch, dispositions: &[Disposition]) -> Result<(), PollError> {
        let entries: Vec<DeleteMessageBatchRequestEntry> = batch
            .receipt_handles
            .into_iter()
            .zip(dispositions)
            .filter(|(_, disposition)| **disposition == Disposition::Acknowledge)
            .filter_map(|(handle, _)| handle)
            .enumerate()
            .map(|(entry, handle)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(entry.to_string());
                entry
                    .receipt_handle(handle)
                    .build()
                    .expect("id and receipt handle are set")
            })
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        let answer = self
            .client
            .delete_message_batch()
            .queue_url(&self.queue_url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| self.failed("DeleteMessageBatch", describe(&error).into()))?;
        match answer.failed().first() {
            None => Ok(()),
            Some(entry) => {
                let cause = format!("{} of the messages: {}", answer.failed().len(), entry.code());
                Err(self.failed("DeleteMessageBatch", cause))
            }
        }
    }

    fn failed(&self, operation: &'static str, cause: String) -> PollError {
        PollError {
            operation,
            queue_url: self.queue_url.clone(),
            cause,
        }
    }
}

/// A message as a mover sees it.
pub(crate) fn delivered(message: &Message) -> Delivered {
    let attribute = |name| message.attributes().and_then(|attributes| attributes.get(&name));
    Delivered {
        message_id: message.message_id().unwrap_or_default().to_owned(),
        body: message.body().unwrap_or_default().to_owned(),
        receive_count: attribute(MessageSystemAttributeName::ApproximateReceiveCount)
            .and_then(|count| count.parse().ok())
            .unwrap_or(1),
        trace: attribute(MessageSystemAttributeName::AwsTraceHeader).cloned(),
    }
}
