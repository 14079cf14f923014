//! What people do to rows: redrive, free, fail, cancel, complete, remove; row by row, or for many rows at once.
//!
//! For many, the caller hands in rows as a consistent read just showed them. What went on meanwhile is left alone and said to
//! have gone on, so a step that is repeated does nothing twice.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_schema::notification::Reading;
use daybook_schema::tables::attribute::DUE_AT;
use daybook_schema::{EventId, InvalidRow, Outcome, Row, Status, Step, Subject, Timestamp};

use crate::complete::Ending;
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::record::{NewRow, Recorded};
use crate::retry_policy::RetryPolicy;
use crate::settle::{Expected, Failed, clipped_to, settled, settled_as};
use crate::statement::{number, text};
use crate::time::Deadline;
use crate::update::Update;

/// The longest note that is stored, in characters: with an error of usual length a row stays below one write unit.
const LONGEST_NOTE: usize = 160;

/// The longest reason of a failure that a note repeats, in bytes.
const LONGEST_REASON: usize = 80;

/// As much of a person's name as a note keeps.
const LONGEST_NAME: usize = 64;

/// The person at whose word a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person<'a> {
    /// Who.
    pub by: &'a str,
    /// Why, if it is said.
    pub why: Option<&'a str>,
}

impl Person<'_> {
    /// What is kept of it: when, what, who, why, in 160 characters at most.
    pub fn note(&self, now: Timestamp, what: &str) -> String {
        let by = clipped_to(self.by, LONGEST_NAME);
        let why = self.why.map(|why| format!(": {why}")).unwrap_or_default();
        clipped_to(&format!("{now} {what} by {by}{why}"), LONGEST_NOTE)
    }

    /// The same, and after it what people did to the row before, as far as there is room.
    fn note_on(&self, row: &Row, now: Timestamp, what: &str) -> String {
        let note = self.note(now, what);
        match &row.note {
            Some(before) => clipped_to(&format!("{note}; before: {before}"), LONGEST_NOTE),
            None => note,
        }
    }
}

/// What came of a redrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// The row is PENDING again, with so many attempts more.
    Redriven,
    /// The payload could be read this time; its events are recorded and the row is gone.
    Parsed {
        /// How many events it held.
        events: usize,
    },
    /// The payload still cannot be read; nothing was changed.
    StillUnreadable(String),
    /// The row is not PARKED, or gone.
    NotParked,
}

/// What came of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A receipt says so, and the row is gone.
    Removed,
    /// There was no such row.
    NoRow,
}

impl Ledger {
    /// Gives a PARKED row another round of attempts, due now. A payload that could not be read is read again: its events are
    /// recorded, then the row is deleted.
    ///
    /// # Errors
    /// When the row cannot be read or a write was not certainly applied; repeat it.
    pub async fn redrive(
        &self,
        id: EventId,
        round: u32,
        deadline: Deadline,
    ) -> Result<Redriven, LedgerError> {
        let Some(row) = self.get(id).await? else {
            return Ok(Redriven::NotParked);
        };
        let mut redriven = self.redrive_rows(&[row], round, None, deadline).await;
        redriven.pop().unwrap_or(Ok(Redriven::NotParked))
    }

