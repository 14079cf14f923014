//! A queue of a case's own.

use aws_sdk_sqs::{
    Client,
    error::SdkError,
    operation::{
        change_message_visibility::{ChangeMessageVisibilityError, ChangeMessageVisibilityOutput},
        send_message::SendMessageOutput,
        send_message_batch::{SendMessageBatchError, SendMessageBatchOutput},
    },
    types::{Message, MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry},
};

use crate::services::Services;

pub struct Queue {
    pub client: Client,
    pub url: String,
}

impl Queue {
    pub async fn standard(services: &Services) -> Self {
        Self::with(services, &[]).await
    }

    pub async fn with(services: &Services, attributes: &[(QueueAttributeName, &str)]) -> Self {
        let fifo = attributes
            .iter()
            .any(|(name, _)| *name == QueueAttributeName::FifoQueue);
        let name = services.name("queue") + if fifo { ".fifo" } else { "" };
        let mut create = services.sqs.create_queue().queue_name(name);
        for (name, value) in attributes {
            create = create.attributes(name.clone(), *value);
        }
        let created = create.send().await.expect("a queue is created");
        Self {
            client: services.sqs.clone(),
            url: created.queue_url().expect("has a URL").to_owned(),
        }
    }

    pub async fn fifo(services: &Services) -> Self {
        Self::with(services, &[(QueueAttributeName::FifoQueue, "true")]).await
    }

    /// A queue whose messages go to a second queue after `count` receives.
    pub async fn with_dead_letters(services: &Services, count: u32) -> (Self, Self) {
        let dead = Self::standard(services).await;
        let arn = dead.attribute(QueueAttributeName::QueueArn).await;
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{count}"}}"#);
        (
            Self::with(services, &[(QueueAttributeName::RedrivePolicy, &policy)]).await,
            dead,
        )
    }

    pub async fn attribute(&self, name: QueueAttributeName) -> String {
        let get = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(name.clone());
        let got = get.send().await.expect("attributes");
        got.attributes()
            .and_then(|all| all.get(&name))
            .cloned()
            .unwrap_or_default()
    }

    pub async fn send(&self, body: &str) -> SendMessageOutput {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .expect("sent")
    }

    /// Sends to a FIFO queue.
    pub async fn send_to(&self, group: &str, deduplication_id: &str, body: &str) -> SendMessageOutput {
        let send = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_group_id(group);
        send.message_deduplication_id(deduplication_id)
            .send()
            .await
            .expect("sent")
    }

    pub async fn send_batch(
        &self,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Result<SendMessageBatchOutput, SdkError<SendMessageBatchError>> {
        self.client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries))
            .send()
            .await
    }

    /// What is there now.
    pub async fn receive(&self, count: i32) -> Vec<Message> {
        self.poll(count, 0).await
    }

    pub async fn receive_one(&self) -> Message {
        self.receive_within(2).await
    }

    pub async fn receive_within(&self, seconds: i32) -> Message {
        let mut messages = self.poll(1, seconds).await;
        assert_eq!(messages.len(), 1, "one message within {seconds} s");
        messages.remove(0)
    }

    async fn poll(&self, count: i32, seconds: i32) -> Vec<Message> {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(count);
        let receive = receive
            .wait_time_seconds(seconds)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        receive
            .send()
            .await
            .expect("received")
            .messages
            .unwrap_or_default()
    }

    pub async fn delete(&self, message: &Message) {
        let handle = message.receipt_handle().expect("has a receipt handle");
        let delete = self
            .client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(handle);
        delete.send().await.expect("deleted");
    }

    pub async fn change(
        &self,
        message: &Message,
        seconds: i32,
    ) -> Result<ChangeMessageVisibilityOutput, SdkError<ChangeMessageVisibilityError>> {
        let handle = message.receipt_handle().expect("has a receipt handle");
        let change = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(handle);
        change.visibility_timeout(seconds).send().await
    }
}

pub fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder()
        .id(id)
        .message_body(body)
        .build()
        .expect("complete")
}

pub fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().filter_map(|message| message.body()).collect()
}
