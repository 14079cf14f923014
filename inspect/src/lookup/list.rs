//! Open events by status, oldest due first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use daybook_ledger::{Ledger, RowFilter};
use daybook_schema::{EventId, Row, Status, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::failure;
use crate::aws::failure::Failure;
use crate::lookup::rows;
use crate::lookup::rows::Listed;
use crate::parts::Runs;
use crate::views::RowOutput;

/// Rows read at once: one BatchGetItem.
const CHUNK: usize = 100;

/// Whether a row is one of those that are asked for, at that time.
pub type Filter<'a> = dyn Fn(&Row, Timestamp) -> bool + Sync + 'a;

/// Which rows are asked for.
#[derive(Clone, Copy)]
pub struct Which<'a> {
    /// Of this status only.
    pub status: Option<Status>,
    /// At most so many of each status.
    pub limit: usize,
    /// Only those that come after this one, in the order of the list.
    pub after: Option<Cursor>,
    /// Only those that it lets through.
    pub filter: Option<Narrowed<'a>>,
}

/// Which rows, in the ledger's words and exactly.
#[derive(Clone, Copy)]
pub struct Narrowed<'a> {
    /// What the ledger can tell: what does not match is not sent.
    pub rows: &'a RowFilter,
    /// Whether a row that matches is one.
    pub covers: &'a Filter<'a>,
}

/// Where a list of one status ended: its last row's due time and id. Displayed as `TIME/ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When the row was due.
    pub due_at: Timestamp,
    /// Its id.
    pub id: EventId,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.due_at, self.id)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let cursor = text.split_once('/').and_then(|(due_at, id)| {
            Some(Self {
                due_at: due_at.parse().ok()?,
                id: id.parse().ok()?,
            })
        });
        cursor.ok_or_else(|| "the DUE_AT/ID of a row is needed, as the list before said".to_owned())
    }
}

impl Which<'_> {
    fn is_after(&self, due_at: Timestamp, id: EventId) -> bool {
        self.after.is_none_or(|after| Cursor { due_at, id } > after)
    }
}

/// What was found.
#[derive(Default)]
pub struct List {
    /// The rows, by status.
    pub rows: Vec<Listed>,
    /// Whether there are others, or may be because reading failed.
    pub more: bool,
    /// What could not be read, each cause once.
    pub failures: Vec<Failure>,
}

/// Open events.
#[derive(Serialize, JsonSchema)]
pub struct ListOutput<'a> {
    /// At most `--limit` rows of each status, oldest due first.
    rows: Vec<RowOutput<'a>>,
    /// Whether there are others, or may be because reading failed.
    more: bool,
    /// What could not be read, each cause once.
    failures: &'a [Failure],
}

/// The first rows of each status that is asked for.
pub async fn list(ledger: &Ledger, which: Which<'_>) -> List {
    let now = ledger.clock().now();
    let mut list = List::default();
    if let Some(narrowed) = which.filter
        && list.add_matching(ledger, which, narrowed, now).await
    {
        return list;
    }
    for status in Status::ALL {
        if which.status.is_none_or(|asked| asked == status) {
            list.add(ledger, status, which, now).await;
        }
    }
    list.tidy(which.status);
    list
}

impl List {
    /// The first rows that a filter lets through, by a Scan of all; `false` where rows were met that this release cannot read: what can be
    /// told of those, only the index tells.
    async fn add_matching(
        &mut self,
        ledger: &Ledger,
        which: Which<'_>,
        narrowed: Narrowed<'_>,
        now: Timestamp,
    ) -> bool {
        let mut found: BTreeMap<Status, BTreeMap<(Timestamp, EventId), Box<Row>>> = BTreeMap::new();
        let mut pages = ledger.open_rows_matching(narrowed.rows);
        loop {
            let page = match pages.next().await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(error) => {
                    self.failures.push(Failure::of_ledger(error));
                    self.more = true;
                    break;
                }
            };
            for row in page {
                let Ok(row) = row else { return false };
                let is_asked_for = which.status.is_none_or(|asked| asked == row.status);
                if !is_asked_for || !which.is_after(row.due_at, row.id) || !(narrowed.covers)(&row, now) {
                    continue;
                }
                let rows = found.entry(row.status).or_default();
                rows.insert((row.due_at, row.id), Box::new(row));
                if rows.len() > which.limit {
                    rows.pop_last();
                    self.more = true;
                }
            }
        }
        let rows = found.into_values().flat_map(BTreeMap::into_values);
        self.rows.extend(rows.map(Listed::Row));
        true
    }

    /// The first rows of a status, oldest due first.
    async fn add(&mut self, ledger: &Ledger, status: Status, which: Which<'_>, now: Timestamp) {
        let limit = which.limit;
        let page = limit.saturating_add(1).min(CHUNK);
        let mut due = match which.after {
            None => ledger.due(status, None, page),
            // Others may be due at the same millisecond.
            Some(after) => ledger.due_after(status, after.due_at.minus(Duration::from_millis(1)), page),
        };
        let mut taken = 0;
        'pages: loop {
            let wanted = match which.filter {
                None => CHUNK.min(limit.saturating_add(1).saturating_sub(taken)),
                Some(_) => CHUNK,
            };
            let keys = due.next(wanted).await;
            if keys.is_empty() {
                break;
            }
            let mut keys = keys;
            keys.retain(|key| which.is_after(key.due_at, key.id));
            let (rows, failures) = rows::of_keys(ledger, &keys).await;
            let failed = !failures.is_empty();
            self.failures.extend(failures);
            for row in rows {
                let is_asked_for = match &row {
                    Listed::Row(row) => which.filter.is_none_or(|filter| (filter.covers)(row, now)),
                    // Not known: it may be one of them.
                    Listed::Unreadable { .. } => true,
                };
                if !is_asked_for {
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
        self.failures.extend(failure::shard_failures(&due));
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

    /// Where it ended, if there is more.
    pub fn cursor(&self) -> Option<Cursor> {
        let last = self.rows.last().filter(|_| self.more)?;
        Some(Cursor {
            due_at: last.due_at(),
            id: last.id(),
        })
    }

    /// For programs: with what a process of this machine runs, where that is known.
    pub fn output(&self, runs: Option<Runs<'_>>) -> ListOutput<'_> {
        ListOutput {
            rows: self.rows.iter().map(|row| row.output(runs)).collect(),
            more: self.more,
            failures: &self.failures,
        }
    }
}
