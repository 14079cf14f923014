//! What a worker does to the row of the message that it works on: take it, hold it, put it back.
//!
//! An execution's name keeps Step Functions from running one attempt twice. A worker has no such name: its guard is the row. It
//! works on what it has taken, and only for as long as it holds the lease.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_schema::tables::attribute::DUE_AT;
use daybook_schema::{BatchId, DispatchMessage, Row, Status, Step, Timestamp};
use uuid::Uuid;

use crate::cause::Cause;
use crate::claim::{Released, released, row_of, token_of};
use crate::ledger::Ledger;
use crate::settle::clipped;
use crate::statement::{Item, Written, number, text};
use crate::time::Deadline;
use crate::update::Update;

/// The last error of a row whose worker died.
const DIED: &str = "the process ended while it worked on this event";

/// What came of taking a message's row.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// It is ours until its `due_at`.
    Taken {
        /// The row as it stands now, with our token.
        row: Box<Row>,
        /// Whether another worker took this attempt before, and let its lease run out: it died, or was cut off. The row's
        /// `deaths` count it.
        after_another: bool,
    },
    /// The message has nothing to say any more: the row is gone, not CLAIMED, at another attempt, or held by another worker.
    Stale,
    /// Certainly not taken: throttled until the deadline, refused, or not readable.
    NotApplied(Cause),
    /// Perhaps ours. If so its lease brings it back.
    Unknown(Cause),
}

/// What came of making a lease longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extended {
    /// The row is ours until then.
    Extended(Timestamp),
    /// The row is gone, went on, or was taken by another worker.
    Stale,
    /// Certainly not written: the lease ends when it did before.
    NotApplied(Cause),
    /// Perhaps written: the lease ends when it did before, or later.
    Unknown(Cause),
}

/// What came of putting a row back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Postponed {
    /// It is PENDING, not before that time, no attempt used.
    Until(Timestamp),
    /// The row is gone, went on, or was taken by another worker; nothing was changed.
    Stale,
    /// Not written, or perhaps not. If not, it stays CLAIMED, and its lease brings it back.
    Left(Cause),
}

impl Ledger {
    /// Takes the row that a message speaks of: a new lease, a new token. Three write units, and one more for a first try that is
    /// refused.
    ///
    /// A message may take the row while it is CLAIMED at the message's attempt and no worker holds it: none has taken it since
    /// it was last put on the queue, or the lease of the one that did is over. `deliveries` of 0 is the mark of a taken row, so
    /// that a second copy of the message finds it even when a lease happens to end at the very instant that the message
    /// carries. The sweep's move of a lease (`lease_moves`) tells that it was over.
    ///
    /// Whoever takes a row after another worker counts one death more, in the same write. A take whose answer never came counts as
    /// one, too, because nobody knows of it.
    ///
    /// `batch` is the one that the message is of, if it is a batch's.
    pub async fn take(
        &self,
        message: &DispatchMessage,
        batch: Option<BatchId>,
        lease: Duration,
        deadline: Deadline,
    ) -> Taken {
        let token = self.random.token();
        // As the message carries it: no look is needed in the usual case.
        let first = self
            .take_as_seen(message, Seen::by_message(message, batch), token, lease, deadline)
            .await;
        let seen = match first {
            Written::ConditionFailed(Some(item)) => match row_of(item) {
                Ok(row) => row,
                Err(cause) => return Taken::NotApplied(cause),
            },
            other => return taken(other, token, false),
        };
        if is_ours(&seen, token) {
            return Taken::Taken {
                row: Box::new(seen),
                after_another: false,
            };
        }
        let name = message.input.name();
        let was_taken = seen.is_held();
        let lease_ran_out = seen.due_at <= self.clock.now() || seen.lease_moves > 0;
        let is_free = seen.status == Step::Take.from() && (!was_taken || lease_ran_out);
        if !is_free || seen.attempt != name.attempt || seen.batch != batch {
            return Taken::Stale;
        }
        // The row as it was just seen is the condition, so of two workers that saw it only one has it.
        let second = self
            .take_as_seen(message, Seen::in_table(&seen), token, lease, deadline)
            .await;
        taken(second, token, was_taken)
    }

