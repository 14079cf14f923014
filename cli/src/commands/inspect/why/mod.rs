//! `daybook why`: one answer in words.

pub mod arguments;
pub mod observe;
pub mod verdict;

use std::process::ExitCode;

use daybook_schema::EventId;
use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::notifications::{Notifications, NotificationsOutput};
use crate::aws::s3::{Head, ObjectNow};
use crate::commands::inspect::why::arguments::WhyArguments;
use crate::commands::inspect::why::verdict::facts::{Fact, Observed, Situation, Verdict};
use crate::ui::json::{ReceiptOutput, RowOutput};
use crate::ui::output::Output;
use crate::ui::{output, text};

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, or its ledger not be read.
pub async fn run(arguments: WhyArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open().await?;
    let seen = observe::observe(&arguments, &deployment).await?;
    let verdict = verdict::verdict(&seen);
    let place = deployment.place.to_string();
    output::print_either(output, || text(&seen, &verdict), &answer(&seen, &verdict, &place))?;
    Ok(match verdict.is_certain {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn text(seen: &Observed, verdict: &Verdict) -> String {
    let mut lines = vec![format!(
        "{}: {}",
        text::escaped(&seen.subject),
        verdict.situation.word().replace('_', " ")
    )];
    lines.push(format!("  {}", verdict.says));
    lines.push(format!("  next     {}", verdict.next));
    lines.extend(verdict.event.map(|event| format!("  event    {event}")));
    lines.extend(
        verdict
            .unknown
            .iter()
            .map(|unknown| format!("  unknown  {}", text::escaped(unknown))),
    );
    lines.join("\n") + "\n"
}

/// One answer.
#[derive(Serialize, JsonSchema)]
pub struct WhyOutput<'a> {
    /// What was asked about.
    what: &'a str,
    /// The deployment.
    #[serde(rename = "where")]
    place: &'a str,
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

fn answer<'a>(seen: &'a Observed, verdict: &'a Verdict, place: &'a str) -> WhyOutput<'a> {
    let of_event = |id| move |one: &&verdict::facts::Seen| one.row.id == id;
    let row = verdict.event.and_then(|id| seen.open.iter().find(of_event(id)));
    let receipts = seen.receipts.known();
    WhyOutput {
        what: &seen.subject,
        place,
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
