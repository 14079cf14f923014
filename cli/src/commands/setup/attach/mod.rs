//! `daybook attach` and `daybook detach`: a bucket tells the intake queue of its events, or does not any more.

pub mod intake_queue;
pub mod messages;
pub mod plan;
pub mod templates;

use std::process::ExitCode;

use aws_sdk_s3::types::NotificationConfiguration;
use clap::Args;
use clap::error::ErrorKind;
use daybook_inspect::aws::notifications;
use daybook_inspect::aws::notifications::{Entry, Notifications, NotificationsOutput, Pattern};
use daybook_inspect::aws::queue_policy::{Permission, Sender};
use daybook_inspect::aws::s3::{S3, refusal};
use daybook_inspect::aws::trouble::Trouble;
use daybook_ledger::TableName;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::args::values::queue_arn;
use crate::aws::clients::Aws;
use crate::commands::setup::attach::intake_queue::{Queue, QueueArguments};
use crate::commands::setup::attach::messages::{
    RuleOutput, denied, difference, owned, refused, rule, rule_text, told_to,
};
use crate::commands::setup::attach::plan::Change;
use crate::commands::setup::attach::templates::{Form, Way};
use crate::commands::setup::watermark;
use crate::deployment::s3::S3Arguments;
use crate::ui::confirm::ConfirmArguments;
use crate::ui::error::UserError;
use crate::ui::output;
use crate::ui::output::Output;

/// Send a bucket's upload notifications to the intake queue
///
/// Adds an entry whose id begins with daybook- to the bucket's notification configuration, and lets this bucket
/// send to the queue in the queue's policy; everything else is written back as it is. The difference is shown
/// before you confirm it, and read back afterwards. What S3 would refuse is refused.
///
/// If the bucket has entries of others, their tool may rewrite the whole configuration and remove this entry:
/// choose --eventbridge, which is one switch plus a rule of your own, or --beside.
#[derive(Args, Debug)]
pub struct AttachArguments {
    #[command(flatten)]
    bucket: BucketArguments,

    #[command(flatten)]
    queue: QueueArguments,

    /// Ledger's table, if no stack names it
    ///
    /// Its audits count unseen uploads from now on as missing
    #[arg(
        long,
        value_name = "NAME",
        env = "DAYBOOK_LEDGER_TABLE",
        hide_env_values = true
    )]
    #[arg(help_heading = "Queue")]
    ledger_table: Option<TableName>,

    /// Only keys with this prefix
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = "Events")]
    prefix: String,

    /// Only keys with this suffix
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = "Events")]
    suffix: String,

    /// Event to send, repeatable
    #[arg(long = "event", value_name = "EVENT", default_value = "s3:ObjectCreated:*", value_parser = notifications::event)]
    #[arg(help_heading = "Events")]
    events: Vec<String>,

    /// Use EventBridge, and print the rule that you need
    ///
    /// You create that rule; it forwards events to the queue
    #[arg(long, help_heading = "How", conflicts_with = "beside")]
    eventbridge: bool,

    /// Add an entry beside those of others
    #[arg(long, help_heading = "How")]
    beside: bool,

    /// Only print it, for a template
    #[arg(long, value_name = "FORM", value_enum, help_heading = "How")]
    print: Option<Form>,

    #[command(flatten)]
    s3: S3Arguments,

    #[command(flatten)]
    confirm: ConfirmArguments,
}

/// Remove the entries that attach added
///
/// Entries of others are written back as they are. Without a queue, all entries whose ids begin with daybook-
/// are removed. The queue's policy stays: an unused statement does no harm.
#[derive(Args, Debug)]
pub struct DetachArguments {
    #[command(flatten)]
    bucket: BucketArguments,

    #[command(flatten)]
    queue: QueueArguments,

    /// Remove the entry with this id, whoever added it
    #[arg(long, value_name = "ID", help_heading = "How", conflicts_with = "eventbridge")]
    id: Option<String>,

    /// Stop sending the bucket's events to EventBridge
    ///
    /// They stop for everybody who has rules there
    #[arg(long, help_heading = "How")]
    eventbridge: bool,

    #[command(flatten)]
    s3: S3Arguments,

