//! `daybook list`: the open events, row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::Args;
use daybook_ledger::{IndexKey, Ledger, LedgerError};
use daybook_schema::{EventId, Row, Status, Subject, Timestamp};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::arguments::Output;
use crate::deployment::DeploymentArguments;
use crate::report;
use crate::view;

/// Rows read at once: one BatchGetItem.
const CHUNK: usize = 100;

/// Rows looked up one by one at the same time.
const CONCURRENCY: usize = 8;

/// A terminal of so many columns has room for an id and an object beside each other.
const WIDE: u16 = 140;

/// Of an error, a terminal shows so many characters.
const ERROR_LENGTH: usize = 80;

/// List open events, oldest due first within each status
///
/// What is done is not in the ledger any more: `daybook show` finds its receipt.
///
/// The table escapes what a terminal would obey; within a terminal it is cut to size, elsewhere nothing is. With --output
/// json: {"rows": […], "more": true or false, "failures": […]}, keys as they are in the bucket. A row that cannot be read
/// has unreadable, which says why.
#[derive(Args, Debug)]
pub struct ListArguments {
    #[command(flatten)]
    deployment: DeploymentArguments,

    /// Only rows of that status: pending, claimed or parked
    #[arg(long, value_name = "STATUS", value_parser = status, help_heading = "Rows")]
    status: Option<Status>,

    /// Only objects whose keys begin so, or s3://bucket/prefix. Reads all rows of the statuses until enough match; rows
    /// without a key (unreadable notifications) do not
    #[arg(long, value_name = "PREFIX", value_parser = prefix, help_heading = "Rows")]
    prefix: Option<Prefix>,

    /// At most so many rows of each status
    #[arg(long, value_name = "N", default_value = "50", help_heading = "Rows")]
    #[arg(value_parser = crate::settings::at_least_one)]
    limit: u32,
}

/// Which objects.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Prefix {
    bucket: Option<String>,
    key: String,
}

impl Prefix {
    fn covers(&self, row: &Row) -> bool {
        row.event().is_some_and(|event| {
            let in_bucket = self
                .bucket
                .as_ref()
                .is_none_or(|bucket| event.bucket.as_str() == bucket);
            in_bucket && event.key.as_str().starts_with(&self.key)
        })
    }
}

fn status(text: &str) -> Result<Status, String> {
    text.parse()
        .map_err(|_| "pending, claimed or parked is needed".to_owned())
}

fn prefix(text: &str) -> Result<Prefix, String> {
    let Some(rest) = text.strip_prefix("s3://") else {
        return Ok(Prefix {
            bucket: None,
            key: text.to_owned(),
        });
    };
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    match bucket.is_empty() {
        true => Err("a bucket is needed after s3://, such as s3://data/2026/".to_owned()),
        false => Ok(Prefix {
            bucket: Some(bucket.to_owned()),
            key: key.to_owned(),
        }),
    }
}

/// A row as it was found.
enum Listed {
    /// As it is.
    Row(Box<Row>),
    /// In the table, and this release cannot read it.
    Unreadable { key: IndexKey, why: String },
}

impl Listed {
    fn id(&self) -> EventId {
        match self {
            Self::Row(row) => row.id,
            Self::Unreadable { key, .. } => key.id,
        }
    }

    fn status(&self) -> Status {
        match self {
            Self::Row(row) => row.status,
            Self::Unreadable { key, .. } => key.status_shard.status,
        }
    }

    fn due_at(&self) -> Timestamp {
        match self {
            Self::Row(row) => row.due_at,
            Self::Unreadable { key, .. } => key.due_at,
        }
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    rows: Vec<Listed>,
    more: bool,
    failures: Vec<String>,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, or not all rows be read.
pub async fn run(arguments: ListArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open().await?;
    let ledger = &deployment.ledger;
    let mut found = Found::default();
    for status in Status::ALL {
        if arguments.status.is_none_or(|asked| asked == status) {
            found
                .add(
                    ledger,
                    status,
                    arguments.prefix.as_ref(),
                    arguments.limit as usize,
                )
                .await;
        }
    }
    found.tidy(arguments.status);
    let now = ledger.clock().now();
    report::print_either(output, || found.table(now), &found.json())?;
    if output == Output::Table && found.rows.is_empty() && found.failures.is_empty() {
        eprintln!("note: no such open events in {}", deployment.place);
    }
    if found.more {
        eprintln!(
            "note: there are more; --limit shows more of each status, --status and --prefix narrow it down"
        );
    }
    report::incomplete(&found.failures, &deployment.place)
}

impl Found {
    /// The first rows of a status, oldest due first.
    async fn add(&mut self, ledger: &Ledger, status: Status, prefix: Option<&Prefix>, limit: usize) {
        let mut due = ledger.due(status, None, limit.saturating_add(1).min(CHUNK));
        let mut taken = 0;
        'pages: loop {
            let wanted = match prefix {
                None => CHUNK.min(limit.saturating_add(1).saturating_sub(taken)),
                Some(_) => CHUNK,
            };
            let keys = due.next(wanted).await;
            if keys.is_empty() {
                break;
            }
            let (rows, failures) = read(ledger, &keys).await;
            let failed = !failures.is_empty();
            self.failures.extend(failures);
            for row in rows {
                let is_covered = |prefix: &Prefix| match &row {
                    Listed::Row(row) => prefix.covers(row),
                    // Its key is not known: it may be one of them.
                    Listed::Unreadable { .. } => true,
                };
                if !prefix.is_none_or(is_covered) {
                    continue;
                }
                if taken == limit {
                    self.more = true;
                    break 'pages;
                }
                taken += 1;
                self.rows.push(row);
            }
            if failed {
                self.more = true;
                break;
            }
        }
        self.failures.extend(report::shard_failures(due.failures()));
    }

    /// A row that moved while it was looked for may be there twice, or as another status than its index said.
    fn tidy(&mut self, asked: Option<Status>) {
        let mut seen = BTreeSet::new();
        self.rows.reverse();
        self.rows
            .retain(|row| asked.is_none_or(|asked| row.status() == asked) && seen.insert(row.id()));
        self.rows
            .sort_by_key(|row| (row.status(), row.due_at(), row.id()));
    }

    fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(listed_json).collect();
        json!({"rows": rows, "more": self.more, "failures": self.failures})
    }

