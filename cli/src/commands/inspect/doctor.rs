//! `daybook doctor`: what is not as it should be, and what to do about it.

use std::process::ExitCode;

use clap::Args;
use daybook_ledger::TableName;
use daybook_schema::{Timestamp, tables as definitions};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::values;
use crate::args::values::DispatchArguments;
use crate::aws::answer::Answer;
use crate::aws::notifications::Notifications;
use crate::aws::s3::S3;
use crate::checks::buckets::{BucketSeen, IntakeSeen};
use crate::checks::finding::{Item, Level};
use crate::checks::flow::Configured;
use crate::checks::queues::{Role, Use};
use crate::checks::{buckets, flow, observe, queues, tables};
use crate::deployment::aws::AwsDeployment;
use crate::deployment::s3::S3Arguments;
use crate::deployment::{
    COMPLETION_QUEUE, Chosen, DeploymentArguments, INTAKE_QUEUE, LEDGER_TABLE, Place, RECEIPTS_TABLE,
};
use crate::ui::output::Output;
use crate::ui::{output, text};

/// Find what is wrong with a deployment, and how to fix it
///
/// Checks the tables and the index, the queues with their dead letters, encryption and policies, the state
/// machine, the clock, pause, the schedule, the sweep, parked and undelivered rows, N against quotas, and the
/// notifications of each --bucket. Nothing is changed. A check that is refused is unknown, and its remedy
/// names the missing permission. Of a folder (--local), its rows and its process are checked.
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

