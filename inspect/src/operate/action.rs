//! What can be done to rows, and what may come of it.

use std::time::Duration;

use daybook_ledger::{Cause, Deadline, Failed, Ledger, LedgerError, Person, Redriven, RetryPolicy};
use daybook_manager::Dispatch;
use daybook_schema::{Outcome as ReceiptOutcome, Row, Status};

use crate::wording::text;

/// How long one chunk may take, a throttling table's retries included.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Another round of attempts.
    Redrive {
        /// How many; `None` until the deployment is known.
        attempts: Option<u32>,
    },
    /// As if never claimed.
    Release,
    /// The attempt failed.
    Fail {
        /// How long it waits for the next.
        retry: RetryPolicy,
    },
    /// It is to stop, and to wait for a person.
    Cancel,
    /// It is done.
    Complete,
    /// It is not to be done.
    Remove,
}

/// What may come of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// For programs.
    pub word: &'static str,
    /// For people.
    pub label: &'static str,
    /// What it means for the rows.
    pub meaning: &'static str,
}

/// What came of it for one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The outcome of that position.
    Done(usize),
    /// The row went on, and was left alone.
    MovedOn,
    /// This release cannot read the row: why.
    Unreadable(String),
    /// Not done for certain: why.
    Failed(Cause),
}

const fn outcome(word: &'static str, label: &'static str, meaning: &'static str) -> Outcome {
    Outcome { word, label, meaning }
}

const REDRIVE: [Outcome; 3] = [
    outcome("redriven", "redriven", "due now"),
    outcome(
        "read_again",
        "read again",
        "notifications that could be read this time; their events are recorded",
    ),
    outcome(
        "still_unreadable",
        "still unreadable",
        "notifications that stay parked as they are",
    ),
];
const RELEASE: [Outcome; 2] = [
    outcome("released", "released", "due now, their attempts unused"),
    outcome(
        "lease_ended",
        "lease ended",
        "in batches: the next sweep sends them again, in the same attempt",
    ),
];
const FAIL: [Outcome; 2] = [
    outcome("retried", "retried", "will be tried again, after a delay"),
    outcome("parked", "parked", "have no attempt left, and wait for a person"),
];
const CANCEL: [Outcome; 1] = [outcome(
    "cancelled",
    "cancelled",
    "parked: `daybook redrive` runs them again",
)];
const COMPLETE: [Outcome; 2] = [
    outcome("completed", "completed", "done; receipts say by whom and why"),
    outcome(
        "unreadable_notifications",
        "no object",
        "unreadable notifications, left as they are: `daybook remove` deletes them",
    ),
];
const REMOVE: [Outcome; 1] = [outcome(
    "removed",
    "removed",
    "gone; receipts say by whom and why",
)];

impl Action {
    /// With the deployment's own attempts and backoff.
    pub fn in_deployment(self, max_attempts: u32, retry: RetryPolicy) -> Self {
        match self {
            Self::Redrive { attempts } => Self::Redrive {
                attempts: Some(attempts.unwrap_or(max_attempts)),
            },
            Self::Fail { .. } => Self::Fail { retry },
            Self::Release | Self::Cancel | Self::Complete | Self::Remove => self,
        }
    }

    /// How many attempts a redrive gives.
    fn round(attempts: Option<u32>) -> u32 {
        attempts.unwrap_or_else(|| Dispatch::default().max_attempts)
    }

