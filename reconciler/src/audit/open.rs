//! The open rows of a bucket, held compactly, and what else in the ledger may be about its objects.

use std::ops::Range;

use daybook_ledger::{Ledger, LedgerError};
use daybook_schema::{Attempt, EventId, Kind, Row, Status, Subject, Timestamp};
use serde::Serialize;

use super::payloads::Payloads;
use super::settings::Scope;

/// Characters of a last error that are kept per row.
const ERROR_CHARS: usize = 200;

/// Causes of unreadable rows that are kept.
const CAUSES: usize = 10;

/// What the audit keeps of an open row about a created object; some 300 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenRow {
    /// The row.
    pub id: EventId,
    /// The object's key.
    pub key: Box<str>,
    /// Its version.
    pub version_id: Option<Box<str>>,
    /// The etag without quotes.
    pub etag: Option<Box<str>>,
    /// S3's time for the event.
    pub event_time: Option<Timestamp>,
    /// Where the row stands.
    pub status: Status,
    /// Since when it is in the ledger.
    pub recorded_at: Timestamp,
    /// The current attempt; 0 before the first claim.
    pub attempt: Attempt,
    /// How often that attempt was sent.
    pub deliveries: u32,
    /// The start of why the last attempt failed.
    pub last_error: Option<Box<str>>,
}

impl OpenRow {
    /// What is kept of a row, if it is about an object that was created in that scope.
    pub fn of(row: Row, scope: &Scope) -> Option<Self> {
        let Subject::Event(event) = row.subject else {
            return None;
        };
        let is_about = event.kind == Kind::Created
            && event.source == scope.source
            && event.bucket == scope.bucket
            && event.key.as_str().starts_with(&scope.prefix);
        let start = |error: String| error.chars().take(ERROR_CHARS).collect::<String>().into();
        is_about.then(|| Self {
            id: row.id,
            key: event.key.as_str().into(),
            version_id: event.version_id.map(Into::into),
            etag: event.etag.map(Into::into),
            event_time: event.event_time,
            status: row.status,
            recorded_at: row.recorded_at,
            attempt: row.attempt,
            deliveries: row.deliveries,
            last_error: row.last_error.map(start),
        })
    }

    fn object(&self) -> (&str, Option<&str>) {
        (&self.key, self.version_id.as_deref())
    }
}

/// How much the ledger holds, and how much of it could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct OpenSummary {
    /// Open rows of the whole ledger.
    pub rows: u64,
    /// Those about objects created in the audited scope.
    pub in_scope: u64,
    /// Rows about the bucket under the name of another source: many of them, and none in scope, mean that the audit was given
    /// the wrong name.
    pub of_other_sources: u64,
    /// Rows about general events (CloudEvents): no listing knows of them, and no audit covers them.
    pub general: u64,
    /// Parked payloads that ingest could not read: each may hold an event of any object that it names.
    pub payloads: u64,
    /// Rows that this release cannot read. While there is one, nothing is called missing.
    pub unreadable: u64,
    /// Why, the first few.
    pub causes: Vec<String>,
}

impl OpenSummary {
    /// The rows about the bucket under other sources, if there are any and none is in scope: the audit was probably given the wrong
    /// name, under which everything looks missing, and recording it would process everything once more.
    pub fn only_of_other_sources(&self) -> Option<u64> {
        (self.of_other_sources > 0 && self.in_scope == 0).then_some(self.of_other_sources)
    }
}

/// The open rows of a scope by key and version, as they were at one time.
#[derive(Debug)]
pub struct OpenRows {
    rows: Vec<OpenRow>,
    seen: Vec<bool>,
    /// Rows before this one were reported as gone, or are not to be.
    looked_at: usize,
    payloads: Payloads,
    summary: OpenSummary,
    scanned_at: Timestamp,
}

impl OpenRows {
    /// Reads all open rows by a consistent Scan and keeps those of the scope. What is recorded after [`OpenRows::scanned_at`]
    /// may not be among them.
    ///
    /// # Errors
    /// When a page cannot be read.
    pub async fn scan(ledger: &Ledger, scope: &Scope) -> Result<Self, LedgerError> {
        let mut open = Self::none(scope, ledger.clock().now());
        let mut pages = ledger.open_rows();
        while let Some(page) = pages.next().await? {
            for row in page {
                open.add(row, scope);
            }
        }
        open.sort();
        Ok(open)
    }

    /// As if the ledger had held these rows at that time.
    pub fn of(rows: Vec<Row>, scope: &Scope, scanned_at: Timestamp) -> Self {
        let mut open = Self::none(scope, scanned_at);
        for row in rows {
            open.add(Ok(row), scope);
        }
        open.sort();
        open
    }

    fn none(scope: &Scope, scanned_at: Timestamp) -> Self {
        Self {
            rows: Vec::new(),
            seen: Vec::new(),
            looked_at: 0,
            payloads: Payloads::of_bucket(&scope.bucket),
            summary: OpenSummary::default(),
            scanned_at,
        }
    }

    fn add(&mut self, row: Result<Row, LedgerError>, scope: &Scope) {
        self.summary.rows += 1;
        match row {
            Ok(row) => {
                if let Subject::Raw { payload, .. } = &row.subject {
                    self.summary.payloads += 1;
                    self.payloads.add(payload);
                }
                if let Subject::Event(event) = &row.subject
                    && event.bucket == scope.bucket
                    && event.source != scope.source
                {
                    self.summary.of_other_sources += 1;
                }
                self.summary.general += u64::from(row.cloud_event().is_some());
                self.rows.extend(OpenRow::of(row, scope));
            }
            Err(error) => {
                self.summary.unreadable += 1;
                let cause = match std::error::Error::source(&error) {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                };
                if self.summary.causes.len() < CAUSES {
                    self.summary.causes.push(cause);
                }
            }
        }
    }

