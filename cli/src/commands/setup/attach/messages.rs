//! What attach says: what would change, and why it cannot.

use aws_sdk_s3::types::NotificationConfiguration;
use daybook_inspect::aws::notifications::{Entry, Notifications};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::commands::setup::attach::intake_queue::Queue;
use crate::commands::setup::attach::plan::Conflict;
use crate::commands::setup::attach::templates::Way;
use crate::ui::error::UserError;
use crate::ui::escape;

/// S3 would refuse it.
pub fn refused(bucket: &str, wish: &Entry, conflict: &Conflict) -> UserError {
    match conflict {
        Conflict::Overlaps(entries) => {
            let told: Vec<String> = entries
                .iter()
                .map(|entry| escape::escaped(&entry.to_string()))
                .collect();
            UserError::new(format!(
                "s3://{bucket} cannot have this entry, too: {} of {}",
                wish.events.join(", "),
                escape::escaped(&wish.pattern.to_string())
            ))
            .because(anyhow::anyhow!(
                "S3 refuses entries with a common event and overlapping keys; there is already {}",
                told.join("; ")
            ))
            .hint(
                "narrow it down with --prefix, --suffix or --event, or take --eventbridge, which overlaps with nothing",
            )
        }
        Conflict::Full => UserError::new(format!(
            "s3://{bucket} has 100 entries, which is the most that S3 takes"
        ))
        .hint("take --eventbridge, which needs none"),
    }
}

/// Others have entries.
pub fn owned(bucket: &str, foreign: &[Entry], before: &NotificationConfiguration) -> UserError {
    let told: Vec<String> = foreign
        .iter()
        .map(|entry| escape::escaped(&entry.to_string()))
        .collect();
    let on = match before.event_bridge_configuration() {
        Some(_) => ", which is on already",
        None => "",
    };
    UserError::new(format!("nothing was changed: others have notifications in s3://{bucket}"))
        .because(anyhow::anyhow!("there is {}", told.join("; ")))
        .hint(format!(
            "whoever owns these (Terraform, CloudFormation …) may rewrite the whole configuration without what this adds. Prefer --eventbridge{on}, or --print for their template; --beside adds an entry anyway"
        ))
}

/// The policy forbids it.
pub fn denied(queue: &Queue) -> UserError {
    UserError::new(format!(
        "a statement of the policy of {} keeps S3 from sending",
        queue.arn
    ))
    .hint("a Deny wins over every Allow: fix the policy first")
}

/// What stays, goes and comes.
pub fn difference(
    bucket: &str,
    before: &NotificationConfiguration,
    after: &NotificationConfiguration,
) -> String {
    let (before, after) = (Notifications::of(before), Notifications::of(after));
    let mut text = format!("Notifications of s3://{bucket}:\n");
    let mut line = |mark: char, what: &str| text.push_str(&format!("  {mark} {}\n", escape::escaped(what)));
    for entry in &before.entries {
        let mark = if after.entries.contains(entry) { ' ' } else { '-' };
        line(mark, &entry.to_string());
    }
    for entry in after
        .entries
        .iter()
        .filter(|entry| !before.entries.contains(entry))
    {
        line('+', &entry.to_string());
    }
    let eventbridge = "EventBridge: every event of every key";
    match (before.eventbridge, after.eventbridge) {
        (true, true) => line(' ', eventbridge),
        (true, false) => line('-', eventbridge),
        (false, true) => line('+', eventbridge),
        (false, false) => {}
    }
    text
}

/// Who is told.
pub fn told_to(way: &Way) -> &'static str {
    match way {
        Way::Notification(_) => "the intake queue",
        Way::EventBridge { .. } => "EventBridge",
    }
}

/// A rule of EventBridge's.
#[derive(Serialize, JsonSchema)]
pub struct RuleOutput<'a> {
    /// Its name.
    name: &'a str,
    /// The event pattern.
    pattern: &'a Value,
    /// The queue's ARN.
    target: &'a str,
}

/// The rule that is needed, for programs.
pub fn rule<'a>(way: &'a Way, queue: &'a Queue) -> Option<RuleOutput<'a>> {
    match way {
        Way::Notification(_) => None,
        Way::EventBridge { rule, pattern } => Some(RuleOutput {
            name: rule,
            pattern,
            target: &queue.arn,
        }),
    }
}

/// The same for people.
pub fn rule_text(way: &Way, queue: &Queue) -> String {
    match way {
        Way::Notification(_) => String::new(),
        Way::EventBridge { rule, pattern } => {
            let pattern = pattern.to_string().replace('\'', r"'\''");
            format!(
                "EventBridge needs a rule that sends them on, unless there is one:\n  \
                 aws events put-rule --name {rule} --event-pattern '{pattern}'\n  \
                 aws events put-targets --rule {rule} --targets Id=daybook,Arn={}\n",
                queue.arn
            )
        }
    }
}
