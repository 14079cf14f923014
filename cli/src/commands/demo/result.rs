//! What came of it: from the movers' reports, and from evidence outside of them.

use std::fmt::Write as _;
use std::io::Write as _;

use daybook_schema::{Attempt, ExecutionName, ObjectId, Status};
use schemars::JsonSchema;
use serde::Serialize;

use crate::commands::demo::course::Demo;
use crate::commands::demo::notes::counted;
use crate::commands::demo::target::Folder;
use crate::ui::error::UserError;
use crate::ui::output::Output;

/// US dollars per million write units of an on-demand table in us-east-1 (DynamoDB pricing, 2026).
const DOLLARS_PER_MILLION_WRITES: f64 = 0.625;

/// Everything that is known at the end.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Evidence {
    /// Objects uploaded.
    events: u32,
    /// N.
    per_window: u32,
    /// The window's length.
    every_seconds: f64,
    /// The lease of a claimed event.
    lease_seconds: f64,
    /// What uploads and faults derived from.
    seed: u64,
    /// Events written to the ledger.
    recorded: u32,
    /// Notifications that came twice.
    already_there: u32,
    /// Events processed.
    completed: u32,
    /// Messages sent again by the sweep.
    redelivered: u32,
    /// Rows that are left in the ledger.
    open: u32,
    /// Those of them that wait for a person.
    parked: u32,
    /// Messages sent in each window, those sent again included.
    windows: Vec<u32>,
    /// Messages that the queue lost.
    lost_messages: u32,
    /// Result files of the target.
    results: u32,
    /// Receipts left.
    receipts: u32,
    /// Executions started.
    executions: u32,
    /// Executions of an attempt after the first.
    retries: u32,
    /// Messages in dead-letter queues.
    dead_letters: u32,
    /// DynamoDB's write units.
    write_units_per_event: f64,
    /// What went wrong on the way, each cause once.
    failures: Vec<String>,
    /// How long it took.
    seconds: f64,
}

