//! Claiming due rows, and giving back those that the queue certainly did not take.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_schema::tables::attribute::DUE_AT;
use daybook_schema::{BatchId, EventId, ExecutionName, Row, Status, Step};
use uuid::Uuid;

use crate::cause::{Cause, CauseKind};
use crate::ledger::Ledger;
use crate::read::IndexKey;
use crate::statement::{Item, Written, number, text};
use crate::time::{Deadline, Random};
use crate::update::Update;

/// What came of claiming one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// It is ours; the row as it stands now.
    Claimed(Box<Row>),
    /// Somebody else was faster, or the index was behind the table.
    Lost,
    /// A newer release wrote the row: it stays as it is.
    Newer,
    /// Not claimed: throttled until the deadline, or refused.
    NotApplied(Cause),
    /// Perhaps ours. If so its lease brings it back.
    Unknown(Cause),
}

/// What came of giving one row back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// It is PENDING again, no attempt used.
    Released,
    /// It is no longer in the state of this claim; nothing was changed.
    Stale,
    /// Not written, or perhaps not: it stays CLAIMED, and its lease brings it back.
    Left(Cause),
}

/// Who has a row that is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// The dispatch queue, which is sent its first message.
    Queue,
    /// The dispatch queue, which is sent one message for so many rows, or fewer: each batch has a token of its own, which is its id.
    Batches(u32),
    /// A worker of this process. It has no need to take the row: of `deliveries` it bears 0, and the token is the worker's.
    Worker,
}

impl Hand {
    /// What a row that is handed to it bears.
    pub(crate) fn deliveries(self) -> u32 {
        match self {
            Self::Queue | Self::Batches(_) => 1,
            Self::Worker => 0,
        }
    }

    /// How many rows have one token.
    fn rows_per_token(self) -> usize {
        match self {
            Self::Queue | Self::Worker => usize::MAX,
            Self::Batches(rows) => usize::try_from(rows).unwrap_or(usize::MAX).max(1),
        }
    }
}

/// Tokens for rows that are claimed together, one after another.
pub(crate) struct Tokens<'a> {
    random: &'a Random,
    hand: Hand,
    given: usize,
    last: Option<Uuid>,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(random: &'a Random, hand: Hand) -> Self {
        Self {
            random,
            hand,
            given: 0,
            last: None,
        }
    }

    /// The next row's token, and the batch that the row is in with it.
    pub(crate) fn next(&mut self) -> (Uuid, Option<BatchId>) {
        let begins = self.given.is_multiple_of(self.hand.rows_per_token());
        self.given += 1;
        let token = self
            .last
            .filter(|_| !begins)
            .unwrap_or_else(|| self.random.token());
        self.last = Some(token);
        (
            token,
            matches!(self.hand, Hand::Batches(_)).then_some(BatchId(token)),
        )
    }
}

impl Ledger {
    /// Claims rows as the index showed them, each with one conditional write: CLAIMED, next attempt, in that hand, a lease
    /// of that length. Outcomes in their order; a row that is there twice is claimed as it is there last. Three write units
    /// for a claimed row.
    pub async fn claim(
        &self,
        due: &[IndexKey],
        hand: Hand,
        lease: Duration,
        deadline: Deadline,
    ) -> Vec<Claim> {
        let lease_end = self.clock.now().plus(lease);
        // Two statements on one key would fail the whole request.
        let last: BTreeMap<EventId, usize> = due.iter().map(|row| row.id).zip(0..).collect();
        let is_last = |(position, row): &(usize, &IndexKey)| last[&row.id] == *position;
        let mut tokens = Tokens::new(&self.random, hand);
        let mut given = Vec::with_capacity(due.len());
        let updates = due.iter().enumerate().filter(is_last).map(|(_, row)| {
            let (token, batch) = tokens.next();
            given.push(token);
            Update::of(row.id, Step::Claim)
                .set(DUE_AT, text(lease_end))
                .count("attempt", true)
                .set("deliveries", number(hand.deliveries()))
                .set("lease_moves", number(0))
                .set("claim_token", text(token))
                .into_batch(batch)
                .when(DUE_AT, text(row.due_at))
                .returning_row()
        });
        let updates: Vec<Update> = updates.collect();
        let mut written = self.update(updates, deadline).await.into_iter().zip(given);
        let claim = |row| match is_last(&row) {
            true => written
                .next()
                .map_or(Claim::Lost, |(written, token)| claimed(written, token)),
            false => Claim::Lost,
        };
        due.iter().enumerate().map(claim).collect()
    }

