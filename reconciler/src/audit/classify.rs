//! What an object is, as a pure function of what was read.
//!
//! A version has one content and one event, so what bears its id is about it. A key without versions may have been written
//! often, and a row or receipt of it may be about another upload. Which one is told by etag and time, to the second, because
//! listings give no better:
//!
//! | etag | its event's time against the object's last modification | the row or receipt is about |
//! |---|---|---|
//! | any | before | an older upload. Counts for nothing: after A→B→A the row of the first A is not the last A's |
//! | same | same second or after | this upload. (Or one of the same content in the same second: no listing can tell them apart.) After: an upload in several parts is listed by the time at which it began |
//! | other | same second | another upload of that second, overwritten or not; not this one |
//! | other | after | a newer upload, and the listing shows an older one. The object was overwritten since it was listed, or an upload that began before that event ended after it. A HEAD tells which |
//! | other | no time known | another upload |
//! | one unknown | not before, or no time known | perhaps this one: unknown |
//! | same | no time known | perhaps this one: unknown |

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use daybook_ledger::Lookup;
use daybook_schema::{Attempt, EventId, Outcome, Receipt, Status, Timestamp};
use serde::Serialize;

use super::entry::ListedObject;
use super::open::OpenRow;

/// What an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "class")]
pub enum Class {
    /// A receipt proves that it was processed.
    Done,
    /// A receipt says that a person took it out: it will not be processed, and is not repaired.
    Removed,
    /// A row is about it: it will be processed, or waits for a person.
    Open(OpenState),
    /// It is not older than the grace: its notification may be under way.
    TooNew,
    /// Neither row nor receipt, though there should be: its notification was lost, or never sent.
    Missing,
    /// Neither row nor receipt, and its notification may still wait in the intake.
    MayWait,
    /// Neither row nor receipt, and there need not be any.
    BeforeWatermark {
        /// Why not.
        reason: Watermark,
    },
    /// It was overwritten or deleted since it was listed; the next audit sees what is there then.
    Changed,
    /// What is known does not tell. It may be any of the others.
    Unknown {
        /// Why.
        cause: Unknown,
    },
}

/// Where an open object's row stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenState {
    /// The row.
    pub event_id: EventId,
    /// Where it stands.
    pub status: Status,
    /// Since when the event is in the ledger.
    pub since: Timestamp,
    /// The current attempt; 0 before the first claim.
    pub attempt: Attempt,
    /// How often that attempt was sent.
    pub deliveries: u32,
    /// The start of why the last attempt failed.
    pub last_error: Option<Box<str>>,
}

/// Why an object need not have left a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Watermark {
    /// It was last modified before the ledger was installed (or the ledger has not yet granted anything).
    BeforeInstallation,
    /// It was last modified further back than receipts reach: a receipt may have expired.
    BeforeReceipts,
}

/// Why it is not known what an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Its receipt cannot be read.
    Receipt(String),
    /// A row or receipt of its key lacks etag or time and may be about this upload or an older one.
    Undated(EventId),
    /// The ledger holds rows that this release cannot read, so many. Each may be about any object.
    UnreadableRows(u64),
    /// A parked payload that could not be read seems to name its key.
    ParkedPayload,
    /// The object was to be looked at, and S3 does not say.
    Head(String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receipt(cause) => write!(f, "its receipt cannot be read: {cause}"),
            Self::Undated(event) => {
                write!(
                    f,
                    "event {event} of its key has no etag or time, and may be of this upload"
                )
            }
            Self::UnreadableRows(rows) => {
                write!(
                    f,
                    "{rows} rows of the ledger cannot be read by this release, and may be about it"
                )
            }
            Self::ParkedPayload => f.write_str("a parked payload that could not be read may be about it"),
            Self::Head(cause) => write!(f, "S3 does not say what it is now: {cause}"),
        }
    }
}

/// The times that an audit judges by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts {
    /// What was last modified after it is too new. The grace is counted back from the time at which the open rows were read and
    /// not from now: what was recorded after that is not among them, however long the audit takes.
    /// Without it everything is: the grace reaches back before the year 0.
    pub settled_until: Option<Timestamp>,
    /// The notification of what was last modified after it may still wait in the intake. Without it that of anything may.
    pub drained_until: Option<Timestamp>,
    /// When the ledger was installed; none if it is not known to be.
    pub installed_at: Option<Timestamp>,
    /// How long receipts are kept.
    pub receipts_keep: Duration,
    /// A time after the receipts were read: until then they may have expired.
    pub now: Timestamp,
}

/// What the ledger says of an object.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The open rows of its key and version.
    pub rows: &'a [OpenRow],
    /// The receipt of its key and version.
    pub receipt: &'a Lookup<Receipt>,
    /// How many rows of the ledger cannot be read.
    pub unreadable_rows: u64,
    /// Whether a parked payload may be about its key.
    pub may_be_parked: bool,
}

/// What is to be said of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// This.
    Is(Class),
    /// This, if a HEAD shows that it is still the object that was listed.
    IfUnchanged(Class),
}

/// What an event of the object's key and version has to do with the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    This,
    Older,
    Other,
    Newer,
    Undated,
}

