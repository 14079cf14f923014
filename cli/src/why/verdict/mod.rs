//! From what was observed to one answer. Pure: what is not known is said to be unknown, and never guessed.

mod open;
#[cfg(test)]
mod tests;
mod unseen;

use std::time::Duration;

use daybook_ledger::{Control, Count};
use daybook_manager::Lookup;
use daybook_schema::{EventId, Kind, Outcome, Receipt, Row, Timestamp};

use crate::s3::{Head, Notifications};
use crate::view;

/// Something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// The answer.
    Known(T),
    /// There was none: why.
    Unknown(String),
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
    /// N, as the environment says; what the control item says wins.
    pub per_window: Option<u32>,
    /// How many pending rows are due before the newest open one, it included.
    pub ahead: Fact<Count>,
    /// Messages in the dispatch queue.
    pub depth: Fact<u64>,
    /// Whether a `daybook up` runs the pipeline; `None` on AWS.
    pub up_runs: Option<bool>,
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
    pub execution: Option<Lookup>,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// It is on the dispatch queue, or on its way there.
    Queued,
    /// An execution or a worker has it.
    Running,
    /// Its execution ended, and the row does not know yet.
    Ended,
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
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ended => "ended",
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
            Self::Unknown(why) | Self::NotAsked(why) => Some(why),
        }
    }
}

impl Verdict {
    fn new(situation: Situation, says: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            situation,
            says: says.into(),
            next: next.into(),
            event: None,
            unknown: Vec::new(),
            is_certain: true,
        }
    }

    fn of(self, event: EventId) -> Self {
        Self {
            event: Some(event),
            ..self
        }
    }

    /// This is not known, and something else might be said if it were.
    fn unless(mut self, what: &str, why: Option<&str>) -> Self {
        if let Some(why) = why {
            self.unknown.push(format!("{what}: {why}"));
            self.is_certain = false;
        }
        self
    }

    /// This is not known, and it would not change the answer.
    fn without(mut self, what: &str, why: Option<&str>) -> Self {
        self.unknown.extend(why.map(|why| format!("{what}: {why}")));
        self
    }

    fn also(mut self, sentence: Option<String>) -> Self {
        if let Some(sentence) = sentence {
            self.says.push(' ');
            self.says.push_str(&sentence);
        }
        self
    }
}

/// The answer.
pub fn verdict(seen: &Observed) -> Verdict {
    let is_open = |one: &&Seen| !one.is_done;
    if let Some(newest) = seen.open.iter().rev().find(is_open) {
        return open::verdict(seen, newest).also(others(seen)).also(earlier(seen));
    }
    if let Some(left) = seen.open.last() {
        let done = "A receipt says that it is done; only its row is still there.";
        let next = "Nothing: the next sweep deletes the row.";
        return Verdict::new(Situation::DoneRowLeft, done, next).of(left.row.id);
    }
    let newest = seen.receipts.known().and_then(|receipts| receipts.first());
    let verdict = match newest {
        None => unseen::verdict(seen, None),
        Some(receipt) if is_replaced(seen, receipt) => unseen::verdict(seen, Some(receipt)),
        Some(receipt) => return closed(seen, receipt),
    };
    let rows = (seen.unreadable_rows > 0).then(|| {
        let rows = view::many(seen.unreadable_rows, "row");
        format!("{rows} of the ledger cannot be read by this release and may be about it: `daybook list` shows why")
    });
    verdict.unless("rows", rows.as_deref())
}

/// Whether what is there now was uploaded after what the receipt is about.
fn is_replaced(seen: &Observed, receipt: &Receipt) -> bool {
    let Some(Head::There(now)) = seen.object.known() else {
        return false;
    };
    let is_later = match (now.last_modified, receipt.order_at) {
        (Some(modified), Some(done)) => modified > done,
        _ => false,
    };
    receipt.kind == Kind::Created && is_later && now.etag.is_some() && now.etag != receipt.etag
}

fn closed(seen: &Observed, receipt: &Receipt) -> Verdict {
    let when = view::at(receipt.completed_at, seen.now);
    let by = view::escaped(&receipt.by);
    let why = receipt.why.as_deref().map(view::escaped);
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let verdict = match receipt.outcome {
        Outcome::Succeeded => Verdict::new(
            Situation::Done,
            format!("Done at {when} by {by}, in attempt {}{why}.", receipt.attempt),
            "Nothing.",
        ),
        Outcome::Removed => Verdict::new(
            Situation::Removed,
            format!("It was not processed: {by} removed it at {when}{why}."),
            "Nothing, unless that was a mistake: `daybook replay` runs it after all.",
        ),
    };
    let kind = (receipt.kind != Kind::Created)
        .then(|| format!("The event was: {}.", view::escaped(receipt.kind.as_str())));
    verdict.of(receipt.event_id).also(kind)
}

/// Other open events of the same object.
fn others(seen: &Observed) -> Option<String> {
    let open = seen.open.iter().filter(|one| !one.is_done).count() as u64;
    (open > 1).then(|| format!("Of the same object, {} before it.", is_open_still(open - 1)))
}

fn is_open_still(events: u64) -> String {
    match events {
        1 => "1 more event is open from".to_owned(),
        n => format!("{n} more events are open from"),
    }
}

/// What was done before of an object that is open again.
fn earlier(seen: &Observed) -> Option<String> {
    let receipts = seen.receipts.known()?;
    let done = receipts.iter().find(|it| it.outcome == Outcome::Succeeded)?;
    Some(format!(
        "An earlier event of the object was done at {} by {}.",
        view::at(done.completed_at, seen.now),
        view::escaped(&done.by)
    ))
}
