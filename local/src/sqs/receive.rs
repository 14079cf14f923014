//! `ReceiveMessage`, and what may be done with a receipt handle.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Sqs;
use super::batch::{self, BatchResponse, Done};
use super::error::{SqsError, SqsErrorCode};
use super::limits::{MAX_IN_FLIGHT, MAX_VISIBILITY_SECONDS, MAX_WAIT_SECONDS};
use super::message::{Message, MessageAttributes, Millis, attributes_md5, body_md5};
use super::queue::{Held, Queue, millis};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceivedMessages {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<ReceivedMessage>,
}

#[derive(Serialize)]
struct ReceivedMessage {
    #[serde(rename = "MessageId")]
    id: String,
    #[serde(rename = "ReceiptHandle")]
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    body_md5: String,
    #[serde(rename = "Body")]
    body: String,
    #[serde(rename = "Attributes", skip_serializing_if = "BTreeMap::is_empty")]
    system_attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MessageAttributes", skip_serializing_if = "BTreeMap::is_empty")]
    attributes: MessageAttributes,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
}

/// A checked request, with the queue's own settings where it is silent.
struct Poll {
    name: String,
    count: usize,
    hide: Duration,
    wait: Duration,
    system_attributes: Vec<String>,
    attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<Entry> {
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteEntry {
    id: String,
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VisibilityEntry {
    id: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

fn within(value: i64, parameter: &str, from: u64, to: u64) -> Result<u64, SqsError> {
    u64::try_from(value)
        .ok()
        .filter(|value| (from..=to).contains(value))
        .ok_or_else(|| {
            SqsError::parameter(
                value,
                parameter,
                &format!("Must be between {from} and {to}, if provided."),
            )
        })
}

fn bad_handle(handle: &str) -> SqsError {
    let message = format!("The input receipt handle \"{handle}\" is not a valid receipt handle.");
    SqsError::new(SqsErrorCode::ReceiptHandleIsInvalid, message)
}

impl Sqs {
    fn poll(&self, request: ReceiveMessage) -> Result<Poll, SqsError> {
        let name = self.name(&request.queue_url)?.to_owned();
        let mut state = self.state();
        let queue = state.queue(&name)?;
        let count = within(
            request.max_number_of_messages.unwrap_or(1),
            "MaxNumberOfMessages",
            1,
            10,
        )?;
        let hide = match request.visibility_timeout {
            Some(seconds) => {
                Duration::from_secs(within(seconds, "VisibilityTimeout", 0, MAX_VISIBILITY_SECONDS)?)
            }
            None => queue.attributes.visibility_timeout,
        };
        let wait = match request.wait_time_seconds {
            Some(seconds) => Duration::from_secs(within(seconds, "WaitTimeSeconds", 0, MAX_WAIT_SECONDS)?),
            None => queue.attributes.receive_wait,
        };
        let mut system_attributes = request.message_system_attribute_names;
        system_attributes.extend(request.attribute_names);
        let attributes = request.message_attribute_names;
        Ok(Poll {
            name,
            count: usize::try_from(count).unwrap_or(1),
            hide,
            wait,
            system_attributes,
            attributes,
        })
    }

    /// Receives, waiting as long as the request or the queue says. Nothing is taken before the future returns:
    /// one that is dropped while it waits has received nothing.
    pub(super) async fn receive(&self, request: ReceiveMessage) -> Result<ReceivedMessages, SqsError> {
        let poll = self.poll(request)?;
        let changed = self.state().queue(&poll.name)?.changed.clone();
        if poll.wait.is_zero() {
            return self.take(&poll);
        }
        let deadline = tokio::time::sleep(poll.wait);
        tokio::pin!(deadline);
        loop {
            // Registered before the look, so that a message which arrives in between rings.
            let rung = changed.notified();
            let received = self.take(&poll)?;
            if !received.messages.is_empty() {
                return Ok(received);
            }
            let next = self.until_next_change(&poll)?;
            tokio::select! {
                biased;
                () = rung => {}
                () = tokio::time::sleep(next) => {}
                () = &mut deadline => return self.take(&poll),
            }
        }
    }

    /// How long until time alone may put a message on offer, by the clock; at least a millisecond, so that a
    /// clock that stands still is not polled in a busy loop.
    fn until_next_change(&self, poll: &Poll) -> Result<Duration, SqsError> {
        let now = self.now();
        let mut state = self.state();
        let next = [state.queue(&poll.name)?.next_visible_at(), state.next_move_at()];
        let millis = next
            .into_iter()
            .flatten()
            .min()
            .map_or(Millis::MAX, |at| at - now);
        let longest = Duration::from_secs(MAX_WAIT_SECONDS);
        Ok(u64::try_from(millis)
            .map_or(Duration::ZERO, Duration::from_millis)
            .clamp(Duration::from_millis(1), longest))
    }

    fn take(&self, poll: &Poll) -> Result<ReceivedMessages, SqsError> {
        let now = self.now();
        let mut state = self.state();
        let (_, in_flight, _) = state.queue(&poll.name)?.depth();
        if in_flight >= MAX_IN_FLIGHT {
            return full(state.queue(&poll.name)?, poll);
        }
        let mut messages = Vec::new();
        while messages.len() < poll.count {
            let queue = state.queue(&poll.name)?;
            let places = queue.on_offer(poll.count - messages.len());
            let Some(first) = places.first().copied() else {
                break;
            };
            if queue.is_used_up(first) && state.dead_letter(&poll.name, first, now) {
                continue;
            }
            // In FIFO the whole take may come from one group, which its own first message must not block.
            let queue = state.queue(&poll.name)?;
            let fit = places
                .iter()
                .skip(1)
                .take_while(|place| !queue.is_used_up(**place))
                .count()
                + 1;
            for place in &places[..fit] {
                let receipt_handle = queue.receive(*place, poll.hide, now, &self.inner.ids);
                let message = queue
                    .message(*place)
                    .map(|message| (message, message.system_attributes(self)));
                if let (Some(receipt_handle), Some((message, system))) = (receipt_handle, message) {
                    messages.push(message.received(receipt_handle, poll, system));
                }
            }
            // A visibility timeout of zero leaves them on offer: a second look would hand them out twice.
            if fit == places.len() || poll.hide.is_zero() {
                break;
            }
        }
        Ok(ReceivedMessages { messages })
    }

    pub(super) fn delete_message(&self, request: DeleteMessage) -> Result<serde_json::Value, SqsError> {
        self.delete_one(&request.queue_url, &request.receipt_handle)?;
        Ok(serde_json::json!({}))
    }

    /// An outdated handle is answered as if it had deleted: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html>
    fn delete_one(&self, url: &str, handle: &str) -> Result<(), SqsError> {
        let mut state = self.state();
        let queue = state.queue(self.name(url)?)?;
        let receipt = queue.receipt(handle).ok_or_else(|| bad_handle(handle))?;
        match queue.held(receipt) {
            Held::RunOut(_) if queue.attributes.fifo => {
                let reason = "The receipt handle has expired.";
                return Err(SqsError::parameter(handle, "ReceiptHandle", reason));
            }
            Held::InFlight(place) | Held::RunOut(place) => {
                queue.remove(place);
            }
            Held::Superseded | Held::Gone => {}
        }
        Ok(())
    }

    pub(super) fn delete_message_batch(
        &self,
        request: Batch<DeleteEntry>,
    ) -> Result<BatchResponse<Done>, SqsError> {
        self.state().queue(self.name(&request.queue_url)?)?;
        batch::check(
            request.entries.iter().map(|entry| entry.id.as_str()),
            "DeleteMessageBatchRequestEntry",
        )?;
        let entries = request
            .entries
            .into_iter()
            .map(|entry| (entry.id, entry.receipt_handle))
            .collect();
        Ok(batch::each(entries, |id, handle| {
            self.delete_one(&request.queue_url, &handle)?;
            Ok(Done { id: id.to_owned() })
        }))
    }

    pub(super) fn change_visibility(&self, request: ChangeVisibility) -> Result<serde_json::Value, SqsError> {
        self.change_one(
            &request.queue_url,
            &request.receipt_handle,
            request.visibility_timeout,
        )?;
        Ok(serde_json::json!({}))
    }

    fn change_one(&self, url: &str, handle: &str, seconds: i64) -> Result<(), SqsError> {
        let now = self.now();
        let mut state = self.state();
        let queue = state.queue(self.name(url)?)?;
        let seconds = within(seconds, "VisibilityTimeout", 0, MAX_VISIBILITY_SECONDS)?;
        let receipt = queue.receipt(handle).ok_or_else(|| bad_handle(handle))?;
        let place = match queue.held(receipt) {
            Held::InFlight(place) => place,
            Held::RunOut(_) => {
                let message = "The specified message isn't in flight.";
                return Err(SqsError::new(SqsErrorCode::MessageNotInflight, message));
            }
            Held::Superseded | Held::Gone => {
                let reason = "Message does not exist or is not available for visibility timeout change.";
                return Err(SqsError::parameter(handle, "ReceiptHandle", reason));
            }
        };
        let until = now + millis(Duration::from_secs(seconds));
        // The 12 hours count from the receive, however often the timeout is moved.
        // https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-visibility-timeout.html
        let longest = millis(Duration::from_secs(MAX_VISIBILITY_SECONDS));
        let received_at = queue
            .message(place)
            .map_or(now, |message| message.last_received_at);
        if until - received_at > longest {
            let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
            return Err(SqsError::parameter(seconds, "VisibilityTimeout", reason));
        }
        queue.hide_until(place, until, now);
        queue.changed.notify_waiters();
        Ok(())
    }

    pub(super) fn change_visibility_batch(
        &self,
        request: Batch<VisibilityEntry>,
    ) -> Result<BatchResponse<Done>, SqsError> {
        self.state().queue(self.name(&request.queue_url)?)?;
        let ids = request.entries.iter().map(|entry| entry.id.as_str());
        batch::check(ids, "ChangeMessageVisibilityBatchRequestEntry")?;
        let entry = |entry: VisibilityEntry| (entry.id, (entry.receipt_handle, entry.visibility_timeout));
        let entries = request.entries.into_iter().map(entry).collect();
        Ok(batch::each(entries, |id, (handle, seconds): (String, i64)| {
            self.change_one(&request.queue_url, &handle, seconds)?;
            Ok(Done { id: id.to_owned() })
        }))
    }
}

/// Too many in flight: an error for a short poll on a standard queue, silence otherwise.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
fn full(queue: &Queue, poll: &Poll) -> Result<ReceivedMessages, SqsError> {
    if queue.attributes.fifo || !poll.wait.is_zero() {
        return Ok(ReceivedMessages { messages: Vec::new() });
    }
    let message = format!("There are too many in-flight messages: {MAX_IN_FLIGHT} is the maximum.");
    Err(SqsError::new(SqsErrorCode::OverLimit, message))
}

impl Message {
    fn system_attributes(&self, sqs: &Sqs) -> BTreeMap<&'static str, String> {
        let trace = self.content.system_attributes.get("AWSTraceHeader");
        let shown = [
            ("SenderId", Some(sqs.inner.account.clone())),
            ("SentTimestamp", Some(self.sent_at.to_string())),
            ("ApproximateReceiveCount", Some(self.receive_count.to_string())),
            (
                "ApproximateFirstReceiveTimestamp",
                self.first_received_at.map(|at| at.to_string()),
            ),
            ("SequenceNumber", self.sequence_number.clone()),
            ("MessageDeduplicationId", self.content.deduplication_id.clone()),
            ("MessageGroupId", self.content.group.clone()),
            (
                "AWSTraceHeader",
                trace.and_then(|trace| trace.string_value.clone()),
            ),
            ("DeadLetterQueueSourceArn", self.dead_letter_source.clone()),
        ];
        shown
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
            .collect()
    }

    fn received(
        &self,
        receipt_handle: String,
        poll: &Poll,
        mut system_attributes: BTreeMap<&'static str, String>,
    ) -> ReceivedMessage {
        let wanted = |wish: &String, name: &str| wish == "All" || wish == name;
        system_attributes.retain(|name, _| poll.system_attributes.iter().any(|wish| wanted(wish, name)));
        let mut attributes = self.content.attributes.clone();
        attributes.retain(|name, _| {
            poll.attributes.iter().any(|wish| {
                wanted(wish, name)
                    || wish
                        .strip_suffix(".*")
                        .is_some_and(|start| name.starts_with(start))
            })
        });
        ReceivedMessage {
            id: self.id.clone(),
            receipt_handle,
            body_md5: body_md5(&self.content.body),
            body: self.content.body.clone(),
            system_attributes,
            attributes_md5: attributes_md5(&attributes),
            attributes,
        }
    }
}
