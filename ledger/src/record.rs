//! The first step of every event: into the ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_schema::notification::Reading;
use daybook_schema::{BatchId, EventId, ObjectEvent, Row, Status, Subject, Timestamp};
use uuid::Uuid;

use crate::cause::Cause;
use crate::claim::{Hand, Tokens};
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
        /// Whether it may be claimed in the write that records it. Not so if it came before: a notification that always returns would
        /// use up the budget.
        at_once: bool,
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

    fn may_be_claimed(&self) -> bool {
        matches!(self, Self::Event { at_once: true, .. })
    }

    fn into_row(self, now: Timestamp) -> Row {
        match self {
            Self::Event {
                event,
                max_attempts,
                trace,
                caveat,
                at_once: _,
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

/// How rows are claimed in the write that records them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claiming {
    /// So many of them, as they were granted ([`Ledger::grant`]).
    pub granted: u32,
    /// Until when they are left alone.
    pub lease: Duration,
    /// Whether a worker of this process has them with that, or their messages go to the dispatch queue.
    pub hand: Hand,
}

/// Rows that are about to be recorded, less those that are done.
#[derive(Debug)]
pub struct Prepared {
    /// The ids of all that is to be recorded, duplicates included, in their order.
    ids: Vec<EventId>,
    /// Where each id stands first in `ids`.
    first: BTreeMap<EventId, usize>,
    /// The outcomes that are known already.
    outcomes: BTreeMap<EventId, Recorded>,
    /// What is to be written, one row per id.
    new: Vec<NewRow>,
}

impl Prepared {
    /// How many of them may be claimed in the write that records them, if they are new.
    pub fn claimable(&self) -> u32 {
        let count = self.new.iter().filter(|row| row.may_be_claimed()).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn outcomes(self) -> Vec<Recorded> {
        let outcome_at = |(position, id): (usize, &EventId)| match &self.outcomes[id] {
            // The second of two equal events in one batch shares the fate of the first.
            Recorded::Recorded if self.first[id] != position => Recorded::AlreadyThere,
            outcome => outcome.clone(),
        };
        self.ids.iter().enumerate().map(outcome_at).collect()
    }
}

impl Ledger {
    /// Records events, PENDING and due now, and unreadable payloads, PARKED. Gives the outcome of each, in their order.
    /// Two write units per new row, one for a duplicate, half a read unit per object for the receipts.
    ///
    /// Throttled rows are retried until the deadline.
    pub async fn record(&self, rows: Vec<NewRow>, deadline: Deadline) -> Vec<Recorded> {
        let prepared = self.prepare(rows, deadline).await;
        self.insert(prepared, None, deadline).await.0
    }

    /// The first half of [`Ledger::record`]: reads the receipts.
    pub async fn prepare(&self, rows: Vec<NewRow>, deadline: Deadline) -> Prepared {
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
        let mut new = Vec::new();
        for (position, row) in rows.into_iter().enumerate() {
            let id = ids[position];
            match (first[&id] == position, covered[position]) {
                (false, _) => {}
                (true, true) => drop(outcomes.insert(id, Recorded::Covered)),
                (true, false) => new.push(row),
            }
        }
        Prepared {
            ids,
            first,
            outcomes,
            new,
        }
    }

    /// The second half of [`Ledger::record`]: writes the rows. The first of those that may be claimed, as many as are granted, are
    /// written as CLAIMED at their first attempt, at no write unit more, and come back: what is to be handed on is exactly them. A row
    /// that was there already, and one whose write was not answered, is not among them; if the latter is there, its lease brings it
    /// back.
    pub async fn insert(
        &self,
        mut prepared: Prepared,
        claiming: Option<Claiming>,
        deadline: Deadline,
    ) -> (Vec<Recorded>, Vec<Row>) {
        let mut claiming = claiming.map(|claiming| (claiming, Tokens::new(&self.random, claiming.hand)));
        let now = self.clock.now();
        let mut rows = Vec::with_capacity(prepared.new.len());
        let mut statements = Vec::with_capacity(prepared.new.len());
        for new in std::mem::take(&mut prepared.new) {
            let may_be_claimed = new.may_be_claimed();
            let mut row = new.into_row(now);
            if let Some((claiming, tokens)) = claiming.as_mut().filter(|_| may_be_claimed)
                && claiming.granted > 0
            {
                claiming.granted -= 1;
                row = claimed(row, *claiming, tokens.next(), now);
            }
            match Statement::insert(&self.table, &row) {
                Ok(statement) => {
                    rows.push(row);
                    statements.push(statement);
                }
                Err(error) => {
                    let outcome = Recorded::Rejected(error.to_string().into());
                    prepared.outcomes.insert(row.id, outcome);
                }
            }
        }
        let written = self.write(statements, deadline).await;
        let mut to_hand_on = Vec::new();
        for (row, written) in rows.into_iter().zip(written) {
            let outcome = recorded(written);
            prepared.outcomes.insert(row.id, outcome.clone());
            if outcome == Recorded::Recorded && row.status == Status::Claimed {
                to_hand_on.push(row);
            }
        }
        (prepared.outcomes(), to_hand_on)
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

/// The row as a claim would leave it.
fn claimed(row: Row, claiming: Claiming, (token, batch): (Uuid, Option<BatchId>), now: Timestamp) -> Row {
    Row {
        status: Status::Claimed,
        attempt: row.attempt.next(),
        deliveries: claiming.hand.deliveries(),
        claim_token: Some(token),
        batch,
        due_at: now.plus(claiming.lease),
        ..row
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
