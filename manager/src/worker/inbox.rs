//! The dispatch queue as a worker sees it: messages that are received, held, dropped or given back one by one.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use aws_smithy_types::timeout::TimeoutConfig;
use daybook_ledger::{Clock, describe};
use daybook_schema::Timestamp;

use super::settings::LONGEST_VISIBILITY;
use crate::delivery::Delivered;
use crate::poll::delivered;

/// Messages per ReceiveMessage (SQS API Reference).
const MOST_MESSAGES: usize = 10;

/// The longest long poll (SQS API Reference).
const LONG_POLL: Duration = Duration::from_secs(20);

/// The queue.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    pub(super) client: Client,
    pub(super) queue_url: String,
    pub(super) clock: Clock,
}

/// A message that nobody else sees for a while.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) delivered: Delivered,
    receipt_handle: String,
    received_at: Timestamp,
}

/// A message, and the queue that it is of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) inbox: &'a Inbox,
    pub(super) held: &'a Held,
}

impl Message<'_> {
    /// As [`Inbox::hide`].
    pub(super) async fn hide(self, visibility: Duration) {
        self.inbox.hide(self.held, visibility).await;
    }
}

impl Inbox {
    /// Receives up to `most` messages and hides them for `visibility`; none when none came within 20 seconds.
    ///
    /// # Errors
    /// Why SQS could not be asked. Messages whose answer was lost come again after `visibility`.
    pub(super) async fn receive(&self, most: usize, visibility: Duration) -> Result<Vec<Held>, String> {
        // A long poll is meant to take long: the client's own patience is for requests that should be quick.
        let patience = LONG_POLL + Duration::from_secs(5);
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(patience)
            .operation_timeout(patience)
            .build();
        // Before the request: the 12 hours that a message may be held count from SQS's own time, which is later.
        let received_at = self.clock.now();
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(i32::try_from(most.clamp(1, MOST_MESSAGES)).unwrap_or(1))
            .wait_time_seconds(whole_seconds(LONG_POLL))
            .visibility_timeout(whole_seconds(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::AwsTraceHeader)
            .customize()
            .config_override(aws_sdk_sqs::config::Builder::default().timeout_config(timeouts))
            .send()
            .await
            .map_err(|error| format!("ReceiveMessage on {}: {}", self.queue_url, describe(&error)))?;
        let held = |message: &aws_sdk_sqs::types::Message| Held {
            delivered: delivered(message),
            receipt_handle: message.receipt_handle().unwrap_or_default().to_owned(),
            received_at,
        };
        Ok(answer.messages().iter().map(held).collect())
    }

    /// Hides the message for that long from now, or for what is left of its 12 hours. Trouble is logged and no more: the row's
    /// lease is the guard, and a message that is seen too early is dropped.
    pub(super) async fn hide(&self, held: &Held, visibility: Duration) {
        let left = LONGEST_VISIBILITY
            .saturating_sub(self.clock.now().since(held.received_at))
            .saturating_sub(Duration::from_secs(5));
        if left.is_zero() && !visibility.is_zero() {
            return;
        }
        let answer = self
            .client
            .change_message_visibility()
            .queue_url(&self.queue_url)
            .receipt_handle(&held.receipt_handle)
            .visibility_timeout(whole_seconds(visibility.min(left)))
            .send()
            .await;
        if let Err(error) = answer {
            let (message_id, cause) = (&held.delivered.message_id, describe(&error));
            tracing::warn!(sqs.message_id = %message_id, %cause, "a message's visibility timeout could not be changed");
        }
    }

    /// Deletes the message. When that fails it comes again, and finds its row gone on.
    pub(super) async fn delete(&self, held: &Held) {
        let answer = self
            .client
            .delete_message()
            .queue_url(&self.queue_url)
            .receipt_handle(&held.receipt_handle)
            .send()
            .await;
        if let Err(error) = answer {
            let (message_id, cause) = (&held.delivered.message_id, describe(&error));
            tracing::warn!(sqs.message_id = %message_id, %cause, "a message could not be deleted; it comes again and is dropped then");
        }
    }
}

/// Rounded up: a message must not be seen before its lease is over.
fn whole_seconds(duration: Duration) -> i32 {
    let up = u64::from(duration.subsec_nanos() > 0);
    i32::try_from(duration.as_secs().saturating_add(up)).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visibility_timeout_is_never_shorter_than_what_it_is_for() {
        for (millis, seconds) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (20_000, 20)] {
            assert_eq!(
                whole_seconds(Duration::from_millis(millis)),
                seconds,
                "{millis} ms"
            );
        }
        assert_eq!(whole_seconds(Duration::MAX), i32::MAX);
    }
}
