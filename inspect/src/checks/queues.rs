//! The queues: there, patient enough, with dead-letter queues that are empty, and open to those who send.

use std::time::Duration;

use serde_json::Value;

use crate::aws::answer::Answer;
use crate::aws::queues::Attributes;
use crate::checks::check::{Check, OfQueue};
use crate::checks::finding::Item;
use crate::checks::role::{RECEIVES, Role};
use crate::wording::{text, time};

/// How long the ledger may be down before notifications become dead letters, counted in receives: the longest outages of a region
/// lasted most of a day.
const OUTAGE: Duration = Duration::from_secs(24 * 3600);

/// How much longer the intake's dead-letter queue should keep messages than the intake itself: their age counts from the first
/// send, so this is what a person has to redrive the last ones. A long weekend.
const TIME_TO_REDRIVE: Duration = Duration::from_secs(4 * 24 * 3600);

/// What was observed of a queue.
#[derive(Clone, Debug)]
pub struct QueueSeen {
    /// What it is for.
    pub role: Role,
    /// Its URL, if it is named.
    pub url: Option<String>,
    /// Its attributes.
    pub attributes: Answer<Attributes>,
    /// The intake's attributes a little later, where nobody seemed to read it.
    pub later: Option<Attributes>,
    /// Its dead-letter queue's attributes, where it has one.
    pub dead_letters: Option<(String, Answer<Attributes>)>,
}

/// How events are processed, which decides what a queue has to be like.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// By workers, not by Step Functions.
    pub by_workers: bool,
    /// The lease.
    pub lease: Duration,
}

/// The redrive policy: the dead-letter queue's ARN, and after how many receives.
pub fn redrive_policy(attributes: &Attributes) -> Option<(String, u64)> {
    let policy: Value = serde_json::from_str(attributes.get("RedrivePolicy")?).ok()?;
    let count = &policy["maxReceiveCount"];
    let count = count
        .as_u64()
        .or_else(|| count.as_str().and_then(|text| text.parse().ok()))?;
    Some((policy["deadLetterTargetArn"].as_str()?.to_owned(), count))
}

/// All checks of a queue.
pub fn checks(seen: &QueueSeen, used: Use) -> Vec<Item> {
    let role = seen.role;
    let check = Check::Queue(role, OfQueue::Form);
    let Some(url) = &seen.url else {
        let remedy = format!(
            "{} names it, or the stack that does --stack (DAYBOOK_STACK)",
            role.flag()
        );
        return vec![Item::unknown(&check, "it is not named", remedy)];
    };
    let attributes = match &seen.attributes {
        Answer::Known(attributes) => attributes,
        Answer::Absent => {
            let remedy = format!(
                "`daybook init` makes it; or {}, region and account name another one",
                role.flag()
            );
            return vec![Item::problem(&check, format!("there is no queue {url}"), remedy)];
        }
        Answer::Unknown(refusal) => return vec![Item::refused(&check, refusal)],
    };
    let mut items = vec![queue(seen, url, attributes, used)];
    items.push(retention(role, url, attributes, used));
    items.extend(dead_letters(seen, url, attributes, used));
    items.push(encryption(role, url, attributes));
    items.extend(readers(seen, url, attributes));
    items
}

/// Whether messages wait and nobody works on one.
pub fn is_idle(attributes: &Attributes) -> bool {
    waiting(attributes) > 0 && count(attributes, "ApproximateNumberOfMessagesNotVisible") == 0
}

fn waiting(attributes: &Attributes) -> u64 {
    count(attributes, "ApproximateNumberOfMessages")
}

/// S3 notifies the intake whether anybody reads it or not.
fn readers(seen: &QueueSeen, url: &str, attributes: &Attributes) -> Option<Item> {
    let later = seen.later.as_ref()?;
    let is_read = !is_idle(later) || waiting(later) < waiting(attributes);
    (!is_read).then(|| {
        Item::warning(
            &Check::Queue(seen.role, OfQueue::Readers),
            format!(
                "about {} there, and nobody seems to receive them: they are in no ledger yet",
                match waiting(later) {
                    1 => "1 message waits".to_owned(),
                    n => format!("{n} messages wait"),
                }
            ),
            format!("`daybook ingest --queue {url}` reads it, or the intake function: is its event source mapping enabled?"),
        )
    })
}

