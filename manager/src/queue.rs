//! The dispatch queue: sending claimed rows, and how many messages wait. And how many wait in the intake queue.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::types::{BatchResultErrorEntry, QueueAttributeName, SendMessageBatchRequestEntry};
use daybook_ledger::{AnswerWatch, Cause, CauseKind, Verdict, describe};
use daybook_schema::{DispatchMessage, EventId, Row};
use futures::StreamExt;

/// Entries per SendMessageBatch (SQS API Reference).
const BATCH_ENTRIES: usize = 10;

/// Bytes per SendMessageBatch, all entries together (SQS quotas).
const BATCH_BYTES: usize = 1024 * 1024;

/// Requests under way at once.
const CONCURRENCY: usize = 8;

/// The queue between the scheduler and the invoker; standard or FIFO, by its name.
#[derive(Clone, Debug)]
pub struct DispatchQueue {
    client: Client,
    url: String,
    fifo: bool,
}

/// What came of sending one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The queue has it.
    Sent,
    /// The queue certainly does not have it.
    NotSent(Cause),
    /// The queue may have it.
    Unknown(Cause),
}

/// What came of sending claimed rows, by what is to be done about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dispatched {
    /// Rows whose messages the queue has.
    pub sent: Vec<EventId>,
    /// Rows whose messages the queue certainly does not have: to be given back.
    pub refused: Vec<Row>,
    /// Rows whose messages the queue may have. They stay claimed: giving them back could put an attempt on the queue twice.
    pub unknown: Vec<EventId>,
    /// Why messages were refused or are unknown.
    pub causes: Vec<Cause>,
}

/// The queue could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on queue {url}: {cause}")]
pub struct QueueError {
    operation: &'static str,
    url: String,
    cause: Cause,
}

impl QueueError {
    /// Why, as SQS or the client said.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl From<QueueError> for Cause {
    fn from(error: QueueError) -> Self {
        Self::new(error.cause.kind().clone(), error.to_string())
    }
}

impl DispatchQueue {
    /// The queue at that URL; a name that ends in `.fifo` is a FIFO queue (SQS's own rule).
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        let url = url.into();
        Self {
            client,
            fifo: url.ends_with(".fifo"),
            url,
        }
    }

    /// Sends the messages of claimed rows, as [`DispatchQueue::send`], and sorts them by outcome.
    pub async fn dispatch(&self, rows: Vec<Row>) -> Dispatched {
        let outcomes = self.send(&rows).await;
        let mut dispatched = Dispatched::default();
        for (row, outcome) in rows.into_iter().zip(outcomes) {
            match outcome {
                Sent::Sent => dispatched.sent.push(row.id),
                Sent::NotSent(cause) => {
                    dispatched.refused.push(row);
                    dispatched.causes.push(cause);
                }
                Sent::Unknown(cause) => {
                    dispatched.unknown.push(row.id);
                    dispatched.causes.push(cause);
                }
            }
        }
        dispatched
    }

    /// Sends the messages of claimed rows, 10 and at most 1 MiB per request, and gives the outcome of each in their order.
    pub async fn send(&self, rows: &[Row]) -> Vec<Sent> {
        let mut outcomes = vec![Sent::NotSent("the row has nothing to run".into()); rows.len()];
        let messages = rows.iter().enumerate().filter_map(|(position, row)| {
            let body = DispatchMessage::for_row(row)?.to_json();
            Some((position, row, body))
        });
        let mut batches: Vec<Vec<(usize, &Row, String)>> = Vec::new();
        let mut bytes = 0;
        for message in messages {
            bytes += message.2.len();
            match batches.last_mut() {
                Some(batch) if batch.len() < BATCH_ENTRIES && bytes <= BATCH_BYTES => batch.push(message),
                _ => {
                    bytes = message.2.len();
                    batches.push(vec![message]);
                }
            }
        }
        let requests: Vec<_> = batches.into_iter().map(|batch| self.send_batch(batch)).collect();
        let mut answers = futures::stream::iter(requests).buffer_unordered(CONCURRENCY);
        while let Some(answer) = answers.next().await {
            for (position, outcome) in answer {
                outcomes[position] = outcome;
            }
        }
        outcomes
    }

    /// Sends one batch; the position and outcome of each entry.
    async fn send_batch(&self, batch: Vec<(usize, &Row, String)>) -> Vec<(usize, Sent)> {
        let outcomes = self.send_entries(&batch).await;
        batch
            .into_iter()
            .map(|(position, ..)| position)
            .zip(outcomes)
            .collect()
    }

    async fn send_entries(&self, batch: &[(usize, &Row, String)]) -> Vec<Sent> {
        let entries = batch.iter().enumerate().map(|(entry, (_, row, body))| {
            let entry = SendMessageBatchRequestEntry::builder()
                .id(entry.to_string())
                .message_body(body);
            let entry = match (self.fifo, row.event()) {
                (true, Some(event)) => entry
                    .message_group_id(event.object_id().to_string())
                    .message_deduplication_id(deduplication_id(row)),
                _ => entry,
            };
            entry.build().expect("id and body are set")
        });
        let watch = AnswerWatch::default();
        let answer = self
            .client
            .send_message_batch()
            .queue_url(&self.url)
            .set_entries(Some(entries.collect()))
            .customize()
            // The SDK would send once more what was perhaps sent: a second copy, beyond what was granted. An unknown send stays
            // claimed instead, and what was certainly not sent is given back.
            .config_override(aws_sdk_sqs::config::Builder::default().retry_config(RetryConfig::disabled()))
            .interceptor(watch.clone())
            .send()
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let outcome = match watch.verdict(&error) {
                    Verdict::Unknown => Sent::Unknown(describe(&error)),
                    Verdict::Throttled | Verdict::Invalid | Verdict::Refused => {
                        Sent::NotSent(describe(&error))
                    }
                };
                return vec![outcome; batch.len()];
            }
        };
        // An entry that the answer does not speak of may be in the queue.
        let mut outcomes = vec![Sent::Unknown("the answer does not mention this entry".into()); batch.len()];
        let position = |id: &str| {
            id.parse::<usize>()
                .ok()
                .filter(|position| *position < batch.len())
        };
        for entry in answer.failed() {
            if let Some(position) = position(entry.id()) {
                outcomes[position] = failed(entry);
            }
        }
        for entry in answer.successful() {
            if let Some(position) = position(entry.id()) {
                outcomes[position] = Sent::Sent;
            }
        }
        outcomes
    }

    /// How many messages the queue holds: waiting, delayed, and being worked on. Approximate, as SQS is.
    ///
    /// # Errors
    /// When the queue cannot be asked.
    pub async fn depth(&self) -> Result<u64, QueueError> {
        let counts = attributes(&self.client, &self.url, &COUNTS).await?;
        Ok(counts.iter().sum())
    }
}

