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

/// The queue could not be polled, or acknowledged messages could not be deleted; they come again.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on queue {queue_url}: {cause}")]
pub struct PollError {
    operation: &'static str,
    queue_url: String,
    cause: String,
}

/// Receives up to 10 messages, has them handled, and deletes those that are acknowledged; the others come again after their
/// visibility timeout. How many were received.
///
/// # Errors
/// When SQS cannot be asked. Messages that were handled and not deleted come again, which every mover absorbs.
pub async fn poll_once(
    poll: &Poll,
    handle: impl AsyncFnOnce(Vec<Delivered>) -> Vec<Disposition>,
) -> Result<usize, PollError> {
    let failed = |operation, cause| PollError {
        operation,
        queue_url: poll.queue_url.clone(),
        cause,
    };
    let messages = poll
        .receive()
        .await
        .map_err(|cause| failed("ReceiveMessage", cause))?;
    if messages.is_empty() {
        return Ok(0);
    }
    let dispositions = handle(messages.iter().map(delivered).collect()).await;
    let done = messages
        .iter()
        .zip(dispositions)
        .filter(|(_, disposition)| *disposition == Disposition::Acknowledge);
    let entries: Vec<DeleteMessageBatchRequestEntry> = done
        .filter_map(|(message, _)| message.receipt_handle())
        .enumerate()
        .map(|(entry, handle)| {
            let entry = DeleteMessageBatchRequestEntry::builder()
                .id(entry.to_string())
                .receipt_handle(handle);
            entry.build().expect("id and receipt handle are set")
        })
        .collect();
    if !entries.is_empty() {
        let delete = poll
            .client
            .delete_message_batch()
            .queue_url(&poll.queue_url)
            .set_entries(Some(entries));
        let answer = delete
            .send()
            .await
            .map_err(|error| failed("DeleteMessageBatch", describe(&error)))?;
        if let Some(entry) = answer.failed().first() {
            let cause = format!("{} of the messages: {}", answer.failed().len(), entry.code());
            return Err(failed("DeleteMessageBatch", cause));
        }
    }
    Ok(messages.len())
}

impl Poll {
    async fn receive(&self) -> Result<Vec<Message>, String> {
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
            .map_err(|error| describe(&error))?;
        Ok(answer.messages.unwrap_or_default())
    }
}

fn delivered(message: &Message) -> Delivered {
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
