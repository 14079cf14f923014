//! The operations on queues themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Sqs;
use super::attributes::{QueueAttributes, is_known};
use super::error::{SqsError, SqsErrorCode};
use super::message::Millis;
use super::queue::Queue;
use super::state::State;

/// A deleted queue's name rests for 60 seconds, and purges are 60 seconds apart.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html>
const REST_MILLIS: Millis = 60_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct QueueUrl {
    queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    queue_name_prefix: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListedQueues {
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

fn check_name(name: &str, fifo: bool) -> Result<(), SqsError> {
    let refuse = |text: &str| Err(SqsError::new(SqsErrorCode::InvalidParameterValue, text));
    let stem = if fifo {
        name.strip_suffix(".fifo")
    } else {
        Some(name)
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let good = stem.is_some_and(|stem| !stem.is_empty() && stem.bytes().all(plain)) && name.len() <= 80;
    match (good, fifo) {
        (true, _) => Ok(()),
        (false, true) => refuse(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo \
             suffix and be 1 to 80 in length.",
        ),
        (false, false) => {
            refuse("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
        }
    }
}

/// A dead-letter queue must exist, and be of the same kind.
fn check_redrive(state: &mut State, attributes: &QueueAttributes) -> Result<(), SqsError> {
    let Some(redrive) = &attributes.redrive else {
        return Ok(());
    };
    let refuse = |reason: &str| {
        Err(SqsError::parameter(
            &redrive.dead_letter_arn,
            "RedrivePolicy",
            reason,
        ))
    };
    match state.queue_by_arn(&redrive.dead_letter_arn) {
        None => refuse("Dead letter target does not exist."),
        Some(queue) if queue.attributes.fifo != attributes.fifo => {
            refuse("Dead-letter queue must be same type of queue as the source.")
        }
        Some(_) => Ok(()),
    }
}

impl Sqs {
    /// Creates the queue. One that is there already must have the same value in every attribute that is given
    /// (`given`; `None` means all of them).
    pub(super) fn create(
        &self,
        name: &str,
        attributes: QueueAttributes,
        given: Option<&BTreeMap<String, String>>,
    ) -> Result<(), SqsError> {
        check_name(name, attributes.fifo)?;
        let now = self.now();
        let mut state = self.state();
        if let Some(queue) = state.queues.get(name) {
            let (has, wants) = (queue.attributes.shown(), attributes.shown());
            let differs = wants.iter().find(|(key, value)| {
                given.is_none_or(|given| given.contains_key(*key)) && has.get(*key) != Some(value)
            });
            return match differs {
                None => Ok(()),
                Some((key, _)) => Err(SqsError::new(
                    SqsErrorCode::QueueNameExists,
                    format!(
                        "A queue already exists with the same name and a different value for attribute {key}"
                    ),
                )),
            };
        }
        if state.deleted.get(name).is_some_and(|at| now - at < REST_MILLIS) {
            let message = "You must wait 60 seconds after deleting a queue before you can create another with the same name.";
            return Err(SqsError::new(SqsErrorCode::QueueDeletedRecently, message));
        }
        check_redrive(&mut state, &attributes)?;
        let queue = Queue::new(name, self.arn(name), attributes, now, self.inner.ids.word());
        state.queues.insert(name.to_owned(), queue);
        Ok(())
    }

    pub(super) fn create_queue_request(
        &self,
        request: CreateQueue,
        base_url: Option<&str>,
    ) -> Result<Value, SqsError> {
        let mut attributes = QueueAttributes::default();
        // First, because the others depend on it.
        if let Some(fifo) = request.attributes.get("FifoQueue") {
            attributes.apply(&BTreeMap::from([("FifoQueue".to_owned(), fifo.clone())]), true)?;
        }
        attributes.apply(&request.attributes, true)?;
        self.create(&request.queue_name, attributes, Some(&request.attributes))?;
        Ok(json!({"QueueUrl": self.url(&request.queue_name, base_url)}))
    }

    pub(super) fn delete_queue(&self, request: QueueUrl) -> Result<Value, SqsError> {
        let now = self.now();
        let name = self.name(&request.queue_url)?;
        let mut state = self.state();
        let queue = state.queues.remove(name).ok_or_else(SqsError::no_queue)?;
        queue.changed.notify_waiters();
        state.deleted.insert(name.to_owned(), now);
        Ok(json!({}))
    }

    pub(super) fn get_queue_url(
        &self,
        request: GetQueueUrl,
        base_url: Option<&str>,
    ) -> Result<Value, SqsError> {
        self.state().queue(&request.queue_name)?;
        Ok(json!({"QueueUrl": self.url(&request.queue_name, base_url)}))
    }

    pub(super) fn list_queues(
        &self,
        request: ListQueues,
        base_url: Option<&str>,
    ) -> Result<ListedQueues, SqsError> {
        let limit = request.max_results.unwrap_or(1_000);
        if !(1..=1_000).contains(&limit) {
            return Err(SqsError::parameter(
                limit,
                "MaxResults",
                "Must be between 1 and 1000, if provided.",
            ));
        }
        let prefix = request.queue_name_prefix.unwrap_or_default();
        let after = request.next_token.unwrap_or_default();
        let state = self.state();
        let names: Vec<&String> = state
            .queues
            .keys()
            .filter(|name| name.starts_with(&prefix) && **name > after)
            .collect();
        // Pages only for those who ask for them.
        let more = request.max_results.is_some() && names.len() > limit;
        let page = &names[..names.len().min(limit)];
        let next_token = page.last().filter(|_| more).map(|name| (*name).clone());
        Ok(ListedQueues {
            queue_urls: page.iter().map(|name| self.url(name, base_url)).collect(),
            next_token,
        })
    }

    pub(super) fn get_queue_attributes(&self, request: GetQueueAttributes) -> Result<Value, SqsError> {
        let mut state = self.state();
        let queue = state.queue(self.name(&request.queue_url)?)?;
        if let Some(name) = request.attribute_names.iter().find(|name| !is_known(name)) {
            let message = format!("Unknown Attribute {name}.");
            return Err(SqsError::new(SqsErrorCode::InvalidAttributeName, message));
        }
        let mut shown = queue.attributes.shown();
        let (visible, in_flight, delayed) = queue.depth();
        let mut show = |name: &str, value: String| shown.insert(name.to_owned(), value);
        show("QueueArn", queue.arn.clone());
        show("ApproximateNumberOfMessages", visible.to_string());
        show("ApproximateNumberOfMessagesNotVisible", in_flight.to_string());
        show("ApproximateNumberOfMessagesDelayed", delayed.to_string());
        show("CreatedTimestamp", (queue.created_at / 1_000).to_string());
        show("LastModifiedTimestamp", (queue.modified_at / 1_000).to_string());
        shown.retain(|name, _| {
            request
                .attribute_names
                .iter()
                .any(|wish| wish == "All" || wish == name)
        });
        Ok(if shown.is_empty() {
            json!({})
        } else {
            json!({"Attributes": shown})
        })
    }

    pub(super) fn set_queue_attributes(&self, request: SetQueueAttributes) -> Result<Value, SqsError> {
        let now = self.now();
        let name = self.name(&request.queue_url)?;
        let mut state = self.state();
        let mut attributes = state.queue(name)?.attributes.clone();
        attributes.apply(&request.attributes, false)?;
        check_redrive(&mut state, &attributes)?;
        let queue = state.queue(name)?;
        queue.attributes = attributes;
        queue.modified_at = now;
        queue.changed.notify_waiters();
        Ok(json!({}))
    }

    pub(super) fn purge_queue(&self, request: QueueUrl) -> Result<Value, SqsError> {
        let now = self.now();
        {
            let mut state = self.state();
            let queue = state.queue(self.name(&request.queue_url)?)?;
            if queue.purged_at.is_some_and(|at| now - at < REST_MILLIS) {
                let message = format!(
                    "Only one PurgeQueue operation on {} is allowed every 60 seconds.",
                    queue.name
                );
                return Err(SqsError::new(SqsErrorCode::PurgeQueueInProgress, message));
            }
            queue.purged_at = Some(now);
        }
        self.purge(&request.queue_url)?;
        Ok(json!({}))
    }
}
