//! What `daybook why` knows of an event or object, and what it says.

use std::time::Duration;

use daybook_ledger::{Cause, Control, Count};
use daybook_schema::{EventId, Receipt, Row, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::notifications::Notifications;
use crate::aws::s3::Head;
use crate::limits;
use crate::lookup::run::Run;
use crate::parts::UpState;

/// Something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// The answer.
    Known(T),
    /// There was none: why.
    Unknown(Cause),
    /// Nobody was asked: why.
    NotAsked(String),
}

/// All that was observed.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When.
    pub now: Timestamp,
    /// What was asked for, in words.
    pub subject: String,
    /// Its key, where an object was asked for or an event was found.
    pub key: Option<String>,
    /// Open rows, oldest first.
    pub open: Vec<Seen>,
    /// A row that cannot be read, and parked payloads that name the object: in words.
    pub unreadable: Vec<String>,
    /// How many other rows cannot be read by this release.
    pub unreadable_rows: u64,
    /// Receipts, newest first.
    pub receipts: Fact<Vec<Receipt>>,
    /// The control item.
    pub control: Fact<Control>,
    /// What may keep the newest open row from being sent, where it is due.
    pub limits: limits::Observed,
    /// How many pending rows are due before the newest open one, it included.
    pub ahead: Fact<Count>,
    /// Messages in the dispatch queue.
    pub depth: Fact<u64>,
    /// The `daybook up` of a folder; `None` on AWS.
    pub up: Option<UpState>,
    /// The object, as it is now.
    pub object: Fact<Head>,
    /// Whom the bucket notifies.
    pub notifications: Fact<Notifications>,
    /// The intake queue's ARN, if it is named.
    pub intake: Option<String>,
    /// Which events are asked about; all uploads unless a person says otherwise.
    pub event: Option<String>,
    /// How long receipts stay.
    pub keep: Option<Duration>,
}

/// An open row.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The row.
    pub row: Row,
    /// The execution of its attempt, where there are executions.
    pub execution: Option<Run>,
    /// Whether a receipt says that it is done.
    pub is_done: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// In one word.
    pub situation: Situation,
    /// In one sentence or two.
    pub says: String,
    /// What to do, or what happens next.
    pub next: String,
    /// The event that the answer is about, if there is one.
    pub event: Option<EventId>,
    /// What could not be found out and has to do with the answer.
    pub unknown: Vec<String>,
    /// Whether the answer would be the same whatever is unknown.
    pub is_certain: bool,
}

/// The answers that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Situation {
    /// A receipt says so.
    Done,
    /// A receipt says so, and the row is still there.
    DoneRowLeft,
    /// A person took it out.
    Removed,
    /// It is due, and nothing is before it.
    Due,
    /// It is due, and others are before it.
    Backlog,
    /// It waits for its next attempt.
    Backoff,
    /// Dispatch is paused.
    Paused,
    /// `daybook up` does not run.
    NotRunning,
    /// `daybook up` runs, and has no target.
    NoTarget,
    /// The ledger of `daybook up` takes no writes.
    NoWrites,
    /// It is on the dispatch queue, or on its way there.
    Queued,
    /// An execution or a worker has it.
    Running,
    /// Its execution ended, and the row does not know yet.
    Ended,
    /// The execution of its batch was started without it.
    LeftOut,
    /// Its lease is over.
    LeaseOver,
    /// It was sent often and nothing took it.
    Undelivered,
    /// No attempt is left, or a person said so.
    Parked,
    /// A notification that cannot be read.
    Unreadable,
    /// Seen, but the object is not there any more.
    ObjectGone,
    /// Not there, and never seen.
    NeverThere,
    /// Never seen: the notifications do not cover it.
    NotCovered,
    /// Never seen: the notifications cover some of its possible events.
    PartlyCovered,
    /// Not seen yet: it is so new that its notification may come.
    OnItsWay,
    /// Never seen: it is older than this ledger.
    BeforeLedger,
    /// Not open, and older than receipts are kept.
    MaybeExpired,
    /// Never seen, though the notifications cover it.
    Missed,
    /// Never seen, and the notifications are unknown.
    NeverSeen,
    /// Not open; done or never seen.
    NotOpen,
}

impl Situation {
    /// For programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::DoneRowLeft => "done_row_left",
            Self::Removed => "removed",
            Self::Due => "due",
            Self::Backlog => "backlog",
            Self::Backoff => "backoff",
            Self::Paused => "paused",
            Self::NotRunning => "not_running",
            Self::NoTarget => "no_target",
            Self::NoWrites => "no_writes",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::LeftOut => "left_out",
            Self::LeaseOver => "lease_over",
            Self::Undelivered => "undelivered",
            Self::Parked => "parked",
            Self::Unreadable => "unreadable",
            Self::ObjectGone => "object_gone",
            Self::NeverThere => "never_there",
            Self::NotCovered => "not_covered",
            Self::PartlyCovered => "partly_covered",
            Self::OnItsWay => "on_its_way",
            Self::BeforeLedger => "before_ledger",
            Self::MaybeExpired => "maybe_expired",
            Self::Missed => "missed",
            Self::NeverSeen => "never_seen",
            Self::NotOpen => "not_open",
        }
    }
}

impl<T> Fact<T> {
    /// The answer, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) | Self::NotAsked(_) => None,
        }
    }

    /// Why there is none.
    pub fn why_not(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(cause) => Some(cause.words()),
            Self::NotAsked(why) => Some(why),
        }
    }
}

impl Verdict {
    pub(crate) fn new(situation: Situation, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            situation,
            says: says.into(),
            next: next.into(),
            event: None,
            unknown: Vec::new(),
            is_certain: true,
        }
    }

    pub(crate) fn of(self, event: EventId) -> Self {
        Self {
            event: Some(event),
            ..self
        }
    }

    /// This is not known, and something else might be said if it were.
    pub(crate) fn unless(mut self, what: &str, why: Option<&str>) -> Self {
        if let Some(why) = why {
            self.unknown.push(format!("{what}: {why}"));
            self.is_certain = false;
        }
        self
    }

    /// This is not known, and it would not change the answer.
    pub(crate) fn without(mut self, what: &str, why: Option<&str>) -> Self {
        self.unknown.extend(why.map(|why| format!("{what}: {why}")));
        self
    }

    pub(crate) fn also(mut self, sentence: Option<String>) -> Self {
        if let Some(sentence) = sentence {
            self.says.push(' ');
            self.says.push_str(&sentence);
        }
        self
    }
}