impl Evidence {
    /// Asks the ledger, the receipts, the executions and the target's folder.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub async fn gather(demo: &Demo, folder: &Folder, objects: Vec<ObjectId>) -> anyhow::Result<Self> {
        let seconds = demo.screen.elapsed().as_secs_f64();
        let world = &demo.world;
        let write_units = world.ledger.consumed().write_units;
        let (mut open, mut parked) = (0, 0);
        let mut rows = world.ledger.open_rows();
        while let Some(page) = rows.next().await? {
            let page: Vec<_> = page.into_iter().collect::<Result<_, _>>()?;
            open += count(page.len());
            parked += count(page.iter().filter(|row| row.status == Status::Parked).count());
        }
        let mut dead_letters = 0;
        for url in &world.dead_letters {
            dead_letters += count(world.aws.sqs().depth(url)?.visible);
        }
        let receipts = count(world.ledger.receipts(objects).await.len());
        let executions = world.aws.executions().all();
        let is_retry = |name: &str| {
            let name = name.parse::<ExecutionName>();
            name.is_ok_and(|name| name.attempt > Attempt(1))
        };
        let counts = demo.tally.read();
        Ok(Self {
            events: demo.events,
            per_window: world.dispatch.per_window,
            every_seconds: world.dispatch.window.as_secs_f64(),
            lease_seconds: world.dispatch.lease.as_secs_f64(),
            seed: demo.seed,
            recorded: counts.recorded,
            already_there: counts.already_there,
            completed: counts.done(),
            redelivered: counts.redelivered,
            open,
            parked,
            windows: counts.windows(world.dispatch.window),
            lost_messages: counts.lost,
            results: count(folder.count_results()?),
            receipts,
            executions: count(executions.len()),
            retries: count(executions.iter().filter(|one| is_retry(&one.name)).count()),
            dead_letters,
            write_units_per_event: tenths(write_units / f64::from(demo.events)),
            failures: counts.failures.keys().cloned().collect(),
            seconds: tenths(seconds),
        })
    }

    /// Writes it to stdout.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn print(&self, output: Output) -> anyhow::Result<()> {
        let text = match output {
            Output::Json => serde_json::to_string(self)? + "\n",
            Output::Table => self.story(),
        };
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Whether what is promised was kept.
    ///
    /// # Errors
    /// Says what was not.
    pub fn verdict(&self) -> Result<(), UserError> {
        let broken = self.broken();
        if broken.is_empty() {
            return Ok(());
        }
        Err(UserError::new("the promise did not hold")
            .because(anyhow::anyhow!(broken.join("\n  caused by: ")))
            .hint(format!(
                "this is a bug: please report it with the numbers above, seed {} among them",
                self.seed
            )))
    }

    fn broken(&self) -> Vec<String> {
        let events = self.events;
        let mut broken = Vec::new();
        let mut every_event = |what: &str, n: u32| {
            if n != events {
                broken.push(format!("{what}: {n}, not {events}"));
            }
        };
        every_event("events recorded", self.recorded);
        every_event("events completed", self.completed);
        every_event("result files of the target", self.results);
        every_event("receipts", self.receipts);
        every_event("executions", self.executions);
        let mut none = |what: &str, n: u32| {
            if n != 0 {
                broken.push(format!("{what}: {n}, not 0"));
            }
        };
        none("rows left in the ledger", self.open);
        none("messages in dead-letter queues", self.dead_letters);
        if self.redelivered < self.lost_messages {
            broken.push(format!(
                "{} messages were lost, and {} sent again",
                self.lost_messages, self.redelivered
            ));
        }
        if let Some(most) = self.windows.iter().max().filter(|most| **most > self.per_window) {
            broken.push(format!(
                "{most} events were sent in one window, and {} are allowed",
                self.per_window
            ));
        }
        broken
    }

    /// The same in plain words.
    fn story(&self) -> String {
        let mut text = String::new();
        let kept = self.broken().is_empty();
        let head = match kept {
            true => format!(
                "Nothing was lost: all {} processed",
                counted(self.events, "event")
            ),
            false => format!(
                "{} of {} processed",
                self.completed,
                counted(self.events, "event")
            ),
        };
        let _ = writeln!(text, "\n{head}, in {:.1} seconds.\n", self.seconds);
        for (what, number, meaning) in self.lines() {
            let (mut what, mut number) = (what, number.as_str());
            for line in wrapped(&meaning) {
                let _ = writeln!(text, "  {what:<11}{number:>6}  {line}");
                (what, number) = ("", "");
            }
        }
        let _ = write!(
            text,
            "\nWhere to go next\n\
             \x20 daybook demo --seed {}{}\n\
             \x20     this run again\n\
             \x20 daybook demo --events 10000 --per-window 2000\n\
             \x20     more of everything\n\
             \x20 daybook up --exec ./process.sh\n\
             \x20     your own command for each object, on this machine\n",
            self.seed,
            self.flags()
        );
        text
    }

    /// The flags that make this run, where they are not the defaults.
    fn flags(&self) -> String {
        let mut flags = String::new();
        if self.events != 115 {
            let _ = write!(flags, " --events {}", self.events);
        }
        if self.per_window != 50 {
            let _ = write!(flags, " --per-window {}", self.per_window);
        }
        if self.every_seconds != 2.0 {
            let _ = write!(flags, " --every {}ms", self.every_seconds * 1000.0);
        }
        flags
    }

    fn lines(&self) -> Vec<(&'static str, String, String)> {
        let number = |n: u32| n.to_string();
        let dollars = self.write_units_per_event * DOLLARS_PER_MILLION_WRITES;
        let extra = match self.redelivered.saturating_sub(self.lost_messages) {
            0 => String::new(),
            n => format!(" {n} of them were only slow; their execution names kept them from running twice."),
        };
        vec![
            (
                "recorded",
                number(self.recorded),
                format!(
                    "events: each became a row in the ledger before anything else happened to it. {} came once \
                     more, as S3 may send them: recognised, and not run twice.",
                    counted(self.already_there, "notification")
                ),
            ),
            (
                "at most",
                number(self.per_window),
                format!(
                    "in each window of {} s, whoever sends. Sent: {}.",
                    self.every_seconds,
                    self.windows_in_words()
                ),
            ),
            (
                "lost",
                number(self.lost_messages),
                "messages: the dispatch queue was emptied while nobody could read it. Their rows stayed in the \
                 ledger, marked as claimed, each with a lease."
                    .to_owned(),
            ),
            (
                "sent again",
                number(self.redelivered),
                format!(
                    "by the sweep, when their leases of {} s had run out, within the same limit per window.{extra}",
                    self.lease_seconds
                ),
            ),
            (
                "retries",
                number(self.retries),
                "were needed: losing a message consumes no attempt; only a failed run does."
                    .to_owned(),
            ),
            (
                "processed",
                number(self.results),
                format!(
                    "result files, which the target wrote outside of the ledger: the count that matters. {} ran. {} \
                     left, {} of them parked for a person.",
                    counted(self.executions, "execution"),
                    counted(self.open, "open row"),
                    self.parked
                ),
            ),
            (
                "cost",
                format!("{:.1}", self.write_units_per_event),
                format!(
                    "DynamoDB write units per event: 8 for each, the rest for duplicates and recovery. \
                     ${dollars:.2} per million events in us-east-1; queue and executions cost extra."
                ),
            ),
        ]
    }

    fn windows_in_words(&self) -> String {
        const SHOWN: usize = 12;
        let shown: Vec<String> = self.windows.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = self.windows.len().saturating_sub(SHOWN);
        match more {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }
}

/// Lines that fit beside the numbers into 80 columns.
fn wrapped(text: &str) -> Vec<String> {
    const WIDTH: usize = 59;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

pub fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn tenths(n: f64) -> f64 {
    (n * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Evidence {
        Evidence {
            events: 9,
            per_window: 5,
            every_seconds: 2.0,
            lease_seconds: 6.0,
            seed: 1,
            recorded: 9,
            already_there: 1,
            completed: 9,
            redelivered: 4,
            open: 0,
            parked: 0,
            windows: vec![5, 4, 0, 4],
            lost_messages: 4,
            results: 9,
            receipts: 9,
            executions: 9,
            retries: 0,
            dead_letters: 0,
            write_units_per_event: 9.0,
            failures: Vec::new(),
            seconds: 12.0,
        }
    }

    #[test]
    fn a_promise_that_does_not_hold_is_an_error_that_says_what() {
        assert!(kept().verdict().is_ok());
        let broken = Evidence {
            completed: 8,
            results: 8,
            open: 1,
            redelivered: 3,
            windows: vec![6, 3, 0, 3],
            ..kept()
        };
        let said = [
            "events completed: 8, not 9",
            "result files of the target: 8, not 9",
            "rows left in the ledger: 1, not 0",
            "4 messages were lost, and 3 sent again",
            "6 events were sent in one window, and 5 are allowed",
        ];
        assert_eq!(broken.broken(), said);
        assert!(broken.verdict().is_err());
        assert!(broken.story().contains("8 of 9 events processed"));
    }

    #[test]
    fn the_story_fits_into_80_columns() {
        let story = Evidence {
            windows: vec![2000; 40],
            ..kept()
        }
        .story();
        assert!(story.lines().all(|line| line.chars().count() <= 80), "{story}");
    }
}
