//! `daybook doctor`: what is not as it should be, and what to do about it.

use std::process::ExitCode;

use clap::Args;
use daybook_inspect::aws::s3::S3;
use daybook_inspect::checks::deployment as checks;
use daybook_inspect::checks::deployment::DoctorOutput;
use daybook_inspect::checks::finding::{Item, Level};
use daybook_inspect::checks::flow::Configured;
use daybook_inspect::wording::text;
use daybook_ledger::TableName;

use crate::args::values;
use crate::args::values::DispatchArguments;
use crate::deployment::aws::AwsDeployment;
use crate::deployment::s3::S3Arguments;
use crate::deployment::{
    COMPLETION_QUEUE, Chosen, DeploymentArguments, INTAKE_QUEUE, LEDGER_TABLE, RECEIPTS_TABLE,
};
use crate::ui::colour::{self, Tone};
use crate::ui::escape;
use crate::ui::output;
use crate::ui::output::Output;

/// Find what is wrong with a deployment, and how to fix it
///
/// Checks tables, queues, the state machine, the clock, pause, the schedule, the sweep, parked and undelivered
/// rows, N against quotas, and the notifications of each --bucket; of a folder its rows, its process, and whether
/// its ledger takes a write that changes nothing. Nothing is changed. A check that is refused is unknown, and its
/// remedy names the missing permission. The flags of Dispatch say how the deployment is set; they set nothing.
///
/// The exit code is 1 if there are problems; warnings and unknowns leave it 0.
#[derive(Args, Debug)]
pub struct DoctorArguments {
    #[command(flatten)]
    deployment: DeploymentArguments,

    /// SQS queue that S3's notifications arrive on
    #[arg(long, value_name = "URL", value_parser = values::queue_url, help_heading = "Deployment")]
    #[arg(env = "DAYBOOK_INTAKE_QUEUE_URL", hide_env_values = true)]
    intake_queue_url: Option<String>,

    /// SQS queue that execution status events arrive on
    #[arg(long, value_name = "URL", value_parser = values::queue_url, help_heading = "Deployment")]
    #[arg(env = "DAYBOOK_COMPLETION_QUEUE_URL", hide_env_values = true)]
    completion_queue_url: Option<String>,

    /// Bucket whose notifications to check; may be repeated
    #[arg(long = "bucket", value_name = "NAME", help_heading = "Buckets")]
    buckets: Vec<String>,

    #[command(flatten)]
    s3: S3Arguments,

    #[command(flatten)]
    dispatch: DispatchArguments,

    /// Show the checks that passed, too
    #[arg(long, help_heading = "Output")]
    all: bool,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found.
pub async fn run(arguments: DoctorArguments, output: Output) -> anyhow::Result<ExitCode> {
    let dispatch = arguments.dispatch.checked()?;
    let configured = Configured {
        per_window: dispatch.per_window,
        window: dispatch.window,
        lease: dispatch.lease,
        batching: dispatch.batching,
        max_in_flight: dispatch.max_in_flight,
    };
    let (location, items) = match arguments.deployment.chosen {
        Chosen::Local(_) | Chosen::Usual(_) => {
            let deployment = arguments.deployment.open("doctor").await?;
            let items = checks::of_folder(&deployment.parts(), deployment.rate(), configured).await;
            if items.iter().any(|item| item.level == Level::Unknown) {
                deployment.location.note_an_end();
            }
            (deployment.location.to_string(), items)
        }
        Chosen::Aws => {
            let given = &arguments.deployment;
            let deployment = given.aws.open(Some(&given.machine)).await?;
            let items = checks::on_aws(&on_aws(&arguments, &deployment)?, configured).await;
            (deployment.name, items)
        }
    };
    let json = DoctorOutput::of(&location, &items);
    output::print_either(output, || text(&location, &items, arguments.all), &json)?;
    let is_problem = |item: &Item| item.level == Level::Problem;
    Ok(match items.iter().any(is_problem) {
        false => ExitCode::SUCCESS,
        true => ExitCode::FAILURE,
    })
}

/// The parts as flags or the stack name them.
fn on_aws<'a>(
    arguments: &'a DoctorArguments,
    deployment: &'a AwsDeployment,
) -> anyhow::Result<checks::OnAws<'a>> {
    let (aws, outputs) = (&deployment.aws, &deployment.outputs);
    let given = &arguments.deployment.aws;
    let table = |given: &Option<TableName>, output| -> anyhow::Result<_> {
        let name = match given {
            Some(name) => Some(name.clone()),
            None => outputs.read(output, str::parse::<TableName>)?,
        };
        Ok(name.map(|name| name.to_string()))
    };
    let receipts_table = table(&given.receipts_table, RECEIPTS_TABLE)?;
    Ok(checks::OnAws {
        ledger: &deployment.ledger,
        dynamodb: aws.dynamodb(),
        sqs: aws.queues(),
        sfn: aws.step_functions(),
        lambda: aws.lambda(),
        s3: S3::new(arguments.s3.at(aws).client),
        region: aws.region(),
        ledger_table: table(&given.ledger_table, LEDGER_TABLE)?,
        receipts_table: receipts_table.filter(|_| !given.receipts_keep.is_zero()),
        intake_url: outputs.queue(arguments.intake_queue_url.as_ref(), INTAKE_QUEUE)?,
        dispatch_url: deployment.queue_url.clone(),
        completion_url: outputs.queue(arguments.completion_queue_url.as_ref(), COMPLETION_QUEUE)?,
        state_machine_arn: deployment.state_machine_arn.as_deref(),
        other_target: deployment.other_target.clone(),
        buckets: &arguments.buckets,
    })
}

fn text(location: &str, items: &[Item], all: bool) -> String {
    let mut text = format!("{location}\n");
    for item in items.iter().filter(|item| all || item.level != Level::Ok) {
        let tone = match item.level {
            Level::Problem => Some(Tone::Bad),
            Level::Warning | Level::Unknown => Some(Tone::Warning),
            Level::Ok => None,
        };
        let word = colour::painted(&format!("{:8}", item.level.word()), tone);
        text.push_str(&format!(
            "\n{word} {}\n         {}\n",
            escape::escaped(&item.check.to_string()),
            escape::escaped(&item.finding)
        ));
        if !item.remedy.is_empty() {
            text.push_str(&format!("         → {}\n", escape::escaped(&item.remedy)));
        }
    }
    let told = Level::ALL.map(|level| {
        let n = items.iter().filter(|item| item.level == level).count();
        match level {
            Level::Ok | Level::Unknown => format!("{n} {}", level.word()),
            _ => text::many(n as u64, level.word()),
        }
    });
    text.push_str(&format!("\n{}\n", told.join(", ")));
    text
}
