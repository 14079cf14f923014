//! `daybook why`: one answer in words.

pub mod arguments;
pub mod observe;
pub mod verdict;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::aws::s3::Head;
use crate::commands::inspect::why::arguments::WhyArguments;
use crate::commands::inspect::why::verdict::facts::{Fact, Observed, Verdict};
use crate::ui::output::Output;
use crate::ui::{json, output, text};

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, or its ledger not be read.
pub async fn run(arguments: WhyArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open().await?;
    let seen = observe::observe(&arguments, &deployment).await?;
    let verdict = verdict::verdict(&seen);
    let place = deployment.place.to_string();
    output::print_either(output, || text(&seen, &verdict), &json(&seen, &verdict, &place))?;
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

fn json(seen: &Observed, verdict: &Verdict, place: &str) -> Value {
    let of_event = |id| move |one: &&verdict::facts::Seen| one.row.id == id;
    let row = verdict.event.and_then(|id| seen.open.iter().find(of_event(id)));
    json!({
        "what": seen.subject,
        "where": place,
        "situation": verdict.situation.word(),
        "says": verdict.says,
        "next": verdict.next,
        "certain": verdict.is_certain,
        "unknown": verdict.unknown,
        "event": verdict.event,
        "row": row.map(|one| json::row_json(&one.row)),
        "receipt": seen.receipts.known().and_then(|receipts| receipts.first()).map(json::receipt_json),
        "object": match &seen.object {
            Fact::Known(Head::There(now)) => json!({"there": true, "now": now.json()}),
            Fact::Known(Head::Gone) => json!({"there": false, "now": Value::Null}),
            Fact::Unknown(_) | Fact::NotAsked(_) => Value::Null,
        },
        "notifications": seen.notifications.known().map(|notifications| notifications.json()),
    })
}
