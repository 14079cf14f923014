//! The intake queue: by URL, ARN or stack, with its policy.

use aws_sdk_sqs::types::QueueAttributeName;
use clap::Args;
use daybook_inspect::aws::answer::Answer;
use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::notifications::Pattern;
use daybook_inspect::aws::queue_policy::Sender;
use daybook_inspect::aws::queues;
use daybook_ledger::{Cause, TableName, describe};
use serde_json::{Value, json};

use crate::args::values;
use crate::aws::clients::Aws;
use crate::commands::setup::attach::queue_arn;
use crate::commands::setup::attach::templates::Way;
use crate::deployment::{INTAKE_QUEUE, LEDGER_TABLE, Outputs};
use crate::ui::error::UserError;

/// Which queue.
#[derive(Args, Debug)]
#[command(next_help_heading = "Queue")]
pub struct QueueArguments {
    /// URL of the intake queue
    #[arg(long, value_name = "URL", value_parser = values::queue_url)]
    #[arg(env = "DAYBOOK_INTAKE_QUEUE_URL", hide_env_values = true)]
    intake_queue_url: Option<String>,

    /// ARN of the intake queue; it wins over a URL
    #[arg(long, value_name = "ARN", value_parser = queue_arn)]
    queue_arn: Option<String>,

    /// CloudFormation stack that names the queue
    #[arg(long, value_name = "NAME", env = "DAYBOOK_STACK", hide_env_values = true)]
    stack: Option<String>,

    /// Account of the bucket, if it is not the queue's
    #[arg(long, value_name = "ID")]
    bucket_account: Option<String>,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    /// Its ARN.
    pub arn: String,
    url: Option<String>,
    /// Its policy, if it has one.
    pub policy: Option<String>,
    bucket_account: Option<String>,
    /// The ledger's table, where the stack was asked for the queue.
    pub ledger_table: Option<TableName>,
}

/// No queue is named.
pub fn missing() -> clap::Error {
    clap::Error::raw(
        clap::error::ErrorKind::MissingRequiredArgument,
        "the intake queue is not given\n\n  hint: name it with --intake-queue-url (DAYBOOK_INTAKE_QUEUE_URL) or --queue-arn, or \
         the stack whose outputs name it with --stack (DAYBOOK_STACK)\n",
    )
}

impl QueueArguments {
    /// The queue, if its ARN was given, without a look at it.
    pub fn unseen(&self) -> Option<Queue> {
        self.queue_arn.clone().map(|arn| Queue {
            arn,
            url: None,
            policy: None,
            bucket_account: self.bucket_account.clone(),
            ledger_table: None,
        })
    }

    /// The ARN, by whatever names the queue; `None` where nothing does.
    ///
    /// # Errors
    /// When the stack or the queue does not answer.
    pub async fn find_arn(&self) -> anyhow::Result<Option<String>> {
        match &self.queue_arn {
            Some(arn) => Ok(Some(arn.clone())),
            None => Ok(self.find().await?.map(|queue| queue.arn)),
        }
    }

    /// The queue; `None` where nothing names it.
    ///
    /// # Errors
    /// When the stack or the queue does not answer.
    pub async fn find(&self) -> anyhow::Result<Option<Queue>> {
        if self.queue_arn.is_none() && self.intake_queue_url.is_none() && self.stack.is_none() {
            return Ok(None);
        }
        let aws = Aws::from_environment().await?;
        let outputs = match (&self.stack, &self.queue_arn, &self.intake_queue_url) {
            (Some(stack), None, None) => Outputs::of(&aws, stack).await?,
            _ => Outputs::default(),
        };
        let url = match &self.queue_arn {
            Some(arn) => match queues::url_of(&aws.queues(), arn).await {
                Answer::Known(url) => Some(url),
                Answer::Absent => return Err(gone(&aws, arn).into()),
                Answer::Unknown(refusal) => return Err(refused(&aws, arn, &refusal.cause).into()),
            },
            None => outputs.queue(self.intake_queue_url.as_ref(), INTAKE_QUEUE)?,
        };
        let Some(url) = url else { return Ok(None) };
        let attributes = match queues::attributes(&aws.queues(), &url).await {
            Answer::Known(attributes) => attributes,
            Answer::Absent => return Err(gone(&aws, &url).into()),
            Answer::Unknown(refusal) => return Err(refused(&aws, &url, &refusal.cause).into()),
        };
        let arn = queues::arn(&attributes).map_err(|cause| refused(&aws, &url, &cause))?;
        Ok(Some(Queue {
            bucket_account: self.bucket_account.clone(),
            url: Some(url),
            policy: attributes.get("Policy").cloned(),
            ledger_table: outputs.read(LEDGER_TABLE, str::parse::<TableName>)?,
            arn,
        }))
    }
}

