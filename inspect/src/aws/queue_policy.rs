//! A queue's policy: who may send to it, and the statement that S3 or EventBridge needs.
//!
//! Sources: "Granting permissions to publish event notification messages to a destination" (Amazon S3 User Guide) and
//! "Permissions for Amazon SQS" (EventBridge User Guide).

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// `s3.amazonaws.com` or `events.amazonaws.com`.
    pub service: &'static str,
    /// The bucket's or the rule's ARN.
    pub source_arn: String,
    /// The account of the bucket, where it is known.
    pub account: Option<String>,
}

/// What a policy says of a sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// It may send, and only it.
    Allowed,
    /// It may send, and so may the same service for other people's buckets.
    TooWide,
    /// It may not.
    Missing,
    /// A statement forbids it.
    Denied,
    /// There are conditions that are not understood here.
    Unclear,
}

impl Sender {
    /// S3 for that bucket.
    pub fn bucket(partition: &str, bucket: &str, account: Option<String>) -> Self {
        Self {
            service: "s3.amazonaws.com",
            source_arn: format!("arn:{partition}:s3:::{bucket}"),
            account,
        }
    }

    /// The statement that lets it send to that queue.
    pub fn statement(&self, queue_arn: &str) -> Value {
        // A policy's Sids are unique: letters and digits, so that two senders never share one.
        let digest = Sha256::digest(format!("{} {}", self.service, self.source_arn).as_bytes());
        let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let mut condition = json!({"ArnEquals": {"aws:SourceArn": self.source_arn}});
        if let Some(account) = &self.account {
            condition["StringEquals"] = json!({"aws:SourceAccount": account});
        }
        json!({
            "Sid": format!("daybook{name}"),
            "Effect": "Allow",
            "Principal": {"Service": self.service},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": condition,
        })
    }

    /// What that policy says of it.
    pub fn permission(&self, policy: Option<&str>, queue_arn: &str) -> Permission {
        let Some(policy) = policy.filter(|policy| !policy.is_empty()) else {
            return Permission::Missing;
        };
        let Ok(policy) = serde_json::from_str::<Value>(policy) else {
            return Permission::Unclear;
        };
        let mut best = Permission::Missing;
        for statement in list(&policy["Statement"]) {
            let concerns = self.is_principal(&statement["Principal"])
                && any(&statement["Action"], |action| {
                    let action = action.to_lowercase();
                    like(&action, "sqs:sendmessage")
                })
                && any(&statement["Resource"], |resource| like(resource, queue_arn));
            if !concerns {
                continue;
            }
            let conditions = self.conditions(&statement["Condition"]);
            match (statement["Effect"].as_str(), conditions) {
                (Some("Deny"), Conditions::Met { .. }) => return Permission::Denied,
                (Some("Allow"), Conditions::Met { narrow: true }) => best = Permission::Allowed,
                (Some("Allow"), Conditions::Met { narrow: false }) if best != Permission::Allowed => {
                    best = Permission::TooWide;
                }
                (Some("Allow"), Conditions::Unclear) if best == Permission::Missing => {
                    best = Permission::Unclear;
                }
                _ => {}
            }
        }
        best
    }

    /// The policy with the statement that lets it send; everything else stays.
    ///
    /// # Errors
    /// When the policy that is there cannot be read.
    pub fn added_to(&self, policy: Option<&str>, queue_arn: &str) -> Result<String, String> {
        let mut policy = match policy.filter(|policy| !policy.is_empty()) {
            None => json!({"Version": "2012-10-17", "Statement": []}),
            Some(policy) => serde_json::from_str(policy)
                .map_err(|error| format!("the queue's policy cannot be read: {error}"))?,
        };
        let own = self.statement(queue_arn);
        let mut statements: Vec<Value> = list(&policy["Statement"]).cloned().collect();
        // One of its own from before is replaced: its conditions may be of another time.
        statements.retain(|statement| statement["Sid"] != own["Sid"]);
        statements.push(own);
        policy["Statement"] = Value::Array(statements);
        Ok(policy.to_string())
    }

    fn is_principal(&self, principal: &Value) -> bool {
        principal == "*"
            || any(&principal["Service"], |service| service == self.service)
            || any(&principal["AWS"], |principal| principal == "*")
    }

    fn conditions(&self, conditions: &Value) -> Conditions {
        let Some(conditions) = conditions.as_object() else {
            return Conditions::Met { narrow: false };
        };
        let (mut by_arn, mut by_account) = (false, false);
        for (operator, keys) in conditions {
            let Some(keys) = keys.as_object() else {
                return Conditions::Unclear;
            };
            for (key, values) in keys {
                let operator = operator.to_lowercase();
                let is_pattern = operator.ends_with("like") || operator.starts_with("arn");
                let fits = |value: &str, is: &str| if is_pattern { like(value, is) } else { value == is };
                match (operator.as_str(), key.to_lowercase().as_str()) {
                    ("arnequals" | "arnlike" | "stringequals" | "stringlike", "aws:sourcearn") => {
                        if !any(values, |value| fits(value, &self.source_arn)) {
                            return Conditions::NotMet;
                        }
                        by_arn = true;
                    }
                    ("stringequals" | "stringlike", "aws:sourceaccount") => {
                        let account = self.account.as_deref();
                        if account.is_some_and(|account| !any(values, |value| fits(value, account))) {
                            return Conditions::NotMet;
                        }
                        by_account = true;
                    }
                    // Services use TLS.
                    ("bool", "aws:securetransport") => {
                        if !any(values, |value| value == "true") && values != &Value::Bool(true) {
                            return Conditions::NotMet;
                        }
                    }
                    _ => return Conditions::Unclear,
                }
            }
        }
        // A rule's ARN has its account; a bucket's has none.
        let narrow = by_account || (by_arn && self.service != "s3.amazonaws.com");
        Conditions::Met { narrow }
    }
}

