//! The log of what people did with the deployment of one machine: who, when, what, why, how many. A line is written when an action
//! begins, at each tenth of its rows, and when it ends: what is there after a kill is how far it certainly came.

use std::collections::BTreeMap;
use std::io;

use daybook_schema::Timestamp;
use serde::{Deserialize, Serialize};

use crate::operate::apply::{Tally, Told};
use crate::operate::canary::Trial;
use crate::wording::text::shortened;

/// The longest reason that is kept, in characters.
const LONGEST_WHY: usize = 300;

/// The longest name that is kept, in characters.
const LONGEST_BY: usize = 64;

/// Rows that are changed between two lines, at least.
const WORTH_A_LINE: usize = 500;

/// Where it is kept.
pub trait Log: Send + Sync {
    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    fn write(&self, entry: &Entry) -> io::Result<()>;

    /// What is kept, the newest first.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self) -> io::Result<Vec<Entry>>;
}

/// A line, and what is known of an action: the last line of an id says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The action.
    pub id: String,
    /// When it began.
    pub begun: Timestamp,
    /// When the line was written.
    pub at: Timestamp,
    /// What was done, such as `redrive` or `pause`, and its details.
    pub what: String,
    /// Who did it.
    pub by: String,
    /// And why, if it was said.
    #[serde(default)]
    pub why: Option<String>,
    /// Whether in the console; else on the command line.
    #[serde(default)]
    pub in_console: bool,
    /// Of an action on rows: how many.
    #[serde(default)]
    pub rows: Option<Rows>,
    /// How it ended; `None`: no end was written.
    #[serde(default)]
    pub ended: Option<String>,
}

/// How many rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Were selected.
    pub selected: usize,
    /// Were changed.
    pub done: usize,
    /// Changed since they were selected, and were left alone.
    pub refused: usize,
    /// May not have been changed.
    pub failed: usize,
}

impl Rows {
    fn of(selected: usize, tally: &Tally) -> Self {
        Self {
            selected,
            done: tally.done(),
            refused: tally.moved_on,
            failed: tally.failed() + tally.unreadable(),
        }
    }

    /// `12 done, 1 refused, 7 left`.
    pub fn words(self) -> String {
        let Self {
            selected,
            done,
            refused,
            failed,
        } = self;
        let left = selected.saturating_sub(done + refused + failed);
        let parts = [
            (done, "done"),
            (refused, "refused"),
            (failed, "failed"),
            (left, "left"),
        ];
        let parts = parts.iter().filter(|(n, what)| *n > 0 || *what == "done");
        let parts: Vec<String> = parts.map(|(n, what)| format!("{n} {what}")).collect();
        parts.join(", ")
    }
}

impl Entry {
    /// One that begins now. Two of one millisecond are told apart by `process`.
    pub fn begin(now: Timestamp, process: u32, what: &str, (by, why): (&str, Option<&str>)) -> Self {
        let digits: String = now
            .to_string()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        Self {
            id: format!("{digits}-{process}"),
            begun: now,
            at: now,
            what: shortened(what, LONGEST_WHY),
            by: shortened(by, LONGEST_BY),
            why: why.map(|why| shortened(why, LONGEST_WHY)),
            in_console: false,
            rows: None,
            ended: None,
        }
    }

    /// The same at its end.
    pub fn ended(self, now: Timestamp, how: &str) -> Self {
        Self {
            at: now,
            ended: Some(shortened(how, LONGEST_WHY)),
            ..self
        }
    }
}

/// What the lines say of each action, the newest first. A line that is not one is skipped: it was cut off, or a later release wrote it.
pub fn read(lines: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut of_action: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines.lines() {
        let Ok(entry) = serde_json::from_str::<Entry>(line) else {
            continue;
        };
        // What is no action on rows has one line, whatever else was done in that millisecond.
        let known = entry.rows.and_then(|_| of_action.get(&entry.id).copied());
        match known {
            Some(position) => entries[position] = entry,
            None => {
                if entry.rows.is_some() {
                    of_action.insert(entry.id.clone(), entries.len());
                }
                entries.push(entry);
            }
        }
    }
    // Stable: what began in one millisecond stays in the order of the lines.
    entries.sort_by_key(|entry| entry.begun);
    entries.reverse();
    entries
}

