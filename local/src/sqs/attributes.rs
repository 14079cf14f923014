//! A queue's settings, their limits, and the strings that they are on the wire.
//!
//! <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html>

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::error::{SqsError, SqsErrorCode};
use super::limits::{MAX_DELAY_SECONDS, MAX_MESSAGE_BYTES, MAX_VISIBILITY_SECONDS, MAX_WAIT_SECONDS};

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The dead-letter queue's ARN.
    pub dead_letter_arn: String,
    /// How often a message is received before it goes there: 1 to 1,000.
    pub max_receive_count: u32,
}

/// A queue's settings. The default is SQS's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAttributes {
    /// How long a received message stays hidden: 0 s to 12 h, default 30 s.
    pub visibility_timeout: Duration,
    /// How long a new message stays hidden: 0 s to 15 min, default 0 s.
    pub delay: Duration,
    /// How long a message is kept: 1 min to 14 d, default 4 d.
    pub retention: Duration,
    /// How long `ReceiveMessage` waits when it does not say: 0 s to 20 s, default 0 s.
    pub receive_wait: Duration,
    /// The largest message taken, in bytes: 1 KiB to 1 MiB, default 1 MiB.
    pub maximum_message_bytes: usize,
    /// Whether it is a FIFO queue; its name must then end in `.fifo`.
    pub fifo: bool,
    /// FIFO: a message without deduplication id gets the SHA-256 of its body.
    pub content_based_deduplication: bool,
    /// FIFO: deduplicate within a message group instead of the whole queue (`DeduplicationScope`).
    pub deduplicate_per_group: bool,
    /// The dead-letter queue. Default: none.
    pub redrive: Option<RedrivePolicy>,
    /// Attributes that are kept and shown, and mean nothing here: `Policy`, `KmsMasterKeyId` ….
    pub others: BTreeMap<String, String>,
}

impl Default for QueueAttributes {
    fn default() -> Self {
        Self {
            visibility_timeout: Duration::from_secs(30),
            delay: Duration::ZERO,
            retention: Duration::from_secs(345_600),
            receive_wait: Duration::ZERO,
            maximum_message_bytes: MAX_MESSAGE_BYTES,
            fifo: false,
            content_based_deduplication: false,
            deduplicate_per_group: false,
            redrive: None,
            others: BTreeMap::new(),
        }
    }
}

/// Kept and shown; access control, encryption and throughput do not exist here.
const WITHOUT_MEANING: [&str; 6] = [
    "Policy",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "FifoThroughputLimit",
    "RedriveAllowPolicy",
];

/// The attributes that SQS keeps itself.
const READ_ONLY: [&str; 6] = [
    "QueueArn",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
];

const SETTABLE: [&str; 10] = [
    "VisibilityTimeout",
    "DelaySeconds",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "MaximumMessageSize",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "RedrivePolicy",
    "All",
];

