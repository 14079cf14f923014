//! How attempts end that failed: tried again, or parked.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_schema::tables::attribute::{DUE_AT, STATUS_SHARD};
use daybook_schema::{BatchId, EventId, ExecutionName, Row, StatusShard, Step, Timestamp};

use crate::cause::Cause;
use crate::claim::token_of;
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::retry_policy::RetryPolicy;
use crate::statement::{Item, Written, number, text};
use crate::time::Deadline;
use crate::update::Update;

/// The longest `last_error` that is stored, in characters: a row stays below one write unit.
const LONGEST_ERROR: usize = 256;

/// What came of reporting a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It will be tried again, not before that time.
    Retry(Timestamp),
    /// No attempt is left, or another one could not help: it waits for a person.
    Parked,
    /// The report is of an old attempt, or the row is gone: nothing was changed.
    Stale,
}

/// How an attempt failed that may have been made together with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// It was made by itself.
    Own,
    /// Of those that it was made with, it was named as one that failed. From now on the row is run alone.
    Named,
    /// All of them failed, and nobody knows whose fault it is. From now on the row is run alone, and it is not parked by this: without
    /// an attempt left it gets one more.
    Shared,
}

impl Blame {
    /// Of a row with which processes kept ending: one of a batch goes into no company any more.
    pub fn of_deaths(row: &Row) -> Self {
        match row.batch {
            Some(_) => Self::Named,
            None => Self::Own,
        }
    }
}

/// An attempt that failed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedAttempt<'a> {
    /// The event and its attempt.
    pub name: ExecutionName,
    /// Whose fault it is.
    pub blame: Blame,
    /// Kept in the row, up to 256 characters.
    pub why: &'a str,
}

impl Ledger {
    /// Reports that an attempt failed: PENDING again after a delay, or PARKED when no attempt is left. Applies only while the
    /// row is CLAIMED at that very attempt, and was not removed and recorded again since it was read. `started_at` is when the failed execution started, where that is known: one that
    /// started before the row was recorded is an old run under the same name, and costs the event no attempt.
    ///
    /// # Errors
    /// When the row cannot be read or the write was not certainly applied. Report it again.
    pub async fn fail(
        &self,
        name: ExecutionName,
        started_at: Option<Timestamp>,
        why: &str,
        policy: &RetryPolicy,
        deadline: Deadline,
    ) -> Result<Failed, LedgerError> {
        let Some(row) = self.get(name.id).await? else {
            return Ok(Failed::Stale);
        };
        // The name speaks of a single row: one that is in a batch by now was claimed again.
        if row.status != Step::Retry.from() || row.attempt != name.attempt || row.batch.is_some() {
            return Ok(Failed::Stale);
        }
        let replayed = started_at.is_some_and(|started| started < row.recorded_at);
        let max_attempts = row.max_attempts.saturating_add(u32::from(replayed));
        let end = self.end_of(&row, max_attempts, policy);
        let failed = settled(&row, end, max_attempts, why, None);
        self.settle(end.0, failed, deadline).await
    }

