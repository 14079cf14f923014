//! A bucket's notification configuration: which events of which keys go where, and what S3 would refuse.
//!
//! Sources: "Supported event types for SQS, SNS, and Lambda" and "Configuring event notifications using object key name
//! filtering" (Amazon S3 User Guide).

use std::fmt;

use aws_sdk_s3::types::{Event, NotificationConfiguration, NotificationConfigurationFilter};
use schemars::JsonSchema;
use serde::Serialize;

/// The uploads that `s3:ObjectCreated:*` stands for.
const CREATED: [&str; 4] = [
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
];

/// The deletions that `s3:ObjectRemoved:*` stands for.
const REMOVED: [&str; 2] = ["s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated"];

/// Whom a bucket notifies, as far as it matters which events go where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notifications {
    /// One for each configuration.
    pub entries: Vec<Entry>,
    /// Whether all events go to EventBridge, too.
    pub eventbridge: bool,
}

/// One configuration of a bucket's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id; S3 makes one up where none was given.
    pub id: String,
    /// Where its events go.
    pub destination: Destination,
    /// Which events, as `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// Which keys.
    pub pattern: Pattern,
}

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// An SQS queue's ARN; with MinIO any target's.
    Queue(String),
    /// An SNS topic's ARN.
    Topic(String),
    /// A Lambda function's ARN.
    Function(String),
}

/// Which keys a configuration is about: beginnings and ends, decoded. Empty is every key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// How the keys begin.
    pub prefix: String,
    /// How they end.
    pub suffix: String,
}

/// How far a configuration covers some events of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of them, by these entries or EventBridge.
    Whole(Vec<String>),
    /// These events are not covered, the others are.
    Partly(Vec<String>),
    /// None is.
    None,
}

impl Destination {
    /// Its ARN.
    pub fn arn(&self) -> &str {
        match self {
            Self::Queue(arn) | Self::Topic(arn) | Self::Function(arn) => arn,
        }
    }

    /// For programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Queue(_) => "queue",
            Self::Topic(_) => "topic",
            Self::Function(_) => "function",
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.arn())
    }
}

impl Pattern {
    /// Whether that key is meant.
    pub fn covers(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && key.ends_with(&self.suffix)
    }

    /// Whether a key may be meant by both: one beginning begins the other, and one end ends the other. S3 asks nothing else, so
    /// that it calls patterns overlapping which no key has in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (&self.prefix, &other.prefix);
        let (x, y) = (&self.suffix, &other.suffix);
        (a.starts_with(b.as_str()) || b.starts_with(a.as_str()))
            && (x.ends_with(y.as_str()) || y.ends_with(x.as_str()))
    }

    /// From a configuration's filter.
    fn of(filter: Option<&NotificationConfigurationFilter>) -> Self {
        let mut pattern = Self::default();
        let rules = filter.and_then(NotificationConfigurationFilter::key);
        for rule in rules.map(|key| key.filter_rules()).unwrap_or_default() {
            let value = decoded(rule.value().unwrap_or_default());
            // S3 answers `Prefix` where `prefix` was asked for.
            match rule.name().map(|name| name.as_str().to_lowercase()).as_deref() {
                Some("prefix") => pattern.prefix = value,
                Some("suffix") => pattern.suffix = value,
                _ => {}
            }
        }
        pattern
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.prefix.as_str(), self.suffix.as_str()) {
            ("", "") => f.write_str("every key"),
            (prefix, "") => write!(f, "keys {prefix}*"),
            ("", suffix) => write!(f, "keys *{suffix}"),
            (prefix, suffix) => write!(f, "keys {prefix}*{suffix}"),
        }
    }
}

impl Entry {
    /// What S3 calls it to refuse it beside another: a common event type, and patterns that overlap.
    pub fn overlaps(&self, other: &Self) -> bool {
        share_events(&self.events, &other.events) && self.pattern.overlaps(&other.pattern)
    }

    fn output(&self) -> EntryOutput<'_> {
        EntryOutput {
            id: &self.id,
            destination: self.destination.kind(),
            arn: self.destination.arn(),
            events: &self.events,
            prefix: &self.pattern.prefix,
            suffix: &self.pattern.suffix,
        }
    }
}

/// Whom a bucket notifies, as programs get it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotificationsOutput<'a> {
    /// The entries of the configuration.
    entries: Vec<EntryOutput<'a>>,
    /// Whether EventBridge gets all events.
    eventbridge: bool,
}