/// Whether `GetQueueAttributes` may be asked for it.
pub(super) fn is_known(name: &str) -> bool {
    SETTABLE.contains(&name) || READ_ONLY.contains(&name) || WITHOUT_MEANING.contains(&name)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedriveOnTheWire {
    dead_letter_target_arn: String,
    max_receive_count: serde_json::Value,
}

impl QueueAttributes {
    /// Takes the settings of a request over. Only `CreateQueue` may say whether a queue is FIFO.
    pub(super) fn apply(&mut self, settings: &BTreeMap<String, String>, new: bool) -> Result<(), SqsError> {
        for (name, value) in settings {
            self.apply_one(name, value, new)?;
        }
        let fifo_only = [
            "ContentBasedDeduplication",
            "DeduplicationScope",
            "FifoThroughputLimit",
        ];
        match settings.keys().find(|name| fifo_only.contains(&name.as_str())) {
            Some(name) if !self.fifo => Err(unknown(name)),
            _ => Ok(()),
        }
    }

    fn apply_one(&mut self, name: &str, value: &str, new: bool) -> Result<(), SqsError> {
        let seconds = |from, to| whole(name, value, from, to).map(Duration::from_secs);
        match name {
            "VisibilityTimeout" => self.visibility_timeout = seconds(0, MAX_VISIBILITY_SECONDS)?,
            "DelaySeconds" => self.delay = seconds(0, MAX_DELAY_SECONDS)?,
            "MessageRetentionPeriod" => self.retention = seconds(60, 1_209_600)?,
            "ReceiveMessageWaitTimeSeconds" => self.receive_wait = seconds(0, MAX_WAIT_SECONDS)?,
            "MaximumMessageSize" => {
                let bytes = whole(name, value, 1_024, MAX_MESSAGE_BYTES as u64)?;
                self.maximum_message_bytes = usize::try_from(bytes).unwrap_or(MAX_MESSAGE_BYTES);
            }
            "FifoQueue" if new && value == "true" => self.fifo = true,
            "FifoQueue" if self.fifo && value == "true" => {}
            "FifoQueue" => return Err(unknown(name)),
            "ContentBasedDeduplication" => self.content_based_deduplication = boolean(name, value)?,
            "DeduplicationScope" => {
                self.deduplicate_per_group = match value {
                    "messageGroup" => true,
                    "queue" => false,
                    _ => return Err(invalid(name)),
                }
            }
            "RedrivePolicy" => self.redrive = redrive_policy(value)?,
            other if WITHOUT_MEANING.contains(&other) => {
                self.others.insert(name.to_owned(), value.to_owned());
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    /// Every setting as `GetQueueAttributes` shows it.
    pub(super) fn shown(&self) -> BTreeMap<String, String> {
        let mut shown = self.others.clone();
        let mut show = |name: &str, value: String| shown.insert(name.to_owned(), value);
        show("VisibilityTimeout", self.visibility_timeout.as_secs().to_string());
        show("DelaySeconds", self.delay.as_secs().to_string());
        show("MessageRetentionPeriod", self.retention.as_secs().to_string());
        show(
            "ReceiveMessageWaitTimeSeconds",
            self.receive_wait.as_secs().to_string(),
        );
        show("MaximumMessageSize", self.maximum_message_bytes.to_string());
        if self.fifo {
            show("FifoQueue", "true".to_owned());
            show(
                "ContentBasedDeduplication",
                self.content_based_deduplication.to_string(),
            );
            let scope = if self.deduplicate_per_group {
                "messageGroup"
            } else {
                "queue"
            };
            show("DeduplicationScope", scope.to_owned());
        }
        if let Some(redrive) = &self.redrive {
            let (arn, count) = (&redrive.dead_letter_arn, redrive.max_receive_count);
            let policy = json!({"deadLetterTargetArn": arn, "maxReceiveCount": count});
            show("RedrivePolicy", policy.to_string());
        }
        shown
    }

    /// Typed settings know no strings to check, but the same limits.
    pub(super) fn check(&self) -> Result<(), SqsError> {
        let mut checked = Self {
            fifo: self.fifo,
            ..Self::default()
        };
        checked.apply(&self.shown(), true)
    }
}

fn unknown(name: &str) -> SqsError {
    SqsError::new(
        SqsErrorCode::InvalidAttributeName,
        format!("Unknown Attribute {name}."),
    )
}

fn invalid(name: &str) -> SqsError {
    SqsError::new(
        SqsErrorCode::InvalidAttributeValue,
        format!("Invalid value for the parameter {name}."),
    )
}

fn whole(name: &str, value: &str, from: u64, to: u64) -> Result<u64, SqsError> {
    value
        .parse()
        .ok()
        .filter(|number| (from..=to).contains(number))
        .ok_or_else(|| invalid(name))
}

fn boolean(name: &str, value: &str) -> Result<bool, SqsError> {
    value.to_ascii_lowercase().parse().map_err(|_| invalid(name))
}

fn redrive_policy(value: &str) -> Result<Option<RedrivePolicy>, SqsError> {
    // The empty string takes the policy away.
    if value.is_empty() {
        return Ok(None);
    }
    let refuse = |reason: &str| SqsError::parameter(value, "RedrivePolicy", reason);
    let policy: RedriveOnTheWire =
        serde_json::from_str(value).map_err(|_| refuse("Redrive policy is not a valid JSON map."))?;
    // CloudFormation sends a number, the command line often a string.
    let count = match &policy.max_receive_count {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let max_receive_count = count
        .filter(|count| (1..=1_000).contains(count))
        .and_then(|count| u32::try_from(count).ok())
        .ok_or_else(|| {
            refuse("Invalid value for maxReceiveCount, valid values are from 1 to 1000 both inclusive.")
        })?;
    Ok(Some(RedrivePolicy {
        dead_letter_arn: policy.dead_letter_target_arn,
        max_receive_count,
    }))
}
