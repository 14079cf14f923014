//! From notifications to rows. Nothing is acknowledged that is not in the ledger.

use std::collections::BTreeMap;

use daybook_ledger::{Deadline, Ledger, NewRow, Recorded};
use daybook_schema::EventId;
use daybook_schema::notification::Reading;

use crate::delivery::{Delivered, Disposition};
use crate::immediate::Immediate;
use crate::outlet::HandedOn;

/// From so many rows on, those of the payloads read so far are recorded before the next payload is read: many payloads of very
/// many parts would need memory for all of them otherwise.
const TOGETHER: usize = 4096;

/// Records the events of notifications.
#[derive(Clone, Debug)]
pub struct Ingest {
    ledger: Ledger,
    reading: Reading,
    max_attempts: u32,
    immediate: Option<Immediate>,
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
    /// Whether it was received before.
    pub again: bool,
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
    /// What came of those of its events that were dispatched at once.
    pub at_once: Vec<HandedOn>,
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
            immediate: None,
        }
    }

    /// The same, and newcomers are dispatched at once.
    pub fn dispatching(self, immediate: Immediate) -> Self {
        Self {
            immediate: Some(immediate),
            ..self
        }
    }

    /// Records all events of all payloads together, about 4,000 rows at a time, and says for each payload what came of it. A payload
    /// that cannot be read becomes a PARKED row that keeps it. Nothing is begun after the deadline.
    pub async fn ingest(&self, payloads: &[Payload], deadline: Deadline) -> Vec<Ingested> {
        let mut results: Vec<Ingested> = Vec::with_capacity(payloads.len());
        let mut counts = Vec::with_capacity(payloads.len());
        let mut rows = Vec::new();
        let mut outcomes = Vec::new();
        let mut ids: Vec<EventId> = Vec::new();
        let mut at_once = BTreeMap::new();
        for payload in payloads {
            let (ingested, mut read) = self.read(payload);
            counts.push(read.len());
            results.push(ingested);
            ids.extend(read.iter().map(NewRow::id));
            rows.append(&mut read);
            if rows.len() >= TOGETHER {
                let together = std::mem::take(&mut rows);
                outcomes.append(&mut self.record(together, &mut at_once, deadline).await);
            }
        }
        outcomes.append(&mut self.record(rows, &mut at_once, deadline).await);
        let mut outcomes = ids.iter().zip(outcomes);
        for (ingested, count) in results.iter_mut().zip(counts) {
            for (id, outcome) in outcomes.by_ref().take(count) {
                ingested.rows.push(outcome);
                // One of two that are equal was handed on.
                ingested.at_once.extend(at_once.remove(id));
            }
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
            at_once: Vec::new(),
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
            at_once: !payload.again,
        });
        let unreadable = read.unreadable.into_iter().map(|part| NewRow::Unreadable {
            reading: self.reading.clone(),
            payload: part.raw,
            why: part.why,
            trace: trace.cloned(),
        });
        (ingested, events.chain(unreadable).collect())
    }

    /// Records rows; none of them when the deadline has passed. What was dispatched at once is noted in `at_once`.
    ///
    /// Record, then hand on: dying in between leaves rows whose leases bring them back, and notifications that find them there.
    async fn record(
        &self,
        rows: Vec<NewRow>,
        at_once: &mut BTreeMap<EventId, HandedOn>,
        deadline: Deadline,
    ) -> Vec<Recorded> {
        if deadline.is_over(self.ledger.clock()) {
            let late = || Recorded::Throttled("no time was left to record it".into());
            return rows.iter().map(|_| late()).collect();
        }
        match &self.immediate {
            None => self.ledger.record(rows, deadline).await,
            // A future of its own: together with that of the other branch it would be too large for the stack of a caller.
            Some(immediate) => Box::pin(self.record_at_once(immediate, rows, at_once, deadline)).await,
        }
    }

    async fn record_at_once(
        &self,
        immediate: &Immediate,
        rows: Vec<NewRow>,
        at_once: &mut BTreeMap<EventId, HandedOn>,
        deadline: Deadline,
    ) -> Vec<Recorded> {
        let (prepared, control) = futures::join!(
            self.ledger.prepare(rows, deadline),
            immediate.control(&self.ledger, deadline)
        );
        let newcomers = prepared.claimable();
        let allowed = immediate.ask(&self.ledger, newcomers, control, deadline).await;
        let claiming = allowed.as_ref().map(|allowed| allowed.claiming);
        let (outcomes, claimed) = self.ledger.insert(prepared, claiming, deadline).await;
        if let Some(allowed) = allowed {
            let over = immediate.hand_on(&self.ledger, claimed, allowed, deadline).await;
            at_once.extend(over.rows);
        }
        outcomes
    }

    /// Handles messages of the intake queue; what came of each, in their order.
    pub async fn handle(&self, messages: &[Delivered], deadline: Deadline) -> Vec<Ingested> {
        let payload = |message: &Delivered| Payload {
            body: message.body.clone(),
            trace: message.trace.clone(),
            message_id: Some(message.message_id.clone()),
            again: message.receive_count > 1,
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