    /// Reports that attempts failed which were handed out as that batch, or by themselves: as [`Ledger::fail`], and only while a row is in that
    /// batch, or in none. Of an attempt that is named more than once the first counts. Outcomes in their order. Three write units each, 25 in one
    /// request.
    pub async fn fail_many(
        &self,
        batch: Option<BatchId>,
        failed: &[FailedAttempt<'_>],
        policy: &RetryPolicy,
        deadline: Deadline,
    ) -> Vec<Result<Failed, LedgerError>> {
        let ids: Vec<EventId> = failed.iter().map(|attempt| attempt.name.id).collect();
        let mut outcomes = Vec::with_capacity(failed.len());
        let mut written = Vec::new();
        let mut updates = Vec::new();
        let mut updated = BTreeSet::new();
        let rows = self.get_each(&ids).await;
        for (row, attempt) in rows.into_iter().zip(failed) {
            let is_at = |row: &Row| {
                row.status == Step::Retry.from() && row.attempt == attempt.name.attempt && row.batch == batch
            };
            match row {
                Err(error) => outcomes.push(Some(Err(error))),
                Ok(Some(row)) if is_at(&row) && updated.insert(row.id) => {
                    outcomes.push(None);
                    let (end, update) = self.failed_in(&row, attempt.blame, attempt.why, policy);
                    written.push(end);
                    updates.push(update);
                }
                Ok(_) => outcomes.push(Some(Ok(Failed::Stale))),
            }
        }
        let changed = self.update_expecting(updates, deadline).await;
        let mut written = written.into_iter().zip(changed);
        let mut next = || {
            let ((step, due_at), changed) = written.next()?;
            Some(changed.map(|changed| settled_as(step, due_at, changed)))
        };
        let outcome = |known: Option<Result<Failed, LedgerError>>| known.or_else(&mut next);
        outcomes
            .into_iter()
            .map(outcome)
            .map(|outcome| outcome.unwrap_or(Ok(Failed::Stale)))
            .collect()
    }

    fn failed_in(
        &self,
        row: &Row,
        blame: Blame,
        why: &str,
        policy: &RetryPolicy,
    ) -> ((Step, Timestamp), Expected) {
        let is_last = row.attempt.0 >= row.max_attempts;
        let more = u32::from(is_last && blame == Blame::Shared);
        let max_attempts = row.max_attempts.saturating_add(more);
        let end = self.end_of(row, max_attempts, policy);
        let failed = settled(row, end, max_attempts, why, None);
        (
            end,
            if blame == Blame::Own {
                failed
            } else {
                failed.alone()
            },
        )
    }

    /// Reports that the attempt of a row failed: as [`Ledger::fail`], and only while it bears the token and the count of deliveries
    /// that it has here. Whoever took it, sent it again or started an execution for it since may be running it: put back by us,
    /// the row would be claimed again beside that run. Three write units, and no read.
    ///
    /// # Errors
    /// When the write was not certainly applied. Report it again.
    pub async fn fail_taken(
        &self,
        row: &Row,
        blame: Blame,
        why: &str,
        policy: &RetryPolicy,
        deadline: Deadline,
    ) -> Result<Failed, LedgerError> {
        let (end, failed) = self.failed_in(row, blame, why, policy);
        self.settle(end.0, failed.when_ours(row), deadline).await
    }

    /// What becomes of a row whose attempt failed, and when it is due.
    fn end_of(&self, row: &Row, max_attempts: u32, policy: &RetryPolicy) -> (Step, Timestamp) {
        if row.attempt.0 >= max_attempts {
            return (Step::Park, self.clock.now());
        }
        let delay = self.random.jittered(policy.delay(row.attempt));
        (Step::Retry, self.clock.now().plus(delay))
    }

    /// Parks an attempt that could never succeed: its input is invalid to Step Functions.
    ///
    /// # Errors
    /// As [`Ledger::fail`].
    pub async fn park(
        &self,
        name: ExecutionName,
        batch: Option<BatchId>,
        why: &str,
        deadline: Deadline,
    ) -> Result<Failed, LedgerError> {
        let Some(row) = self.get(name.id).await? else {
            return Ok(Failed::Stale);
        };
        if row.status != Step::Park.from() || row.attempt != name.attempt || row.batch != batch {
            return Ok(Failed::Stale);
        }
        let parked = settled(&row, (Step::Park, self.clock.now()), row.max_attempts, why, None);
        self.settle(Step::Park, parked, deadline).await
    }

    async fn settle(&self, step: Step, ended: Expected, deadline: Deadline) -> Result<Failed, LedgerError> {
        let due_at = ended.becomes.1;
        let changed = self.update_one(ended, deadline).await?;
        Ok(settled_as(step, due_at, changed))
    }

    /// Updates one row, after which it stands as expected; whether it does.
    async fn update_one(&self, update: Expected, deadline: Deadline) -> Result<bool, LedgerError> {
        let mut changed = self.update_expecting(vec![update], deadline).await;
        changed.pop().unwrap_or(Ok(false))
    }

    /// Updates rows, no row twice, each of which stands as expected afterwards; whether it does. A retry of our own write whose
    /// first answer was lost finds the condition false and the row as we left it.
    pub(crate) async fn update_expecting(
        &self,
        updates: Vec<Expected>,
        deadline: Deadline,
    ) -> Vec<Result<bool, LedgerError>> {
        let (updates, become_): (Vec<Update>, Vec<_>) = updates
            .into_iter()
            .map(|expected| (expected.update, (expected.becomes, expected.note)))
            .unzip();
        let written = self.update(updates, deadline).await;
        type Becomes = ((StatusShard, Timestamp), Option<String>);
        let stands = |item: &Item, ((status_shard, due_at), note): Becomes| {
            item.get(STATUS_SHARD) == Some(&text(status_shard))
                && item.get(DUE_AT) == Some(&text(due_at))
                && note.is_none_or(|note| item.get("note") == Some(&text(note)))
        };
        let changed = |(written, becomes)| match written {
            Written::Applied(_) => Ok(true),
            Written::ConditionFailed(Some(item)) => Ok(stands(&item, becomes)),
            Written::ConditionFailed(None) | Written::Duplicate => Ok(false),
            Written::Newer(newer) => Err(LedgerError::Newer(newer)),
            Written::Refused(cause) | Written::Throttled(cause) => Err(self.not_written(cause, false)),
            Written::Unknown(cause) => Err(self.not_written(cause, true)),
        };
        written.into_iter().zip(become_).map(changed).collect()
    }

    pub(crate) fn not_written(&self, cause: Cause, unknown: bool) -> LedgerError {
        LedgerError::Request {
            operation: "BatchExecuteStatement",
            table: self.table.to_string(),
            cause,
            unknown,
        }
    }
}

/// A step of a row, and how the row stands after it: status and shard, when it is due, and the note that is new.
pub(crate) struct Expected {
    update: Update,
    becomes: (StatusShard, Timestamp),
    note: Option<String>,
}

impl Expected {
    /// A step after which the row is due then, at a person's word if there is a note.
    pub(crate) fn new(row: &Row, step: Step, update: Update, due_at: Timestamp, note: Option<&str>) -> Self {
        Self {
            update: update.set(DUE_AT, text(due_at)).set_if("note", note.map(text)),
            becomes: (row.status_shard().to(step.to()), due_at),
            note: note.map(str::to_owned),
        }
    }

