//! What is to be seen while the demo runs, on stderr: bars in a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::demo::tally::Counts;
use crate::ui::{logging, terminal};

/// The screen.
#[derive(Debug)]
pub struct Screen {
    began: Instant,
    bars: Option<Bars>,
}

#[derive(Debug)]
struct Bars {
    all: MultiProgress,
    waiting: ProgressBar,
    in_flight: ProgressBar,
    done: ProgressBar,
    now: ProgressBar,
}

impl Screen {
    /// A screen for so many events.
    pub fn new(events: u32) -> Self {
        let bars = terminal::draws_on_stderr().then(|| Bars::new(u64::from(events)));
        if let Some(bars) = &bars {
            logging::above(bars.all.clone());
        }
        Self {
            began: Instant::now(),
            bars,
        }
    }

    /// Whether it changes while nothing is noted.
    pub fn is_live(&self) -> bool {
        self.bars.is_some()
    }

    /// How long the demo has been running.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// A line of its own, without a time.
    pub fn line(&self, text: &str) {
        match &self.bars {
            // Fails only when the terminal is gone; then nobody looks.
            Some(bars) => drop(bars.all.println(text)),
            None => eprintln!("{text}"),
        }
    }

    /// An event of note.
    pub fn note(&self, who: &str, what: &str) {
        self.line(&format!(
            "{:6.1} s  {who:<11} {what}",
            self.elapsed().as_secs_f64()
        ));
    }

    /// Shows the counts.
    pub fn show(&self, counts: &Counts, now: String) {
        let Some(bars) = &self.bars else {
            return;
        };
        bars.waiting.set_position(u64::from(counts.waiting()));
        bars.in_flight.set_position(u64::from(counts.in_flight()));
        bars.done.set_position(u64::from(counts.done()));
        bars.now.set_message(now);
    }

    /// Leaves the bars as they are. After Ctrl-C the terminal has written into them, and they can no longer be taken away.
    pub fn leave(&self) {
        if let Some(bars) = &self.bars {
            bars.all.set_draw_target(ProgressDrawTarget::hidden());
            eprintln!();
        }
    }

    /// Takes the bars away; lines stay.
    pub fn close(&self) {
        if let Some(bars) = &self.bars {
            drop(bars.all.clear());
            bars.all.set_draw_target(ProgressDrawTarget::hidden());
        }
    }
}

impl Bars {
    fn new(events: u64) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let width = events.to_string().len();
        let bar = |name: &str, color: &str, meaning: &str| {
            let style = format!("  {name:<9}  {{bar:30.{color}/238}}  {{pos:>{width}}}  {{msg:.dim}}");
            let bar = all.add(ProgressBar::new(events).with_style(style_of(&style)));
            bar.set_message(meaning.to_owned());
            bar
        };
        let (waiting, in_flight, done) = (
            bar("waiting", "yellow", "recorded, for later windows"),
            bar("in flight", "cyan", "sent, not done yet"),
            bar("done", "green", "processed, row removed"),
        );
        let now = all.add(ProgressBar::new(0).with_style(style_of("  {msg}")));
        Self {
            all,
            waiting,
            in_flight,
            done,
            now,
        }
    }
}

fn style_of(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▌░")
}
