//! `daybook audit`: a bucket compared with the ledger and its receipts.

pub mod arguments;
pub mod checkpoint;
pub mod findings;
pub mod kept;
pub mod outcome;
pub mod output;
pub mod programs;
pub mod progress;
pub mod run;

use std::process::ExitCode;

use daybook_inspect::wording::text;
use daybook_reconciler::audit::{Audit, Repairer};

use crate::commands::audit::arguments::AuditArguments;
use crate::commands::audit::checkpoint::Stored;
use crate::commands::audit::outcome::{AuditSummary, Done, Surroundings};
use crate::commands::audit::run::AuditCommand;
use crate::signals;
use crate::ui::error::UserError;
use crate::ui::output::{Output, print_either};

/// Runs it.
///
/// # Errors
/// When it cannot be done, something could not be found out, or nobody agrees to what it asks.
pub async fn run(arguments: AuditArguments, output: Output) -> anyhow::Result<ExitCode> {
    arguments.check()?;
    let file = arguments.files.checkpoint.as_deref();
    let stored = match file {
        Some(file) => Stored::read(file)?,
        None => None,
    };
    let deployment = arguments.deployment.open("audit").await?;
    let s3 = arguments.s3.open(&deployment.location).await?;
    let began_at = deployment.ledger.clock().now();
    let mut settings = arguments.settings(&deployment);
    let terms = arguments.terms(&deployment.location, &s3, &settings.scope);
    if let (Some(file), Some(stored)) = (file, &stored) {
        stored.check(file, &terms)?;
    }
    let mut around = Surroundings::look(&arguments, &deployment).await?;
    let earlier = stored.as_ref().and_then(|stored| stored.intake_drained_until);
    around.intake = around.intake.or_earlier(earlier);
    settings.intake = around.intake.clone();
    let audit = Audit::new(s3.client.clone(), deployment.ledger.clone(), settings.clone());
    let repairer = Repairer::new(
        s3.client.clone(),
        deployment.ledger.clone(),
        settings.clone(),
        arguments
            .mending
            .max_attempts
            .unwrap_or_else(|| deployment.max_attempts()),
    );
    let mut command = AuditCommand::new(&deployment, &s3, &audit, &repairer, &arguments, &settings);
    let mut done = match command.audit(terms, stored).await? {
        Some(done) => done,
        None => return Ok(ExitCode::from(signals::INTERRUPTED)),
    };
    let mut refused = None;
    if arguments.mending.backfill && done.is_finished() && done.checkpoint.tally.before_watermark > 0 {
        match ask_to_backfill(&arguments, &done) {
            Ok(()) => command.backfill(&mut done).await?,
            Err(error) => refused = Some(error),
        }
    }
    let summary = AuditSummary {
        location: &deployment.location,
        s3: &s3,
        arguments: &arguments,
        scope: &settings.scope,
        around: &around,
        done: &done,
    };
    let json = programs::output(&summary);
    kept::keep(&summary, &json, (began_at, deployment.ledger.clock().now()));
    print_either(output, || output::text(&summary), &json)?;
    summary.warn();
    match refused {
        Some(error) => Err(error.into()),
        None => summary.end(),
    }
}

/// Asks for what is from before the watermark.
fn ask_to_backfill(arguments: &AuditArguments, done: &Done) -> Result<(), UserError> {
    let objects = text::many(done.checkpoint.tally.before_watermark, "object");
    let question = format!("Record {objects} from before the watermark, to be processed?");
    // What is missing may have been recorded already, so that "nothing was changed" would not be true.
    arguments.mending.confirm.ask(&question).map_err(|_| {
        UserError::new(format!(
            "{objects} from before the watermark: not recorded, because nobody confirmed"
        ))
        .hint("--backfill --yes records without prompting")
    })
}