/// The queue that S3's notifications arrive on, as an audit looks at it.
#[derive(Clone, Debug)]
pub struct IntakeQueue {
    client: Client,
    url: String,
}

/// What an intake queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntakeDepth {
    /// Messages that wait, are delayed, or are being worked on. Approximate, as SQS is; those of its dead-letter queue are not among
    /// them.
    pub messages: u64,
    /// How long a message stays at most.
    pub retention: Duration,
}

impl IntakeQueue {
    /// The queue at that URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many messages it holds, and for how long.
    ///
    /// # Errors
    /// When the queue cannot be asked.
    pub async fn depth(&self) -> Result<IntakeDepth, QueueError> {
        let names: Vec<_> = COUNTS
            .into_iter()
            .chain([QueueAttributeName::MessageRetentionPeriod])
            .collect();
        let mut values = attributes(&self.client, &self.url, &names).await?;
        let retention = values.pop().unwrap_or_default();
        Ok(IntakeDepth {
            messages: values.iter().sum(),
            retention: Duration::from_secs(retention),
        })
    }
}

/// The attributes that count messages.
const COUNTS: [QueueAttributeName; 3] = [
    QueueAttributeName::ApproximateNumberOfMessages,
    QueueAttributeName::ApproximateNumberOfMessagesDelayed,
    QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
];

/// Attributes that are numbers, in that order.
async fn attributes(
    client: &Client,
    url: &str,
    names: &[QueueAttributeName],
) -> Result<Vec<u64>, QueueError> {
    let failed = |cause| QueueError {
        operation: "GetQueueAttributes",
        url: url.to_owned(),
        cause,
    };
    let asked = client.get_queue_attributes().queue_url(url);
    let asked = asked.set_attribute_names(Some(names.to_vec()));
    let answer = asked.send().await.map_err(|error| failed(describe(&error)))?;
    let number = |name: &QueueAttributeName| {
        let text = answer.attributes().and_then(|attributes| attributes.get(name));
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| failed(format!("the answer has no number for {}", name.as_str()).into()))
    };
    names.iter().map(number).collect()
}

/// `failed` means that this entry was not enqueued (SendMessageBatch, SQS API Reference), unless SQS failed inside: that is no
/// proof.
fn failed(entry: &BatchResultErrorEntry) -> Sent {
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
        true => Sent::Unknown(cause),
        false => Sent::NotSent(cause),
    }
}

/// What SQS compares for five minutes: a retry of one delivery is a duplicate, the next delivery is not.
fn deduplication_id(row: &Row) -> String {
    let token = row
        .claim_token
        .map(|token| token.simple().to_string())
        .unwrap_or_default();
    format!("{}-{token}-{}", row.id, row.deliveries)
}