fn seconds(attributes: &Attributes, name: &str) -> Option<Duration> {
    attributes.get(name)?.parse().ok().map(Duration::from_secs)
}

fn words(time: Duration) -> String {
    time::span(time)
}

fn set(url: &str, attribute: &str) -> String {
    format!("`aws sqs set-queue-attributes --queue-url {url} --attributes {attribute}`")
}

fn count(attributes: &Attributes, name: &str) -> u64 {
    let count = attributes.get(name).and_then(|n| n.parse().ok());
    count.unwrap_or(0)
}

fn messages(attributes: &Attributes) -> u64 {
    waiting(attributes) + count(attributes, "ApproximateNumberOfMessagesNotVisible")
}

fn queue(seen: &QueueSeen, url: &str, attributes: &Attributes, used: Use) -> Item {
    let check = Check::Queue(seen.role, OfQueue::Form);
    if seen.role == Role::Intake && attributes.get("FifoQueue").is_some_and(|fifo| fifo == "true") {
        return Item::problem(
            &check,
            "it is a FIFO queue, and S3 sends to standard queues only",
            "make a standard queue (`daybook init`) and have the bucket notify that one",
        );
    }
    let visibility = seconds(attributes, "VisibilityTimeout").unwrap_or_default();
    if seen.role == Role::Dispatch && !used.by_workers && visibility > used.lease {
        return Item::warning(
            &check,
            format!(
                "a message is hidden for {} after a failed start, longer than the lease of {}: the sweep sends it again before",
                words(visibility),
                words(used.lease)
            ),
            set(url, "VisibilityTimeout=180"),
        );
    }
    if visibility < Duration::from_secs(30) {
        return Item::warning(
            &check,
            format!(
                "a message is hidden for {} only: it comes again while it is still worked on",
                words(visibility)
            ),
            format!(
                "{}: six times the time-out of the function that reads it",
                set(url, "VisibilityTimeout=180")
            ),
        );
    }
    Item::ok(
        &check,
        format!(
            "about {}; each is hidden for {} when it is received",
            text::many(messages(attributes), "message"),
            words(visibility)
        ),
    )
}

fn retention(role: Role, url: &str, attributes: &Attributes, used: Use) -> Item {
    let check = Check::Queue(role, OfQueue::Retention);
    let kept = seconds(attributes, "MessageRetentionPeriod").unwrap_or_default();
    let least = match role {
        // SQS's own default: a long weekend.
        Role::Intake => Duration::from_secs(4 * 24 * 3600),
        Role::Dispatch => used.lease,
        Role::Completion => Duration::from_secs(24 * 3600),
    };
    match kept >= least {
        true => Item::ok(&check, words(kept)),
        false => {
            let finding = format!("messages are kept for {} only: {}", words(kept), role.loss());
            let seconds = role.retention_seconds();
            let remedy = set(url, &format!("MessageRetentionPeriod={seconds}"));
            match role {
                Role::Intake => Item::problem(&check, finding, remedy),
                Role::Dispatch | Role::Completion => Item::warning(&check, finding, remedy),
            }
        }
    }
}