/// Writes the lines of an action on rows.
pub struct Recorder<'a> {
    log: &'a dyn Log,
    entry: Entry,
    /// Of which the last line was written.
    written: usize,
    /// Why a line could not be written, if one could not: the action goes on.
    pub trouble: Option<io::Error>,
}

impl<'a> Recorder<'a> {
    /// Writes that it begins, with so many rows.
    pub fn begin(log: &'a dyn Log, mut entry: Entry, selected: usize) -> Self {
        entry.rows = Some(Rows {
            selected,
            ..Rows::default()
        });
        let mut recorder = Self {
            log,
            entry,
            written: 0,
            trouble: None,
        };
        recorder.write();
        recorder
    }

    fn write(&mut self) {
        if let Err(error) = self.log.write(&self.entry) {
            self.trouble = Some(error);
        }
    }

    /// Writes how far it is, where that is worth a line.
    pub fn hear(&mut self, told: &Told<'_>, now: Timestamp) {
        let Told::Changed(_, tally) = told else { return };
        let selected = self.entry.rows.unwrap_or_default().selected;
        let is_first = self.written == 0;
        if is_first || tally.seen() - self.written >= (selected / 10).max(WORTH_A_LINE) {
            self.written = tally.seen();
            self.entry.rows = Some(Rows::of(selected, tally));
            self.entry.at = now;
            self.write();
        }
    }

    /// Writes how it ended.
    pub fn end(mut self, tally: &Tally, now: Timestamp, how: &str) -> Option<io::Error> {
        let selected = self.entry.rows.unwrap_or_default().selected;
        self.entry.rows = Some(Rows::of(selected, tally));
        self.entry = self.entry.clone().ended(now, how);
        self.write();
        self.trouble
    }
}

/// How an action ended, in words; what failed first is in them, as it is.
pub fn end_words(tally: &Tally, trial: Option<&Trial>) -> String {
    match trial.and_then(|trial| trial.stopped.as_deref().map(|why| (trial, why))) {
        Some((trial, why)) => {
            let error = trial.first_error().filter(|error| !error.is_empty());
            let error = error.map(|error| format!(": {error}"));
            format!(
                "stopped after the canaries: {why}{}; the others are left as they were",
                error.unwrap_or_default()
            )
        }
        None if tally.interrupted => {
            "stopped before its end: the others are left as they were; the same action again resumes with them"
                .to_owned()
        }
        None if tally.failed() > 0 => {
            "ended, and some rows may not have been changed; the same action again tries them once more"
                .to_owned()
        }
        None => "done".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_an_action_says_how_far_it_came() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (one, two) = (at("2026-11-21T12:00:00.000Z"), at("2026-11-21T12:00:01.000Z"));
        let begun = Entry {
            rows: Some(Rows::default()),
            ..Entry::begin(one, 7, "redrive", ("kim", Some("<fixed>")))
        };
        let paused = Entry::begin(two, 7, "pause", ("lee", None)).ended(two, "done");
        let rows = Rows {
            selected: 20,
            done: 12,
            refused: 1,
            failed: 0,
        };
        let further = Entry {
            rows: Some(rows),
            ..begun.clone()
        };
        let line = |entry: &Entry| serde_json::to_string(entry).unwrap() + "\n";
        let text = line(&begun) + &line(&paused) + &line(&further) + "{\"id\":\"cut";
        let entries = read(&text);
        assert_eq!(entries, [paused.clone(), further.clone()]);
        assert_eq!(entries[1].rows.unwrap().words(), "12 done, 1 refused, 7 left");
        assert!(entries[1].ended.is_none() && entries[1].id != entries[0].id);
        assert!(read("nonsense\n{}\n").is_empty());
        // In one millisecond the later line is the newer action.
        let resumed = Entry::begin(two, 7, "resume", ("lee", None)).ended(two, "done");
        let redriven = Entry {
            rows: Some(rows),
            ..Entry::begin(two, 7, "redrive", ("kim", None))
        };
        let text = line(&paused) + &line(&resumed) + &line(&redriven) + &line(&redriven);
        assert_eq!(read(&text), [redriven, resumed, paused]);
    }
}