    /// `Redrive`, as a question begins.
    pub fn imperative(self) -> &'static str {
        match self {
            Self::Redrive { .. } => "Redrive",
            Self::Release => "Release",
            Self::Fail { .. } => "Fail",
            Self::Cancel => "Cancel",
            Self::Complete => "Complete",
            Self::Remove => "Remove",
        }
    }

    /// `redriven`.
    pub fn past(self) -> &'static str {
        match self {
            Self::Redrive { .. } => "redriven",
            Self::Release => "released",
            Self::Fail { .. } => "failed",
            Self::Cancel => "cancelled",
            Self::Complete => "completed",
            Self::Remove => "removed",
        }
    }

    /// The statuses of rows that it can be done to, of those that are asked for.
    pub fn statuses(self, asked: Option<Status>) -> Vec<Status> {
        match (self, asked) {
            (Self::Redrive { .. }, _) => vec![Status::Parked],
            (Self::Release | Self::Fail { .. } | Self::Cancel, _) => vec![Status::Claimed],
            (Self::Complete | Self::Remove, Some(status)) => vec![status],
            (Self::Complete | Self::Remove, None) => Status::ALL.to_vec(),
        }
    }

    /// Whether rows become receipts.
    pub fn leaves_receipts(self) -> bool {
        matches!(self, Self::Complete | Self::Remove)
    }

    /// Whether rows then wait for the scheduler.
    pub fn waits_for_dispatch(self) -> bool {
        matches!(self, Self::Redrive { .. } | Self::Release)
    }

    /// Whether a row that became due at another time since it was selected has moved on. A worker at work makes its lease longer
    /// all the time: that is no reason not to fail, complete or remove its event, but one not to release it.
    pub fn heeds_due_times(self) -> bool {
        self.waits_for_dispatch()
    }

    /// What may come of it.
    pub fn outcomes(self) -> &'static [Outcome] {
        match self {
            Self::Redrive { .. } => &REDRIVE,
            Self::Release => &RELEASE,
            Self::Fail { .. } => &FAIL,
            Self::Cancel => &CANCEL,
            Self::Complete => &COMPLETE,
            Self::Remove => &REMOVE,
        }
    }

    /// What an outcome means, in words.
    pub fn meaning(self, outcome: &Outcome) -> String {
        match self {
            Self::Redrive { attempts } if outcome.word == "redriven" => {
                format!(
                    "{}, with {}",
                    outcome.meaning,
                    text::many(Self::round(attempts).into(), "more attempt")
                )
            }
            _ => outcome.meaning.to_owned(),
        }
    }

    /// Does it to rows as they were just read; what came of each, in their order.
    pub async fn apply(self, ledger: &Ledger, person: Person<'_>, rows: &[Row]) -> Vec<Applied> {
        let deadline = Deadline::after(ledger.clock(), PATIENCE);
        match self {
            Self::Redrive { attempts } => {
                let redriven = ledger
                    .redrive_rows(rows, Self::round(attempts), Some(person), deadline)
                    .await;
                each(redriven, |redriven| match redriven {
                    Redriven::Redriven => Applied::Done(0),
                    Redriven::Parsed { .. } => Applied::Done(1),
                    Redriven::StillUnreadable(_) => Applied::Done(2),
                    Redriven::NotParked => Applied::MovedOn,
                })
            }
            Self::Release => {
                let freed = ledger.free_rows(rows, person, deadline).await;
                let freed = rows.iter().zip(freed);
                // Of a batch's row only the lease ends.
                let applied = freed.map(|(row, freed)| match freed {
                    Ok(true) => Applied::Done(usize::from(row.batch.is_some())),
                    Ok(false) => Applied::MovedOn,
                    Err(error) => Applied::Failed(error.into()),
                });
                applied.collect()
            }
            Self::Fail { retry } => {
                let failed = ledger.fail_rows(rows, person, &retry, deadline).await;
                each(failed, |failed| match failed {
                    Failed::Retry(_) => Applied::Done(0),
                    Failed::Parked => Applied::Done(1),
                    Failed::Stale => Applied::MovedOn,
                })
            }
            Self::Cancel => {
                let cancelled = ledger.cancel_rows(rows, person, deadline).await;
                each(cancelled, |cancelled| match cancelled {
                    true => Applied::Done(0),
                    false => Applied::MovedOn,
                })
            }
            Self::Complete => {
                // No receipt can say that a notification without an object is done, and its text would be gone.
                let events: Vec<Row> = rows.iter().filter(|row| row.event().is_some()).cloned().collect();
                let closed = ledger.close_rows(&events, ReceiptOutcome::Succeeded, person, deadline);
                let mut closed = each(closed.await, |()| Applied::Done(0)).into_iter();
                let applied = rows.iter().map(|row| match row.event() {
                    Some(_) => closed
                        .next()
                        .unwrap_or_else(|| Applied::Failed("the row was not written".into())),
                    None => Applied::Done(1),
                });
                applied.collect()
            }
            Self::Remove => {
                let closed = ledger
                    .close_rows(rows, ReceiptOutcome::Removed, person, deadline)
                    .await;
                each(closed, |()| Applied::Done(0))
            }
        }
    }
}

fn each<T>(outcomes: Vec<Result<T, LedgerError>>, applied: impl Fn(T) -> Applied) -> Vec<Applied> {
    let one = |outcome: Result<T, LedgerError>| match outcome {
        Ok(outcome) => applied(outcome),
        Err(error) => Applied::Failed(error.into()),
    };
    outcomes.into_iter().map(one).collect()
}