    async fn take_as_seen(
        &self,
        message: &DispatchMessage,
        seen: Seen,
        token: Uuid,
        lease: Duration,
        deadline: Deadline,
    ) -> Written {
        let name = message.input.name();
        let lease_end = other_than(seen.due_at, self.clock.now().plus(lease));
        let update = Update::of(name.id, Step::Take)
            .of_batch(seen.batch)
            .set(DUE_AT, text(lease_end))
            .set("claim_token", text(token))
            .set("deliveries", number(0))
            .set("lease_moves", number(0))
            .set_if("deaths", seen.deaths.map(number))
            .when("attempt", number(name.attempt))
            .when(DUE_AT, text(seen.due_at))
            .when("deliveries", number(seen.deliveries))
            .returning_row();
        self.update_single(update, deadline).await
    }

    /// Makes the lease of a taken row longer: CLAIMED, our token, due_at as known. Three write units.
    ///
    /// The lease in the condition keeps a late copy of an earlier extension from shortening a later one.
    pub async fn extend(&self, row: &Row, lease: Duration, deadline: Deadline) -> Extended {
        let first = self.extend_as_seen(row, row.due_at, lease, deadline).await;
        let token = row.claim_token;
        let seen = match first {
            (_, Written::ConditionFailed(Some(item))) => match row_of(item) {
                Ok(seen) => seen,
                Err(cause) => return Extended::NotApplied(cause),
            },
            (until, other) => return extended(until, other),
        };
        if !token.is_some_and(|token| is_ours(&seen, token)) || seen.attempt != row.attempt {
            return Extended::Stale;
        }
        // Nobody took it since: an earlier extension was applied and not answered, or this very one was.
        match seen.due_at == first.0 {
            true => Extended::Extended(seen.due_at),
            false => {
                let (until, second) = self.extend_as_seen(row, seen.due_at, lease, deadline).await;
                extended(until, second)
            }
        }
    }

    /// The end of the new lease, and what came of writing it.
    async fn extend_as_seen(
        &self,
        row: &Row,
        due_at: Timestamp,
        lease: Duration,
        deadline: Deadline,
    ) -> (Timestamp, Written) {
        let until = other_than(due_at, self.clock.now().plus(lease));
        let update = Update::of(row.id, Step::Extend)
            .of_batch(row.batch)
            .set(DUE_AT, text(until))
            .set("lease_moves", number(0))
            .when(DUE_AT, text(due_at))
            .when("claim_token", token_of(row));
        (until, self.update_single(update, deadline).await)
    }

    /// Puts a taken row back for later, no attempt used: CLAIMED with our token → PENDING, due after `delay`. `why` becomes its
    /// last error, for people; without it the last error stays. A row that is `alone` as it is given here is run by itself from now
    /// on. Three write units.
    pub async fn postpone(
        &self,
        row: &Row,
        delay: Duration,
        why: Option<&str>,
        deadline: Deadline,
    ) -> Postponed {
        let until = self.clock.now().plus(delay);
        let update = Update::of(row.id, Step::Postpone)
            .of_batch(row.batch)
            .set(DUE_AT, text(until))
            .count("attempt", false)
            .set("deliveries", number(0))
            .set_if("last_error", why.map(|why| text(clipped(why))))
            .set_if("alone", row.alone.then_some(AttributeValue::Bool(true)))
            .when("attempt", number(row.attempt))
            .when("claim_token", token_of(row));
        match self.update_single(update, deadline).await {
            Written::Applied(_) => Postponed::Until(until),
            Written::ConditionFailed(Some(item)) => match row_of(item) {
                // Our own write whose answer was lost. A failed attempt leaves the token as well, but keeps its number.
                Ok(seen)
                    if seen.status == Step::Postpone.to()
                        && seen.claim_token.is_some()
                        && seen.claim_token == row.claim_token
                        && seen.attempt.next() == row.attempt =>
                {
                    Postponed::Until(seen.due_at)
                }
                Ok(_) => Postponed::Stale,
                Err(cause) => Postponed::Left(cause),
            },
            Written::ConditionFailed(None) | Written::Duplicate => Postponed::Stale,
            Written::Newer(newer) => Postponed::Left(newer.into()),
            Written::Refused(cause) | Written::Throttled(cause) | Written::Unknown(cause) => {
                Postponed::Left(cause)
            }
        }
    }

