//! What the end of a batch's execution means for the events that its input names, and for no others.

use std::collections::BTreeSet;

use daybook_ledger::{
    Blame, Deadline, Failed, FailedAttempt, Ledger, LedgerError, RetryPolicy, Success, chain,
};
use daybook_schema::{BatchId, BatchInput, BatchName, ExecutionInput, ExecutionName, ItemFailures};

use crate::executions::{Ended, EndedStatus};
use crate::settle_execution::Settled;

/// What came of a batch's end, in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettledBatch {
    /// Events that are done; their rows are gone.
    pub completed: u32,
    /// Events that are done and say so in their receipts; the rows are left to the newer release that wrote them.
    pub left_newer: u32,
    /// Attempts that failed and will be tried again.
    pub retried: u32,
    /// Attempts that failed and were the last.
    pub parked: u32,
    /// Reports of old attempts, or rows that are gone.
    pub stale: u32,
}

impl From<Settled> for SettledBatch {
    fn from(settled: Settled) -> Self {
        let mut one = Self::default();
        one.count(settled);
        one
    }
}

impl SettledBatch {
    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            completed: self.completed + other.completed,
            left_newer: self.left_newer + other.left_newer,
            retried: self.retried + other.retried,
            parked: self.parked + other.parked,
            stale: self.stale + other.stale,
        }
    }

    fn count(&mut self, settled: Settled) {
        *match settled {
            Settled::Completed => &mut self.completed,
            Settled::LeftNewer => &mut self.left_newer,
            Settled::Failed(Failed::Retry(_)) => &mut self.retried,
            Settled::Failed(Failed::Parked) => &mut self.parked,
            Settled::Failed(Failed::Stale) => &mut self.stale,
        } += 1;
    }
}

/// The end of a batch's execution, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BatchEnd {
    batch: BatchId,
    arn: String,
    done: Vec<ExecutionInput>,
    failed: Vec<(ExecutionName, Blame)>,
    why: String,
}

/// The events that an execution of that name was given; nobody where somebody else gave it its input. None where that cannot be
/// told: that is not "nobody".
pub(crate) fn named(name: BatchName, input: Option<&str>) -> Option<Vec<ExecutionInput>> {
    BatchInput::named_by(input?, name.batch)
}

impl BatchEnd {
    /// None where input or output is not known: that changes nothing.
    pub(crate) fn of(name: BatchName, ended: &Ended) -> Option<Self> {
        let named = named(name, ended.input.as_deref())?;
        let ids = named.iter().map(|input| input.id).collect::<BTreeSet<_>>();
        let mut why = ended.why.clone();
        let all = match named.len() {
            1 => Blame::Own,
            _ => Blame::Shared,
        };
        let listed = if all == Blame::Own {
            Blame::Own
        } else {
            Blame::Named
        };
        let (failed, blame) = match ended.status {
            EndedStatus::Failed => (ids, all),
            EndedStatus::Succeeded => match ItemFailures::read(ended.output.as_deref()?, &ids) {
                ItemFailures::Listed(failed) => {
                    why = "its batch's output lists it in batchItemFailures".to_owned();
                    (failed, listed)
                }
                ItemFailures::Malformed(malformed) => {
                    why = malformed;
                    (ids, all)
                }
            },
        };
        let (failed, done): (Vec<_>, Vec<_>) =
            named.into_iter().partition(|input| failed.contains(&input.id));
        Some(Self {
            batch: name.batch,
            arn: ended.arn.clone(),
            done,
            failed: failed.iter().map(|input| (input.name(), blame)).collect(),
            why,
        })
    }

    /// Completes the events that are done, and fails the attempts of the others. What has been written stands, whatever else fails.
    ///
    /// # Errors
    /// The first, when not all is certainly written. Nothing is lost: the end can be reported again.
    pub(crate) async fn settle(
        &self,
        ledger: &Ledger,
        policy: &RetryPolicy,
        deadline: Deadline,
    ) -> Result<SettledBatch, LedgerError> {
        let events: Vec<_> = self.done.iter().map(ExecutionInput::event).collect();
        let successes: Vec<Success<'_>> = self
            .done
            .iter()
            .zip(&events)
            .map(|(input, event)| Success {
                event,
                attempt: input.attempt,
                by: &self.arn,
            })
            .collect();
        let failed: Vec<FailedAttempt<'_>> = self
            .failed
            .iter()
            .map(|(name, blame)| FailedAttempt {
                name: *name,
                blame: *blame,
                why: &self.why,
            })
            .collect();
        let deleted = async {
            let deleted = ledger.complete_many(&successes, deadline).await;
            deleted
                .into_iter()
                .map(|deleted| deleted.map(Settled::from))
                .collect()
        };
        together(
            deleted,
            ledger.fail_many(Some(self.batch), &failed, policy, deadline),
        )
        .await
    }
}

/// Completes events and fails attempts at the same time. What has been written stands, whatever else fails.
///
/// # Errors
/// The first, when not all is certainly written.
pub(crate) async fn together(
    completed: impl Future<Output = Vec<Result<Settled, LedgerError>>>,
    failed: impl Future<Output = Vec<Result<Failed, LedgerError>>>,
) -> Result<SettledBatch, LedgerError> {
    let (completed, failed) = futures::join!(completed, failed);
    let failed = failed.into_iter().map(|failed| failed.map(Settled::Failed));
    let mut settled = SettledBatch::default();
    let mut first_error = None;
    for outcome in completed.into_iter().chain(failed) {
        match outcome {
            Ok(outcome) => settled.count(outcome),
            Err(error) => {
                tracing::debug!(error = chain(&error), "an event of several is not settled");
                first_error = first_error.or(Some(error));
            }
        }
    }
    first_error.map_or(Ok(settled), Err)
}
