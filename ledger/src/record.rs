//! The first step of every event: into the ledger.

use std::collections::BTreeMap;

use daybook_schema::notification::Reading;
use daybook_schema::{EventId, ObjectEvent, Row, Subject, Timestamp};

use crate::cause::Cause;
use crate::ledger::Ledger;
use crate::statement::{Statement, Written};
use crate::time::Deadline;

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every new row is an event, so a box would save nothing"
)]
pub enum NewRow {
    /// An event, to be tried that many times.
    Event {
        /// The event.
        event: ObjectEvent,
        /// After how many failed attempts it is parked.
        max_attempts: u32,
        /// The X-Ray header it came with.
        trace: Option<String>,
        /// What was not as it should be in its notification.
        caveat: Option<String>,
    },
    /// An event once more, at a person's word.
    Replay {
        /// The event, with an identity of its own.
        event: ObjectEvent,
        /// After how many failed attempts it is parked.
        max_attempts: u32,
        /// Who and why ([`crate::Person::note`]).
        note: String,
    },
    /// A payload that could not be read.
    Unreadable {
        /// Where it came from, and how that sends keys.
        reading: Reading,
        /// As it came.
        payload: String,
        /// Why it could not be read.
        why: String,
        /// The X-Ray header it came with.
        trace: Option<String>,
    },
}

impl NewRow {
    /// The key that the row has or will have.
    pub fn id(&self) -> EventId {
        match self {
            Self::Event { event, .. } | Self::Replay { event, .. } => event.id,
            Self::Unreadable { reading, payload, .. } => EventId::of_raw_payload(&reading.source, payload),
        }
    }

    fn into_row(self, now: Timestamp) -> Row {
        match self {
            Self::Event {
                event,
                max_attempts,
                trace,
                caveat,
            } => Row {
                caveat,
                ..Row::recorded(event, max_attempts, trace, now)
            },
            Self::Replay {
                event,
                max_attempts,
                note,
            } => Row {
                note: Some(note),
                ..Row::recorded(event, max_attempts, None, now)
            },
            Self::Unreadable {
                reading,
                payload,
                why,
                trace,
            } => {
                let mut row = Row::unreadable(&reading.source, payload, why, trace, now);
                if let Subject::Raw { keys, .. } = &mut row.subject {
                    *keys = reading.keys;
                }
                row
            }
        }
    }
}

/// What came of recording one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is in the ledger, written now.
    Recorded,
    /// It was in the ledger already: a duplicate, or a retry of our own write.
    AlreadyThere,
    /// It is done: a receipt covers it.
    Covered,
    /// It will never fit: too large for a row, or the table refuses it. Not in the ledger.
    Rejected(Cause),
    /// Throttled until the deadline, or not sent before it. Not in the ledger.
    Throttled(Cause),
    /// Perhaps in the ledger.
    Unknown(Cause),
}

impl Recorded {
    /// Whether the event is safe: only then may it be acknowledged.
    pub fn is_safe(&self) -> bool {
        matches!(self, Self::Recorded | Self::AlreadyThere | Self::Covered)
    }
}

impl Ledger {
    /// Records events, PENDING and due now, and unreadable payloads, PARKED. Gives the outcome of each, in their order.
    /// Two write units per new row, one for a duplicate, half a read unit per object for the receipts.
    ///
    /// Throttled rows are retried until the deadline.
    pub async fn record(&self, rows: Vec<NewRow>, deadline: Deadline) -> Vec<Recorded> {
        let ids: Vec<EventId> = rows.iter().map(NewRow::id).collect();
        // One statement per key: two in one batch would fail the whole request.
        let mut first: BTreeMap<EventId, usize> = BTreeMap::new();
        for (position, id) in ids.iter().enumerate() {
            first.entry(*id).or_insert(position);
        }
        // Without an answer in time nothing was found: what is written then all the same, execution names protect.
        let covered = deadline.bound(&self.clock, self.covered(&rows)).await;
        let covered = covered.unwrap_or_else(|| vec![false; rows.len()]);
        let mut outcomes: BTreeMap<EventId, Recorded> = BTreeMap::new();
        let mut inserts = Vec::new();
        let now = self.clock.now();
        for (position, row) in rows.into_iter().enumerate() {
            let id = ids[position];
            if first[&id] != position {
                continue;
            }
            if covered[position] {
                outcomes.insert(id, Recorded::Covered);
                continue;
            }
            match Statement::insert(&self.table, &row.into_row(now)) {
                Ok(statement) => inserts.push((id, statement)),
                Err(error) => {
                    outcomes.insert(id, Recorded::Rejected(error.to_string().into()));
                }
            }
        }
        let (written_ids, statements): (Vec<_>, Vec<_>) = inserts.into_iter().unzip();
        let written = self.write(statements, deadline).await;
        outcomes.extend(written_ids.into_iter().zip(written.into_iter().map(recorded)));
        let outcome_at = |(position, id): (usize, &EventId)| match &outcomes[id] {
            // The second of two equal events in one batch shares the fate of the first.
            Recorded::Recorded if first[id] != position => Recorded::AlreadyThere,
            outcome => outcome.clone(),
        };
        ids.iter().enumerate().map(outcome_at).collect()
    }

    /// For each row whether a receipt covers it.
    async fn covered(&self, rows: &[NewRow]) -> Vec<bool> {
        let event = |row: &NewRow| match row {
            NewRow::Event { event, .. } | NewRow::Replay { event, .. } => Some(event.clone()),
            NewRow::Unreadable { .. } => None,
        };
        let events: Vec<Option<ObjectEvent>> = rows.iter().map(event).collect();
        let receipts = self
            .receipts(events.iter().flatten().map(ObjectEvent::object_id))
            .await;
        let is_covered = |event: &ObjectEvent| {
            receipts
                .get(&event.object_id())
                .is_some_and(|receipt| receipt.covers(event))
        };
        events
            .iter()
            .map(|event| event.as_ref().is_some_and(is_covered))
            .collect()
    }
}

fn recorded(written: Written) -> Recorded {
    match written {
        Written::Applied(_) => Recorded::Recorded,
        Written::Duplicate => Recorded::AlreadyThere,
        // An INSERT has no other condition than the key.
        Written::ConditionFailed(_) | Written::Newer(_) => Recorded::AlreadyThere,
        Written::Refused(cause) => Recorded::Rejected(cause),
        Written::Throttled(cause) => Recorded::Throttled(cause),
        Written::Unknown(cause) => Recorded::Unknown(cause),
    }
}
