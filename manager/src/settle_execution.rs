//! What an execution's end means for its row; one meaning, whether a status event or a probe tells of it.

use daybook_ledger::{Deadline, Deleted, Failed, Ledger, LedgerError, RetryPolicy};
use daybook_schema::{ExecutionInput, ExecutionName, ObjectEvent};

use crate::executions::{Ended, EndedStatus};

/// What came of an execution's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The event is done; its row is gone.
    Completed,
    /// The event is done, and its receipt says so; its row is left to the newer release that wrote it.
    LeftNewer,
    /// The attempt failed.
    Failed(Failed),
}

impl From<Deleted> for Settled {
    fn from(deleted: Deleted) -> Self {
        match deleted {
            Deleted::Deleted => Self::Completed,
            Deleted::LeftNewer => Self::LeftNewer,
        }
    }
}

/// Completes the event, or fails that attempt of it, whose execution `ended` is.
///
/// # Errors
/// When the ledger could not be read, or not certainly written. Nothing is lost: the end can be reported again.
pub(crate) async fn settle(
    ledger: &Ledger,
    name: ExecutionName,
    ended: &Ended,
    policy: &RetryPolicy,
    deadline: Deadline,
) -> Result<Settled, LedgerError> {
    match ended.status {
        EndedStatus::Succeeded => {
            // Without the event there is no receipt to write; without a row there is nothing left to do.
            let Some(event) = event_of(ledger, name, ended).await? else {
                return Ok(Settled::Completed);
            };
            let deleted = ledger.complete(&event, name.attempt, &ended.arn).await?;
            Ok(deleted.into())
        }
        EndedStatus::Failed => ledger
            .fail(name, ended.started_at, &ended.why, policy, deadline)
            .await
            .map(Settled::Failed),
    }
}

/// The event that the execution was for: from its input, which costs nothing; from the row where that does not say.
async fn event_of(
    ledger: &Ledger,
    name: ExecutionName,
    ended: &Ended,
) -> Result<Option<ObjectEvent>, LedgerError> {
    if let Some(event) = event_of_input(name, ended) {
        return Ok(Some(event));
    }
    let row = ledger.get(name.id).await?;
    Ok(row.and_then(|row| row.event().cloned()))
}

/// The same by the input alone: none where it is not known, or was given by somebody else under a name of ours.
pub(crate) fn event_of_input(name: ExecutionName, ended: &Ended) -> Option<ObjectEvent> {
    let input: ExecutionInput = serde_json::from_str(ended.input.as_deref()?).ok()?;
    (input.name() == name).then(|| input.event())
}
