//! A received message as it is sent on.

use std::collections::HashMap;

use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};

use crate::relay::settings::DeduplicationId;
use crate::send_batch::entry_id;

/// What a received message needs to be sent on, and to be deleted afterwards.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    id: String,
    /// Needed to delete it. SQS always gives one; a message without one comes again.
    pub(super) handle: Option<String>,
    body: String,
    attributes: Option<HashMap<String, MessageAttributeValue>>,
    trace: Option<String>,
    group: Option<String>,
    deduplication_id: Option<String>,
}

impl Carried {
    pub(super) fn of(message: Message) -> Self {
        let attribute = |name| {
            message
                .attributes()
                .and_then(|attributes| attributes.get(&name))
                .cloned()
        };
        Self {
            trace: attribute(MessageSystemAttributeName::AwsTraceHeader),
            group: attribute(MessageSystemAttributeName::MessageGroupId),
            deduplication_id: attribute(MessageSystemAttributeName::MessageDeduplicationId),
            id: message.message_id.unwrap_or_default(),
            handle: message.receipt_handle,
            body: message.body.unwrap_or_default(),
            attributes: message.message_attributes,
        }
    }

    /// The FIFO group that it belongs to: its own, or one of its own making, because a message without a group has no order to keep.
    pub(super) fn group(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.id)
    }

    /// Its size as SQS counts it: body, and names, types and values of attributes, in bytes (SQS quotas).
    pub(super) fn bytes(&self) -> usize {
        let attributes = self.attributes.iter().flatten();
        let attributes = attributes.map(|(name, value)| {
            let binary = value.binary_value().map_or(0, |bytes| bytes.as_ref().len());
            name.len() + value.data_type().len() + value.string_value().map_or(0, str::len) + binary
        });
        self.body.len() + attributes.sum::<usize>()
    }

    /// The entry at that position of a request. The trace header does not count towards its size.
    pub(super) fn entry(
        &self,
        position: usize,
        to: Kind,
        how: DeduplicationId,
    ) -> SendMessageBatchRequestEntry {
        let trace = self.trace.as_ref().map(|header| {
            let value = MessageSystemAttributeValue::builder()
                .data_type("String")
                .string_value(header);
            let value = value.build().expect("the type is set");
            HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value)])
        });
        let entry = SendMessageBatchRequestEntry::builder()
            .id(entry_id(position))
            .message_body(&self.body)
            .set_message_attributes(self.attributes.clone())
            .set_message_system_attributes(trace);
        let entry = match to {
            Kind::Standard => entry,
            Kind::Fifo => entry
                .message_group_id(self.group())
                .message_deduplication_id(self.deduplication_id(how)),
        };
        entry.build().expect("id and body are set")
    }

    fn deduplication_id(&self, how: DeduplicationId) -> &str {
        match how {
            DeduplicationId::MessageId => &self.id,
            DeduplicationId::Kept => self.deduplication_id.as_deref().unwrap_or(&self.id),
        }
    }
}

/// What a queue promises, by its name: SQS's own rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Standard,
    Fifo,
}

impl Kind {
    pub(super) fn of(url: &str) -> Self {
        match url.ends_with(".fifo") {
            true => Self::Fifo,
            false => Self::Standard,
        }
    }
}