/// Judges one object. Whatever proves it done, open or too new comes first; it is missing only when nothing is left that it
/// could be.
pub fn classify(object: &ListedObject, evidence: Evidence<'_>, cuts: &Cuts) -> Judgement {
    let receipt = match evidence.receipt {
        Lookup::Found(receipt) => Some(&**receipt),
        Lookup::Absent | Lookup::Unknown(_) => None,
    };
    let of_receipt = receipt.map(|receipt| (receipt.event_id, receipt_relation(object, receipt)));
    let outcome = receipt
        .filter(|_| matches!(of_receipt, Some((_, Relation::This))))
        .map(|receipt| receipt.outcome);
    if outcome == Some(Outcome::Succeeded) {
        return Judgement::Is(Class::Done);
    }
    let of_rows = evidence.rows.iter().map(|row| (row, row_relation(object, row)));
    if let Some((row, _)) = of_rows.clone().find(|(_, relation)| *relation == Relation::This) {
        return Judgement::Is(Class::Open(open_state(row)));
    }
    // A removal speaks of one event: another event of the object may still be open, and came first above.
    if outcome == Some(Outcome::Removed) {
        return Judgement::Is(Class::Removed);
    }
    if is_after(object, cuts.settled_until) {
        return Judgement::Is(Class::TooNew);
    }
    let relations = of_rows
        .map(|(row, relation)| (row.id, relation))
        .chain(of_receipt);
    if let Some(cause) = doubt(relations.clone(), evidence) {
        return Judgement::Is(Class::Unknown { cause });
    }
    let class = match watermark(object, cuts) {
        Some(reason) => Class::BeforeWatermark { reason },
        None if may_wait(object, cuts) => Class::MayWait,
        None => Class::Missing,
    };
    match relations.clone().any(|(_, relation)| relation == Relation::Newer) {
        true => Judgement::IfUnchanged(class),
        false => Judgement::Is(class),
    }
}

/// Whether the notification of an object may still wait in the intake.
pub(super) fn may_wait(object: &ListedObject, cuts: &Cuts) -> bool {
    is_after(object, cuts.drained_until)
}

/// Whether it was written after that time, or may have been: times are to the second, and it may have been at any time within it.
fn is_after(object: &ListedObject, at: Option<Timestamp>) -> bool {
    let second = object.last_modified.truncated_to_seconds();
    let written_by = second.plus(Duration::from_secs(1));
    at.is_none_or(|at| written_by > at)
}

fn doubt(
    mut relations: impl Iterator<Item = (EventId, Relation)>,
    evidence: Evidence<'_>,
) -> Option<Unknown> {
    if let Some((event, _)) = relations.find(|(_, relation)| *relation == Relation::Undated) {
        return Some(Unknown::Undated(event));
    }
    match evidence.receipt {
        Lookup::Unknown(cause) => Some(Unknown::Receipt(cause.to_string())),
        _ if evidence.unreadable_rows > 0 => Some(Unknown::UnreadableRows(evidence.unreadable_rows)),
        _ if evidence.may_be_parked => Some(Unknown::ParkedPayload),
        _ => None,
    }
}

/// Compared to the second, and in favour of missing: an object of the very second of the installation may have been notified.
fn watermark(object: &ListedObject, cuts: &Cuts) -> Option<Watermark> {
    let modified = object.last_modified.truncated_to_seconds();
    let is_installed = cuts
        .installed_at
        .is_some_and(|installed| modified >= installed.truncated_to_seconds());
    // A receipt expires when it was kept that long, and it was written after the object was.
    let is_reached = modified.plus(cuts.receipts_keep) > cuts.now;
    match (is_installed, is_reached) {
        (false, _) => Some(Watermark::BeforeInstallation),
        (true, false) => Some(Watermark::BeforeReceipts),
        (true, true) => None,
    }
}

fn receipt_relation(object: &ListedObject, receipt: &Receipt) -> Relation {
    relation(object, receipt.etag.as_deref(), receipt.event_time)
}

fn row_relation(object: &ListedObject, row: &OpenRow) -> Relation {
    relation(object, row.etag.as_deref(), row.event_time)
}

fn relation(object: &ListedObject, etag: Option<&str>, event_time: Option<Timestamp>) -> Relation {
    if object.version_id.is_some() {
        return Relation::This;
    }
    let same_etag = match (object.etag.as_deref(), etag) {
        (Some(listed), Some(etag)) => Some(listed == etag),
        _ => None,
    };
    let modified = object.last_modified.truncated_to_seconds();
    let order = event_time.map(|at| at.truncated_to_seconds().cmp(&modified));
    match (same_etag, order) {
        (_, Some(Ordering::Less)) => Relation::Older,
        (Some(true), Some(_)) => Relation::This,
        (Some(false), Some(Ordering::Greater)) => Relation::Newer,
        (Some(false), _) => Relation::Other,
        (Some(true), None) | (None, _) => Relation::Undated,
    }
}

fn open_state(row: &OpenRow) -> OpenState {
    OpenState {
        event_id: row.id,
        status: row.status,
        since: row.recorded_at,
        attempt: row.attempt,
        deliveries: row.deliveries,
        last_error: row.last_error.clone(),
    }
}