    #[command(flatten)]
    confirm: ConfirmArguments,
}

/// Which bucket.
#[derive(Args, Debug)]
struct BucketArguments {
    /// Bucket, as s3://bucket
    #[arg(value_name = "S3-URI", value_parser = bucket)]
    bucket: String,
}

fn bucket(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("s3://").unwrap_or(text).trim_end_matches('/');
    match name.is_empty() || name.contains('/') {
        false => Ok(name.to_owned()),
        true => Err("s3://bucket is needed; --prefix and --suffix say which keys".to_owned()),
    }
}

/// What `daybook attach` did, or printed.
#[derive(Serialize, JsonSchema)]
pub struct AttachOutput<'a> {
    /// The bucket.
    bucket: &'a str,
    /// The intake queue's ARN.
    queue: &'a str,
    /// `none`, `added` or `printed`.
    change: &'static str,
    /// Whom the bucket notified before; null where it was not asked.
    before: Option<NotificationsOutput<'a>>,
    /// Whom it notifies now.
    after: Option<NotificationsOutput<'a>>,
    /// The statement in the queue's policy: `there`, `added` or `unknown`.
    policy: &'static str,
    /// The statement that lets S3 or EventBridge send to the queue.
    statement: &'a Value,
    /// The rule of EventBridge's that is needed; null without `--eventbridge`.
    rule: Option<RuleOutput<'a>>,
    /// The document, where it was to be printed.
    document: Option<&'a str>,
}

/// What `daybook detach` did.
#[derive(Serialize, JsonSchema)]
pub struct DetachOutput<'a> {
    /// The bucket.
    bucket: &'a str,
    /// `none` or `removed`.
    change: &'static str,
    /// Whom the bucket notified before.
    before: NotificationsOutput<'a>,
    /// Whom it notifies now.
    after: NotificationsOutput<'a>,
}

/// What is to be attached.
struct Attachment<'a> {
    bucket: &'a str,
    queue: Queue,
    entry: Entry,
    way: Way,
    sender: Sender,
    /// The statement of the queue's policy that lets the sender send.
    statement: Value,
}

/// Runs attach.
///
/// # Errors
/// When S3 or SQS refuses, or would refuse, or the answer is no.
pub async fn attach(arguments: AttachArguments, output: Output) -> anyhow::Result<ExitCode> {
    let queue = match (arguments.queue.unseen(), arguments.print) {
        // Without a look at AWS.
        (Some(queue), Some(_)) => queue,
        _ => arguments.queue.find().await?.ok_or_else(intake_queue::missing)?,
    };
    let attachment = Attachment::of(&arguments, queue)?;
    if let Some(form) = arguments.print {
        return attachment.print(form, output);
    }
    let bucket = attachment.bucket;
    let aws = Aws::from_environment().await?;
    let s3 = S3::new(arguments.s3.at(&aws).client);
    let before = read(&s3, bucket).await?;
    let change = attachment.change(&arguments, &before)?;
    let policy = attachment.new_policy()?;
    let after = match &change {
        Change::Nothing => before.clone(),
        Change::Into(after) => (**after).clone(),
    };
    eprint!("{}", difference(bucket, &before, &after));
    if policy.is_some() {
        let id = &attachment.statement["Sid"];
        eprintln!("  + {id} of the queue's policy: {}", attachment.statement);
    }
    let is_new = change != Change::Nothing;
    if is_new || policy.is_some() {
        arguments.confirm.ask("Write this?")?;
    }
    if let Some(policy) = &policy {
        // First: S3 sends the queue a test message, and refuses a configuration whose queue does not take it.
        attachment.queue.set_policy(&aws, policy).await?;
    }
    if is_new {
        let written = write(&s3, bucket, &before, &after).await;
        if written.is_err() && policy.is_some() {
            eprintln!("note: the queue's policy already has its new statement, which does no harm");
        }
        written?;
    }
    let (way, queue) = (&attachment.way, &attachment.queue);
    // Also where nothing was changed: a run that ended before this is repeated.
    if let Some(table) = arguments.ledger_table.as_ref().or(queue.ledger_table.as_ref())
        && let Err(note) = watermark::begin(&aws, &table.to_string()).await
    {
        eprintln!("note: {note}");
    }
    let (was, is) = (Notifications::of(&before), Notifications::of(&after));
    let json = AttachOutput {
        bucket,
        queue: &queue.arn,
        change: if is_new { "added" } else { "none" },
        before: Some(was.output()),
        after: Some(is.output()),
        policy: if policy.is_some() { "added" } else { "there" },
        statement: &attachment.statement,
        rule: rule(way, queue),
        document: None,
    };
    let told = match is_new {
        true => format!("s3://{bucket} now notifies {}.\n", told_to(way)),
        false => format!(
            "s3://{bucket} already notified {}: nothing was changed there.\n",
            told_to(way)
        ),
    };
    output::print_either(output, || told + &rule_text(way, queue), &json)?;
    Ok(ExitCode::SUCCESS)
}