/// One entry.
#[derive(Debug, Serialize, JsonSchema)]
struct EntryOutput<'a> {
    /// Its name.
    id: &'a str,
    /// `queue`, `topic` or `function`.
    destination: &'static str,
    /// The destination's ARN.
    arn: &'a str,
    /// The event types, such as `s3:ObjectCreated:*`.
    events: &'a [String],
    /// Keys that begin so.
    prefix: &'a str,
    /// Keys that end so.
    suffix: &'a str,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            destination,
            events,
            pattern,
        } = self;
        write!(f, "{id}: {} of {pattern} → {destination}", events.join(", "))
    }
}

impl Notifications {
    /// From what S3 answered.
    pub fn of(configuration: &NotificationConfiguration) -> Self {
        let entry = |id: Option<&str>, destination, events: &[Event], filter| Entry {
            id: id.unwrap_or_default().to_owned(),
            destination,
            events: events.iter().map(|event| event.as_str().to_owned()).collect(),
            pattern: Pattern::of(filter),
        };
        let queues = configuration.queue_configurations().iter().map(|it| {
            let queue = Destination::Queue(it.queue_arn().to_owned());
            entry(it.id(), queue, it.events(), it.filter())
        });
        let topics = configuration.topic_configurations().iter().map(|it| {
            let topic = Destination::Topic(it.topic_arn().to_owned());
            entry(it.id(), topic, it.events(), it.filter())
        });
        let functions = configuration.lambda_function_configurations().iter().map(|it| {
            let function = Destination::Function(it.lambda_function_arn().to_owned());
            entry(it.id(), function, it.events(), it.filter())
        });
        Self {
            entries: queues.chain(topics).chain(functions).collect(),
            eventbridge: configuration.event_bridge_configuration().is_some(),
        }
    }

    /// How far these events of that key are told to anybody; with `arn`, to that queue (or to EventBridge, which may lead
    /// there).
    pub fn coverage(&self, key: &str, events: &[String], arn: Option<&str>) -> Coverage {
        let counts = |entry: &&Entry| {
            entry.pattern.covers(key) && arn.is_none_or(|arn| entry.destination.arn() == arn)
        };
        let entries: Vec<&Entry> = self.entries.iter().filter(counts).collect();
        let events: Vec<String> = events.iter().flat_map(|event| expanded(event)).collect();
        let is_told = |event: &&String| {
            let one = std::slice::from_ref(*event);
            self.eventbridge || entries.iter().any(|entry| share_events(&entry.events, one))
        };
        let missing: Vec<String> = events.iter().filter(|event| !is_told(event)).cloned().collect();
        match missing.len() {
            0 => {
                let by = entries
                    .iter()
                    .filter(|entry| share_events(&entry.events, &events));
                let mut by: Vec<String> = by.map(|entry| entry.id.clone()).collect();
                by.extend(self.eventbridge.then(|| "EventBridge".to_owned()));
                Coverage::Whole(by)
            }
            n if n < events.len() => Coverage::Partly(missing),
            _ => Coverage::None,
        }
    }

    /// For programs.
    pub fn output(&self) -> NotificationsOutput<'_> {
        NotificationsOutput {
            entries: self.entries.iter().map(Entry::output).collect(),
            eventbridge: self.eventbridge,
        }
    }
}

/// An event of S3's notifications, as a flag names it.
pub fn event(text: &str) -> Result<String, String> {
    let is_event = text.strip_prefix("s3:").is_some_and(|name| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '*';
        !name.is_empty() && name.chars().all(plain)
    });
    match is_event {
        true => Ok(text.to_owned()),
        false => Err(
            "an event of S3's is needed, such as s3:ObjectCreated:* or s3:ObjectRemoved:Delete".to_owned(),
        ),
    }
}

/// The events that a name stands for: `s3:ObjectCreated:*` is four.
pub fn expanded(event: &str) -> Vec<String> {
    let all: &[&str] = match event {
        "s3:ObjectCreated:*" => &CREATED,
        "s3:ObjectRemoved:*" => &REMOVED,
        other => return vec![other.to_owned()],
    };
    all.iter().map(ToString::to_string).collect()
}

/// Whether two lists of events have one in common.
pub fn share_events(one: &[String], other: &[String]) -> bool {
    let is_in = |event: &str, family: &str| {
        event == family
            || family
                .strip_suffix('*')
                .is_some_and(|family| event.starts_with(family))
    };
    one.iter()
        .any(|a| other.iter().any(|b| is_in(a, b) || is_in(b, a)))
}

