//! A target's own report of how attempts ended, for targets that nobody else reports for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use daybook_ledger::{Blame, Deadline, Failed, FailedAttempt, Ledger, LedgerError, RetryPolicy, Success};
use daybook_schema::status::Attempt;
use daybook_schema::{BatchId, EventId, ExecutionName};
use serde::Deserialize;

use crate::settle_batch::{SettledBatch, together};
use crate::settle_execution::Settled;

/// The `source` of a report, and what a receipt says completed the event.
const SOURCE: &str = "daybook.report";

/// `{"source": "daybook.report", "detail": {"events": [{"id": …, "attempt": …, "failed": "why, or absent"}]}}`, with `batch` beside
/// `events` where the events were handed out as a batch. EventBridge's other members may be there.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Report {
    #[serde(default)]
    batch: Option<BatchId>,
    events: Vec<Reported>,
}

/// A misspelt `failed` would make a success of a failure: unknown members are refused.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reported {
    id: EventId,
    attempt: Attempt,
    #[serde(default)]
    failed: Option<String>,
}

impl Report {
    /// None where the message is from another source.
    pub(crate) fn read(body: &str) -> Option<Result<Self, serde_json::Error>> {
        #[derive(Deserialize)]
        struct From<'a> {
            #[serde(borrow)]
            source: Cow<'a, str>,
        }
        #[derive(Deserialize)]
        struct Message {
            detail: Report,
        }
        let from: From<'_> = serde_json::from_str(body).ok()?;
        (from.source == SOURCE).then(|| serde_json::from_str::<Message>(body).map(|message| message.detail))
    }

    /// Completes the events that are done, and fails the attempts of the others, the latter only at that very attempt and in that
    /// batch. What has been written stands, whatever else fails.
    ///
    /// # Errors
    /// The first, when not all is certainly written. Nothing is lost: the report comes again.
    pub(crate) async fn settle(
        &self,
        ledger: &Ledger,
        policy: &RetryPolicy,
        deadline: Deadline,
    ) -> Result<SettledBatch, LedgerError> {
        let failed: Vec<FailedAttempt<'_>> = self
            .events
            .iter()
            .filter_map(|event| self.failed(event))
            .collect();
        together(
            self.complete(ledger, deadline),
            ledger.fail_many(self.batch, &failed, policy, deadline),
        )
        .await
    }

    fn failed<'a>(&self, event: &'a Reported) -> Option<FailedAttempt<'a>> {
        Some(FailedAttempt {
            name: ExecutionName {
                id: event.id,
                attempt: event.attempt,
            },
            blame: self.batch.map_or(Blame::Own, |_| Blame::Named),
            why: event.failed.as_deref()?,
        })
    }

    async fn complete(&self, ledger: &Ledger, deadline: Deadline) -> Vec<Result<Settled, LedgerError>> {
        let done = self.events.iter().filter(|event| event.failed.is_none());
        let done: BTreeMap<EventId, Attempt> = done.map(|event| (event.id, event.attempt)).collect();
        let ids: Vec<EventId> = done.keys().copied().collect();
        let mut outcomes = Vec::with_capacity(ids.len());
        let mut rows = Vec::with_capacity(ids.len());
        for row in ledger.get_each(&ids).await {
            match row {
                Ok(Some(row)) if row.event().is_some() => rows.push(row),
                // Its payload could not be read: it was never sent, and nothing can have done it.
                Ok(Some(row)) => {
                    tracing::warn!(event.id = %row.id, "a report says that an event is done whose notification cannot be read: nothing is changed");
                    outcomes.push(Ok(Settled::Failed(Failed::Stale)));
                }
                // Settled before: without the row nothing says which object it was about.
                Ok(None) => outcomes.push(Ok(Settled::Failed(Failed::Stale))),
                Err(error) => outcomes.push(Err(error)),
            }
        }
        let successes: Vec<Success<'_>> = rows
            .iter()
            .filter_map(|row| {
                Some(Success {
                    event: row.event()?,
                    attempt: *done.get(&row.id)?,
                    by: SOURCE,
                })
            })
            .collect();
        let deleted = ledger.complete_many(&successes, deadline).await;
        outcomes.extend(deleted.into_iter().map(|deleted| deleted.map(Settled::from)));
        outcomes
    }
}
