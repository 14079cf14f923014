//! How events end: completed, failed, removed, or sent round again by a person.

use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use daybook_schema::tables::attribute::{DUE_AT, ID, STATUS_SHARD};
use daybook_schema::{
    Attempt, EventId, ExecutionName, ObjectEvent, Outcome, Receipt, Row, SourceName, Status, StatusShard,
    Step, Subject, Timestamp, notification,
};

use crate::answers::{AnswerWatch, Verdict, describe};
use crate::record::{NewRow, Recorded};
use crate::statement::{Written, number, text};
use crate::time::Deadline;
use crate::update::Update;
use crate::{Ledger, LedgerError};

/// The longest `last_error` that is stored, in characters: a row stays below one write unit.
const LONGEST_ERROR: usize = 256;

/// How failed attempts are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait after the first failed attempt; it doubles with every further one.
    pub first_delay: Duration,
    /// The longest wait.
    pub longest_delay: Duration,
}

impl Default for RetryPolicy {
    /// 30 seconds, doubling to one hour.
    fn default() -> Self {
        Self {
            first_delay: Duration::from_secs(30),
            longest_delay: Duration::from_secs(3600),
        }
    }
}

impl RetryPolicy {
    /// The wait after that attempt failed, before jitter takes up to half of it away.
    pub fn delay(&self, attempt: Attempt) -> Duration {
        let doublings = attempt.0.saturating_sub(1).min(31);
        self.first_delay
            .saturating_mul(2u32.saturating_pow(doublings))
            .min(self.longest_delay)
    }
}

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
    /// Completes an event: the receipt first, then the row's deletion. One and two write units.
    ///
    /// Success of any attempt is success of the event, so nothing is asked of the row. A missing row is success too: done
    /// twice is done.
    ///
    /// # Errors
    /// When the receipt or the deletion was not certainly written. Nothing is lost: report the success again.
    pub async fn complete(&self, event: &ObjectEvent, attempt: Attempt, by: &str) -> Result<(), LedgerError> {
        self.close(event, attempt, Outcome::Succeeded, by, None).await
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
        match row.event() {
            Some(event) => {
                self.close(event, row.attempt, Outcome::Removed, by, Some(why.to_owned()))
                    .await?;
            }
            None => self.delete(id).await?,
        }
        Ok(Removed::Removed)
    }

    /// Deletes a row that is known to be done: a stored receipt covers it. This is the second half of a completion that died
    /// in between, or a duplicate that was recorded while its twin was completed.
    ///
    /// # Errors
    /// When the deletion was not certainly written.
    pub async fn delete_done(&self, row: &Row) -> Result<(), LedgerError> {
        self.delete(row.id).await
    }

    async fn close(
        &self,
        event: &ObjectEvent,
        attempt: Attempt,
        outcome: Outcome,
        by: &str,
        why: Option<String>,
    ) -> Result<(), LedgerError> {
        // Receipt, then delete. A crash in between leaves a row that its receipt covers: the sweep deletes it. The opposite
        // order would leave an object of which nobody can say whether it was processed.
        if let Some(settings) = &self.receipts {
            let now = self.clock.now();
            let receipt = Receipt::new(
                event,
                attempt,
                outcome,
                clipped(by),
                why.as_deref().map(clipped),
                now,
                settings.keep,
            );
            self.put_receipt(settings, &receipt).await?;
        }
        self.delete(event.id).await
    }

    async fn delete(&self, id: EventId) -> Result<(), LedgerError> {
        let watch = AnswerWatch::default();
        let answer = self
            .client
            .delete_item()
            .table_name(self.table.as_str())
            .key(ID, text(id))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .customize()
            .interceptor(watch.clone())
            .send()
            .await
            .map_err(|error| LedgerError::Request {
                operation: "DeleteItem",
                table: self.table.to_string(),
                cause: describe(&error),
                unknown: watch.verdict(&error) == Verdict::Unknown,
            })?;
        self.meter.write(answer.consumed_capacity.as_ref());
        Ok(())
    }

    /// Reports that an attempt failed: PENDING again after a delay, or PARKED when no attempt is left. Applies only while the
    /// row is CLAIMED at that very attempt. `started_at` is when the failed execution started, where that is known: one that
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
        if row.status != Step::Retry.from() || row.attempt != name.attempt {
            return Ok(Failed::Stale);
        }
        let replayed = started_at.is_some_and(|started| started < row.recorded_at);
        let max_attempts = row.max_attempts.saturating_add(u32::from(replayed));
        if row.attempt.0 >= max_attempts {
            return self
                .settle(&row, Step::Park, self.clock.now(), max_attempts, why, deadline)
                .await;
        }
        let delay = self.random.jittered(policy.delay(row.attempt));
        self.settle(
            &row,
            Step::Retry,
            self.clock.now().plus(delay),
            max_attempts,
            why,
            deadline,
        )
        .await
    }

    /// Parks an attempt that could never succeed: its input is invalid to Step Functions.
    ///
    /// # Errors
    /// As [`Ledger::fail`].
    pub async fn park(
        &self,
        name: ExecutionName,
        why: &str,
        deadline: Deadline,
    ) -> Result<Failed, LedgerError> {
        let Some(row) = self.get(name.id).await? else {
            return Ok(Failed::Stale);
        };
        if row.status != Step::Park.from() || row.attempt != name.attempt {
            return Ok(Failed::Stale);
        }
        self.settle(
            &row,
            Step::Park,
            self.clock.now(),
            row.max_attempts,
            why,
            deadline,
        )
        .await
    }

    async fn settle(
        &self,
        row: &Row,
        step: Step,
        due_at: Timestamp,
        max_attempts: u32,
        why: &str,
        deadline: Deadline,
    ) -> Result<Failed, LedgerError> {
        let update = Update::of(row.id, step)
            .set(DUE_AT, text(due_at))
            .set("max_attempts", number(max_attempts))
            .set("last_error", text(clipped(why)))
            // The next attempt begins with none.
            .set_if("deaths", (row.deaths > 0).then(|| number(0)))
            .when("attempt", number(row.attempt));
        let applied = if step == Step::Park {
            Failed::Parked
        } else {
            Failed::Retry(due_at)
        };
        self.update_one(update, (row.status_shard().to(step.to()), due_at), deadline)
            .await
            .map(|changed| if changed { applied } else { Failed::Stale })
    }

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
        if row.status != Status::Parked {
            return Ok(Redriven::NotParked);
        }
        if let Subject::Raw { payload, source } = &row.subject {
            return self.redrive_payload(&row, payload, source, round, deadline).await;
        }
        let now = self.clock.now();
        let update = Update::of(id, Step::Redrive)
            .set(DUE_AT, text(now))
            .set("max_attempts", number(row.attempt.0.saturating_add(round)))
            .when(DUE_AT, text(row.due_at));
        let becomes = (row.status_shard().to(Step::Redrive.to()), now);
        let changed = self.update_one(update, becomes, deadline).await?;
        Ok(if changed {
            Redriven::Redriven
        } else {
            Redriven::NotParked
        })
    }

    async fn redrive_payload(
        &self,
        row: &Row,
        payload: &str,
        source: &SourceName,
        max_attempts: u32,
        deadline: Deadline,
    ) -> Result<Redriven, LedgerError> {
        let read = notification::read(payload, source);
        let events = read.events.len();
        // Kept as it is, even where another spelling of the payload would have another id.
        if let (0, Some(part)) = (events, read.unreadable.first()) {
            return Ok(Redriven::StillUnreadable(part.why.clone()));
        }
        let mut rows: Vec<NewRow> = Vec::with_capacity(events + read.unreadable.len());
        for event in read.events {
            rows.push(NewRow::Event {
                event,
                max_attempts,
                trace: row.trace.clone(),
            });
        }
        for part in read.unreadable {
            let (source, trace) = (source.clone(), row.trace.clone());
            rows.push(NewRow::Unreadable {
                source,
                payload: part.raw,
                why: part.why,
                trace,
            });
        }
        // Record, then delete: a crash in between leaves a payload whose events are recorded, and a second redrive finds
        // them already there.
        let outcomes = self.record(rows, deadline).await;
        if let Some(unsafe_) = outcomes.iter().find(|outcome| !outcome.is_safe()) {
            return Err(LedgerError::Request {
                operation: "BatchExecuteStatement",
                table: self.table.to_string(),
                cause: format!("an event of the payload is not recorded: {unsafe_:?}"),
                unknown: matches!(unsafe_, Recorded::Unknown(_)),
            });
        }
        self.delete(row.id).await?;
        Ok(Redriven::Parsed { events })
    }

    /// Updates one row, after which the row stands as `becomes`; whether it does. A retry of our own write
    /// whose first answer was lost finds the condition false and the row as we left it.
    async fn update_one(
        &self,
        update: Update,
        becomes: (StatusShard, Timestamp),
        deadline: Deadline,
    ) -> Result<bool, LedgerError> {
        let failed = |cause, unknown| {
            let table = self.table.to_string();
            Err(LedgerError::Request {
                operation: "BatchExecuteStatement",
                table,
                cause,
                unknown,
            })
        };
        match self.update([update], deadline).await.pop() {
            Some(Written::Applied(_)) => Ok(true),
            Some(Written::ConditionFailed(Some(item))) => Ok(item.get(STATUS_SHARD)
                == Some(&text(becomes.0))
                && item.get(DUE_AT) == Some(&text(becomes.1))),
            Some(Written::ConditionFailed(None) | Written::Duplicate) => Ok(false),
            Some(Written::Refused(cause) | Written::Throttled(cause)) => failed(cause, false),
            Some(Written::Unknown(cause)) => failed(cause, true),
            None => failed("no outcome".into(), true),
        }
    }
}

/// As much of a text as a row or a receipt keeps.
pub(crate) fn clipped(text: &str) -> String {
    text.chars().take(LONGEST_ERROR).collect()
}
