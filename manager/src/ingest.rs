//! From notifications to rows. Nothing is acknowledged that is not in the ledger.

use daybook_ledger::{Deadline, Ledger, NewRow, Recorded};
use daybook_schema::notification::Reading;

use crate::delivery::{Delivered, Disposition};

/// Records the events of notifications.
#[derive(Clone, Debug)]
pub struct Ingest {
    ledger: Ledger,
    reading: Reading,
    max_attempts: u32,
}

/// One notification as it came, whatever carried it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// The text.
    pub body: String,
    /// The X-Ray header.
    pub trace: Option<String>,
    /// The id of the queue's message that it came in; none where there is no queue.
    pub message_id: Option<String>,
}

/// What came of one payload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingested {
    /// The outcome of each of its events and unreadable parts, in the order of the payload's events, then its unreadable parts.
    pub rows: Vec<Recorded>,
    /// How many of the rows are unreadable parts, at the end of `rows`.
    pub unreadable: usize,
    /// `s3:TestEvent`s in it, which need no row.
    pub test_events: usize,
}

impl Ingested {
    /// Whether all that the payload said is safe, so that it may be acknowledged.
    pub fn is_safe(&self) -> bool {
        self.rows.iter().all(Recorded::is_safe)
    }

    /// What the queue is to do with the message that it came in.
    pub fn disposition(&self) -> Disposition {
        // Record, then acknowledge. A crash in between costs one redelivery, which `record` absorbs.
        // The opposite order would lose the events.
        match self.is_safe() {
            true => Disposition::Acknowledge,
            false => Disposition::Return,
        }
    }

    /// How many of its rows had that outcome.
    pub fn count(&self, outcome: impl Fn(&Recorded) -> bool) -> usize {
        self.rows.iter().filter(|row| outcome(row)).count()
    }
}

impl Ingest {
    /// Records into that ledger, events read that way, to be tried so many times.
    pub fn new(ledger: Ledger, reading: Reading, max_attempts: u32) -> Self {
        Self {
            ledger,
            reading,
            max_attempts,
        }
    }

    /// Records all events of all payloads together, and says for each payload what came of it. A payload that cannot be read
    /// becomes a PARKED row that keeps it.
    pub async fn ingest(&self, payloads: &[Payload], deadline: Deadline) -> Vec<Ingested> {
        let mut results = Vec::with_capacity(payloads.len());
        let mut rows = Vec::new();
        for payload in payloads {
            let mut read = self.reading.read(&payload.body, payload.message_id.as_deref());
            let (events, unreadable) = (read.events.len(), read.unreadable.len());
            // StartExecution takes 256 ASCII characters and refuses the execution otherwise: a link is not worth an event.
            let trace = payload
                .trace
                .as_ref()
                .filter(|trace| trace.is_ascii() && trace.len() <= 256);
            let new = |(position, event)| NewRow::Event {
                event,
                max_attempts: self.max_attempts,
                trace: trace.cloned(),
                caveat: read.caveats.remove(&position),
            };
            rows.extend(read.events.into_iter().enumerate().map(new));
            rows.extend(read.unreadable.into_iter().map(|part| NewRow::Unreadable {
                reading: self.reading.clone(),
                payload: part.raw,
                why: part.why,
                trace: trace.cloned(),
            }));
            let ingested = Ingested {
                rows: Vec::new(),
                unreadable,
                test_events: read.test_events,
            };
            results.push((events + unreadable, ingested));
        }
        let mut outcomes = self.ledger.record(rows, deadline).await.into_iter();
        let fill = |(count, mut ingested): (usize, Ingested)| {
            ingested.rows.extend(outcomes.by_ref().take(count));
            ingested
        };
        results.into_iter().map(fill).collect()
    }

    /// Handles messages of the intake queue; what came of each, in their order.
    pub async fn handle(&self, messages: &[Delivered], deadline: Deadline) -> Vec<Ingested> {
        let payload = |message: &Delivered| Payload {
            body: message.body.clone(),
            trace: message.trace.clone(),
            message_id: Some(message.message_id.clone()),
        };
        let payloads: Vec<Payload> = messages.iter().map(payload).collect();
        let ingested = self.ingest(&payloads, deadline).await;
        for (message, ingested) in messages.iter().zip(&ingested) {
            for outcome in ingested.rows.iter().filter(|outcome| !outcome.is_safe()) {
                tracing::warn!(
                    sqs.message_id = %message.message_id,
                    trace.link = message.trace,
                    ?outcome,
                    "an event is not in the ledger; its message is returned"
                );
            }
        }
        ingested
    }
}
