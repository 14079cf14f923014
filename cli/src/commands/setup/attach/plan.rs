//! What a bucket's notification configuration becomes. Pure: everything that is there stays as it is.

use aws_sdk_s3::types::{
    Event, EventBridgeConfiguration, FilterRule, FilterRuleName, NotificationConfiguration,
    NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter,
};
use daybook_inspect::aws::notifications::{Destination, Entry, Notifications, Pattern, encoded};
use sha2::{Digest, Sha256};

/// How the ids of Daybook's own entries begin.
pub const OWN: &str = "daybook-";

/// A bucket has at most so many configurations ("Amazon S3 event notifications", Amazon S3 User Guide).
const MOST: usize = 100;

/// What becomes of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Nothing: it is so already.
    Nothing,
    /// This.
    Into(Box<NotificationConfiguration>),
}

/// Why it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// S3 refuses it beside these.
    Overlaps(Vec<Entry>),
    /// There are as many as there may be.
    Full,
}

/// The entry of an intake queue for these events and keys. The same wish has the same id.
pub fn entry(queue_arn: &str, events: &[String], pattern: &Pattern) -> Entry {
    let mut hash = Sha256::new();
    for part in [queue_arn, &events.join(","), &pattern.prefix, &pattern.suffix] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest: String = hash
        .finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Entry {
        id: format!("{OWN}{digest}"),
        destination: Destination::Queue(queue_arn.to_owned()),
        events: events.to_vec(),
        pattern: pattern.clone(),
    }
}

/// Adds the entry.
///
/// # Errors
/// When S3 would refuse it.
pub fn attach(before: &NotificationConfiguration, wish: &Entry) -> Result<Change, Conflict> {
    let entries = Notifications::of(before).entries;
    let is_same = |entry: &&Entry| {
        let (mut has, mut wants) = (entry.events.clone(), wish.events.clone());
        has.sort();
        wants.sort();
        entry.destination == wish.destination && entry.pattern == wish.pattern && has == wants
    };
    if entries.iter().any(|entry| is_same(&entry)) {
        return Ok(Change::Nothing);
    }
    let overlapping: Vec<Entry> = entries
        .iter()
        .filter(|entry| entry.overlaps(wish))
        .cloned()
        .collect();
    if !overlapping.is_empty() {
        return Err(Conflict::Overlaps(overlapping));
    }
    if entries.len() >= MOST {
        return Err(Conflict::Full);
    }
    let mut after = before.clone();
    after
        .queue_configurations
        .get_or_insert_default()
        .push(configuration(wish));
    Ok(Change::Into(Box::new(after)))
}

/// Lets EventBridge have all events.
pub fn attach_eventbridge(before: &NotificationConfiguration) -> Change {
    if before.event_bridge_configuration().is_some() {
        return Change::Nothing;
    }
    let mut after = before.clone();
    after.event_bridge_configuration = Some(EventBridgeConfiguration::builder().build());
    Change::Into(Box::new(after))
}

/// Takes Daybook's own entries for that queue out, or the entry of that id.
pub fn detach(before: &NotificationConfiguration, queue_arn: Option<&str>, id: Option<&str>) -> Change {
    let goes = |one: &QueueConfiguration| match id {
        Some(id) => one.id() == Some(id),
        None => {
            one.id().is_some_and(|id| id.starts_with(OWN))
                && queue_arn.is_none_or(|arn| one.queue_arn() == arn)
        }
    };
    let mut after = before.clone();
    let queues = after.queue_configurations.take().unwrap_or_default();
    let kept: Vec<QueueConfiguration> = queues.iter().filter(|one| !goes(one)).cloned().collect();
    if kept.len() == queues.len() {
        return Change::Nothing;
    }
    after.queue_configurations = Some(kept).filter(|kept| !kept.is_empty());
    Change::Into(Box::new(after))
}

/// Takes EventBridge out.
pub fn detach_eventbridge(before: &NotificationConfiguration) -> Change {
    if before.event_bridge_configuration().is_none() {
        return Change::Nothing;
    }
    let mut after = before.clone();
    after.event_bridge_configuration = None;
    Change::Into(Box::new(after))
}

/// Those that are not Daybook's own.
pub fn foreign(before: &NotificationConfiguration) -> Vec<Entry> {
    let entries = Notifications::of(before).entries;
    entries
        .into_iter()
        .filter(|entry| !entry.id.starts_with(OWN))
        .collect()
}

