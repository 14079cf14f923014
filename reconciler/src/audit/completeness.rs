//! How many objects of which day and prefix are done: what can be handed to an auditor.

use std::collections::BTreeMap;

use daybook_schema::Timestamp;
use serde::{Deserialize, Serialize};

use super::classify::Class;
use super::entry::ListedObject;

/// Objects by class. `objects` is the sum of all others but `bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Tally {
    /// Objects that were judged; each version is one.
    pub objects: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// Processed.
    pub done: u64,
    /// Taken out by a person.
    pub removed: u64,
    /// In the ledger.
    pub open: u64,
    /// Not older than the grace.
    pub too_new: u64,
    /// Neither, though they should be.
    pub missing: u64,
    /// Neither, and they need not be.
    pub before_watermark: u64,
    /// Overwritten or deleted since they were listed.
    pub changed: u64,
    /// Not known.
    pub unknown: u64,
    /// Neither, and perhaps waiting in the intake.
    #[serde(default)]
    pub may_wait: u64,
}

impl Tally {
    /// Counts one object.
    pub fn count(&mut self, class: &Class, size: Option<u64>) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(size.unwrap_or(0));
        *match class {
            Class::Done => &mut self.done,
            Class::Removed => &mut self.removed,
            Class::Open(_) => &mut self.open,
            Class::TooNew => &mut self.too_new,
            Class::Missing => &mut self.missing,
            Class::MayWait => &mut self.may_wait,
            Class::BeforeWatermark { .. } => &mut self.before_watermark,
            Class::Changed => &mut self.changed,
            Class::Unknown { .. } => &mut self.unknown,
        } += 1;
    }

    /// Whether every object is accounted for: done, taken out by a person, or in the ledger.
    pub fn is_complete(&self) -> bool {
        self.objects == self.done + self.removed + self.open
    }
}

/// A line of the statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    /// What the keys begin with: whole levels, each with its `/`; empty for keys without one, or at depth 0.
    pub prefix: String,
    /// The day on which they were last modified, in UTC, such as 2026-11-21.
    pub day: String,
    /// How many.
    pub tally: Tally,
}

/// The statement of completeness: a tally per prefix and day. Holds at most so many lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Statement {
    depth: usize,
    max_lines: usize,
    lines: BTreeMap<(String, String), Tally>,
    others: Tally,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    depth: usize,
    max_lines: usize,
    lines: Vec<StatementLine>,
    others: Tally,
}

impl Statement {
    /// An empty statement by so many levels of the key, of at most `max_lines` lines.
    pub fn new(depth: usize, max_lines: usize) -> Self {
        Self {
            depth,
            max_lines,
            lines: BTreeMap::new(),
            others: Tally::default(),
        }
    }

    /// Counts one object.
    pub fn count(&mut self, object: &ListedObject, class: &Class) {
        let prefix = levels(object.key.as_str(), self.depth);
        let group = (prefix.to_owned(), day(object.last_modified));
        let is_full = self.lines.len() >= self.max_lines;
        let tally = match self.lines.get_mut(&group) {
            Some(tally) => tally,
            None if is_full => &mut self.others,
            None => self.lines.entry(group).or_default(),
        };
        tally.count(class, object.size);
    }

    /// The lines, by prefix and day.
    pub fn lines(&self) -> impl Iterator<Item = StatementLine> {
        self.lines.iter().map(|((prefix, day), tally)| StatementLine {
            prefix: prefix.clone(),
            day: day.clone(),
            tally: *tally,
        })
    }

    /// What found no place in the lines, of any prefix and day. With a count above zero, ask for fewer levels or audit by
    /// prefix.
    pub fn others(&self) -> &Tally {
        &self.others
    }
}

impl From<Stored> for Statement {
    fn from(stored: Stored) -> Self {
        let line = |line: StatementLine| ((line.prefix, line.day), line.tally);
        Self {
            depth: stored.depth,
            max_lines: stored.max_lines,
            lines: stored.lines.into_iter().map(line).collect(),
            others: stored.others,
        }
    }
}

impl From<Statement> for Stored {
    fn from(statement: Statement) -> Self {
        Self {
            depth: statement.depth,
            max_lines: statement.max_lines,
            lines: statement.lines().collect(),
            others: statement.others,
        }
    }
}

/// The first `depth` parts of a key that end in `/`.
fn levels(key: &str, depth: usize) -> &str {
    let ends = key.match_indices('/').map(|(at, _)| at + 1);
    &key[..ends.take(depth).last().unwrap_or(0)]
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_whole_parts_of_the_key() {
        assert_eq!(levels("a/b/c.json", 0), "");
        assert_eq!(levels("a/b/c.json", 1), "a/");
        assert_eq!(levels("a/b/c.json", 2), "a/b/");
        assert_eq!(levels("a/b/c.json", 9), "a/b/");
        assert_eq!(levels("c.json", 3), "");
        assert_eq!(levels("//c", 2), "//");
        assert_eq!(levels("ü/b", 1), "ü/");
    }

    #[test]
    fn a_statement_has_so_many_lines_and_loses_no_object() {
        let mut statement = Statement::new(1, 2);
        for key in ["a/1", "b/1", "c/1", "a/2", "d/1"] {
            statement.count(&object(key), &Class::Done);
        }
        let lines: Vec<_> = statement.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            (lines[0].prefix.as_str(), lines[0].day.as_str()),
            ("a/", "2026-11-21")
        );
        assert_eq!(lines[0].tally.done, 2);
        assert_eq!(statement.others().done, 2);
        let text = serde_json::to_string(&statement).unwrap();
        assert_eq!(serde_json::from_str::<Statement>(&text).unwrap(), statement);
    }

    fn object(key: &str) -> ListedObject {
        ListedObject {
            key: key.parse().unwrap(),
            version_id: None,
            etag: None,
            size: Some(1),
            last_modified: "2026-11-21T23:59:59Z".parse().unwrap(),
            is_latest: true,
        }
    }
}
