//! Which open rows: one plain question that lists and all that changes rows ask in the same way.

use std::str::FromStr;
use std::time::Duration;

use daybook_ledger::RowFilter;
use daybook_schema::{Row, Status, Timestamp};

/// What must hold for a row; all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only keys that begin with this; never what has no key.
    pub prefix: Option<Prefix>,
    /// Only general events (CloudEvents) whose subject begins with this.
    pub subject: Option<String>,
    /// Only events whose last error contains this text.
    pub error: Option<String>,
    /// Only events recorded that long ago.
    pub older_than: Option<Duration>,
}

impl Filter {
    /// Whether it lets all rows through.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Which rows it may let through, as far as the ledger can tell; [`Filter::covers`] tells.
    pub fn rows(&self, status: Option<Status>, now: Timestamp) -> RowFilter {
        let prefix = self.prefix.as_ref();
        RowFilter {
            bucket: prefix.and_then(|prefix| prefix.bucket.clone()),
            key_prefix: prefix.map(|prefix| prefix.key.clone()),
            error: self.error.clone(),
            recorded_until: self.older_than.map(|age| now.minus(age)),
            status,
            ..RowFilter::default()
        }
    }

    /// Whether it lets the row through.
    pub fn covers(&self, row: &Row, now: Timestamp) -> bool {
        let has_error = |text: &String| row.last_error.as_ref().is_some_and(|error| error.contains(text));
        let is_old = |age: Duration| row.recorded_at.plus(age) <= now;
        let has_subject = |prefix: &String| {
            let subject = row.event().and_then(|event| event.subject());
            subject.is_some_and(|subject| subject.starts_with(prefix))
        };
        self.prefix.as_ref().is_none_or(|prefix| prefix.covers(row))
            && self.subject.as_ref().is_none_or(has_subject)
            && self.error.as_ref().is_none_or(has_error)
            && self.older_than.is_none_or(is_old)
    }
}

/// Objects whose keys begin alike: `2026/`, or `s3://data/2026/` in one bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    bucket: Option<String>,
    key: String,
}

impl Prefix {
    fn covers(&self, row: &Row) -> bool {
        row.object_event()
            .is_some_and(|event| self.covers_object(event.bucket.as_str(), event.key.as_str()))
    }

    /// Whether the object's key begins so, in that bucket.
    pub fn covers_object(&self, bucket: &str, key: &str) -> bool {
        self.bucket.as_ref().is_none_or(|own| bucket == own) && key.starts_with(&self.key)
    }
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return Ok(Self {
                bucket: None,
                key: text.to_owned(),
            });
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        match bucket.is_empty() {
            true => Err("a bucket is needed after s3://, such as s3://data/2026/".to_owned()),
            false => Ok(Self {
                bucket: Some(bucket.to_owned()),
                key: key.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use daybook_schema::{SourceName, notification};

    use super::*;

    const NOW: &str = "2026-11-21T01:00:00Z";

    fn row(error: Option<&str>) -> Row {
        let body = r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-11-20T10:15:00.000Z",
            "s3":{"bucket":{"name":"data"},"object":{"key":"in/a.json","sequencer":"01"}}}]}"#;
        let read = notification::read(body, &SourceName::default());
        let event = read.events.into_iter().next().unwrap();
        let mut row = Row::recorded(event, 5, None, "2026-11-21T00:00:00Z".parse().unwrap());
        row.last_error = error.map(str::to_owned);
        row
    }

    fn covers(filter: &Filter, row: &Row) -> bool {
        filter.covers(row, NOW.parse().unwrap())
    }

    #[test]
    fn a_subject_is_of_general_events_and_a_prefix_of_objects() {
        let body = r#"{"specversion":"1.0","id":"in/a","source":"/shop","type":"view","subject":"user/42"}"#;
        let event = notification::read(body, &SourceName::default()).events.remove(0);
        let general = Row::recorded(event, 5, None, "2026-11-21T00:00:00Z".parse().unwrap());
        let by_subject = |text: &str| Filter {
            subject: Some(text.to_owned()),
            ..Filter::default()
        };
        assert!(covers(&by_subject("user/"), &general) && !covers(&by_subject("user/7"), &general));
        assert!(!covers(&by_subject("in/"), &row(None)) && !by_subject("u").is_empty());
        let by_key = Filter {
            prefix: Some("in/".parse().unwrap()),
            ..Filter::default()
        };
        assert!(covers(&by_key, &row(None)) && !covers(&by_key, &general));
    }

    #[test]
    fn all_that_is_given_must_hold() {
        let parked = row(Some("FAILED: no such column"));
        let any = Filter::default();
        assert!(any.is_empty() && covers(&any, &parked) && covers(&any, &row(None)));
        let hour = Some(Duration::from_secs(3600));
        let whole = Filter {
            subject: None,
            prefix: Some("s3://data/in/".parse().unwrap()),
            error: Some("such col".to_owned()),
            older_than: hour,
        };
        assert!(!whole.is_empty() && covers(&whole, &parked));
        let others = [
            Filter {
                prefix: Some("out/".parse().unwrap()),
                ..whole.clone()
            },
            Filter {
                prefix: Some("s3://dat/in/".parse().unwrap()),
                ..whole.clone()
            },
            Filter {
                error: Some("TIMED_OUT".to_owned()),
                ..whole.clone()
            },
            Filter {
                older_than: Some(Duration::from_secs(3601)),
                ..whole.clone()
            },
        ];
        for other in others {
            assert!(!covers(&other, &parked), "{other:?}");
        }
        assert!(!covers(&whole, &row(None)), "no error contains nothing");
    }

    #[test]
    fn what_has_no_key_has_no_prefix() {
        let source = SourceName::default();
        let raw = Row::unreadable(
            &source,
            "in/".into(),
            "no JSON".into(),
            None,
            NOW.parse().unwrap(),
        );
        let filter = Filter {
            prefix: Some("".parse().unwrap()),
            ..Filter::default()
        };
        assert!(!covers(&filter, &raw));
        assert!(covers(&Filter::default(), &raw));
        assert!("s3://".parse::<Prefix>().is_err() && "s3:///in".parse::<Prefix>().is_err());
    }
}
