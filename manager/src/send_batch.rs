//! One SendMessageBatch, and what is known of each of its messages afterwards.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::types::{BatchResultErrorEntry, SendMessageBatchRequestEntry};
use daybook_ledger::{AnswerWatch, Cause, CauseKind, Verdict, describe};

/// Entries per SendMessageBatch (SQS API Reference).
pub(crate) const BATCH_ENTRIES: usize = 10;

/// Bytes per SendMessageBatch, all entries together (SQS quotas).
pub(crate) const BATCH_BYTES: usize = 1024 * 1024;

/// The outcome of sending one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The queue has it, under that id.
    Sent(Option<String>),
    /// The queue certainly does not have it.
    NotSent(Cause),
    /// The same: the queue takes no more for now.
    Throttled(Cause),
    /// The queue may have it.
    Unknown(Cause),
}

/// Sends entries whose ids are their positions, as [`entry_id`] makes them, in one request that is never repeated by the SDK, and gives the
/// outcome of each, in their order.
pub(crate) async fn send_batch(
    client: &Client,
    url: &str,
    entries: Vec<SendMessageBatchRequestEntry>,
) -> Vec<Delivery> {
    let count = entries.len();
    let watch = AnswerWatch::default();
    let answer = client
        .send_message_batch()
        .queue_url(url)
        .set_entries(Some(entries))
        .customize()
        // The SDK would send once more what was perhaps sent: a second copy, which nobody has granted.
        .config_override(aws_sdk_sqs::config::Builder::default().retry_config(RetryConfig::disabled()))
        .interceptor(watch.clone())
        .send()
        .await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            let outcome = match watch.verdict(&error) {
                Verdict::Unknown => Delivery::Unknown(describe(&error)),
                Verdict::Throttled => Delivery::Throttled(describe(&error)),
                Verdict::Invalid | Verdict::Refused => Delivery::NotSent(describe(&error)),
            };
            return vec![outcome; count];
        }
    };
    // An entry that the answer does not mention may be in the queue.
    let mut outcomes = vec![Delivery::Unknown("the answer does not mention this entry".into()); count];
    let position = |id: &str| id.parse::<usize>().ok().filter(|position| *position < count);
    for entry in answer.failed() {
        if let Some(position) = position(entry.id()) {
            outcomes[position] = failed(entry);
        }
    }
    for entry in answer.successful() {
        if let Some(position) = position(entry.id()) {
            outcomes[position] = Delivery::Sent(Some(entry.message_id().to_owned()));
        }
    }
    outcomes
}

/// The id of the entry at that position of a request.
pub(crate) fn entry_id(position: usize) -> String {
    position.to_string()
}

/// `failed` means that this entry was not enqueued (SendMessageBatch, SQS API Reference), unless SQS failed internally, which proves
/// nothing.
fn failed(entry: &BatchResultErrorEntry) -> Delivery {
    let words = match entry.message() {
        Some(message) => format!("{}: {message}", entry.code()),
        None => entry.code().to_owned(),
    };
    // The answer to the batch is a success.
    let kind = CauseKind::Service {
        code: Some(entry.code().to_owned()),
        status: 200,
    };
    let cause = Cause::new(kind, words);
    match !entry.sender_fault() && entry.code().starts_with("Internal") {
        true => Delivery::Unknown(cause),
        false => Delivery::NotSent(cause),
    }
}
