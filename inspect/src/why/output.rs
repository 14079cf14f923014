//! The same for programs.

use daybook_schema::EventId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::notifications::{Notifications, NotificationsOutput};
use crate::aws::s3::{Head, ObjectNow};
use crate::views::{ReceiptOutput, RowOutput};
use crate::why::verdict::facts::{Fact, Observed, Seen, Situation, Verdict};

/// One answer.
#[derive(Serialize, JsonSchema)]
pub struct WhyOutput<'a> {
    /// What was asked about.
    what: &'a str,
    /// The deployment.
    #[serde(rename = "where")]
    location: &'a str,
    /// In one word.
    situation: Situation,
    /// In a sentence or two.
    says: &'a str,
    /// What to do, or what happens next.
    next: &'a str,
    /// Whether the answer would be the same whatever is unknown.
    certain: bool,
    /// What could not be found out and has to do with the answer.
    unknown: &'a [String],
    /// The event that the answer is about.
    event: Option<EventId>,
    /// Its row, if it is open.
    row: Option<RowOutput<'a>>,
    /// The newest receipt of the object.
    receipt: Option<ReceiptOutput<'a>>,
    /// The object; null: not known, or not asked.
    object: Option<ObjectOutput<'a>>,
    /// Whom the bucket notifies; null: not known, or not asked.
    notifications: Option<NotificationsOutput<'a>>,
}

/// An object as S3 has it.
#[derive(Serialize, JsonSchema)]
struct ObjectOutput<'a> {
    /// Whether it is there.
    there: bool,
    /// As it is now.
    now: Option<&'a ObjectNow>,
}

/// For programs: with the deployment's name.
pub fn output<'a>(seen: &'a Observed, verdict: &'a Verdict, location: &'a str) -> WhyOutput<'a> {
    let of_event = |id| move |one: &&Seen| one.row.id == id;
    let row = verdict.event.and_then(|id| seen.open.iter().find(of_event(id)));
    let receipts = seen.receipts.known();
    WhyOutput {
        what: &seen.subject,
        location,
        situation: verdict.situation,
        says: &verdict.says,
        next: &verdict.next,
        certain: verdict.is_certain,
        unknown: &verdict.unknown,
        event: verdict.event,
        row: row.map(|one| RowOutput::from(&one.row)),
        receipt: receipts
            .and_then(|receipts| receipts.first())
            .map(ReceiptOutput::from),
        object: match &seen.object {
            Fact::Known(Head::There(now)) => Some(ObjectOutput {
                there: true,
                now: Some(now),
            }),
            Fact::Known(Head::Gone) => Some(ObjectOutput {
                there: false,
                now: None,
            }),
            Fact::Unknown(_) | Fact::NotAsked(_) => None,
        },
        notifications: seen.notifications.known().map(Notifications::output),
    }
}
