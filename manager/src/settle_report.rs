//! A target's own report of how attempts ended, for targets that nobody else reports for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use daybook_ledger::{Blame, Deadline, Failed, Ledger, LedgerError, RetryPolicy, Success, chain};
use daybook_schema::status::Attempt;
use daybook_schema::{BatchId, EventId, ExecutionName};
use serde::Deserialize;

use crate::settle_batch::SettledBatch;
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
        let (done, failed) = futures::join!(
            self.complete(ledger, deadline),
            self.fail(ledger, policy, deadline)
        );
        let mut settled = SettledBatch::default();
        let mut first_error = None;
        for outcome in done.into_iter().chain(failed) {
            match outcome {
                Ok(outcome) => settled = settled.and(outcome.into()),
                Err(error) => {
                    tracing::debug!(error = chain(&error), "an event of a report is not settled");
                    first_error = first_error.or(Some(error));
                }
            }
        }
        first_error.map_or(Ok(settled), Err)
    }

    async fn complete(&self, ledger: &Ledger, deadline: Deadline) -> Vec<Result<Settled, LedgerError>> {
        let done = self.events.iter().filter(|event| event.failed.is_none());
        let done: BTreeMap<EventId, Attempt> = done.map(|event| (event.id, event.attempt)).collect();
        let ids: Vec<EventId> = done.keys().copied().collect();
        let mut outcomes = Vec::with_capacity(ids.len());
        let mut rows = Vec::with_capacity(ids.len());
        for row in ledger.get_each(&ids).await {
            match row {
                Ok(Some(row)) => rows.push(row),
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

    async fn fail(
        &self,
        ledger: &Ledger,
        policy: &RetryPolicy,
        deadline: Deadline,
    ) -> Vec<Result<Settled, LedgerError>> {
        let mut outcomes = Vec::new();
        for event in &self.events {
            let Some(why) = event.failed.as_deref() else {
                continue;
            };
            let name = ExecutionName {
                id: event.id,
                attempt: event.attempt,
            };
            match self.batch {
                None => outcomes.push(ledger.fail(name, None, why, policy, deadline).await),
                Some(batch) => {
                    let failed = [(name, Blame::Named)];
                    outcomes.extend(ledger.fail_batch(batch, &failed, why, policy, deadline).await);
                }
            }
        }
        let settled = outcomes.into_iter().map(|failed| failed.map(Settled::Failed));
        settled.collect()
    }
}