/// A filter's value as keys have it: S3 takes and gives it form-encoded ("you must enter them in URL-encoded format", as
/// above).
fn decoded(value: &str) -> String {
    // As a form's only name, so that `=` and `&` are encoded if they are meant.
    let plain = value.replace('=', "%3D").replace('&', "%26");
    let name = form_urlencoded::parse(plain.as_bytes()).next();
    name.map_or_else(String::new, |(name, _)| name.into_owned())
}

/// A beginning or end of keys as a filter's value; slashes stay.
pub fn encoded(text: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace("%2F", "/").replace("%3D", "=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(events: &[&str], prefix: &str, suffix: &str) -> Entry {
        Entry {
            id: "id".to_owned(),
            destination: Destination::Queue("arn:aws:sqs:us-east-1:111122223333:intake".to_owned()),
            events: events.iter().map(ToString::to_string).collect(),
            pattern: Pattern {
                prefix: prefix.to_owned(),
                suffix: suffix.to_owned(),
            },
        }
    }

    #[test]
    fn entries_overlap_as_the_user_guide_says() {
        let all = "s3:ObjectCreated:*";
        // Its own examples: "Examples of valid and invalid notification configurations".
        let overlap = |one: (&[&str], &str, &str), other: (&[&str], &str, &str)| {
            let (one, other) = (entry(one.0, one.1, one.2), entry(other.0, other.1, other.2));
            assert_eq!(one.overlaps(&other), other.overlaps(&one));
            one.overlaps(&other)
        };
        assert!(overlap((&[all], "images", ""), (&[all], "", "")));
        assert!(overlap((&[all], "", "jpg"), (&[all], "", "pg")));
        assert!(overlap((&[all], "images", "jpg"), (&[all], "images", "g")));
        assert!(!overlap((&[all], "images/", ""), (&[all], "logs/", "")));
        assert!(!overlap((&[all], "images", ".jpg"), (&[all], "images", ".png")));
        assert!(!overlap(
            (&[all], "image", ""),
            (&["s3:ObjectRemoved:*"], "image", "")
        ));
        assert!(overlap((&["s3:ObjectCreated:Put"], "", ""), (&[all], "in/", "")));
        assert!(!overlap(
            (&["s3:ObjectCreated:Put"], "", ""),
            (&["s3:ObjectCreated:Copy"], "", "")
        ));
        // Prefixes that overlap and suffixes that do not, and the other way round.
        assert!(!overlap((&[all], "a/b", ".x"), (&[all], "a/", ".y")));
        assert!(!overlap((&[all], "a/", ".x"), (&[all], "b/", ".x")));
    }

    #[test]
    fn what_is_covered_depends_on_key_event_and_destination() {
        let of = |entries: Vec<Entry>, eventbridge| Notifications { entries, eventbridge };
        let created = ["s3:ObjectCreated:*".to_owned()];
        let put_only = of(vec![entry(&["s3:ObjectCreated:Put"], "in/", ".json")], false);
        let missing = CREATED[1..].iter().map(ToString::to_string).collect();
        assert_eq!(
            put_only.coverage("in/a.json", &created, None),
            Coverage::Partly(missing)
        );
        let put = ["s3:ObjectCreated:Put".to_owned()];
        let by_id = Coverage::Whole(vec!["id".to_owned()]);
        assert_eq!(put_only.coverage("in/a.json", &put, None), by_id);
        assert_eq!(put_only.coverage("out/a.json", &put, None), Coverage::None);
        assert_eq!(put_only.coverage("in/a.csv", &put, None), Coverage::None);
        assert_eq!(
            put_only.coverage("in/a.json", &put, Some("arn:other")),
            Coverage::None
        );
        let by_eventbridge = Coverage::Whole(vec!["EventBridge".to_owned()]);
        assert_eq!(
            of(Vec::new(), true).coverage("any", &created, Some("arn:other")),
            by_eventbridge
        );
    }

    #[test]
    fn filters_are_form_encoded() {
        for key in ["in/", "a b/", "日=本&/", "100%", "a+b", ""] {
            assert_eq!(decoded(&encoded(key)), key);
        }
        assert_eq!(decoded("a+b/%E6%97%A5"), "a b/日");
        assert_eq!(encoded("year=2026/a b"), "year=2026/a+b");
    }
}