    fn table(&self, now: Timestamp) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let width = view::terminal_width();
        let cells = self.rows.iter().map(|row| cells(row, now, width.is_some()));
        if width.is_none_or(|width| width >= WIDE) {
            let header = ["status", "when", "attempt", "id", "object", "last error"];
            return view::table(&header, &[0, 1, 2, 3], cells.map(Vec::from).collect(), width);
        }
        // Side by side, id and object would leave each other no room.
        let stacked = cells.map(|[status, when, attempt, id, object, error]| {
            vec![status, when, attempt, format!("{id}\n{object}"), error]
        });
        let header = ["status", "when", "attempt", "id, object", "last error"];
        view::table(&header, &[0, 1, 2], stacked.collect(), width)
    }
}

/// The rows of these keys, in their order; rows that are gone are left out. And why rows could not be read.
async fn read(ledger: &Ledger, keys: &[IndexKey]) -> (Vec<Listed>, Vec<String>) {
    let ids: Vec<EventId> = keys.iter().map(|key| key.id).collect();
    let mut rows = BTreeMap::new();
    let mut unreadable = BTreeMap::new();
    let mut failures = Vec::new();
    for answer in ledger.get_many(&ids).await {
        match answer {
            Ok(row) => drop(rows.insert(row.id, row)),
            Err(LedgerError::Item { id, source, .. }) => drop(unreadable.insert(id, source.to_string())),
            Err(error) => failures.push(report::chain(&error)),
        }
    }
    // Absent from the answer may mean gone, or left unprocessed: one by one it is certain. After a failure it is not worth it.
    let is_missing =
        |key: &&IndexKey| !rows.contains_key(&key.id) && !unreadable.contains_key(&key.id.to_string());
    let missing: Vec<EventId> = match failures.is_empty() {
        true => keys.iter().filter(is_missing).map(|key| key.id).collect(),
        false => Vec::new(),
    };
    let mut asked = futures::stream::iter(missing)
        .map(async |id| (id, ledger.get(id).await))
        .buffer_unordered(CONCURRENCY);
    while let Some((id, answer)) = asked.next().await {
        match answer {
            Ok(Some(row)) => drop(rows.insert(id, row)),
            Ok(None) => {}
            Err(LedgerError::Item { id, source, .. }) => drop(unreadable.insert(id, source.to_string())),
            Err(error) => failures.push(report::chain(&error)),
        }
    }
    drop(asked);
    let listed = keys.iter().filter_map(|key| {
        if let Some(row) = rows.remove(&key.id) {
            return Some(Listed::Row(Box::new(row)));
        }
        let why = unreadable.remove(&key.id.to_string())?;
        Some(Listed::Unreadable { key: *key, why })
    });
    (listed.collect(), failures)
}

fn listed_json(listed: &Listed) -> Value {
    match listed {
        Listed::Row(row) => view::row_json(row),
        Listed::Unreadable { key, why } => view::unreadable_json(
            &key.id.to_string(),
            Some((key.status_shard.status, key.due_at)),
            why,
        ),
    }
}

fn cells(listed: &Listed, now: Timestamp, in_terminal: bool) -> [String; 6] {
    let (attempt, object, error) = match listed {
        Listed::Unreadable { why, .. } => (
            "unknown".to_owned(),
            "(a row that cannot be read)".to_owned(),
            why.clone(),
        ),
        Listed::Row(row) => {
            let object = match &row.subject {
                Subject::Event(event) => view::event_uri(event),
                Subject::Raw { payload, .. } => {
                    format!("(a notification that cannot be read, {} bytes)", payload.len())
                }
            };
            let undelivered = if view::is_undelivered(row) {
                ", undelivered"
            } else {
                ""
            };
            let attempt = match &row.subject {
                Subject::Event(_) => format!("{} of {}{undelivered}", row.attempt, row.max_attempts),
                Subject::Raw { .. } => "none".to_owned(),
            };
            (attempt, object, row.last_error.clone().unwrap_or_default())
        }
    };
    let error = match in_terminal {
        true => view::shortened(&error, ERROR_LENGTH),
        false => error,
    };
    [
        listed.status().to_string(),
        when(listed.status(), listed.due_at(), now),
        attempt,
        listed.id().to_string(),
        object,
        view::escaped(&error),
    ]
}

/// What the due time of a row means.
fn when(status: Status, due_at: Timestamp, now: Timestamp) -> String {
    let Some(length) = view::length(due_at, now, 1) else {
        return "now".to_owned();
    };
    match (status, due_at > now) {
        (Status::Pending, true) => format!("due in {length}"),
        (Status::Pending, false) => format!("due for {length}"),
        (Status::Claimed, true) => format!("{length} left"),
        (Status::Claimed, false) => format!("overdue for {length}"),
        (Status::Parked, _) => format!("parked for {length}"),
    }
}
