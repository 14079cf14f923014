//! `daybook why`: one answer in words.

pub mod arguments;

use std::process::ExitCode;

use daybook_inspect::aws::s3::S3;
use daybook_inspect::why::observe::{Question, observe};
use daybook_inspect::why::output;
use daybook_inspect::why::verdict::facts::{Observed, Verdict};
use daybook_inspect::why::verdict::verdict;

use crate::commands::inspect::why::arguments::WhyArguments;
use crate::deployment::{Deployment, INTAKE_QUEUE, Location};
use crate::ui::escape;
use crate::ui::output::{Output, print_either};

/// One of these says which S3 is meant, where the deployment is a folder and no flag does.
const S3_VARIABLES: [&str; 3] = ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_PROFILE"];

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, or its ledger not be read.
pub async fn run(arguments: WhyArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open("why").await?;
    let intake = match &deployment.location {
        Location::Aws { aws, outputs, .. } => outputs
            .queue(arguments.intake_queue_url.as_ref(), INTAKE_QUEUE)?
            .map(|url| (aws.queues(), url)),
        Location::Local { .. } => None,
    };
    let question = Question {
        what: &arguments.what,
        source: arguments.source.as_ref(),
        scan_receipts: arguments.scan_receipts,
        per_window: arguments.per_window,
        rate: deployment.rate(),
        event: arguments.event.as_deref(),
        s3: s3(&arguments, &deployment).await,
        intake,
    };
    let seen = observe(&deployment.parts(), &question)
        .await
        .map_err(|error| deployment.location.ledger_failure(error))?;
    let verdict = verdict(&seen);
    let location = deployment.location.to_string();
    print_either(
        output,
        || text(&seen, &verdict),
        &output::output(&seen, &verdict, &location),
    )?;
    if verdict.is_certain {
        return Ok(ExitCode::SUCCESS);
    }
    deployment.location.note_an_end();
    Ok(ExitCode::FAILURE)
}

/// The S3 to ask, or why none is asked.
async fn s3(arguments: &WhyArguments, deployment: &Deployment) -> Result<S3, String> {
    if arguments.no_s3 {
        return Err("S3 is not asked (--no-s3)".to_owned());
    }
    match &deployment.location {
        Location::Aws { aws, .. } => Ok(S3::new(arguments.s3.at(aws).client)),
        Location::Local { .. } => {
            let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            if !arguments.s3.is_given() && !S3_VARIABLES.iter().any(|name| is_set(name)) {
                return Err(
                    "S3 is not asked: --s3-endpoint (AWS_ENDPOINT_URL_S3) would say where it is".to_owned(),
                );
            }
            let s3 = arguments.s3.open(&deployment.location).await;
            s3.map(|place| S3::new(place.client))
                .map_err(|error| format!("S3 is not asked: {error}"))
        }
    }
}

fn text(seen: &Observed, verdict: &Verdict) -> String {
    let mut lines = vec![format!(
        "{}: {}",
        escape::escaped(&seen.subject),
        verdict.situation.word().replace('_', " ")
    )];
    lines.push(format!("  {}", escape::escaped(&verdict.says)));
    lines.push(format!("  next     {}", escape::escaped(&verdict.next)));
    lines.extend(verdict.event.map(|event| format!("  event    {event}")));
    lines.extend(
        verdict
            .unknown
            .iter()
            .map(|unknown| format!("  unknown  {}", escape::escaped(unknown))),
    );
    lines.join("\n") + "\n"
}
