//! Open events by status, oldest due first.

use std::collections::BTreeSet;

use daybook_ledger::Ledger;
use daybook_schema::{Row, Status, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::aws::failure;
use crate::aws::failure::Failure;
use crate::lookup::rows;
use crate::lookup::rows::Listed;
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
    /// Only those that it lets through: all rows of the statuses are read until enough do.
    pub filter: Option<&'a Filter<'a>>,
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
    for status in Status::ALL {
        if which.status.is_none_or(|asked| asked == status) {
            list.add(ledger, status, which, now).await;
        }
    }
    list.tidy(which.status);
    list
}

impl List {
    /// The first rows of a status, oldest due first.
    async fn add(&mut self, ledger: &Ledger, status: Status, which: Which<'_>, now: Timestamp) {
        let limit = which.limit;
        let mut due = ledger.due(status, None, limit.saturating_add(1).min(CHUNK));
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
            let (rows, failures) = rows::of_keys(ledger, &keys).await;
            let failed = !failures.is_empty();
            self.failures.extend(failures);
            for row in rows {
                let is_asked_for = match &row {
                    Listed::Row(row) => which.filter.is_none_or(|filter| filter(row, now)),
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

    /// For programs.
    pub fn output(&self) -> ListOutput<'_> {
        ListOutput {
            rows: self.rows.iter().map(Listed::output).collect(),
            more: self.more,
            failures: &self.failures,
        }
    }
}