/// What was found.
#[derive(Serialize, JsonSchema)]
pub struct DoctorOutput<'a> {
    /// The deployment.
    #[serde(rename = "where")]
    place: &'a str,
    /// How many checks found a problem.
    problems: usize,
    /// How many found something that should be better.
    warnings: usize,
    /// How many could not be made.
    unknown: usize,
    /// All of them, the worst first.
    checks: &'a [Item],
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
    };
    let (place, mut items) = match arguments.deployment.chosen {
        Chosen::Local(_) => {
            let deployment = arguments.deployment.open().await?;
            let up_runs = match &deployment.place {
                Place::Local { running, .. } => Some(running.is_some()),
                Place::Aws { .. } => None,
            };
            let seen = observe::flow(&deployment.ledger, up_runs).await;
            (deployment.place.to_string(), flow::checks(&seen, configured))
        }
        Chosen::Aws => {
            let given = &arguments.deployment;
            let deployment = given.aws.open(Some(&given.machine)).await?;
            let items = on_aws(&arguments, &deployment, configured).await?;
            (deployment.name.clone(), items)
        }
    };
    items.sort_by_key(|item| item.level);
    let count = |level| items.iter().filter(|item| item.level == level).count();
    let json = DoctorOutput {
        place: &place,
        problems: count(Level::Problem),
        warnings: count(Level::Warning),
        unknown: count(Level::Unknown),
        checks: &items,
    };
    output::print_either(output, || text(&place, &items, arguments.all), &json)?;
    Ok(match count(Level::Problem) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

async fn on_aws(
    arguments: &DoctorArguments,
    deployment: &AwsDeployment,
    configured: Configured,
) -> anyhow::Result<Vec<Item>> {
    let (mut items, answered) = of_tables(arguments, deployment).await?;
    let used = Use {
        by_workers: deployment.state_machine_arn.is_none(),
        lease: configured.lease,
    };
    let (of_queues, intake) = of_queues(arguments, deployment, used).await?;
    items.extend(of_queues);
    let s3 = S3::new(arguments.s3.at(&deployment.aws));
    for name in &arguments.buckets {
        let notifications = s3.notifications(name).await;
        let seen = BucketSeen {
            name: name.clone(),
            notifications: notifications.map(|configuration| Notifications::of(&configuration)),
        };
        items.extend(buckets::checks(&seen, &intake));
    }
    items.push(of_state_machine(deployment).await);
    let seen = observe::flow(&deployment.ledger, None).await;
    let control = seen.control.as_ref().ok();
    let region = deployment.aws.region();
    items.push(flow::quotas(control, configured, region, used.by_workers));
    items.extend(flow::checks(&seen, configured));
    items.push(flow::clock(answered));
    Ok(items)
}

/// And when a table was answered, by this machine's clock and by the response.
async fn of_tables(
    arguments: &DoctorArguments,
    deployment: &AwsDeployment,
) -> anyhow::Result<(Vec<Item>, Option<(Timestamp, Timestamp)>)> {
    let (aws, outputs) = (&deployment.aws, &deployment.outputs);
    let given = &arguments.deployment.aws;
    let named = |given: &Option<TableName>, output| match given {
        Some(name) => Ok(Some(name.clone())),
        None => outputs.read(output, str::parse::<TableName>),
    };
    let clock = deployment.ledger.clock();
    let mut answered = None;
    let mut items = Vec::new();
    if let Some(ledger) = named(&given.ledger_table, LEDGER_TABLE)? {
        let seen = observe::table(aws, ledger.as_str(), clock).await;
        answered = seen.answered;
        items.extend(tables::checks(&seen, &definitions::LEDGER));
    }
    match named(&given.receipts_table, RECEIPTS_TABLE)?.filter(|_| !given.receipts_keep.is_zero()) {
        Some(receipts) => {
            let seen = observe::table(aws, receipts.as_str(), clock).await;
            answered = seen.answered.or(answered);
            items.extend(tables::checks(&seen, &definitions::RECEIPTS));
        }
        None => items.push(Item::warning(
            "receipts table",
            "receipts are off: nobody can tell what is done, and a notification that comes late is run again",
            "--receipts-table (DAYBOOK_RECEIPTS_TABLE) names the table; `daybook init` makes one",
        )),
    }
    Ok((items, answered))
}

/// And the intake queue, as far as buckets need it.
async fn of_queues(
    arguments: &DoctorArguments,
    deployment: &AwsDeployment,
    used: Use,
) -> anyhow::Result<(Vec<Item>, IntakeSeen)> {
    let (aws, outputs) = (&deployment.aws, &deployment.outputs);
    let intake_url = outputs.queue(arguments.intake_queue_url.as_ref(), INTAKE_QUEUE)?;
    let completion_url = outputs.queue(arguments.completion_queue_url.as_ref(), COMPLETION_QUEUE)?;
    let (intake, dispatch, completion) = tokio::join!(
        observe::queue(aws, Role::Intake, intake_url),
        observe::queue(aws, Role::Dispatch, deployment.queue_url.clone()),
        observe::queue(aws, Role::Completion, completion_url),
    );
    let mut items = queues::checks(&intake, used);
    items.extend(queues::checks(&dispatch, used));
    // Workers report themselves.
    if !used.by_workers || completion.url.is_some() {
        items.extend(queues::checks(&completion, used));
    }
    let intake = intake
        .attributes
        .known()
        .map_or_else(IntakeSeen::default, |attributes| IntakeSeen {
            arn: attributes.get("QueueArn").cloned(),
            policy: attributes.get("Policy").cloned(),
        });
    Ok((items, intake))
}

async fn of_state_machine(deployment: &AwsDeployment) -> Item {
    let machine = match &deployment.state_machine_arn {
        Some(arn) => {
            let asked = deployment
                .aws
                .step_functions()
                .describe_state_machine()
                .state_machine_arn(arn);
            Answer::of(asked.send().await, "states:DescribeStateMachine").map(|answer| answer.r#type)
        }
        None => Answer::Absent,
    };
    flow::state_machine(deployment.state_machine_arn.as_deref(), &machine)
}

fn text(place: &str, items: &[Item], all: bool) -> String {
    let mut text = format!("{place}\n");
    for item in items.iter().filter(|item| all || item.level != Level::Ok) {
        let word = item.level.word();
        text.push_str(&format!(
            "\n{word:8} {}\n         {}\n",
            item.check,
            text::escaped(&item.finding)
        ));
        if !item.remedy.is_empty() {
            text.push_str(&format!("         → {}\n", text::escaped(&item.remedy)));
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