/// The same entries in the same order, for comparing: S3 promises none.
pub fn sorted(configuration: &NotificationConfiguration) -> Notifications {
    let mut notifications = Notifications::of(configuration);
    for entry in &mut notifications.entries {
        entry.events.sort();
    }
    notifications
        .entries
        .sort_by(|a, b| (&a.id, a.destination.arn()).cmp(&(&b.id, b.destination.arn())));
    notifications
}

fn configuration(wish: &Entry) -> QueueConfiguration {
    let rule = |name, value: &str| {
        let rule = FilterRule::builder().name(name).value(encoded(value)).build();
        Some(rule).filter(|_| !value.is_empty())
    };
    let rules = [
        rule(FilterRuleName::Prefix, &wish.pattern.prefix),
        rule(FilterRuleName::Suffix, &wish.pattern.suffix),
    ];
    let rules: Vec<FilterRule> = rules.into_iter().flatten().collect();
    let filter = (!rules.is_empty()).then(|| {
        let key = S3KeyFilter::builder().set_filter_rules(Some(rules)).build();
        NotificationConfigurationFilter::builder().key(key).build()
    });
    QueueConfiguration::builder()
        .id(&wish.id)
        .queue_arn(wish.destination.arn())
        .set_events(Some(
            wish.events
                .iter()
                .map(|event| Event::from(event.as_str()))
                .collect(),
        ))
        .set_filter(filter)
        .build()
        .expect("queue and events are set")
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:111122223333:intake";

    fn wish(prefix: &str) -> Entry {
        let pattern = Pattern {
            prefix: prefix.to_owned(),
            suffix: String::new(),
        };
        entry(QUEUE, &["s3:ObjectCreated:*".to_owned()], &pattern)
    }

    fn into(change: Change) -> NotificationConfiguration {
        match change {
            Change::Into(after) => *after,
            Change::Nothing => panic!("a change is expected"),
        }
    }

    #[test]
    fn what_is_there_stays_and_the_same_wish_changes_nothing() {
        let empty = NotificationConfiguration::builder().build();
        let first = into(attach_eventbridge(&empty));
        let second = into(attach(&first, &wish("a/")).unwrap());
        let third = into(attach(&second, &wish("b/")).unwrap());
        assert_eq!(third.queue_configurations()[0], second.queue_configurations()[0]);
        assert!(third.event_bridge_configuration().is_some());
        assert_eq!(attach(&third, &wish("a/")), Ok(Change::Nothing));
        assert_eq!(attach_eventbridge(&third), Change::Nothing);
        assert_ne!(wish("a/").id, wish("b/").id);
        assert!(foreign(&third).is_empty());
        let detached = into(detach(&third, None, Some(&wish("b/").id)));
        assert_eq!(detached, second);
        assert_eq!(into(detach(&detached, Some(QUEUE), None)), first);
        assert_eq!(detach(&third, Some("arn:other"), None), Change::Nothing);
        assert_eq!(into(detach_eventbridge(&first)), empty);
        assert_eq!(detach_eventbridge(&empty), Change::Nothing);
    }

    #[test]
    fn what_s3_would_refuse_is_refused() {
        let empty = NotificationConfiguration::builder().build();
        let there = into(attach(&empty, &wish("a/")).unwrap());
        let conflict = attach(&there, &wish("a/b/")).unwrap_err();
        assert_eq!(conflict, Conflict::Overlaps(vec![wish("a/")]));
        assert!(attach(&there, &wish("")).is_err());
        let mut full = empty;
        for n in 0..MOST {
            full = into(attach(&full, &wish(&format!("{n:03}/"))).unwrap());
        }
        assert_eq!(attach(&full, &wish("x/")), Err(Conflict::Full));
    }

    #[test]
    fn a_pattern_comes_back_as_it_was_wished() {
        let empty = NotificationConfiguration::builder().build();
        let pattern = Pattern {
            prefix: "a b/日=&+%".to_owned(),
            suffix: ".json".to_owned(),
        };
        let wish = entry(QUEUE, &["s3:ObjectCreated:*".to_owned()], &pattern);
        let after = into(attach(&empty, &wish).unwrap());
        assert_eq!(Notifications::of(&after).entries, [wish]);
    }
}