impl<'a> Attachment<'a> {
    /// As the arguments say it, of that queue.
    ///
    /// # Errors
    /// When the queue is a FIFO queue, or EventBridge has no such event.
    fn of(arguments: &'a AttachArguments, queue: Queue) -> anyhow::Result<Self> {
        if queue.arn.ends_with(".fifo") {
            return Err(UserError::new(format!(
                "{} is a FIFO queue, and S3 sends to standard queues only",
                queue.arn
            ))
            .hint("`daybook init` makes a standard one")
            .into());
        }
        let bucket = &arguments.bucket.bucket;
        let pattern = Pattern {
            prefix: arguments.prefix.clone(),
            suffix: arguments.suffix.clone(),
        };
        let entry = plan::entry(&queue.arn, &arguments.events, &pattern);
        let way = match arguments.eventbridge {
            false => Way::Notification(entry.clone()),
            true => Way::EventBridge {
                rule: intake_queue::rule_name(bucket),
                pattern: intake_queue::rule_pattern(bucket, &arguments.events, &pattern).map_err(usage)?,
            },
        };
        let sender = queue.sender(bucket, &way);
        Ok(Self {
            bucket,
            statement: sender.statement(&queue.arn),
            queue,
            entry,
            way,
            sender,
        })
    }

    /// Prints it for a template, and changes nothing.
    fn print(&self, form: Form, output: Output) -> anyhow::Result<ExitCode> {
        let document = templates::document(form, self.bucket, &self.queue.arn, &self.way, &self.sender);
        let json = AttachOutput {
            bucket: self.bucket,
            queue: &self.queue.arn,
            change: "printed",
            before: None,
            after: None,
            policy: "unknown",
            statement: &self.statement,
            rule: rule(&self.way, &self.queue),
            document: Some(&document),
        };
        output::print_either(output, || document.clone(), &json)?;
        Ok(ExitCode::SUCCESS)
    }

    /// What becomes of the bucket's notifications.
    ///
    /// # Errors
    /// When S3 would refuse it, or others have entries there and nothing says how to go beside them.
    fn change(
        &self,
        arguments: &AttachArguments,
        before: &NotificationConfiguration,
    ) -> Result<Change, UserError> {
        let change = match arguments.eventbridge {
            true => plan::attach_eventbridge(before),
            false => plan::attach(before, &self.entry)
                .map_err(|conflict| refused(self.bucket, &self.entry, &conflict))?,
        };
        let foreign = plan::foreign(before);
        let is_said_how = arguments.eventbridge || arguments.beside;
        match &change {
            Change::Into(_) if !is_said_how && !foreign.is_empty() => {
                Err(owned(self.bucket, &foreign, before))
            }
            _ => Ok(change),
        }
    }

    /// The queue's policy with the statement in it; `None` where S3 may send already.
    ///
    /// # Errors
    /// When the policy denies it, or cannot be added to.
    fn new_policy(&self) -> Result<Option<String>, UserError> {
        let policy = self.queue.policy.as_deref();
        match self.sender.permission(policy, &self.queue.arn) {
            Permission::Allowed | Permission::TooWide => Ok(None),
            Permission::Denied => Err(denied(&self.queue)),
            Permission::Missing | Permission::Unclear => {
                let added = self.sender.added_to(policy, &self.queue.arn);
                added.map(Some).map_err(|cause| {
                    UserError::new(cause).hint("fix it first: `aws sqs get-queue-attributes` shows it")
                })
            }
        }
    }
}

