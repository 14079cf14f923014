//! `SendMessage` and `SendMessageBatch`.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Sqs;
use super::batch::{self, BatchResponse};
use super::error::{SqsError, SqsErrorCode};
use super::limits::{MAX_DELAY_SECONDS, MAX_MESSAGE_BYTES};
use super::message::{MessageAttributes, NewMessage, attributes_md5, body_md5};
use super::queue::{Queue, Sent};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    content: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: MessageAttributes,
    #[serde(default)]
    message_system_attributes: MessageAttributes,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessageBatch {
    queue_url: String,
    #[serde(default)]
    entries: Vec<SendEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEntry {
    id: String,
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize)]
pub(super) struct SentMessage {
    #[serde(rename = "Id", skip_serializing_if = "Option::is_none")]
    entry_id: Option<String>,
    #[serde(rename = "MessageId")]
    pub(super) id: String,
    #[serde(rename = "MD5OfMessageBody")]
    body_md5: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    attributes_md5: Option<String>,
    #[serde(
        rename = "MD5OfMessageSystemAttributes",
        skip_serializing_if = "Option::is_none"
    )]
    system_attributes_md5: Option<String>,
    #[serde(rename = "SequenceNumber", skip_serializing_if = "Option::is_none")]
    sequence_number: Option<String>,
}

impl Content {
    fn message(self) -> Result<NewMessage, SqsError> {
        let delay_seconds = match self.delay_seconds {
            None => None,
            Some(seconds) => Some(
                u64::try_from(seconds)
                    .ok()
                    .filter(|seconds| *seconds <= MAX_DELAY_SECONDS)
                    .ok_or_else(|| {
                        let reason = "DelaySeconds must be >= 0 and <= 900.";
                        SqsError::parameter(seconds, "DelaySeconds", reason)
                    })?,
            ),
        };
        Ok(NewMessage {
            body: self.message_body,
            attributes: self.message_attributes,
            system_attributes: self.message_system_attributes,
            group: self.message_group_id,
            deduplication_id: self.message_deduplication_id,
            delay_seconds,
        })
    }
}

/// Fits the message to the kind of queue, or says why it does not.
fn fit(queue: &Queue, mut message: NewMessage) -> Result<NewMessage, SqsError> {
    message.check()?;
    let limit = queue.attributes.maximum_message_bytes;
    if message.bytes() > limit {
        let text = format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
        );
        return Err(SqsError::new(SqsErrorCode::InvalidParameterValue, text));
    }
    if !queue.attributes.fifo {
        return match message.deduplication_id {
            Some(id) => Err(SqsError::parameter(
                id,
                "MessageDeduplicationId",
                "The request includes a parameter that is not valid for this queue type.",
            )),
            None => Ok(message),
        };
    }
    if message.group.is_none() {
        return Err(SqsError::missing("MessageGroupId"));
    }
    if let Some(seconds) = message.delay_seconds.filter(|seconds| *seconds > 0) {
        let reason = "The request include parameter that is not valid for this queue type.";
        return Err(SqsError::parameter(seconds, "DelaySeconds", reason));
    }
    message.delay_seconds = None;
    if message.deduplication_id.is_none() {
        if !queue.attributes.content_based_deduplication {
            let text = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
                        explicitly";
            return Err(SqsError::new(SqsErrorCode::InvalidParameterValue, text));
        }
        message.deduplication_id = Some(
            Sha256::digest(message.body.as_bytes())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        );
    }
    Ok(message)
}

impl Sqs {
    pub(super) fn send_one(&self, url: &str, message: NewMessage) -> Result<SentMessage, SqsError> {
        let now = self.now();
        let mut state = self.state();
        let queue = state.queue(self.name(url)?)?;
        let message = fit(queue, message)?;
        let body_md5 = body_md5(&message.body);
        let attributes_md5_of = attributes_md5(&message.attributes);
        let system_attributes_md5 = attributes_md5(&message.system_attributes);
        let Sent { id, sequence_number } = queue.send(message, now, &self.inner.ids);
        Ok(SentMessage {
            entry_id: None,
            id,
            body_md5,
            attributes_md5: attributes_md5_of,
            system_attributes_md5,
            sequence_number,
        })
    }

    pub(super) fn send_message(&self, request: SendMessage) -> Result<SentMessage, SqsError> {
        self.send_one(&request.queue_url, request.content.message()?)
    }

    pub(super) fn send_message_batch(
        &self,
        request: SendMessageBatch,
    ) -> Result<BatchResponse<SentMessage>, SqsError> {
        self.state().queue(self.name(&request.queue_url)?)?;
        batch::check(
            request.entries.iter().map(|entry| entry.id.as_str()),
            "SendMessageBatchRequestEntry",
        )?;
        let mut entries = Vec::with_capacity(request.entries.len());
        let mut bytes = 0;
        for entry in request.entries {
            let message = entry.content.message();
            bytes += message.as_ref().map_or(0, NewMessage::bytes);
            entries.push((entry.id, message));
        }
        if bytes > MAX_MESSAGE_BYTES {
            let text = format!(
                "Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have sent {bytes} bytes."
            );
            return Err(SqsError::new(SqsErrorCode::BatchRequestTooLong, text));
        }
        Ok(batch::each(entries, |id, message| {
            let sent = self.send_one(&request.queue_url, message?)?;
            Ok(SentMessage {
                entry_id: Some(id.to_owned()),
                ..sent
            })
        }))
    }
}
