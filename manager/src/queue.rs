//! The dispatch queue: sending claimed rows, and how many messages wait. And how many wait in the intake queue.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use daybook_ledger::{Cause, describe};
use daybook_schema::{EventId, Row};
use futures::StreamExt;

use crate::packing::{Entry, Packed, pack};
use crate::send_batch::{BATCH_BYTES, BATCH_ENTRIES, Delivery, entry_id, send_batch};

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
    /// Not sent: with it the input of its batch would be too long. It gets another batch.
    Surplus,
    /// The queue may have it.
    Unknown(Cause),
}

impl From<Delivery> for Sent {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Sent(_) => Self::Sent,
            Delivery::NotSent(cause) | Delivery::Throttled(cause) => Self::NotSent(cause),
            Delivery::Unknown(cause) => Self::Unknown(cause),
        }
    }
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
                Sent::Surplus => dispatched.refused.push(row),
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

    /// Sends the messages of claimed rows, 10 and at most 1 MiB per request, and gives the outcome of each row in their order. Rows of
    /// one batch and one execution share a message.
    pub async fn send(&self, rows: &[Row]) -> Vec<Sent> {
        let mut outcomes = vec![Sent::NotSent("the row has nothing to run".into()); rows.len()];
        let Packed { entries, surplus } = pack(rows);
        for position in surplus {
            outcomes[position] = Sent::Surplus;
        }
        let mut requests: Vec<Vec<Entry<'_>>> = Vec::new();
        let mut bytes = 0;
        for entry in entries {
            bytes += entry.body.len();
            match requests.last_mut() {
                Some(request) if request.len() < BATCH_ENTRIES && bytes <= BATCH_BYTES => request.push(entry),
                _ => {
                    bytes = entry.body.len();
                    requests.push(vec![entry]);
                }
            }
        }
        let requests: Vec<_> = requests
            .into_iter()
            .map(|entries| async move {
                let sent = self.send_entries(&entries).await;
                entries.into_iter().zip(sent).collect::<Vec<_>>()
            })
            .collect();
        let mut answers = futures::stream::iter(requests).buffer_unordered(CONCURRENCY);
        while let Some(answer) = answers.next().await {
            for (entry, sent) in answer {
                for position in entry.rows {
                    outcomes[position] = sent.clone();
                }
            }
        }
        outcomes
    }

    async fn send_entries(&self, batch: &[Entry<'_>]) -> Vec<Sent> {
        let entries = batch.iter().enumerate().map(|(number, entry)| {
            let to_send = SendMessageBatchRequestEntry::builder()
                .id(entry_id(number))
                .message_body(&entry.body);
            let to_send = match self.fifo {
                true => to_send
                    .message_group_id(entry.group())
                    .message_deduplication_id(entry.deduplication_id()),
                false => to_send,
            };
            to_send.build().expect("id and body are set")
        });
        let outcomes = send_batch(&self.client, &self.url, entries.collect()).await;
        outcomes.into_iter().map(Sent::from).collect()
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