    /// The same for rows as they were just seen, no row twice; outcomes in their order. Three write units each, 25 in one
    /// request. With a person, the row keeps who and why; its last error stays.
    pub async fn redrive_rows(
        &self,
        rows: &[Row],
        round: u32,
        person: Option<Person<'_>>,
        deadline: Deadline,
    ) -> Vec<Result<Redriven, LedgerError>> {
        let now = self.clock.now();
        let is_parked = |row: &&Row| row.status == Step::Redrive.from() && row.event().is_some();
        let events: Vec<&Row> = rows.iter().filter(is_parked).collect();
        let updates = events.iter().map(|row| {
            let update = Update::of(row.id, Step::Redrive)
                .set("max_attempts", number(row.attempt.0.saturating_add(round)))
                .set_if("alone", row.alone.then_some(AttributeValue::Bool(false)))
                .when(DUE_AT, text(row.due_at));
            let note = person.map(|person| person.note_on(row, now, "redriven"));
            Expected::new(row, Step::Redrive, update, now, note.as_deref())
        });
        let changed = self.update_expecting(updates.collect(), deadline).await;
        let mut changed: BTreeMap<EventId, _> = events.iter().map(|row| row.id).zip(changed).collect();
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in rows {
            let outcome = match &row.subject {
                Subject::Event(_) => match changed.remove(&row.id) {
                    Some(Ok(true)) => Ok(Redriven::Redriven),
                    Some(Err(error)) => Err(error),
                    Some(Ok(false)) | None => Ok(Redriven::NotParked),
                },
                Subject::Raw { .. } if row.status != Status::Parked => Ok(Redriven::NotParked),
                Subject::Raw {
                    payload,
                    source,
                    keys,
                } => {
                    let reading = Reading {
                        source: source.clone(),
                        keys: *keys,
                    };
                    self.redrive_payload(row, payload, reading, round, deadline).await
                }
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn redrive_payload(
        &self,
        row: &Row,
        payload: &str,
        reading: Reading,
        max_attempts: u32,
        deadline: Deadline,
    ) -> Result<Redriven, LedgerError> {
        let mut read = reading.read(payload, None);
        let events = read.events.len();
        // Kept as it is, even where another spelling of the payload would have another id.
        if let (0, Some(part)) = (events, read.unreadable.first()) {
            return Ok(Redriven::StillUnreadable(part.why.clone()));
        }
        let mut rows: Vec<NewRow> = Vec::with_capacity(events + read.unreadable.len());
        for (position, event) in read.events.into_iter().enumerate() {
            rows.push(NewRow::Event {
                event,
                max_attempts,
                trace: row.trace.clone(),
                caveat: read.caveats.remove(&position),
                at_once: false,
            });
        }
        for part in read.unreadable {
            rows.push(NewRow::Unreadable {
                reading: reading.clone(),
                payload: part.raw,
                why: part.why,
                trace: row.trace.clone(),
            });
        }
        // Record, then delete: a crash in between leaves a payload whose events are recorded, and a second redrive finds
        // them already there.
        let outcomes = self.record(rows, deadline).await;
        if let Some(unsafe_) = outcomes.iter().find(|outcome| !outcome.is_safe()) {
            let cause = format!("an event of the payload is not recorded: {unsafe_:?}");
            return Err(self.not_written(cause.into(), matches!(unsafe_, Recorded::Unknown(_))));
        }
        match self.delete(row.id, row.note.as_deref()).await? {
            Some(newer) => Err(LedgerError::Newer(newer)),
            None => Ok(Redriven::Parsed { events }),
        }
    }

    /// Gives claimed rows back of which a person knows that nothing runs for them: PENDING, due now, the attempt unused; of a row that
    /// is in a batch only the lease ends. `rows` as they were just seen, no row twice: a lease that was made longer since then shows that somebody does work on it.
    /// Whether each was given back; `false` is a row that went on. Three write units each, 25 in one request.
    pub async fn free_rows(
        &self,
        rows: &[Row],
        person: Person<'_>,
        deadline: Deadline,
    ) -> Vec<Result<bool, LedgerError>> {
        let now = self.clock.now();
        let updates = rows.iter().map(|row| {
            // Of a batch's row only the lease ends. Its message may come late, and the next batch's execution has another name: put back,
            // the row would run twice. The sweep sends it again, and the execution's name decides.
            let (step, update) = match row.batch {
                None => {
                    let update = Update::of(row.id, Step::Free);
                    let update = update.count("attempt", false).set("deliveries", number(0));
                    (Step::Free, update)
                }
                Some(_) => (
                    Step::EndLease,
                    Update::of(row.id, Step::EndLease).of_batch(row.batch),
                ),
            };
            let update = update
                .when("attempt", number(row.attempt))
                .when(DUE_AT, text(row.due_at));
            let note = person.note_on(row, now, "released");
            Expected::new(row, step, update, now, Some(&note))
        });
        self.update_expecting(updates.collect(), deadline).await
    }

    /// Says of claimed rows that their attempts failed, at a person's word: as [`Ledger::fail`] for rows as they were just
    /// seen, no row twice. The person's reason becomes the last error. Three write units each, 25 in one request.
    pub async fn fail_rows(
        &self,
        rows: &[Row],
        person: Person<'_>,
        policy: &RetryPolicy,
        deadline: Deadline,
    ) -> Vec<Result<Failed, LedgerError>> {
        let now = self.clock.now();
        let why = person.why.unwrap_or("a person says so");
        // A long reason is the last error alone, so that the row stays below one write unit.
        let noted = Person {
            why: person.why.filter(|why| why.len() <= LONGEST_REASON),
            ..person
        };
        let ends: Vec<(Step, Timestamp)> = rows
            .iter()
            .map(|row| match row.attempt.0 >= row.max_attempts {
                true => (Step::Park, now),
                false => (
                    Step::Retry,
                    now.plus(self.random.jittered(policy.delay(row.attempt))),
                ),
            })
            .collect();
        let updates = rows.iter().zip(&ends).map(|(row, end)| {
            let note = noted.note_on(row, now, "failed");
            settled(row, *end, row.max_attempts, why, Some(&note))
        });
        let changed = self.update_expecting(updates.collect(), deadline).await;
        let failed = |((step, due_at), changed): (_, Result<bool, _>)| {
            changed.map(|changed| settled_as(step, due_at, changed))
        };
        ends.into_iter().zip(changed).map(failed).collect()
    }

    /// Cancels claimed rows at a person's word: PARKED whatever attempts are left, until a person gives them another round. The person's
    /// reason becomes the last error. `rows` as they were just seen, no row twice; whether each was parked, `false` is a row that went on.
    /// Whoever runs one finds its row gone on, and stops; a success that is reported nevertheless completes it. Three write units each, 25
    /// in one request.
    pub async fn cancel_rows(
        &self,
        rows: &[Row],
        person: Person<'_>,
        deadline: Deadline,
    ) -> Vec<Result<bool, LedgerError>> {
        let now = self.clock.now();
        let why = format!("cancelled: {}", person.why.unwrap_or("a person says so"));
        // A long reason is the last error alone, so that the row stays below one write unit.
        let noted = Person {
            why: person.why.filter(|why| why.len() <= LONGEST_REASON),
            ..person
        };
        let parked = |row: &Row| {
            let note = noted.note_on(row, now, "cancelled");
            settled(row, (Step::Park, now), row.max_attempts, &why, Some(&note))
        };
        self.update_expecting(rows.iter().map(parked).collect(), deadline)
            .await
    }

    /// Takes rows out of the ledger at a person's word, done (`Succeeded`) or not (`Removed`): a receipt that says who and why,
    /// then the row's deletion, in whatever state it is; no row twice. An unreadable payload leaves no receipt: it has no
    /// object. Costs what [`Ledger::complete_many`] does.
    pub async fn close_rows(
        &self,
        rows: &[Row],
        outcome: Outcome,
        person: Person<'_>,
        deadline: Deadline,
    ) -> Vec<Result<(), LedgerError>> {
        let ending = |row| Ending::of_row(row, outcome, person.by, person.why);
        let ended = self.end_many(rows.iter().map(ending).collect(), deadline).await;
        let closed = |ended: Result<Option<InvalidRow>, LedgerError>| match ended? {
            Some(newer) => Err(LedgerError::Newer(newer)),
            None => Ok(()),
        };
        ended.into_iter().map(closed).collect()
    }

    /// Takes an event out of the ledger for good, at a person's word. An unreadable payload leaves no receipt: it has no
    /// object.
    ///
    /// # Errors
    /// As [`Ledger::complete`].
    pub async fn remove(&self, id: EventId, by: &str, why: &str) -> Result<Removed, LedgerError> {
        let Some(row) = self.get(id).await? else {
            return Ok(Removed::NoRow);
        };
        let ending = Ending::of_row(&row, Outcome::Removed, by, Some(why));
        match self.end_one(ending).await? {
            Some(newer) => Err(LedgerError::Newer(newer)),
            None => Ok(Removed::Removed),
        }
    }
}
