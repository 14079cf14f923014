//! The same as a template, for those whose buckets belong to one.

use clap::ValueEnum;
use daybook_inspect::aws::notifications::{Entry, encoded};
use daybook_inspect::aws::queue_policy::Sender;
use serde_json::{Value, json};

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Resources of a CloudFormation template, in JSON
    Cloudformation,
    /// Terraform, for the AWS provider
    Terraform,
}

/// How the bucket tells the queue.
#[derive(Clone, Debug)]
pub enum Way {
    /// By a notification of its own.
    Notification(Entry),
    /// By EventBridge, with a rule of that name.
    EventBridge {
        /// The rule's name.
        rule: String,
        /// What it matches.
        pattern: Value,
    },
}

/// The document.
pub fn document(form: Form, bucket: &str, queue_arn: &str, way: &Way, sender: &Sender) -> String {
    match form {
        Form::Cloudformation => cloudformation(bucket, queue_arn, way, sender),
        Form::Terraform => terraform(bucket, queue_arn, way, sender),
    }
}

/// A queue's URL by its ARN.
fn url(queue_arn: &str) -> String {
    let parts: Vec<&str> = queue_arn.split(':').collect();
    let part = |n: usize| parts.get(n).copied().unwrap_or_default();
    let domain = match part(1) {
        "aws-cn" => "amazonaws.com.cn",
        _ => "amazonaws.com",
    };
    format!("https://sqs.{}.{domain}/{}/{}", part(3), part(4), part(5))
}

fn cloudformation(bucket: &str, queue_arn: &str, way: &Way, sender: &Sender) -> String {
    let mut resources = json!({
        "DaybookQueuePolicy": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [url(queue_arn)],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [sender.statement(queue_arn)]},
            },
        },
    });
    let told = match way {
        Way::Notification(entry) => {
            let rule = |name: &str, value: &str| json!({"Name": name, "Value": encoded(value)});
            let mut rules = Vec::new();
            if !entry.pattern.prefix.is_empty() {
                rules.push(rule("prefix", &entry.pattern.prefix));
            }
            if !entry.pattern.suffix.is_empty() {
                rules.push(rule("suffix", &entry.pattern.suffix));
            }
            let queues = entry.events.iter().map(|event| {
                let mut queue = json!({"Event": event, "Queue": queue_arn});
                if !rules.is_empty() {
                    queue["Filter"] = json!({"S3Key": {"Rules": rules}});
                }
                queue
            });
            json!({"QueueConfigurations": queues.collect::<Vec<Value>>()})
        }
        Way::EventBridge { rule, pattern } => {
            resources["DaybookRule"] = json!({
                "Type": "AWS::Events::Rule",
                "Properties": {
                    "Name": rule,
                    "EventPattern": pattern,
                    "Targets": [{"Id": "daybook", "Arn": queue_arn}],
                },
            });
            json!({"EventBridgeConfiguration": {"EventBridgeEnabled": true}})
        }
    };
    resources["Bucket"] = json!({
        "Type": "AWS::S3::Bucket",
        "DependsOn": "DaybookQueuePolicy",
        "Properties": {"BucketName": bucket, "NotificationConfiguration": told},
    });
    let document = json!({"Resources": resources});
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

/// A text in Terraform's quotes: JSON's, and no templates.
fn quoted(text: &str) -> String {
    let json = Value::from(text).to_string();
    json.replace("${", "$${").replace("%{", "%%{")
}

fn terraform(bucket: &str, queue_arn: &str, way: &Way, sender: &Sender) -> String {
    let policy = json!({"Version": "2012-10-17", "Statement": [sender.statement(queue_arn)]});
    let mut text = format!(
        "# This is the queue's whole policy: put its statement into the one that is there, if there is one.\n\
         resource \"aws_sqs_queue_policy\" \"daybook\" {{\n  queue_url = {}\n  policy    = {}\n}}\n\n",
        quoted(&url(queue_arn)),
        quoted(&policy.to_string()),
    );
    text.push_str(
        "# This resource owns the bucket's whole notification configuration: put the block into the one that is there, if there \
         is one.\n",
    );
    text.push_str(&format!(
        "resource \"aws_s3_bucket_notification\" \"daybook\" {{\n  bucket = {}\n",
        quoted(bucket)
    ));
    match way {
        Way::Notification(entry) => {
            let events: Vec<String> = entry.events.iter().map(|event| quoted(event)).collect();
            text.push_str(&format!(
                "  queue {{\n    id        = {}\n    queue_arn = {}\n    events    = [{}]\n",
                quoted(&entry.id),
                quoted(queue_arn),
                events.join(", ")
            ));
            for (name, value) in [
                ("filter_prefix", &entry.pattern.prefix),
                ("filter_suffix", &entry.pattern.suffix),
            ] {
                if !value.is_empty() {
                    text.push_str(&format!("    {name} = {}\n", quoted(&encoded(value))));
                }
            }
            text.push_str("  }\n  depends_on = [aws_sqs_queue_policy.daybook]\n}\n");
        }
        Way::EventBridge { rule, pattern } => {
            text.push_str("  eventbridge = true\n}\n\n");
            text.push_str(&format!(
                "resource \"aws_cloudwatch_event_rule\" \"daybook\" {{\n  name          = {}\n  event_pattern = {}\n}}\n\n\
                 resource \"aws_cloudwatch_event_target\" \"daybook\" {{\n  rule = aws_cloudwatch_event_rule.daybook.name\n  \
                 arn  = {}\n}}\n",
                quoted(rule),
                quoted(&pattern.to_string()),
                quoted(queue_arn),
            ));
        }
    }
    text
}