/// Whether a statement's conditions hold for the sender.
enum Conditions {
    Met { narrow: bool },
    NotMet,
    Unclear,
}

/// One value, or all of a list.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    let (one, many) = match value {
        Value::Array(values) => (None, values.as_slice()),
        Value::Null => (None, &[][..]),
        one => (Some(one), &[][..]),
    };
    one.into_iter().chain(many)
}

fn any(value: &Value, is: impl Fn(&str) -> bool) -> bool {
    list(value).filter_map(Value::as_str).any(is)
}

/// Whether a pattern with `*` and `?` matches a text.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:111122223333:intake";

    fn sender() -> Sender {
        Sender::bucket("aws", "data", Some("111122223333".to_owned()))
    }

    fn permission(statement: Value) -> Permission {
        let policy = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        sender().permission(Some(&policy), QUEUE)
    }

    fn with(part: &str, value: Value) -> Value {
        let mut statement = sender().statement(QUEUE);
        statement[part] = value;
        statement
    }

    #[test]
    fn patterns_match_as_in_policies() {
        for (pattern, text) in [
            ("*", ""),
            ("sqs:*", "sqs:sendmessage"),
            ("a*c*e", "abcde"),
            ("a?c", "abc"),
            ("a", "a"),
        ] {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a?", "a"), ("*b", "abc"), ("", "a")] {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn its_own_statement_is_enough_and_no_more() {
        assert_eq!(permission(sender().statement(QUEUE)), Permission::Allowed);
        assert_eq!(
            permission(json!([sender().statement(QUEUE)])),
            Permission::Allowed
        );
        assert_eq!(sender().permission(None, QUEUE), Permission::Missing);
        assert_eq!(sender().permission(Some("{"), QUEUE), Permission::Unclear);
    }

    #[test]
    fn statements_that_do_not_fit() {
        let other = json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::other"}});
        assert_eq!(permission(with("Condition", other)), Permission::Missing);
        let other = json!({"StringEquals": {"aws:SourceAccount": "999988887777"}});
        assert_eq!(permission(with("Condition", other)), Permission::Missing);
        assert_eq!(
            permission(with("Action", json!("sqs:ReceiveMessage"))),
            Permission::Missing
        );
        assert_eq!(
            permission(with(
                "Resource",
                json!("arn:aws:sqs:us-east-1:111122223333:other")
            )),
            Permission::Missing
        );
        assert_eq!(
            permission(with("Principal", json!({"Service": "sns.amazonaws.com"}))),
            Permission::Missing
        );
        let tag = json!({"StringEquals": {"aws:PrincipalTag/team": "data"}});
        assert_eq!(permission(with("Condition", tag)), Permission::Unclear);
        let deny = with("Effect", json!("Deny"));
        assert_eq!(
            permission(json!([sender().statement(QUEUE), deny])),
            Permission::Denied
        );
    }

    #[test]
    fn statements_that_let_others_in() {
        let by_arn = json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:data"}});
        assert_eq!(permission(with("Condition", by_arn)), Permission::TooWide);
        assert_eq!(permission(with("Condition", Value::Null)), Permission::TooWide);
        assert_eq!(permission(with("Principal", json!("*"))), Permission::Allowed);
        let tls_only = json!({
            "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": QUEUE,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        });
        assert_eq!(
            permission(json!([tls_only, sender().statement(QUEUE)])),
            Permission::Allowed
        );
    }

    #[test]
    fn adding_keeps_what_is_there() {
        let there =
            json!({"Version": "2012-10-17", "Id": "mine", "Statement": {"Sid": "x", "Effect": "Deny"}});
        let added = sender().added_to(Some(&there.to_string()), QUEUE).unwrap();
        let added: Value = serde_json::from_str(&added).unwrap();
        assert_eq!(added["Id"], "mine");
        assert_eq!(added["Statement"][0], there["Statement"]);
        assert_eq!(added["Statement"][1], sender().statement(QUEUE));
        let again = sender().added_to(Some(&added.to_string()), QUEUE).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), added);
        // Buckets whose names differ in a hyphen only are two.
        let other = Sender::bucket("aws", "da-ta", None);
        let both = other.added_to(Some(&added.to_string()), QUEUE).unwrap();
        assert_eq!(sender().permission(Some(&both), QUEUE), Permission::Allowed);
        assert!(sender().added_to(Some("{"), QUEUE).is_err());
    }
}