    fn sort(&mut self) {
        self.rows.sort_unstable_by(|a, b| {
            (a.object(), a.recorded_at, a.id).cmp(&(b.object(), b.recorded_at, b.id))
        });
        self.rows.shrink_to_fit();
        self.seen = vec![false; self.rows.len()];
        self.summary.in_scope = self.rows.len() as u64;
    }

    /// When the Scan began.
    pub fn scanned_at(&self) -> Timestamp {
        self.scanned_at
    }

    /// How much there was.
    pub fn summary(&self) -> &OpenSummary {
        &self.summary
    }

    /// The rows about that version of that key, oldest first; without a version those that bear none.
    pub fn about(&self, key: &str, version_id: Option<&str>) -> &[OpenRow] {
        &self.rows[self.range(key, version_id)]
    }

    /// Whether a parked payload that nobody could read may hold an event of that key.
    pub fn may_be_parked(&self, key: &str) -> bool {
        self.payloads.may_name(key)
    }

    /// Notes that the listing shows that object.
    pub(super) fn mark_listed(&mut self, key: &str, version_id: Option<&str>) {
        let range = self.range(key, version_id);
        self.seen[range].fill(true);
    }

    /// The rows of keys before `key` (of all keys without one) that no listed object belongs to, as far as they were not
    /// looked at.
    pub(super) fn unlisted(&self, key: Option<&str>) -> Vec<OpenRow> {
        let unlisted = (self.looked_at..self.end(key)).filter(|position| !self.seen[*position]);
        unlisted.map(|position| self.rows[position].clone()).collect()
    }

    /// Notes that the rows of keys before `key` (of all keys without one) were looked at.
    pub(super) fn looked_until(&mut self, key: Option<&str>) {
        self.looked_at = self.looked_at.max(self.end(key));
    }

    fn end(&self, key: Option<&str>) -> usize {
        match key {
            Some(key) => self.rows.partition_point(|row| &*row.key < key),
            None => self.rows.len(),
        }
    }

    fn range(&self, key: &str, version_id: Option<&str>) -> Range<usize> {
        let start = self.rows.partition_point(|row| row.object() < (key, version_id));
        let length = self.rows[start..].partition_point(|row| row.object() == (key, version_id));
        start..start + length
    }
}

#[cfg(test)]
mod tests {
    use daybook_tests::notifications::Upload;

    use super::*;

    fn scope() -> Scope {
        Scope {
            source: Default::default(),
            bucket: "data".parse().unwrap(),
            prefix: String::new(),
        }
    }

    fn at() -> Timestamp {
        "2026-11-21T00:00:00Z".parse().unwrap()
    }

    fn open(keys: &[&str]) -> OpenRows {
        let row = |key: &&str| Row::recorded(Upload::new(key, 1, "e").event(), 5, None, at());
        OpenRows::of(keys.iter().map(row).collect(), &scope(), at())
    }

    fn unlisted(open: &OpenRows, key: Option<&str>) -> Vec<String> {
        let rows = open.unlisted(key).into_iter();
        rows.map(|row| row.key.into_string()).collect()
    }

    #[test]
    fn rows_without_an_object_are_told_once_and_not_before_the_listing_has_passed_their_keys() {
        let mut open = open(&["d", "b", "a", "c", "e"]);
        assert_eq!(open.summary().in_scope, 5);
        // The page ends with "c", of which the next one may show another version.
        open.mark_listed("b", None);
        assert_eq!(unlisted(&open, Some("c")), ["a"]);
        open.looked_until(Some("c"));
        assert_eq!(unlisted(&open, Some("c")), Vec::<String>::new());
        open.mark_listed("d", None);
        assert_eq!(unlisted(&open, Some("d")), ["c"]);
        // Places do not go back.
        open.looked_until(Some("d"));
        open.looked_until(Some("a"));
        assert_eq!(unlisted(&open, None), ["e"]);
        open.looked_until(None);
        assert_eq!(unlisted(&open, None), Vec::<String>::new());
    }

    #[test]
    fn the_first_causes_of_unreadable_rows_are_kept_and_all_rows_counted() {
        let mut open = OpenRows::none(&scope(), at());
        for n in 1..=12 {
            let error = LedgerError::Request {
                operation: "Scan",
                table: "ledger".into(),
                cause: format!("no {n}").into(),
                unknown: false,
            };
            open.add(Err(error), &scope());
        }
        let elsewhere = Upload {
            bucket: "elsewhere".into(),
            ..Upload::new("a", 1, "e")
        };
        open.add(Ok(Row::recorded(elsewhere.event(), 5, None, at())), &scope());
        for n in 1..=2 {
            let row = Row::unreadable(
                &Default::default(),
                format!("no {n}"),
                "no JSON".into(),
                None,
                at(),
            );
            open.add(Ok(row), &scope());
        }
        open.sort();
        let summary = open.summary();
        assert_eq!((summary.rows, summary.in_scope, summary.unreadable), (15, 0, 12));
        assert_eq!(summary.payloads, 2);
        assert_eq!(summary.causes.len(), 10);
        assert_eq!(summary.causes[0], "Scan on table ledger: no 1");
        assert_eq!(summary.causes[9], "Scan on table ledger: no 10");
    }
}
