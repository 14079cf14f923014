//! The buckets: do they tell the intake queue of uploads, and may they.

use daybook_ledger::Cause;

use crate::aws::notifications::{Entry, Notifications, expanded, share_events};
use crate::aws::queue_policy::{Permission, Sender};
use crate::aws::trouble::Trouble;
use crate::checks::check::Check;
use crate::checks::finding::Item;

/// What was observed of a bucket.
#[derive(Clone, Debug)]
pub struct BucketSeen {
    /// Its name.
    pub name: String,
    /// Whom it notifies, or why that is unknown.
    pub notifications: Result<Notifications, Cause>,
}

/// The intake queue, as far as a bucket needs it.
#[derive(Clone, Debug, Default)]
pub struct IntakeSeen {
    /// Its ARN.
    pub arn: Option<String>,
    /// Its policy; `None` where its attributes are unknown.
    pub policy: Option<String>,
}

/// All checks of a bucket.
pub fn checks(seen: &BucketSeen, intake: &IntakeSeen) -> Vec<Item> {
    let name = &seen.name;
    let check = Check::Notifications(name.clone());
    let notifications = match &seen.notifications {
        Ok(notifications) => notifications,
        Err(cause) => return vec![unknown(&check, cause)],
    };
    let Some(arn) = &intake.arn else {
        return vec![Item::unknown(
            &check,
            format!(
                "{} entries, and the intake queue is not known",
                notifications.entries.len()
            ),
            "--intake-queue-url (DAYBOOK_INTAKE_QUEUE_URL) names it",
        )];
    };
    let to_intake: Vec<&Entry> = notifications
        .entries
        .iter()
        .filter(|entry| entry.destination.arn() == arn)
        .collect();
    let mut items = vec![coverage(&check, name, notifications, &to_intake)];
    if !to_intake.is_empty() {
        items.push(policy(name, arn, intake));
    }
    items
}

fn unknown(check: &Check, cause: &Cause) -> Item {
    let remedy = match Trouble::of(cause) {
        Trouble::NoBucket => {
            return Item::problem(
                check,
                cause.words(),
                "check the bucket's name, and which S3 is asked",
            );
        }
        Trouble::Denied => "grant these credentials s3:GetBucketNotification on the bucket",
        _ => "see the message; s3:GetBucketNotification is needed",
    };
    Item::unknown(check, cause.words(), remedy)
}

fn coverage(check: &Check, name: &str, notifications: &Notifications, to_intake: &[&Entry]) -> Item {
    let created: Vec<String> = expanded("s3:ObjectCreated:*");
    if to_intake.is_empty() {
        return match notifications.eventbridge {
            true => Item::unknown(
                check,
                "the bucket sends EventBridge all events; whether a rule forwards them to the intake queue is not checked",
                "`aws events list-rule-names-by-target --target-arn QUEUE-ARN` shows the rules",
            ),
            false => Item::problem(
                check,
                "the bucket does not notify the intake queue: its uploads are never seen",
                format!("`daybook attach s3://{name}` adds a notification"),
            ),
        };
    }
    let is_told = |event: &String| {
        let one = std::slice::from_ref(event);
        to_intake.iter().any(|entry| share_events(&entry.events, one))
    };
    let missing: Vec<String> = created.iter().filter(|event| !is_told(event)).cloned().collect();
    let told: Vec<String> = to_intake
        .iter()
        .map(|entry| format!("{} of {}", entry.events.join(", "), entry.pattern))
        .collect();
    let told = told.join("; ");
    match missing.len() {
        0 => Item::ok(check, told),
        _ => Item::problem(
            check,
            format!("{told}: what comes by {} is never seen", missing.join(", ")),
            "make the notification cover s3:ObjectCreated:*",
        ),
    }
}

fn policy(bucket: &str, arn: &str, intake: &IntakeSeen) -> Item {
    let check = Check::Policy(bucket.to_owned());
    let mut parts = arn.split(':').skip(1);
    let partition = parts.next().unwrap_or("aws");
    let account = parts.nth(2).map(str::to_owned);
    let sender = Sender::bucket(partition, bucket, account);
    let statement = sender.statement(arn);
    let remedy = format!("`daybook attach` sets it; the statement is {statement}");
    let policy = intake.policy.as_deref();
    let elsewhere = Sender::bucket(partition, bucket, None);
    match sender.permission(policy, arn) {
        Permission::Missing if elsewhere.permission(policy, arn) == Permission::Allowed => Item::warning(
            &check,
            "the intake queue accepts what S3 sends for this bucket only if its account is not the queue's",
            format!("if it does not: {remedy}"),
        ),
        Permission::Allowed => Item::ok(&check, "the intake queue accepts what S3 sends for it"),
        Permission::TooWide => Item::warning(
            &check,
            "the intake queue also accepts what S3 sends for other people's buckets",
            format!("give the statement conditions on aws:SourceArn and aws:SourceAccount: {statement}"),
        ),
        Permission::Missing => Item::problem(
            &check,
            "the intake queue's policy does not let S3 send to it for this bucket, of this account: notifications are lost",
            remedy,
        ),
        Permission::Denied => Item::problem(
            &check,
            "a statement of the intake queue's policy keeps S3 from sending",
            remedy,
        ),
        Permission::Unclear => Item::unknown(
            &check,
            "the intake queue's policy has conditions that cannot be evaluated here",
            "upload an object and check with `daybook why` whether it arrives",
        ),
    }
}
