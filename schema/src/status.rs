//! The states of a row, the steps between them, and how they are written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::identity::EventId;

/// Where a row stands. A row that is done does not exist any more: its receipt does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Waits for the scheduler; `due_at` is the earliest time.
    Pending,
    /// Handed to the dispatch queue; `due_at` is the end of the lease.
    Claimed,
    /// Waits for a person; `due_at` says since when.
    Parked,
}

impl Status {
    /// All of them, in the order in which a row meets them.
    pub const ALL: [Status; 3] = [Status::Pending, Status::Claimed, Status::Parked];

    /// The stored form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Claimed => "CLAIMED",
            Self::Parked => "PARKED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no status or no status with a shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}")]
pub struct InvalidStatus {
    what: &'static str,
    text: String,
}

impl FromStr for Status {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, InvalidStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| InvalidStatus {
                what: "status (PENDING, CLAIMED or PARKED)",
                text: text.into(),
            })
    }
}

/// A write that moves a row. The only place that says which moves are legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The scheduler takes it.
    Claim,
    /// The queue certainly did not take the message: as if never claimed.
    Release,
    /// The execution is known to run: a new lease.
    Renew,
    /// The queue is slow, not lossy: a new lease, a bounded number of times.
    MoveLease,
    /// The lease ran out: the same attempt once more on the queue.
    Redeliver,
    /// The queue certainly did not take a redelivery.
    Unsend,
    /// The attempt failed, and another one is left.
    Retry,
    /// The attempt failed for good, or its input is invalid.
    Park,
    /// A person gives it another round of attempts.
    Redrive,
    /// A worker, which has no execution name to guard it, takes the row of its message: a lease and a token of its own.
    Take,
    /// The worker still works: a longer lease.
    Extend,
    /// The worker's target said "later", or the worker was told to stop: as if never claimed.
    Postpone,
    /// The queue and the workers that had it are known to be gone: as if never claimed.
    PutBack,
    /// A person knows that nothing runs for it: as if never claimed.
    Free,
    /// The same of a row that is in a batch: its lease ends, and the sweep sends it again.
    EndLease,
    /// It is due so late that only a wrong clock can have said so: due now.
    BringForward,
}

impl Step {
    /// The status that a row must have for this step.
    pub fn from(self) -> Status {
        match self {
            Self::Claim | Self::BringForward => Status::Pending,
            Self::Redrive => Status::Parked,
            Self::Release
            | Self::Renew
            | Self::MoveLease
            | Self::Redeliver
            | Self::Unsend
            | Self::Retry
            | Self::Park
            | Self::Take
            | Self::Extend
            | Self::Postpone
            | Self::PutBack
            | Self::Free
            | Self::EndLease => Status::Claimed,
        }
    }

    /// The status that a row has after this step.
    pub fn to(self) -> Status {
        match self {
            Self::Claim
            | Self::Renew
            | Self::MoveLease
            | Self::Redeliver
            | Self::Unsend
            | Self::Take
            | Self::Extend
            | Self::EndLease => Status::Claimed,
            Self::Release
            | Self::Retry
            | Self::Redrive
            | Self::Postpone
            | Self::PutBack
            | Self::Free
            | Self::BringForward => Status::Pending,
            Self::Park => Status::Parked,
        }
    }
}

/// One of the 16 parts that every status is spread over in the index.
///
/// 16 is a constant, not a setting: one hot status key would cap the whole system near 500 events a second (a partition
/// takes 1,000 write units a second, and a row moves twice), and a changed count would hide rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u8);

impl Shard {
    /// How many there are.
    pub const COUNT: u8 = 16;

    /// The shard of a row.
    pub fn of(id: EventId) -> Self {
        // A version 5 UUID's last byte is a hash byte: evenly spread.
        Self(id.as_uuid().as_bytes()[15] % Self::COUNT)
    }

    /// All 16.
    pub fn all() -> impl Iterator<Item = Shard> + Clone {
        (0..Self::COUNT).map(Shard)
    }

    /// Its number, 0 to 15.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The index's partition key for this status and shard.
    pub fn with(self, status: Status) -> StatusShard {
        StatusShard { status, shard: self }
    }
}

/// The partition key of the index `by_status`: `PENDING#3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatusShard {
    /// The status.
    pub status: Status,
    /// The shard.
    pub shard: Shard,
}

impl StatusShard {
    /// The same shard in another status.
    pub fn to(self, status: Status) -> Self {
        Self { status, ..self }
    }
}

impl fmt::Display for StatusShard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.status, self.shard.0)
    }
}

impl From<StatusShard> for String {
    fn from(key: StatusShard) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for StatusShard {
    type Error = InvalidStatus;

    fn try_from(text: String) -> Result<Self, InvalidStatus> {
        let parsed = text.split_once('#').and_then(|(status, shard)| {
            let shard = shard.parse().ok().filter(|n| *n < Shard::COUNT)?;
            Some(Self {
                status: status.parse().ok()?,
                shard: Shard(shard),
            })
        });
        parsed.ok_or(InvalidStatus {
            what: "status and shard such as PENDING#3",
            text,
        })
    }
}

/// How often an event was tried: 0 before the first claim. Only a report that an attempt failed uses one up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u32);

impl Attempt {
    /// The attempt after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