/// Runs detach.
///
/// # Errors
/// When S3 refuses, or the answer is no.
pub async fn detach(arguments: DetachArguments, output: Output) -> anyhow::Result<ExitCode> {
    let bucket = &arguments.bucket.bucket;
    let queue_arn = arguments.queue.find_arn().await?;
    let aws = Aws::from_environment().await?;
    let s3 = S3::new(arguments.s3.at(&aws).client);
    let before = read(&s3, bucket).await?;
    let change = match arguments.eventbridge {
        true => plan::detach_eventbridge(&before),
        false => plan::detach(&before, queue_arn.as_deref(), arguments.id.as_deref()),
    };
    let (after, is_new) = match change {
        Change::Nothing => (before.clone(), false),
        Change::Into(after) => (*after, true),
    };
    if is_new {
        eprint!("{}", difference(bucket, &before, &after));
        arguments.confirm.ask("Write this?")?;
        write(&s3, bucket, &before, &after).await?;
    }
    let (was, is) = (Notifications::of(&before), Notifications::of(&after));
    let json = DetachOutput {
        bucket,
        change: if is_new { "removed" } else { "none" },
        before: was.output(),
        after: is.output(),
    };
    let told = match is_new {
        true => format!("s3://{bucket} no longer notifies it.\n"),
        false => format!("there is no such entry in s3://{bucket}: nothing was changed\n"),
    };
    output::print_either(output, || told, &json)?;
    Ok(ExitCode::SUCCESS)
}

fn usage(message: String) -> clap::Error {
    clap::Error::raw(ErrorKind::ValueValidation, format!("{message}\n"))
}

async fn read(s3: &S3, bucket: &str) -> Result<NotificationConfiguration, UserError> {
    s3.notifications(bucket).await.map_err(|cause| {
        let hint = match Trouble::of(&cause) {
            Trouble::Denied => "s3:GetBucketNotification on the bucket is needed",
            Trouble::NoBucket => "check the bucket's name, and which S3 is asked (--s3-endpoint)",
            _ => "nothing was changed",
        };
        UserError::new(format!("the notifications of s3://{bucket} cannot be read"))
            .because(anyhow::anyhow!("{cause}"))
            .hint(hint)
    })
}

/// Writes it, if nobody else has written meanwhile, and reads it back. S3 has no conditional write here: between the last look
/// and the write, somebody else's write may be lost.
async fn write(
    s3: &S3,
    bucket: &str,
    before: &NotificationConfiguration,
    after: &NotificationConfiguration,
) -> Result<(), UserError> {
    if plan::sorted(&read(s3, bucket).await?) != plan::sorted(before) {
        return Err(UserError::new(format!(
            "nothing was changed: somebody else changed the notifications of s3://{bucket} meanwhile"
        ))
        .hint("run it again to see what it would do now"));
    }
    let put = s3.client().put_bucket_notification_configuration();
    let put = put.bucket(bucket).notification_configuration(after.clone());
    put.send().await.map(drop).map_err(|error| {
        let cause = refusal("PutBucketNotificationConfiguration", bucket, &error);
        let hint = match (Trouble::of(&cause), cause.code()) {
            (Trouble::Denied, _) => "s3:PutBucketNotification on the bucket is needed",
            (_, Some("InvalidArgument")) => {
                "S3 sends each destination a test message, and one may have been refused: does the queue's policy let S3 send, and its key let S3 \
                 encrypt? Do all destinations that were there before still exist? A new policy can take a minute"
            }
            _ => "nothing was changed in the bucket",
        };
        UserError::new(format!("the notifications of s3://{bucket} cannot be written"))
            .because(anyhow::anyhow!("{cause}"))
            .hint(hint)
    })?;
    let now = plan::sorted(&read(s3, bucket).await?);
    if now != plan::sorted(after) {
        return Err(UserError::new(format!(
            "the notifications of s3://{bucket} were written, and read back differently"
        ))
        .because(anyhow::anyhow!(
            "there is now: {}",
            serde_json::json!(now.output())
        ))
        .hint("somebody else may have written at the same moment: look at it, and run this again"));
    }
    Ok(())
}
