//! Parked and failing events, grouped by what went wrong: of two thousand parked events there are three causes.

mod normalized;

use std::collections::BTreeMap;

use daybook_ledger::{Ledger, RowFilter, chain};
use daybook_schema::{EventId, Row, Status, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

pub use self::normalized::{normalized, of as normalized_error};

/// Groups that are kept apart; what comes beyond is counted together.
const MOST_GROUPS: usize = 1000;

/// A text of fewer characters says too little to select by.
const SHORTEST_TEXT: usize = 4;

/// Events with one cause.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Group {
    /// Their error, without ids, numbers, keys and times.
    pub error: String,
    /// How many wait for a person.
    pub parked: u64,
    /// How many have failed before and are tried again.
    pub failing: u64,
    /// When the oldest of them was recorded.
    pub oldest: Timestamp,
    /// When the newest of them was recorded.
    pub newest: Timestamp,
    /// The oldest of them.
    pub example: Example,
    /// A text that the errors of all of them contain, for `--error`; null: there is none that says enough.
    pub text: Option<String>,
    /// How many events of other groups have errors with that text in them.
    pub others_with_text: u64,
}

/// One event of a group.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Example {
    /// The event.
    pub id: EventId,
    /// Its bucket; null: it is a general event, or its notification could not be read.
    pub bucket: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// What a general event is about: its type, its subject, its source and id.
    pub about: Option<String>,
    /// Its error as it was reported.
    pub error: String,
}

/// What the open events failed of.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Errors {
    /// The groups, those with the most parked events first.
    pub groups: Vec<Group>,
    /// Events whose errors are in none of the groups: there were more than 1,000.
    pub ungrouped: u64,
    /// How many open events have failed, as far as they were read.
    pub rows: u64,
    /// Rows that cannot be read: they may have failed of anything.
    pub unreadable: u64,
    /// Why not all were looked at; null: all were.
    pub incomplete: Option<String>,
}

/// Groups the open events that have failed. DynamoDB reads all open rows for it, half a read unit per 4 KB, and sends those; `seen` is told
/// how many came so far.
pub async fn errors(ledger: &Ledger, mut seen: impl FnMut(u64)) -> Errors {
    let mut groups = Groups::default();
    let mut errors = Errors::default();
    let failed = RowFilter {
        only_failed: true,
        ..RowFilter::default()
    };
    let mut open = ledger.open_rows_matching(&failed);
    loop {
        let page = match open.next().await {
            Ok(Some(page)) => page,
            Ok(None) => break,
            Err(error) => {
                errors.incomplete = Some(chain(&error));
                break;
            }
        };
        for row in page {
            match row {
                Ok(row) => {
                    errors.rows += 1;
                    groups.add(&row);
                }
                Err(_) => errors.unreadable += 1,
            }
        }
        seen(errors.rows);
    }
    errors.ungrouped = groups.ungrouped;
    errors.groups = groups.sorted();
    errors
}

/// The groups so far, by error.
#[derive(Default)]
struct Groups {
    by_error: BTreeMap<String, Group>,
    ungrouped: u64,
}

impl Groups {
    fn add(&mut self, row: &Row) {
        let Some(error) = normalized::of(row) else { return };
        if !self.by_error.contains_key(&error) && self.by_error.len() == MOST_GROUPS {
            self.ungrouped += 1;
            return;
        }
        let group = self.by_error.entry(error.clone()).or_insert_with(|| Group {
            text: text_of(&error),
            error,
            parked: 0,
            failing: 0,
            oldest: row.recorded_at,
            newest: row.recorded_at,
            example: Example::of(row),
            others_with_text: 0,
        });
        match row.status {
            Status::Parked => group.parked += 1,
            Status::Pending | Status::Claimed => group.failing += 1,
        }
        // In whatever order they come, the same one is shown.
        if (row.recorded_at, row.id) < (group.oldest, group.example.id) {
            group.oldest = row.recorded_at;
            group.example = Example::of(row);
        }
        group.newest = group.newest.max(row.recorded_at);
    }

    fn sorted(self) -> Vec<Group> {
        let mut groups: Vec<Group> = self.by_error.into_values().collect();
        let others: Vec<u64> = groups
            .iter()
            .map(|group| others_with_text(group, &groups))
            .collect();
        for (group, others) in groups.iter_mut().zip(others) {
            group.others_with_text = others;
        }
        groups.sort_by(|a, b| (b.parked, b.failing, &a.error).cmp(&(a.parked, a.failing, &b.error)));
        groups
    }
}

fn others_with_text(group: &Group, groups: &[Group]) -> u64 {
    let Some(text) = &group.text else { return 0 };
    let others = groups
        .iter()
        .filter(|other| other.error != group.error && other.error.contains(text.as_str()));
    others.map(|other| other.parked + other.failing).sum()
}

/// The longest stretch of a normalized error without a placeholder, and without what a terminal cannot show as it is: every error of
/// the group contains it, and it can be typed.
fn text_of(error: &str) -> Option<String> {
    let mut rest = error;
    let mut longest = "";
    loop {
        let start = placeholder(rest);
        let literal = &rest[..start.map_or(rest.len(), |(start, _)| start)];
        for piece in
            literal.split(|c: char| c == '\\' || !c.is_ascii_graphic() && c != ' ' && !c.is_alphanumeric())
        {
            let piece = piece.trim_matches(|c: char| !c.is_alphanumeric());
            if piece.chars().count() > longest.chars().count() {
                longest = piece;
            }
        }
        match start {
            Some((_, end)) => rest = &rest[end..],
            None => break,
        }
    }
    (longest.chars().count() >= SHORTEST_TEXT).then(|| longest.to_owned())
}

/// Where the first placeholder begins and ends.
fn placeholder(text: &str) -> Option<(usize, usize)> {
    let found = ["<key>", "<bucket>", "<id>", "<time>", "<n>"]
        .iter()
        .filter_map(|name| text.find(name).map(|start| (start, start + name.len())));
    found.min()
}

impl Example {
    fn of(row: &Row) -> Self {
        let event = row.object_event();
        Self {
            id: row.id,
            bucket: event.map(|event| event.bucket.as_str().to_owned()),
            key: event.map(|event| event.key.as_str().to_owned()),
            about: row.cloud_event().map(ToString::to_string),
            error: row.last_error.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
