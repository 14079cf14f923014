//! `daybook show`: all that is known of one event, or of one object's events.

pub mod batch;
pub mod timeline;

use daybook_inspect::wording::time;
use std::process::ExitCode;

use clap::Args;
use daybook_inspect::lookup;
use daybook_inspect::lookup::history;
use daybook_inspect::object_ref::{Shown, Wanted};
use daybook_schema::{BatchId, SourceName};

use crate::deployment::{Deployment, DeploymentArguments, failures};
use crate::ui::error::UserError;
use crate::ui::escape;
use crate::ui::output;
use crate::ui::output::Output;

/// Show the history and the next step of an event, object or batch
///
/// Shows the row, the execution of its attempt as Step Functions sees it now, and the receipt of a finished
/// event. Of failed attempts the row keeps how many there were, and the last error.
///
/// An id is looked up directly. For s3://bucket/key, all open rows are read (the table holds open work only),
/// and the receipts of created and removed objects are looked up; in a bucket with versions, receipts are
/// found only with ?versionId=.
///
/// A batch is given by the name of its execution (b- and 32 hexadecimal digits) or by these digits, as `batch`
/// of a row has them. Its execution is shown, the events that this names, and the rows that are in the batch
/// now: all claimed rows are read for them.
#[derive(Args, Debug)]
pub struct ShowArguments {
    /// Event id, execution name, batch id, or s3://bucket/key
    ///
    /// With ?versionId=… for one version
    #[arg(value_name = "ID|S3-URI")]
    what: Shown,

    #[command(flatten)]
    deployment: DeploymentArguments,

    /// Name of the S3 that holds the object
    ///
    /// As given to ingest. By default the folder's (aws on AWS) for receipts, and any for open rows
    #[arg(long, value_name = "NAME", help_heading = "Object")]
    #[arg(env = "DAYBOOK_SOURCE", hide_env_values = true)]
    source: Option<SourceName>,

    /// For an id without a row: read all receipts
    ///
    /// It ends where its receipt is found, and costs half a read unit per 4 KB. A local folder is always
    /// searched this way
    #[arg(long, help_heading = "Object")]
    scan_receipts: bool,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, nothing is known of the event, or not everything could be read.
pub async fn run(arguments: ShowArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open("show").await?;
    let parts = deployment.parts();
    let what = match &arguments.what {
        Shown::Events(what) => what,
        Shown::Batch(id) => return show_batch(*id, &deployment, output).await,
    };
    let found = match what {
        Wanted::Id(id) => history::event(&parts, *id, arguments.scan_receipts).await,
        Wanted::Object(object) => history::object(&parts, object, arguments.source.as_ref()).await,
    };
    let found = found.map_err(|error| deployment.location.ledger_failure(error))?;
    if found.open.is_empty() && found.receipts.is_empty() && found.failures.is_empty() {
        return Err(nothing(what, arguments.scan_receipts, &deployment).into());
    }
    let now = deployment.ledger.clock().now();
    output::print_either(
        output,
        || timeline::text(&found, (parts.up(), parts.runs()), now),
        &lookup::output::output(&found, parts.runs(), now),
    )?;
    if deployment.ledger.receipts_kept_for().is_none() {
        eprintln!("note: receipts are off here, so what is done cannot be shown");
    }
    failures::incomplete(&found.failures, &deployment.location)
}

async fn show_batch(id: BatchId, deployment: &Deployment, output: Output) -> anyhow::Result<ExitCode> {
    let parts = deployment.parts();
    let found = lookup::batch::batch(&parts, id).await;
    if found.is_unknown() {
        let error = UserError::new(format!(
            "nothing is known of batch {id} in {}",
            deployment.location
        ));
        let error = match parts.executions {
            Some(_) => error.because(anyhow::anyhow!(
                "no claimed row is in it, and it has no execution: there was no such batch, it was not started, or it ended more \
                 than 90 days ago"
            )),
            None if parts.is_local() => error.because(anyhow::anyhow!("no claimed row is in it")),
            None => error
                .because(anyhow::anyhow!(
                    "no claimed row is in it, and no state machine is named that could have its execution"
                ))
                .hint("--state-machine-arn (DAYBOOK_STATE_MACHINE_ARN) names one"),
        };
        return Err(error.into());
    }
    let now = deployment.ledger.clock().now();
    output::print_either(
        output,
        || batch::text(&found, parts.is_local(), now),
        &found.output(),
    )?;
    failures::incomplete(&found.failures, &deployment.location)
}

/// Neither open nor done, as far as anybody can know.
fn nothing(wanted: &Wanted, scan_receipts: bool, deployment: &Deployment) -> UserError {
    let what = match wanted {
        Wanted::Id(id) => format!("event {id}"),
        Wanted::Object(object) => escape::escaped(&format!("s3://{}/{}", object.bucket, object.whole)),
    };
    let location = &deployment.location;
    let Some(keep) = deployment.ledger.receipts_kept_for() else {
        return UserError::new(format!("{what} is not open in {location}"))
            .because(anyhow::anyhow!(
                "it was never seen, or it is done: receipts are off, so nobody can tell"
            ))
            .hint(
                "--receipts-table (DAYBOOK_RECEIPTS_TABLE) names the table of receipts, where there is one",
            );
    };
    let keep = time::span(keep);
    let scanned = deployment.is_local() || scan_receipts;
    let (cause, hint) = match wanted {
        Wanted::Id(_) if !scanned => (
            "it is done, or it was never seen: receipts are kept by object, and the object of this id is not known"
                .to_owned(),
            "--scan-receipts looks through all receipts for it; s3://bucket/key looks its object up at once",
        ),
        Wanted::Id(_) => (
            format!("it was never seen, or was done longer ago than receipts are kept ({keep}), or a newer event of its object is done"),
            "s3://bucket/key shows what is known of an object",
        ),
        Wanted::Object(object) => (
            format!("no open event, and no receipt: it was never seen, or was done longer ago than receipts are kept ({keep})"),
            match object.parts {
                None => "in a bucket with versions, receipts are found with ?versionId=…; --source names another S3 than aws",
                Some(_) => "--source names another S3 than aws",
            },
        ),
    };
    UserError::new(format!("nothing is known of {what} in {location}"))
        .because(anyhow::anyhow!(cause))
        .hint(hint)
}
