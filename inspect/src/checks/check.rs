//! What is looked at.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::checks::role::Role;

/// One check. Displayed and serialized, it is its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Something about a table, `ledger` or `receipts`.
    Table(&'static str, OfTable),
    /// Something about a queue.
    Queue(Role, OfQueue),
    /// Whether that bucket notifies the intake queue.
    Notifications(String),
    /// Whether the intake queue accepts what S3 sends for that bucket.
    Policy(String),
    /// Whether a `daybook up` runs on a folder.
    UpRuns,
    /// Whether a folder's target takes events.
    Target,
    /// Whether the ledger of a folder takes writes.
    Writes,
    /// Whether dispatch is paused.
    Pause,
    /// Whether windows are granted.
    Schedule,
    /// Whether leases that are over are acted on.
    Sweep,
    /// Rows that wait for a person.
    Parked,
    /// Rows that were sent often and never taken.
    Undelivered,
    /// Rows whose key is ambiguous.
    Keys,
    /// Rows of a newer release.
    Newer,
    /// This machine's clock.
    Clock,
    /// The state machine.
    StateMachine,
    /// N against what services allow.
    Quotas,
}

/// What of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfTable {
    /// That it is there, with the key that the code expects.
    Form,
    /// Its index.
    Index,
    /// How its capacity is paid.
    Capacity,
    /// Whether it is protected against deletion.
    Deletion,
    /// What DynamoDB deletes of it.
    Expiry,
    /// Whether a point in time can be restored.
    Backups,
}

/// What of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfQueue {
    /// That it is there, of the kind that is needed.
    Form,
    /// How long it keeps messages.
    Retention,
    /// Its dead-letter queue.
    DeadLetters,
    /// After how many receives a message is given up.
    Receives,
    /// How its messages are encrypted.
    Encryption,
    /// Whether anybody receives its messages.
    Readers,
}

impl Check {
    /// Whether a problem that it finds makes a table or queue useless.
    pub fn is_of_form(&self) -> bool {
        matches!(
            self,
            Self::Table(_, OfTable::Form | OfTable::Index) | Self::Queue(_, OfQueue::Form)
        )
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(role, what) => write!(f, "{role} {what}"),
            Self::Queue(role, what) => write!(f, "{} {what}", role.name()),
            Self::Notifications(bucket) => write!(f, "notifications of {bucket}"),
            Self::Policy(bucket) => write!(f, "policy for {bucket}"),
            Self::UpRuns => f.write_str("daybook up"),
            Self::Target => f.write_str("target"),
            Self::Writes => f.write_str("writes"),
            Self::Pause => f.write_str("pause"),
            Self::Schedule => f.write_str("schedule"),
            Self::Sweep => f.write_str("sweep"),
            Self::Parked => f.write_str("parked"),
            Self::Undelivered => f.write_str("undelivered"),
            Self::Keys => f.write_str("keys"),
            Self::Newer => f.write_str("newer"),
            Self::Clock => f.write_str("clock"),
            Self::StateMachine => f.write_str("state machine"),
            Self::Quotas => f.write_str("quotas"),
        }
    }
}

impl fmt::Display for OfTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "table",
            Self::Index => "index",
            Self::Capacity => "capacity",
            Self::Deletion => "deletion",
            Self::Expiry => "expiry",
            Self::Backups => "backups",
        })
    }
}

impl fmt::Display for OfQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "queue",
            Self::Retention => "retention",
            Self::DeadLetters => "dead letters",
            Self::Receives => "receives",
            Self::Encryption => "encryption",
            Self::Readers => "readers",
        })
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