fn gone(aws: &Aws, queue: &str) -> UserError {
    UserError::new(format!("there is no queue {queue} in region {}", aws.region()))
        .hint("check name, region and account; `daybook init` makes one")
}

fn refused(aws: &Aws, queue: &str, cause: &Cause) -> UserError {
    UserError::new(format!("the queue {queue} cannot be read"))
        .because(anyhow::anyhow!("{cause}"))
        .hint_if_any(aws.advice(AwsResource::Queue, cause))
}

impl Queue {
    fn part(&self, n: usize) -> String {
        self.arn.split(':').nth(n).unwrap_or_default().to_owned()
    }

    /// Who sends to it that way.
    pub fn sender(&self, bucket: &str, way: &Way) -> Sender {
        let (partition, region, account) = (self.part(1), self.part(3), self.part(4));
        let owner = self.bucket_account.clone().unwrap_or_else(|| account.clone());
        match way {
            Way::Notification(_) => Sender::bucket(&partition, bucket, Some(owner)),
            Way::EventBridge { rule, .. } => Sender {
                service: "events.amazonaws.com",
                source_arn: format!("arn:{partition}:events:{region}:{account}:rule/{rule}"),
                account: None,
            },
        }
    }

    /// Sets its policy, whole.
    ///
    /// # Errors
    /// What SQS said.
    pub async fn set_policy(&self, aws: &Aws, policy: &str) -> Result<(), UserError> {
        let set = aws
            .queues()
            .set_queue_attributes()
            .queue_url(self.url.clone().unwrap_or_default())
            .attributes(QueueAttributeName::Policy, policy);
        match set.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let cause = describe(&error);
                let advice = aws.advice(AwsResource::Queue, &cause);
                Err(UserError::new(format!(
                    "the policy of {} cannot be set; nothing was changed",
                    self.arn
                ))
                .because(anyhow::anyhow!("SetQueueAttributes: {cause}"))
                .hint_if_any(advice))
            }
        }
    }
}

/// The rule of a bucket. Names have 64 characters ("PutRule", EventBridge API Reference), buckets' names up to 63.
pub fn rule_name(bucket: &str) -> String {
    let name: String = bucket
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .collect();
    format!("daybook-{}", name.chars().take(56).collect::<String>())
}

/// What the rule matches ("Amazon S3 event notification types and destinations", "Comparison operators", EventBridge User Guide).
///
/// # Errors
/// When EventBridge calls the event otherwise and it is not known how.
pub fn rule_pattern(bucket: &str, events: &[String], pattern: &Pattern) -> Result<Value, String> {
    let mut types = Vec::new();
    for event in events {
        types.push(match event {
            event if event.starts_with("s3:ObjectCreated:") => "Object Created",
            event if event.starts_with("s3:ObjectRemoved:") => "Object Deleted",
            event => return Err(format!("--event {event}: by EventBridge only s3:ObjectCreated:* and s3:ObjectRemoved:* are known here")),
        });
    }
    types.dedup();
    let literal = |text: &str| text.replace('\\', r"\\").replace('*', r"\*");
    let key = match (pattern.prefix.as_str(), pattern.suffix.as_str()) {
        ("", "") => None,
        (prefix, "") => Some(json!({"prefix": prefix})),
        ("", suffix) => Some(json!({"suffix": suffix})),
        (prefix, suffix) => Some(json!({"wildcard": format!("{}*{}", literal(prefix), literal(suffix))})),
    };
    let mut detail = json!({"bucket": {"name": [bucket]}});
    if let Some(key) = key {
        detail["object"] = json!({"key": [key]});
    }
    Ok(json!({"source": ["aws.s3"], "detail-type": types, "detail": detail}))
}
