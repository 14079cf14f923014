//! All checks of a deployment, the worst first.

use daybook_ledger::{Cause, INTAKE_BYTES, Ledger, Lookup};
use daybook_manager::{Batching, Executions};
use daybook_schema::{BatchName, Timestamp, tables as definitions};
use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::answer::Answer;
use crate::aws::notifications::Notifications;
use crate::aws::queues as aws_queues;
use crate::aws::s3::S3;
use crate::checks::buckets::{BucketSeen, IntakeSeen};
use crate::checks::check::{Check, OfTable};
use crate::checks::finding::{Item, Level};
use crate::checks::flow::{Configured, MachineSeen};
use crate::checks::queues::Use;
use crate::checks::role::Role;
use crate::checks::target::OtherTarget;
use crate::checks::{buckets, flow, folder, observe, queues, tables, target};
use crate::parts::Parts;
use crate::rate::Rate;

/// A batch that there never was: a claim's token is drawn by chance.
const NOBODY: &str = "00000000000000000000000000000000";

/// The parts of a deployment on AWS, by their names as far as they are named, and who asks for them.
#[derive(Clone, Debug)]
pub struct OnAws<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// DynamoDB.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// SQS.
    pub sqs: aws_sdk_sqs::Client,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
    /// Lambda.
    pub lambda: aws_sdk_lambda::Client,
    /// S3.
    pub s3: S3,
    /// The region of all but S3.
    pub region: &'a str,
    /// The ledger's table.
    pub ledger_table: Option<String>,
    /// The receipts' table; `None` where receipts are off.
    pub receipts_table: Option<String>,
    /// The URL of the queue that notifications arrive on.
    pub intake_url: Option<String>,
    /// The URL of the queue of claimed events.
    pub dispatch_url: Option<String>,
    /// The URL of the queue that the ends of executions arrive on.
    pub completion_url: Option<String>,
    /// The state machine; `None` where workers process the events, or another target does.
    pub state_machine_arn: Option<&'a str>,
    /// The function or queue that is the target, where one is.
    pub other_target: Option<OtherTarget>,
    /// The buckets whose notifications are checked.
    pub buckets: &'a [String],
}

/// What was found.
#[derive(Serialize, JsonSchema)]
pub struct DoctorOutput<'a> {
    /// The deployment.
    #[serde(rename = "where")]
    location: &'a str,
    /// How many checks found a problem.
    problems: usize,
    /// How many found something that should be better.
    warnings: usize,
    /// How many could not be made.
    unknown: usize,
    /// All of them, the worst first.
    checks: &'a [Item],
}

impl<'a> DoctorOutput<'a> {
    /// For programs: with the deployment's name.
    pub fn of(location: &'a str, checks: &'a [Item]) -> Self {
        let count = |level| checks.iter().filter(|item| item.level == level).count();
        Self {
            location,
            problems: count(Level::Problem),
            warnings: count(Level::Warning),
            unknown: count(Level::Unknown),
            checks,
        }
    }
}

/// The checks of a folder, whose N and window are these: its rows and its process, and whether its ledger takes a write.
pub async fn of_folder(parts: &Parts<'_>, rate: Rate, configured: Configured) -> Vec<Item> {
    let mut items = without_writes(parts, rate, configured).await;
    let writes = folder::writes(parts.ledger.try_write(INTAKE_BYTES).await.map_err(Cause::from));
    if writes.level == Level::Problem {
        stand_still(&mut items);
    }
    items.push(writes);
    worst_first(items)
}

/// Where the ledger takes no writes, it is not the fault of schedule and sweep that rows stand still.
fn stand_still(items: &mut [Item]) {
    for item in items {
        let is_theirs = matches!(item.check, Check::Schedule | Check::Sweep);
        if is_theirs && item.level != Level::Ok {
            let finding = format!("nothing is sent, as {} says", Check::Writes);
            *item = Item::ok(&item.check, finding);
        }
    }
}

/// The same, but for the write.
pub async fn without_writes(parts: &Parts<'_>, rate: Rate, configured: Configured) -> Vec<Item> {
    let seen = observe::flow(parts.ledger, parts.folder, (rate, None)).await;
    let mut items = flow::checks(&seen, configured);
    let activity = parts.folder.filter(|folder| folder.running.is_some());
    let activity = activity.and_then(|folder| folder.activity);
    items.extend(activity.and_then(|activity| folder::target(activity, seen.now)));
    worst_first(items)
}

/// The checks of a deployment on AWS.
pub async fn on_aws(parts: &OnAws<'_>, configured: Configured) -> Vec<Item> {
    let (mut items, answered) = of_tables(parts).await;
    let used = Use {
        by_workers: parts.state_machine_arn.is_none() && parts.other_target.is_none(),
        lease: configured.lease,
    };
    let (of_queues, intake, completion) = of_queues(parts, used).await;
    items.extend(of_queues);
    for name in parts.buckets {
        let notifications = parts.s3.notifications(name).await;
        let seen = BucketSeen {
            name: name.clone(),
            notifications: notifications.map(|configuration| Notifications::of(&configuration)),
        };
        items.extend(buckets::checks(&seen, &intake));
    }
    match &parts.other_target {
        Some(other) => items.extend(of_target(parts, other, completion.as_deref(), configured).await),
        None => items.push(of_state_machine(parts, configured.batching).await),
    }
    let rate = Rate {
        per_window: Some(configured.per_window),
        window: Some(configured.window),
    };
    let seen = observe::flow(parts.ledger, None, (rate, configured.max_in_flight)).await;
    let control = seen.control.as_ref().ok();
    let starts_executions = parts.state_machine_arn.is_some();
    items.push(flow::quotas(
        control,
        configured,
        parts.region,
        !starts_executions,
    ));
    items.extend(flow::checks(&seen, configured));
    items.push(flow::clock(answered));
    worst_first(items)
}