    /// Gives rows back that bear a batch whose execution does not name them: PENDING, due now, the attempt unused. CLAIMED, at that
    /// attempt, in that batch. `alone`: from now on each is run by itself.
    pub async fn leave_batch(
        &self,
        rows: &[ExecutionName],
        batch: BatchId,
        alone: bool,
        deadline: Deadline,
    ) -> Vec<Released> {
        let now = self.clock.now();
        let updates = rows.iter().map(|name| {
            Update::of(name.id, Step::Release)
                .of_batch(Some(batch))
                .set(DUE_AT, text(now))
                .count("attempt", false)
                .set("deliveries", number(0))
                .set_if("alone", alone.then_some(AttributeValue::Bool(true)))
                .when("attempt", number(name.attempt))
        });
        let written = self.update(updates, deadline).await;
        written.into_iter().map(released).collect()
    }

    /// Gives claimed rows back whose messages the queue certainly did not take: PENDING, due now, the attempt unused.
    pub async fn release(&self, rows: &[Row], deadline: Deadline) -> Vec<Released> {
        let now = self.clock.now();
        let updates = rows.iter().map(|row| {
            Update::of(row.id, Step::Release)
                .of_batch(row.batch)
                .set(DUE_AT, text(now))
                .count("attempt", false)
                .set("deliveries", number(0))
                .when(DUE_AT, text(row.due_at))
                .when("claim_token", token_of(row))
        });
        self.update(updates, deadline)
            .await
            .into_iter()
            .map(released)
            .collect()
    }
}

/// The token of a row as a condition; a row without one matches nothing.
pub(crate) fn token_of(row: &Row) -> AttributeValue {
    text(row.claim_token.map(|token| token.to_string()).unwrap_or_default())
}

pub(crate) fn claimed(written: Written, token: Uuid) -> Claim {
    match written {
        Written::Applied(Some(item)) => match row_of(item) {
            Ok(row) => Claim::Claimed(Box::new(row)),
            Err(cause) => Claim::Unknown(cause),
        },
        Written::Applied(None) => Claim::Unknown("the claimed row did not come back with the write".into()),
        // A retry of our own write whose first answer was lost finds the condition false and our token in the row. Status
        // matters too: a row that went on to PENDING bears the token of its last claim.
        Written::ConditionFailed(Some(item)) => match row_of(item) {
            Ok(row) if row.status == Status::Claimed && row.claim_token == Some(token) => {
                Claim::Claimed(Box::new(row))
            }
            _ => Claim::Lost,
        },
        Written::ConditionFailed(None) | Written::Duplicate => Claim::Lost,
        Written::Newer(_) => Claim::Newer,
        Written::Refused(cause) | Written::Throttled(cause) => Claim::NotApplied(cause),
        Written::Unknown(cause) => Claim::Unknown(cause),
    }
}

pub(crate) fn released(written: Written) -> Released {
    match written {
        Written::Applied(_) => Released::Released,
        Written::ConditionFailed(_) | Written::Duplicate => Released::Stale,
        Written::Newer(newer) => Released::Left(newer.into()),
        Written::Refused(cause) | Written::Throttled(cause) | Written::Unknown(cause) => {
            Released::Left(cause)
        }
    }
}

/// The row that an answer holds.
pub(crate) fn row_of(item: Item) -> Result<Row, Cause> {
    serde_dynamo::from_item(item)
        .map_err(|error| Cause::new(CauseKind::Unreadable, format!("the row cannot be read: {error}")))
}
