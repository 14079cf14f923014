//! `daybook why`: one answer in words.

mod observe;
mod verdict;

use std::process::ExitCode;

use clap::Args;
use daybook_schema::SourceName;
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::deployment::DeploymentArguments;
use crate::report;
use crate::s3::{self, Head, S3Arguments};
use crate::settings;
use crate::view;
use crate::wanted::Wanted;
use verdict::{Fact, Observed, Verdict};

/// Say in a sentence why an object is not processed, or that it is
///
/// Asked are the ledger and its receipts, the execution, the dispatch queue, and of S3 the object itself (HeadObject) and the
/// bucket's notifications. A folder of `daybook up` asks S3 only where --s3-endpoint, --s3-region or AWS's own configuration
/// (AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE) says which. What could not be found out is named; where it could change the answer, the exit code is 1.
///
/// With --output json: situation is one of done, done_row_left, removed, due, backlog, backoff, paused, not_running, queued,
/// running, ended, lease_over, undelivered, parked, unreadable, object_gone, never_there, not_covered, partly_covered,
/// on_its_way, before_ledger, maybe_expired, missed, never_seen, not_open. says and next are the sentences; event, row,
/// receipt, object and notifications are what they rest on, null where there is none or it is unknown; unknown says why.
#[derive(Args, Debug)]
pub struct WhyArguments {
    /// s3://bucket/key, with ?versionId=… for one version, or an event's id
    #[arg(value_name = "S3-URI|ID")]
    pub(crate) what: Wanted,

    #[command(flatten)]
    deployment: DeploymentArguments,

    /// N, for telling how long a backlog takes; what was set while running wins
    #[arg(long, value_name = "N", value_parser = settings::at_least_one, help_heading = "Deployment")]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    per_window: Option<u32>,

    /// The SQS queue that notifications arrive on: only what is sent there counts as covered
    #[arg(long, value_name = "URL", value_parser = settings::queue_url, help_heading = "Deployment")]
    #[arg(env = "DAYBOOK_INTAKE_QUEUE_URL", hide_env_values = true)]
    intake_queue_url: Option<String>,

    /// Which S3 the object is in, as it is called at ingest; unless given as the folder calls it (aws on AWS), and open rows
    /// of all sources
    #[arg(long, value_name = "NAME", help_heading = "Object")]
    #[arg(env = "DAYBOOK_SOURCE", hide_env_values = true)]
    source: Option<SourceName>,

    /// Which event should have been told, such as s3:ObjectRemoved:Delete; uploads unless given
    #[arg(long, value_name = "EVENT", value_parser = s3::event, help_heading = "Object")]
    event: Option<String>,

    /// For an id without a row: read all receipts until its receipt is found (half a read unit per 4 KB). A local folder
    /// is always searched so
    #[arg(long, help_heading = "Object")]
    scan_receipts: bool,

    #[command(flatten)]
    s3: S3Arguments,

    /// Leave S3 alone
    #[arg(long, help_heading = "S3")]
    no_s3: bool,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, or its ledger not be read.
pub async fn run(arguments: WhyArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open().await?;
    let seen = observe::observe(&arguments, &deployment).await?;
    let verdict = verdict::verdict(&seen);
    let place = deployment.place.to_string();
    report::print_either(output, || text(&seen, &verdict), &json(&seen, &verdict, &place))?;
    Ok(match verdict.is_certain {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn text(seen: &Observed, verdict: &Verdict) -> String {
    let mut lines = vec![format!(
        "{}: {}",
        view::escaped(&seen.subject),
        verdict.situation.word().replace('_', " ")
    )];
    lines.push(format!("  {}", verdict.says));
    lines.push(format!("  next     {}", verdict.next));
    lines.extend(verdict.event.map(|event| format!("  event    {event}")));
    lines.extend(
        verdict
            .unknown
            .iter()
            .map(|unknown| format!("  unknown  {}", view::escaped(unknown))),
    );
    lines.join("\n") + "\n"
}

fn json(seen: &Observed, verdict: &Verdict, place: &str) -> Value {
    let of_event = |id| move |one: &&verdict::Seen| one.row.id == id;
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
        "row": row.map(|one| view::row_json(&one.row)),
        "receipt": seen.receipts.known().and_then(|receipts| receipts.first()).map(view::receipt_json),
        "object": match &seen.object {
            Fact::Known(Head::There(now)) => json!({"there": true, "now": now.json()}),
            Fact::Known(Head::Gone) => json!({"there": false, "now": Value::Null}),
            Fact::Unknown(_) | Fact::NotAsked(_) => Value::Null,
        },
        "notifications": seen.notifications.known().map(|notifications| notifications.json()),
    })
}
