//! A message, what may be in it, and the digests that clients verify.

use std::collections::BTreeMap;

use aws_smithy_types::base64;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::error::{SqsError, SqsErrorCode};

/// Milliseconds since 1970.
pub(super) type Millis = i64;

/// A message attribute as it is on the wire; binary values in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MessageAttribute {
    pub(super) data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) string_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) binary_value: Option<String>,
}

pub(super) type MessageAttributes = BTreeMap<String, MessageAttribute>;

/// What a sender gives, checked.
#[derive(Debug, Clone)]
pub(super) struct NewMessage {
    pub(super) body: String,
    pub(super) attributes: MessageAttributes,
    pub(super) system_attributes: MessageAttributes,
    pub(super) group: Option<String>,
    pub(super) deduplication_id: Option<String>,
    pub(super) delay_seconds: Option<u64>,
}

/// Why a message is not on offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Visible,
    Delayed,
    InFlight,
}

/// A message in a queue.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) content: NewMessage,
    pub(super) sequence_number: Option<String>,
    /// Retention counts from here; a dead-letter queue keeps the source queue's time.
    pub(super) sent_at: Millis,
    pub(super) first_received_at: Option<Millis>,
    pub(super) last_received_at: Millis,
    pub(super) receive_count: u32,
    /// Which receipt handle is the newest.
    pub(super) receipt: u64,
    pub(super) presence: Presence,
    /// When it is on offer again, unless it is.
    pub(super) visible_at: Millis,
    pub(super) dead_letter_source: Option<String>,
}

/// A message as the simulation and the demo see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// `MessageId`.
    pub id: String,
    /// The body.
    pub body: String,
    /// `MessageGroupId`, where the sender gave one.
    pub group: Option<String>,
    /// How often it has been received.
    pub receive_count: u32,
    /// Whether somebody has received it and may still delete it.
    pub in_flight: bool,
}

impl Message {
    pub(super) fn view(&self) -> MessageView {
        MessageView {
            id: self.id.clone(),
            body: self.content.body.clone(),
            group: self.content.group.clone(),
            receive_count: self.receive_count,
            in_flight: self.presence == Presence::InFlight,
        }
    }
}

impl NewMessage {
    /// A plain message of this body.
    pub(super) fn of(body: &str) -> Self {
        Self {
            body: body.to_owned(),
            attributes: BTreeMap::new(),
            system_attributes: BTreeMap::new(),
            group: None,
            deduplication_id: None,
            delay_seconds: None,
        }
    }

    /// The size that counts against the limits: body and attributes, with their names and types.
    pub(super) fn bytes(&self) -> usize {
        let attribute = |(name, value): (&String, &MessageAttribute)| {
            name.len() + value.data_type.len() + value.value_bytes().map_or(0, |bytes| bytes.len())
        };
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// What is wrong with the content itself, whatever queue it goes to.
    pub(super) fn check(&self) -> Result<(), SqsError> {
        if self.body.is_empty() {
            return Err(SqsError::missing("MessageBody"));
        }
        if let Some(character) = self.body.chars().find(|character| !is_allowed(*character)) {
            let message = format!(
                "Invalid binary character '#x{:X}' was found in the message body, the set of allowed characters is \
                 #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
                u32::from(character)
            );
            return Err(SqsError::new(SqsErrorCode::InvalidMessageContents, message));
        }
        if self.attributes.len() > 10 {
            let message = format!(
                "Number of message attributes [{}] exceeds the allowed maximum [10].",
                self.attributes.len()
            );
            return Err(SqsError::new(SqsErrorCode::InvalidParameterValue, message));
        }
        for (name, attribute) in self.attributes.iter().chain(&self.system_attributes) {
            attribute.check(name)?;
        }
        for (name, id) in [
            ("MessageGroupId", &self.group),
            ("MessageDeduplicationId", &self.deduplication_id),
        ] {
            if let Some(id) = id
                && !is_token(id)
            {
                let reason = format!(
                    "{name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
                );
                return Err(SqsError::parameter(id, name, &reason));
            }
        }
        match self
            .system_attributes
            .keys()
            .find(|name| *name != "AWSTraceHeader")
        {
            Some(name) => Err(SqsError::parameter(
                name,
                "MessageSystemAttributes",
                "Unknown system attribute.",
            )),
            None => Ok(()),
        }
    }
}

/// XML 1.0's characters.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn is_token(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

impl MessageAttribute {
    fn value_bytes(&self) -> Option<Vec<u8>> {
        match (&self.string_value, &self.binary_value) {
            (Some(text), _) => Some(text.clone().into_bytes()),
            (None, Some(binary)) => base64::decode(binary).ok(),
            (None, None) => None,
        }
    }

    fn check(&self, name: &str) -> Result<(), SqsError> {
        let refuse = |message: String| Err(SqsError::new(SqsErrorCode::InvalidParameterValue, message));
        let kind = self.data_type.split('.').next().unwrap_or_default();
        if !matches!(kind, "String" | "Number" | "Binary") {
            return refuse(format!(
                "The type of message (user) attribute '{name}' is invalid. You must use only the following supported type \
                 prefixes: Binary, Number, String."
            ));
        }
        let plain = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
        if name.is_empty() || name.len() > 256 || !name.chars().all(plain) {
            return refuse(format!("Message (user) attribute name '{name}' is invalid."));
        }
        match self.value_bytes() {
            Some(bytes) if !bytes.is_empty() => Ok(()),
            _ => refuse(format!(
                "Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
            )),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `MD5OfMessageBody`.
pub(super) fn body_md5(body: &str) -> String {
    hex(&Md5::digest(body.as_bytes()))
}

/// `MD5OfMessageAttributes`: each by name, type, kind of value and value, each with its length before it.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
pub(super) fn attributes_md5<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a MessageAttribute)>,
) -> Option<String> {
    let mut digest = Md5::new();
    let mut any = false;
    for (name, attribute) in attributes {
        any = true;
        let value = attribute.value_bytes().unwrap_or_default();
        for part in [name.as_bytes(), attribute.data_type.as_bytes()] {
            digest.update(length(part));
            digest.update(part);
        }
        digest.update([if attribute.string_value.is_some() { 1 } else { 2 }]);
        digest.update(length(&value));
        digest.update(&value);
    }
    any.then(|| hex(&digest.finalize()))
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_are_those_that_aws_sends() {
        assert_eq!(body_md5("hello world"), "5eb63bbbe01eeed093cb22bb8f5acdc3");
        // The example is what botocore and the AWS SDK for Java compute for the same attribute.
        let attributes = MessageAttributes::from([(
            "timestamp".to_owned(),
            MessageAttribute {
                data_type: "Number".to_owned(),
                string_value: Some("1493147359900".to_owned()),
                binary_value: None,
            },
        )]);
        assert_eq!(
            attributes_md5(&attributes).as_deref(),
            Some("235c5c510d26fb653d073faed50ae77c")
        );
        assert_eq!(attributes_md5(&MessageAttributes::new()), None);
    }

    #[test]
    fn control_characters_are_refused_and_all_of_unicode_else_is_taken() {
        assert!(
            NewMessage::of("tab\tline\nKorean 한국어 emoji 😀")
                .check()
                .is_ok()
        );
        for bad in ["\u{0}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
            let refused = NewMessage::of(bad)
                .check()
                .expect_err("a character outside XML 1.0");
            assert_eq!(refused.code, SqsErrorCode::InvalidMessageContents);
        }
    }
}
