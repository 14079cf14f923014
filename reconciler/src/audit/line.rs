//! A line of a report of findings.

use daybook_schema::{EventId, Status, Timestamp};
use serde::Serialize;

use super::classify::{Class, Watermark};
use super::entry::ListedObject;
use super::outcome::Repaired;
use super::report::Finding;

/// One line. Every field is always there, null (in CSV: empty) where it means nothing.
#[derive(Debug, Default, Serialize)]
pub struct Line<'a> {
    /// The class of an object, or `gone`, `unreadable`, `repaired`.
    pub class: &'static str,
    key: &'a str,
    version_id: Option<&'a str>,
    etag: Option<&'a str>,
    size: Option<u64>,
    last_modified: Option<Timestamp>,
    is_latest: Option<bool>,
    event_id: Option<EventId>,
    status: Option<String>,
    recorded_at: Option<Timestamp>,
    attempt: Option<u32>,
    deliveries: Option<u32>,
    last_error: Option<&'a str>,
    /// Why it is of that class, or what came of its repair.
    pub cause: Option<String>,
}

impl<'a> Line<'a> {
    fn object(object: &'a ListedObject) -> Self {
        Self {
            key: object.key.as_str(),
            version_id: object.version_id.as_deref(),
            etag: object.etag.as_deref(),
            size: object.size,
            last_modified: Some(object.last_modified),
            is_latest: Some(object.is_latest),
            ..Self::default()
        }
    }

    /// Of a finding.
    pub fn finding(finding: &'a Finding) -> Self {
        match finding {
            Finding::Object { object, class } => {
                let line = Self {
                    class: class_word(class),
                    ..Self::object(object)
                };
                match class {
                    Class::Open(open) => Self {
                        event_id: Some(open.event_id),
                        status: Some(status_word(open.status)),
                        recorded_at: Some(open.since),
                        attempt: Some(open.attempt.0),
                        deliveries: Some(open.deliveries),
                        last_error: open.last_error.as_deref(),
                        ..line
                    },
                    Class::BeforeWatermark { reason } => Self {
                        cause: Some(watermark_word(*reason).to_owned()),
                        ..line
                    },
                    Class::Unknown { cause } => Self {
                        cause: Some(cause.to_string()),
                        ..line
                    },
                    Class::Done
                    | Class::Removed
                    | Class::TooNew
                    | Class::Missing
                    | Class::MayWait
                    | Class::Changed => line,
                }
            }
            Finding::Unreadable(entry) => Self {
                class: "unreadable",
                key: &entry.key,
                cause: Some(entry.cause.clone()),
                ..Self::default()
            },
            Finding::Gone { row, unconfirmed } => Self {
                class: "gone",
                key: &row.key,
                version_id: row.version_id.as_deref(),
                etag: row.etag.as_deref(),
                event_id: Some(row.id),
                status: Some(status_word(row.status)),
                recorded_at: Some(row.recorded_at),
                attempt: Some(row.attempt.0),
                deliveries: Some(row.deliveries),
                last_error: row.last_error.as_deref(),
                cause: unconfirmed.clone(),
                ..Self::default()
            },
        }
    }

    /// Of a repair.
    pub fn repaired(object: &'a ListedObject, outcome: &Repaired) -> Self {
        Self {
            class: "repaired",
            cause: Some(repaired_words(outcome)),
            ..Self::object(object)
        }
    }

    /// Appends it as JSON, and the end of the line.
    pub(crate) fn append_to(&self, text: &mut String) {
        // Writing strings and numbers into memory cannot fail.
        if let Ok(line) = serde_json::to_string(self) {
            text.push_str(&line);
            text.push('\n');
        }
    }
}

fn class_word(class: &Class) -> &'static str {
    match class {
        Class::Done => "done",
        Class::Removed => "removed",
        Class::Open(_) => "open",
        Class::TooNew => "too_new",
        Class::Missing => "missing",
        Class::MayWait => "may_wait",
        Class::BeforeWatermark { .. } => "before_watermark",
        Class::Changed => "changed",
        Class::Unknown { .. } => "unknown",
    }
}

fn watermark_word(reason: Watermark) -> &'static str {
    match reason {
        Watermark::BeforeInstallation => "before_installation",
        Watermark::BeforeReceipts => "before_receipts",
    }
}

fn repaired_words(outcome: &Repaired) -> String {
    match outcome {
        Repaired::Recorded => "recorded".to_owned(),
        Repaired::AlreadyThere => "already_there".to_owned(),
        Repaired::Covered => "covered".to_owned(),
        Repaired::Removed => "removed".to_owned(),
        Repaired::Changed => "changed".to_owned(),
        Repaired::Gone => "gone".to_owned(),
        Repaired::MayWait => "may_wait".to_owned(),
        Repaired::NotSafe { cause } => format!("not_safe: {cause}"),
    }
}

fn status_word(status: Status) -> String {
    status.as_str().to_lowercase()
}
