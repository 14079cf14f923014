//! Whether a notification may still wait in the intake queue.
//!
//! An object without row and receipt looks missing while its notification waits. Recorded by a repair then, it is in the ledger
//! twice as soon as the notification is read. So the intake must have been seen empty after the object's time and the grace, before
//! the open rows were read: what had arrived by then is a row or a receipt, and what has neither was lost.
//!
//! SQS's counts are approximate, and "may not achieve consistency until at least 1 minute after the producers stop sending"
//! (GetQueueAttributes, Amazon SQS API Reference). So the queue counts as drained of what arrived [`SETTLES`] before it was seen empty
//! by all of some looks. A message also waits no longer than the queue's retention, however full the queue is.

use std::time::Duration;

use daybook_ledger::Clock;
use daybook_manager::IntakeQueue;
use daybook_schema::Timestamp;
use tokio::time::sleep;

/// Looks that must all find nothing: each asks other servers of SQS's.
const LOOKS: u32 = 3;

/// The time between two of them.
const BETWEEN: Duration = Duration::from_secs(1);

/// How far SQS's counts may be behind.
pub const SETTLES: Duration = Duration::from_secs(5 * 60);

/// The longest that SQS keeps a message (SQS quotas).
const LONGEST_RETENTION: Duration = Duration::from_secs(14 * 24 * 3600);

/// Where notifications wait before they are recorded.
#[derive(Clone, Debug)]
pub enum Intake {
    /// Nowhere, because they come by HTTP; or nobody wants it to be looked at.
    Unchecked,
    /// In that queue.
    Queue(IntakeQueue),
}

/// What is known of notifications that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IntakeSeen {
    /// None can, or nobody has looked.
    #[default]
    Unchecked,
    /// The intake was seen empty just now.
    Drained {
        /// What had arrived by then does not wait.
        until: Timestamp,
    },
    /// The intake was not seen empty just now.
    Waiting {
        /// What had arrived by then does not wait, because the intake was seen empty before or keeps nothing for so long; none if
        /// nothing is known.
        until: Option<Timestamp>,
        /// How many messages it holds, if it says so.
        messages: Option<u64>,
        /// Why it could not be asked.
        failure: Option<String>,
    },
}

impl Intake {
    /// Looks, which takes some seconds if the intake is empty. The open rows must be read after it.
    pub async fn look(&self, clock: &Clock) -> IntakeSeen {
        let Self::Queue(queue) = self else {
            return IntakeSeen::Unchecked;
        };
        let began = clock.now();
        let waiting = |retention: Duration, messages, failure| IntakeSeen::Waiting {
            until: before(began, retention.saturating_add(SETTLES)),
            messages,
            failure,
        };
        for look in 0..LOOKS {
            if look > 0 {
                sleep(BETWEEN).await;
            }
            match queue.depth().await {
                Ok(depth) if depth.messages == 0 => {}
                Ok(depth) => return waiting(depth.retention, Some(depth.messages), None),
                Err(error) => return waiting(LONGEST_RETENTION, None, Some(error.to_string())),
            }
        }
        match before(began, SETTLES) {
            Some(until) => IntakeSeen::Drained { until },
            None => waiting(LONGEST_RETENTION, Some(0), None),
        }
    }
}

impl IntakeSeen {
    /// The same, with what an earlier look has shown of the same queue.
    pub fn or_earlier(self, earlier: Option<Timestamp>) -> Self {
        match self {
            Self::Waiting {
                until,
                messages,
                failure,
            } => Self::Waiting {
                until: until.max(earlier),
                messages,
                failure,
            },
            seen => seen,
        }
    }

    /// What had arrived by then does not wait; to be kept for later looks.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Unchecked => None,
            Self::Drained { until } => Some(*until),
            Self::Waiting { until, .. } => *until,
        }
    }

    /// Messages in the intake; none if that is not known.
    pub fn messages(&self) -> Option<u64> {
        match self {
            Self::Unchecked => None,
            Self::Drained { .. } => Some(0),
            Self::Waiting { messages, .. } => *messages,
        }
    }
}

/// That much before it; none before the year 0.
pub(super) fn before(at: Timestamp, by: Duration) -> Option<Timestamp> {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_millis(at.unix_millis().saturating_sub(by))
}