    /// And the row is run alone from now on.
    fn alone(self) -> Self {
        Self {
            update: self.update.set("alone", AttributeValue::Bool(true)),
            ..self
        }
    }

    /// And only while the row bears the token and the count of deliveries that it has here.
    fn when_ours(self, row: &Row) -> Self {
        let update = self.update.when("claim_token", token_of(row));
        Self {
            update: update.when("deliveries", number(row.deliveries)),
            ..self
        }
    }
}

/// The end of a row's attempt.
pub(crate) fn settled(
    row: &Row,
    (step, due_at): (Step, Timestamp),
    max_attempts: u32,
    why: &str,
    note: Option<&str>,
) -> Expected {
    let update = Update::of(row.id, step)
        .of_batch(row.batch)
        .set("max_attempts", number(max_attempts))
        .set("last_error", text(clipped(why)))
        // The next attempt begins with none.
        .set_if("deaths", (row.deaths > 0).then(|| number(0)))
        .when("attempt", number(row.attempt))
        // An event that is recorded again begins at attempt 1, with a limit of its own.
        .when("recorded_at", text(row.recorded_at));
    Expected::new(row, step, update, due_at, note)
}

/// What came of it.
pub(crate) fn settled_as(step: Step, due_at: Timestamp, changed: bool) -> Failed {
    match (changed, step) {
        (false, _) => Failed::Stale,
        (true, Step::Park) => Failed::Parked,
        (true, _) => Failed::Retry(due_at),
    }
}

/// As much of a text as a row or a receipt keeps.
pub(crate) fn clipped(text: &str) -> String {
    clipped_to(text, LONGEST_ERROR)
}

/// At most so many characters of a text.
pub(crate) fn clipped_to(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