fn dead_letters(seen: &QueueSeen, url: &str, attributes: &Attributes, used: Use) -> Vec<Item> {
    let role = seen.role;
    let check = Check::Queue(role, OfQueue::DeadLetters);
    let Some((arn, count)) = redrive_policy(attributes) else {
        return vec![Item::warning(
            &check,
            "there is no dead-letter queue: a message that can never be taken comes back until it is too old, and is gone",
            set(url, &redrive(role, "ARN")),
        )];
    };
    let mut items = Vec::new();
    items.extend(receives(role, url, attributes, used, (&arn, count)));
    let letters = match seen.dead_letters.as_ref().map(|(_, letters)| letters) {
        Some(Answer::Known(letters)) => letters,
        Some(Answer::Unknown(refusal)) => {
            items.push(Item::refused(&check, refusal));
            return items;
        }
        Some(Answer::Absent) | None => {
            let finding = format!("there is no queue {arn}: messages that are given up are lost");
            items.push(Item::problem(
                &check,
                finding,
                "make it, or name another in the redrive policy",
            ));
            return items;
        }
    };
    let waiting = messages(letters);
    let (kept, source) = (
        seconds(letters, "MessageRetentionPeriod").unwrap_or_default(),
        seconds(attributes, "MessageRetentionPeriod").unwrap_or_default(),
    );
    let spare = match role {
        Role::Intake => TIME_TO_REDRIVE,
        Role::Dispatch | Role::Completion => Duration::ZERO,
    };
    items.push(if waiting > 0 {
        let finding = format!("{waiting} in {arn}: {}", role.loss());
        let remedy = format!("fix what refused them, then `daybook redrive-queue {arn}`");
        match role {
            Role::Intake => Item::problem(&check, finding, remedy),
            Role::Dispatch | Role::Completion => Item::warning(&check, finding, remedy),
        }
    } else if kept < source + spare {
        let remedy = match role {
            Role::Intake => format!(
                "keep them for 14 days there (MessageRetentionPeriod=1209600), and here for less: {}",
                set(url, &format!("MessageRetentionPeriod={}", role.retention_seconds()))
            ),
            Role::Dispatch | Role::Completion => {
                "keep them for 14 days there: MessageRetentionPeriod=1209600".to_owned()
            }
        };
        Item::warning(
            &check,
            format!(
                "{arn} keeps messages for {}, counted from their first send, and the queue itself for {}: too little time is left to \
                 redrive them",
                words(kept),
                words(source)
            ),
            remedy,
        )
    } else {
        Item::ok(&check, format!("none, after {count} receives"))
    });
    items
}

fn redrive(role: Role, arn: &str) -> String {
    let count = role.receives();
    format!("'RedrivePolicy={{\"deadLetterTargetArn\":\"{arn}\",\"maxReceiveCount\":\"{count}\"}}'")
}

/// Whether a message is given up too early.
fn receives(
    role: Role,
    url: &str,
    attributes: &Attributes,
    used: Use,
    (arn, count): (&str, u64),
) -> Option<Item> {
    let visibility = seconds(attributes, "VisibilityTimeout").unwrap_or_default();
    let lasts = |count: u64| visibility.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
    let (finding, too_short) = match role {
        Role::Intake if lasts(count) < OUTAGE => (
            format!(
                "a message is given up after {count} receives, which takes {}: an outage of the ledger may last longer",
                words(lasts(count))
            ),
            lasts(role.receives()) < OUTAGE,
        ),
        Role::Dispatch if count < RECEIVES && used.by_workers => (
            format!(
                "a message is given up after {count} receives: workers hand messages back while the ledger is down, and each time counts"
            ),
            false,
        ),
        Role::Completion if count < RECEIVES => (
            format!(
                "a message is given up after {count} receives: an outage of the ledger lasts longer than that"
            ),
            false,
        ),
        Role::Intake | Role::Dispatch | Role::Completion => return None,
    };
    let mut remedy = set(url, &redrive(role, arn));
    if too_short {
        remedy += &format!(", and {}", set(url, "VisibilityTimeout=180"));
    }
    Some(Item::problem(
        &Check::Queue(role, OfQueue::Receives),
        finding,
        remedy,
    ))
}

fn encryption(role: Role, url: &str, attributes: &Attributes) -> Item {
    let check = Check::Queue(role, OfQueue::Encryption);
    let key = attributes
        .get("KmsMasterKeyId")
        .map(String::as_str)
        .unwrap_or_default();
    let by_sqs = attributes.get("SqsManagedSseEnabled").map(String::as_str) == Some("true");
    match (key, by_sqs) {
        // "Encrypted queues": S3 cannot use a key that AWS manages (Amazon S3 User Guide, "Walkthrough: configuring a bucket
        // for notifications").
        (key, _) if role == Role::Intake && key.contains("alias/aws/sqs") => Item::problem(
            &check,
            "it is encrypted with the key that AWS manages for SQS, and S3 and EventBridge may not use that one",
            format!(
                "{}, or a key of your own whose policy lets the sender use it",
                set(url, "SqsManagedSseEnabled=true")
            ),
        ),
        ("", false) => Item::warning(
            &check,
            "off: object keys are other people's data",
            set(url, "SqsManagedSseEnabled=true"),
        ),
        ("", true) => Item::ok(&check, "by SQS"),
        (key, _) => Item::ok(&check, format!("by key {key}")),
    }
}