    /// Puts claimed rows back whose queue and workers are known to be gone, both: PENDING, due now, no attempt used. `rows` as a
    /// consistent read showed them. What a worker had (`deliveries` of 0) counts one death more, with the reason as its last
    /// error: an event that kills whoever works on it must not come back for ever. Three write units each.
    pub async fn put_back(&self, rows: &[Row], deadline: Deadline) -> Vec<Released> {
        let now = self.clock.now();
        let updates = rows.iter().map(|row| {
            let died = row.is_held();
            Update::of(row.id, Step::PutBack)
                .of_batch(row.batch)
                .set(DUE_AT, text(now))
                .count("attempt", false)
                .set("deliveries", number(0))
                .set_if("deaths", died.then(|| number(row.deaths.saturating_add(1))))
                .set_if("last_error", died.then(|| text(DIED)))
                .when("attempt", number(row.attempt))
                .when(DUE_AT, text(row.due_at))
                .when("claim_token", token_of(row))
        });
        let written = self.update(updates, deadline).await;
        written.into_iter().map(released).collect()
    }

    async fn update_single(&self, update: Update, deadline: Deadline) -> Written {
        let written = self.update([update], deadline).await.pop();
        written.unwrap_or_else(|| Written::Unknown("no outcome".into()))
    }
}

/// The row that a take is to find, and the deaths that it writes.
struct Seen {
    batch: Option<BatchId>,
    due_at: Timestamp,
    deliveries: u32,
    deaths: Option<u32>,
}

impl Seen {
    /// As it was sent.
    fn by_message(message: &DispatchMessage, batch: Option<BatchId>) -> Self {
        Self {
            batch,
            due_at: message.due_at,
            deliveries: message.delivery,
            deaths: None,
        }
    }

    /// As it stands.
    fn in_table(row: &Row) -> Self {
        Self {
            batch: row.batch,
            due_at: row.due_at,
            deliveries: row.deliveries,
            deaths: row.is_held().then(|| row.deaths.saturating_add(1)),
        }
    }
}

/// `at`, or a millisecond later: a lease that is written changes `due_at`, so that whoever saw the row before has lost it.
fn other_than(seen: Timestamp, at: Timestamp) -> Timestamp {
    match at == seen {
        true => at.plus(Duration::from_millis(1)),
        false => at,
    }
}

fn is_ours(row: &Row, token: Uuid) -> bool {
    row.status == Status::Claimed && row.claim_token == Some(token)
}

fn taken(written: Written, token: Uuid, after_another: bool) -> Taken {
    let ours = |item: Item| {
        let row = Box::new(row_of(item)?);
        Ok::<_, Cause>(Taken::Taken { row, after_another })
    };
    match written {
        Written::Applied(Some(item)) => ours(item).unwrap_or_else(Taken::Unknown),
        Written::Applied(None) => Taken::Unknown("the taken row did not come back with the write".into()),
        // A retry of our own write whose first answer was lost finds the condition false and our token in the row.
        Written::ConditionFailed(Some(item)) => match row_of(item) {
            Ok(row) if is_ours(&row, token) => Taken::Taken {
                row: Box::new(row),
                after_another,
            },
            _ => Taken::Stale,
        },
        Written::ConditionFailed(None) | Written::Duplicate => Taken::Stale,
        Written::Newer(newer) => Taken::NotApplied(newer.into()),
        Written::Refused(cause) | Written::Throttled(cause) => Taken::NotApplied(cause),
        Written::Unknown(cause) => Taken::Unknown(cause),
    }
}

fn extended(until: Timestamp, written: Written) -> Extended {
    match written {
        Written::Applied(_) => Extended::Extended(until),
        // Seen a moment ago, and changed since: the next extension looks again.
        Written::ConditionFailed(Some(_)) => Extended::Unknown("the row changed meanwhile".into()),
        // It was ours, and a newer release changed it: it is ours no more.
        Written::ConditionFailed(None) | Written::Duplicate | Written::Newer(_) => Extended::Stale,
        Written::Refused(cause) | Written::Throttled(cause) => Extended::NotApplied(cause),
        Written::Unknown(cause) => Extended::Unknown(cause),
    }
}
