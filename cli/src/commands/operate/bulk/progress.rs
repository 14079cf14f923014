//! How far it is: a bar in a terminal, a line at every tenth elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use daybook_inspect::operate::apply::Told;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::ui::count::grouped;
use crate::ui::logging;

/// Fewer rows than these are done before a line is read.
const WORTH_LINES: usize = 1000;

/// What is shown on stderr.
pub struct Progress {
    all: Option<MultiProgress>,
    reading: ProgressBar,
}

/// The changing of so many rows.
pub struct Changing {
    verb: &'static str,
    bar: ProgressBar,
    is_bar: bool,
    done: usize,
    all: usize,
}

impl Progress {
    /// For this run.
    pub fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                all: None,
                reading: ProgressBar::hidden(),
            };
        }
        let all = MultiProgress::new();
        logging::above(all.clone());
        let reading = all.add(ProgressBar::new_spinner().with_style(style("{spinner} {msg}")));
        reading.enable_steady_tick(Duration::from_millis(100));
        Self {
            all: Some(all),
            reading,
        }
    }

    /// So many rows were read, and so many of them are selected.
    pub fn reading(&self, read: usize, selected: usize) {
        self.reading.set_message(format!(
            "{} rows read, {} selected",
            grouped(read),
            grouped(selected)
        ));
    }

    /// Takes it away: something is to be asked, or printed.
    pub fn clear(&self) {
        self.reading.finish_and_clear();
    }

    /// Begins to show how far the changing of so many rows is.
    pub fn changing(&self, verb: &'static str, all: usize) -> Changing {
        let bar = match &self.all {
            None => ProgressBar::hidden(),
            Some(progress) => {
                let template = "{prefix} {wide_bar} {human_pos} of {human_len}, {rate}, {eta} left";
                let bar = ProgressBar::new(all as u64).with_style(style(template));
                let bar = progress.add(bar.with_prefix(verb));
                bar.enable_steady_tick(Duration::from_millis(200));
                bar
            }
        };
        Changing {
            verb,
            bar,
            is_bar: self.all.is_some(),
            done: 0,
            all,
        }
    }
}

impl Changing {
    /// So many more are through.
    pub fn add(&mut self, n: usize) {
        let tenths = |done: usize| done * 10 / self.all.max(1);
        let before = tenths(self.done);
        self.done += n;
        self.bar.set_position(self.done as u64);
        if !self.is_bar && self.all >= WORTH_LINES && tenths(self.done) > before {
            eprintln!("{}: {} of {}", self.verb, grouped(self.done), grouped(self.all));
        }
    }

    /// What is told while rows are changed.
    pub fn hear(&mut self, told: &Told<'_>) {
        match told {
            Told::Stopping => self.say(
                "stopping: requests in flight are finished first; press Ctrl-C again to stop immediately",
            ),
            Told::Changed(n, _) => self.add(*n),
            Told::CanariesSent(n) => {
                let events = if *n == 1 { "event is" } else { "events are" };
                self.say(&format!("canary: {n} {events} redriven; waiting for the outcome"));
            }
            Told::GoesOn(0) => self.say("canary: succeeded"),
            Told::GoesOn(n) => self.say(&format!("canary: succeeded; redriving the other {}", grouped(*n))),
        }
    }

    /// A line of its own.
    pub fn say(&self, line: &str) {
        match self.is_bar {
            true => self.bar.suspend(|| eprintln!("{line}")),
            false => eprintln!("{line}"),
        }
    }

    /// Takes it away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            // Nobody reads a rate that cannot be shown.
            let _ = write!(text, "{:.0}/s", state.per_sec());
        })
}
