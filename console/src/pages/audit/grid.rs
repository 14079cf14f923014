//! A statement of completeness as a grid of prefix and day.

use std::collections::{BTreeMap, BTreeSet};

use daybook_inspect::audits::{StatementRecord, Tally};
use serde::Deserialize;
use serde_json::Value;

use crate::text::{count, shown};

/// Days of the grid: the newest, which come first.
const DAYS: usize = 31;

/// Prefixes of the grid: those with something missing first.
const PREFIXES: usize = 100;

/// What `daybook audit --output json` said, as far as the page shows it.
#[derive(Deserialize)]
pub struct Report {
    #[serde(flatten)]
    tally: Tally,
    gone: u64,
    unreadable: u64,
    repair: Option<Repair>,
    pub statement: Vec<StatementRecord>,
    pub failures: Vec<String>,
    /// The file with everything that is not done.
    pub report: Option<String>,
}

#[derive(Deserialize)]
struct Repair {
    recorded: u64,
}

impl Report {
    /// # Errors
    /// When it has another form.
    pub fn of(report: &Value) -> Result<Self, String> {
        Self::deserialize(report).map_err(|error| format!("the audit is kept in another form: {error}"))
    }

    /// Missing objects, when they were judged.
    pub fn missing(&self) -> u64 {
        self.tally.missing
    }

    /// What there is of each class.
    pub fn counts(&self) -> Vec<(&'static str, String)> {
        let mut counts = vec![("objects", self.tally.objects)];
        counts.extend(classes(&self.tally));
        let rest = [
            (
                "recorded by this audit",
                self.repair.as_ref().map_or(0, |repair| repair.recorded),
            ),
            ("rows of objects that are gone", self.gone),
            ("unreadable entries", self.unreadable),
        ];
        counts.extend(rest.into_iter().filter(|(_, n)| *n > 0));
        counts
            .into_iter()
            .map(|(name, n)| (name, count(n, true)))
            .collect()
    }
}

/// The classes that objects are in.
fn classes(tally: &Tally) -> impl Iterator<Item = (&'static str, u64)> {
    let classes = [
        ("done", tally.done),
        ("open", tally.open),
        ("removed", tally.removed),
        ("missing", tally.missing),
        ("too new", tally.too_new),
        ("from before the watermark", tally.before_watermark),
        ("changed", tally.changed),
        ("unknown", tally.unknown),
        ("may wait in the intake", tally.may_wait),
    ];
    classes.into_iter().filter(|(_, n)| *n > 0)
}

/// What a prefix has of a day.
pub struct Cell {
    /// `good`, `bad` or `warn`.
    pub tone: &'static str,
    pub text: String,
    pub title: String,
}

impl Cell {
    fn of(line: &StatementRecord) -> Self {
        let tally = &line.tally;
        let (tone, text) = match (line.complete, tally.missing) {
            (true, _) => ("good", format!("✓ {}", count(tally.objects, true))),
            (false, 0) => {
                let accounted = tally.done + tally.open + tally.removed;
                (
                    "warn",
                    format!("{} of {}", count(accounted, true), count(tally.objects, true)),
                )
            }
            (false, missing) => ("bad", format!("{} missing", count(missing, true))),
        };
        let classes = classes(tally).map(|(name, n)| format!("{} {name}", count(n, true)));
        let classes: Vec<String> = classes.collect();
        let title = format!("{} objects: {}", count(tally.objects, true), classes.join(", "));
        Self { tone, text, title }
    }
}

/// The grid.
pub struct Grid {
    pub days: Vec<String>,
    pub lines: Vec<(String, Vec<Option<Cell>>)>,
    /// What is not on it.
    pub hidden_days: usize,
    pub hidden_prefixes: usize,
}

impl Grid {
    pub fn of(statement: &[StatementRecord]) -> Self {
        let days: BTreeSet<&str> = statement.iter().map(|line| line.day.as_str()).collect();
        let hidden_days = days.len().saturating_sub(DAYS);
        let days: Vec<&str> = days.into_iter().rev().take(DAYS).collect();
        let mut prefixes: BTreeMap<&str, BTreeMap<&str, &StatementRecord>> = BTreeMap::new();
        for line in statement {
            prefixes.entry(&line.prefix).or_default().insert(&line.day, line);
        }
        let mut prefixes: Vec<_> = prefixes.into_iter().collect();
        let missing = |lines: &BTreeMap<&str, &StatementRecord>| {
            lines.values().map(|line| line.tally.missing).sum::<u64>()
        };
        prefixes.sort_by_key(|(prefix, lines)| (missing(lines) == 0, *prefix));
        let hidden_prefixes = prefixes.len().saturating_sub(PREFIXES);
        let line = |(prefix, lines): (&str, BTreeMap<&str, &StatementRecord>)| {
            let cells = days.iter().map(|day| lines.get(day).map(|line| Cell::of(line)));
            let name = if prefix.is_empty() {
                "(none)".to_owned()
            } else {
                shown(prefix)
            };
            (name, cells.collect())
        };
        Self {
            lines: prefixes.into_iter().take(PREFIXES).map(line).collect(),
            days: days.iter().map(|day| shown(day)).collect(),
            hidden_days,
            hidden_prefixes,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(prefix: &str, day: &str, done: u64, missing: u64) -> StatementRecord {
        StatementRecord::deserialize(json!({
            "prefix": prefix, "day": day, "complete": missing == 0, "objects": done + missing, "bytes": 0, "done": done,
            "removed": 0, "open": 0, "too_new": 0, "missing": missing, "before_watermark": 0, "changed": 0, "unknown": 0,
        }))
        .unwrap()
    }

    #[test]
    fn what_misses_something_comes_first_and_the_newest_days_are_shown() {
        let mut statement = vec![line("b/", "2026-11-20", 3, 2), line("", "2026-11-20", 1, 0)];
        for day in 1..=30 {
            statement.push(line("a/", &format!("2026-10-{day:02}"), 5, 0));
        }
        statement.push(line("a/", "2026-11-20", 5, 0));
        statement.push(line("a/", "2026-11-21", 1200, 0));
        let grid = Grid::of(&statement);
        let names: Vec<&str> = grid.lines.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b/", "(none)", "a/"]);
        assert_eq!(
            (grid.days.len(), grid.hidden_days, grid.hidden_prefixes),
            (31, 1, 0)
        );
        assert_eq!(
            (grid.days[0].as_str(), grid.days[30].as_str()),
            ("2026-11-21", "2026-10-02")
        );
        let texts = |row: usize| -> Vec<Option<&str>> {
            let cells = grid.lines[row].1.iter().take(2);
            cells
                .map(|cell| cell.as_ref().map(|cell| cell.text.as_str()))
                .collect()
        };
        assert_eq!(texts(0), [None, Some("2 missing")]);
        assert_eq!(texts(2), [Some("✓ 1,200"), Some("✓ 5")]);
        let cell = grid.lines[0].1[1].as_ref().unwrap();
        assert_eq!(
            (cell.tone, cell.title.as_str()),
            ("bad", "5 objects: 3 done, 2 missing")
        );
    }
}