fn worst_first(mut items: Vec<Item>) -> Vec<Item> {
    items.sort_by_key(|item| item.level);
    items
}

/// And when a table was answered, by this machine's clock and by the response.
async fn of_tables(parts: &OnAws<'_>) -> (Vec<Item>, Option<(Timestamp, Timestamp)>) {
    let clock = parts.ledger.clock();
    let mut answered = None;
    let mut items = Vec::new();
    if let Some(ledger) = &parts.ledger_table {
        let seen = observe::table(&parts.dynamodb, ledger, clock).await;
        answered = seen.answered;
        items.extend(tables::checks(&seen, &definitions::LEDGER));
    }
    match &parts.receipts_table {
        Some(receipts) => {
            let seen = observe::table(&parts.dynamodb, receipts, clock).await;
            answered = seen.answered.or(answered);
            items.extend(tables::checks(&seen, &definitions::RECEIPTS));
        }
        None => items.push(Item::warning(
            &Check::Table(definitions::RECEIPTS.role, OfTable::Form),
            "receipts are off: nobody can tell what is done, and a notification that comes late is run again",
            "--receipts-table (DAYBOOK_RECEIPTS_TABLE) names the table; `daybook init` makes one",
        )),
    }
    (items, answered)
}

/// And the intake queue, as far as buckets need it, and the completion queue's ARN.
async fn of_queues(parts: &OnAws<'_>, used: Use) -> (Vec<Item>, IntakeSeen, Option<String>) {
    let (intake, dispatch, completion) = tokio::join!(
        observe::queue(&parts.sqs, Role::Intake, parts.intake_url.clone()),
        observe::queue(&parts.sqs, Role::Dispatch, parts.dispatch_url.clone()),
        observe::queue(&parts.sqs, Role::Completion, parts.completion_url.clone()),
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
            arn: aws_queues::arn(attributes).ok(),
            policy: attributes.get("Policy").cloned(),
        });
    let completion = completion.attributes.known();
    let completion = completion.and_then(|attributes| aws_queues::arn(attributes).ok());
    (items, intake, completion)
}

async fn of_target(
    parts: &OnAws<'_>,
    other: &OtherTarget,
    completion: Option<&str>,
    configured: Configured,
) -> Vec<Item> {
    match other {
        OtherTarget::Function(arn) => {
            let seen = target::ask_function(&parts.lambda, arn).await;
            target::function(arn, &seen, completion, configured.lease)
        }
        OtherTarget::Queue(url) => vec![target::queue(url, &aws_queues::attributes(&parts.sqs, url).await)],
    }
}

async fn of_state_machine(parts: &OnAws<'_>, batching: Option<Batching>) -> Item {
    let machine = match parts.state_machine_arn {
        Some(arn) => {
            let asked = parts.sfn.describe_state_machine().state_machine_arn(arn);
            let answer = Answer::of(asked.send().await, "states:DescribeStateMachine");
            let undescribed = match batching {
                Some(_) => undescribed(parts, arn).await,
                None => None,
            };
            answer.map(|answer| MachineSeen {
                kind: answer.r#type,
                key: answer
                    .encryption_configuration
                    .and_then(|encryption| encryption.kms_key_id),
                undescribed,
            })
        }
        None => Answer::Absent,
    };
    flow::state_machine(parts.state_machine_arn, &machine, batching)
}

/// Why executions cannot be described, if they cannot: asked of a batch that there never was.
async fn undescribed(parts: &OnAws<'_>, arn: &str) -> Option<Cause> {
    let batch = NOBODY.parse().ok()?;
    let nobody = BatchName { batch, alone: None };
    match Executions::new(parts.sfn.clone(), arn).describe(nobody).await {
        Lookup::Found(_) | Lookup::Absent => None,
        Lookup::Unknown(cause) => Some(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_not_taken_for_a_schedule_that_does_not_run() {
        let problem = |check: Check| Item::problem(&check, "it seems not to run", "is its cron enabled?");
        let mut items = [
            problem(Check::Schedule),
            problem(Check::Sweep),
            problem(Check::Clock),
            Item::warning(&Check::Schedule, "a backlog", "nothing"),
            Item::warning(&Check::Clock, "it is set back", "wait"),
        ];
        stand_still(&mut items);
        let levels = items.each_ref().map(|item| item.level);
        assert_eq!(
            levels,
            [Level::Ok, Level::Ok, Level::Problem, Level::Ok, Level::Warning]
        );
        assert_eq!(items[0].finding, "nothing is sent, as writes says");
        assert_eq!(items[0].remedy, "");
    }
}
