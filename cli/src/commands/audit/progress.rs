//! How far the audit is, on a terminal.

use std::fmt;
use std::io::IsTerminal;
use std::time::Duration;

use daybook_reconciler::audit::Run;
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::ui::logging;

/// What is shown on stderr; nothing unless it is a terminal.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// For so many objects, if that is known.
    pub fn new(expect: Option<u64>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        let all = MultiProgress::new();
        logging::above(all.clone());
        let (bar, template) = match expect {
            Some(objects) => (
                ProgressBar::new(objects),
                "{wide_bar} {human_pos} of {human_len} objects, {rate}, {eta} left{msg}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {human_pos} objects, {rate}{msg}",
            ),
        };
        let style = ProgressStyle::with_template(template).map(|style| style.with_key("rate", rate));
        let bar = all.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// It goes on behind what another process has judged. The bytes of an inventory say how long it takes.
    pub fn begin(&self, run: &Run) {
        if let Some(inventory) = run.progress().inventory {
            self.bar.set_length(inventory.bytes);
            let template = "{wide_bar} {bytes} of {total_bytes}, {eta} left{msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
        }
        // What was there before says nothing about the rate.
        self.bar.set_position(position(run));
        self.bar.reset_eta();
    }

    /// It is that far.
    pub fn show(&self, run: &Run) {
        self.bar.set_position(position(run));
        let (progress, missing) = (run.progress(), run.checkpoint().tally.missing);
        let mut message = String::new();
        if progress.inventory.is_some() {
            let rate = HumanCount(progress.objects_per_second() as u64);
            message = format!(", {} objects, {rate}/s", HumanCount(seen(run)));
        }
        if missing > 0 {
            message += &format!(", {missing} missing");
        }
        self.bar.set_message(message);
    }

    /// Takes it away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Without the decimals of indicatif's own.
fn rate(state: &ProgressState, to: &mut dyn fmt::Write) {
    // A bar that cannot be written is not worth failing for.
    let _ = write!(to, "{}/s", HumanCount(state.per_sec() as u64));
}

/// In bytes of an inventory, or in objects.
fn position(run: &Run) -> u64 {
    let inventory = run.progress().inventory;
    inventory.map_or_else(|| seen(run), |inventory| inventory.bytes_read)
}

fn seen(run: &Run) -> u64 {
    let checkpoint = run.checkpoint();
    checkpoint.tally.objects + checkpoint.outside + checkpoint.unreadable
}
