//! Queues of SQS by their names, ARNs and URLs, and their attributes.

use std::collections::BTreeMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::get_queue_attributes::GetQueueAttributesError;
use aws_sdk_sqs::types::QueueAttributeName;
use daybook_ledger::{Cause, describe};

use crate::aws::answer::Answer;

/// A queue's attributes, as SQS spells them.
pub type Attributes = BTreeMap<String, String>;

/// All attributes of a queue.
pub async fn attributes(sqs: &Client, url: &str) -> Answer<Attributes> {
    Answer::of(asked(sqs, url).await, "sqs:GetQueueAttributes")
}

async fn asked(sqs: &Client, url: &str) -> Result<Attributes, SdkError<GetQueueAttributesError>> {
    let asked = sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::All);
    let attributes = asked.send().await?.attributes.unwrap_or_default();
    let named = |(name, value): (QueueAttributeName, String)| (name.as_str().to_owned(), value);
    Ok(attributes.into_iter().map(named).collect())
}

/// All attributes of the queue with that ARN.
pub async fn by_arn(sqs: &Client, arn: &str) -> Answer<Attributes> {
    match url_of(sqs, arn).await {
        Answer::Known(url) => attributes(sqs, &url).await,
        Answer::Absent => Answer::Absent,
        Answer::Unknown(refusal) => Answer::Unknown(refusal),
    }
}

/// The URL of the queue with that ARN.
pub async fn url_of(sqs: &Client, arn: &str) -> Answer<String> {
    let mut parts = arn.rsplit(':');
    let (name, account) = (parts.next().unwrap_or_default(), parts.next());
    url(sqs, name, account).await
}

/// The URL of the queue of that name in this account.
pub async fn url_by_name(sqs: &Client, name: &str) -> Answer<String> {
    url(sqs, name, None).await
}

async fn url(sqs: &Client, name: &str, account: Option<&str>) -> Answer<String> {
    let asked = sqs
        .get_queue_url()
        .queue_name(name)
        .set_queue_owner_aws_account_id(account.map(str::to_owned));
    Answer::of(asked.send().await, "sqs:GetQueueUrl").and_then(|answer| answer.queue_url.into())
}

/// The ARN of the queue at that URL.
///
/// # Errors
/// What SQS said.
pub async fn arn_of(sqs: &Client, url: &str) -> Result<String, Cause> {
    let attributes = asked(sqs, url).await.map_err(|error| describe(&error))?;
    arn(&attributes)
}

/// The queue's ARN.
///
/// # Errors
/// When it is not among the attributes.
pub fn arn(attributes: &Attributes) -> Result<String, Cause> {
    let arn = attributes.get("QueueArn").cloned();
    arn.ok_or_else(|| "GetQueueAttributes gave no QueueArn".into())
}
