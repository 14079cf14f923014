//! From notifications to rows. Nothing is acknowledged that is not in the ledger.

use daybook_ledger::{Deadline, Ledger, NewRow, Recorded};
use daybook_schema::notification::Reading;

use crate::delivery::{Delivered, Disposition};

/// From so many rows on, those of the payloads read so far are recorded before the next payload is read: many payloads of very
/// many parts would need memory for all of them otherwise.
const TOGETHER: usize = 4096;

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

    /// Records all events of all payloads together, about 4,000 rows at a time, and says for each payload what came of it. A payload
    /// that cannot be read becomes a PARKED row that keeps it. Nothing is begun after the deadline.
    pub async fn ingest(&self, payloads: &[Payload], deadline: Deadline) -> Vec<Ingested> {
        let mut results: Vec<Ingested> = Vec::with_capacity(payloads.len());
        let mut counts = Vec::with_capacity(payloads.len());
        let mut rows = Vec::new();
        let mut outcomes = Vec::new();
        for payload in payloads {
            let (ingested, mut read) = self.read(payload);
            counts.push(read.len());
            results.push(ingested);
            rows.append(&mut read);
            if rows.len() >= TOGETHER {
                outcomes.append(&mut self.record(std::mem::take(&mut rows), deadline).await);
            }
        }
        outcomes.append(&mut self.record(rows, deadline).await);
        let mut outcomes = outcomes.into_iter();
        for (ingested, count) in results.iter_mut().zip(counts) {
            ingested.rows.extend(outcomes.by_ref().take(count));
        }
        results
    }

    /// The rows of one payload, and what there is to say of it before they are recorded.
    fn read(&self, payload: &Payload) -> (Ingested, Vec<NewRow>) {
        let mut read = self.reading.read(&payload.body, payload.message_id.as_deref());
        let ingested = Ingested {
            rows: Vec::new(),
            unreadable: read.unreadable.len(),
            test_events: read.test_events,
        };
        // StartExecution takes 256 ASCII characters and refuses the execution otherwise: a link is not worth an event.
        let trace = payload
            .trace
            .as_ref()
            .filter(|trace| trace.is_ascii() && trace.len() <= 256);
        let events = read.events.into_iter().enumerate();
        let events = events.map(|(position, event)| NewRow::Event {
            event,
            max_attempts: self.max_attempts,
            trace: trace.cloned(),
            caveat: read.caveats.remove(&position),
        });
        let unreadable = read.unreadable.into_iter().map(|part| NewRow::Unreadable {
            reading: self.reading.clone(),
            payload: part.raw,
            why: part.why,
            trace: trace.cloned(),
        });
        (ingested, events.chain(unreadable).collect())
    }

    /// Records rows; none of them when the deadline has passed.
    async fn record(&self, rows: Vec<NewRow>, deadline: Deadline) -> Vec<Recorded> {
        if deadline.is_over(self.ledger.clock()) {
            let late = || Recorded::Throttled("no time was left to record it".into());
            return rows.iter().map(|_| late()).collect();
        }
        self.ledger.record(rows, deadline).await
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
