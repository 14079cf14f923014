//! What the demo says while it runs.

use daybook_inspect::wording::time;
use daybook_ledger::Window;

use crate::commands::demo::course::Demo;

/// A count with its noun.
pub fn counted(n: u32, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    }
}

impl Demo {
    fn every(&self) -> String {
        time::span(self.world.dispatch.window)
    }

    /// What is going to happen.
    pub fn note_beginning(&self) {
        self.screen.line(&format!(
            "daybook demo: {} to S3, at most {} per window of {} (seed {})",
            counted(self.events, "upload"),
            self.world.dispatch.per_window,
            self.every(),
            self.seed
        ));
    }

    /// The intake queue has been read to its end for the first time.
    pub fn note_intake(&self) {
        let (recorded, already_there) = {
            let counts = self.tally.read();
            (counts.recorded, counts.already_there)
        };
        if recorded + already_there < self.notifications {
            return;
        }
        self.intake_noted.call_once(|| {
            let duplicates = match already_there {
                0 => String::new(),
                n => format!("; {} recognised", counted(n, "duplicate")),
            };
            self.screen.note(
                "ingest",
                &format!("{} in the ledger{duplicates}", counted(recorded, "event")),
            );
        });
    }

    /// The scheduler has run.
    pub fn note_window(&self, window: Window, sent: u32) {
        let number = self.tally.number(window);
        let (waiting, in_flight, gone, idle_before) = {
            let counts = self.tally.read();
            let before = counts.sent_before(window);
            (counts.waiting(), counts.in_flight(), counts.gone(), before == 0)
        };
        let what = match (sent, waiting, in_flight) {
            (0, ..) if idle_before => return,
            (0, _, 0) => return,
            (0, _, in_flight) if gone > 0 => {
                format!("nothing to send; {in_flight} in flight, {gone} of them lost")
            }
            (0, _, in_flight) => format!("nothing to send; {in_flight} in flight"),
            (sent, 0, _) => format!("{} sent, none waits any more", counted(sent, "event")),
            (sent, waiting, _) => format!(
                "{} sent, {waiting} wait for later windows",
                counted(sent, "event")
            ),
        };
        self.screen.note(&format!("window {number}"), &what);
    }

    /// The dispatch queue is gone.
    pub fn note_loss(&self, lost: u32) {
        self.screen.note(
            "OUTAGE",
            &format!(
                "the dispatch queue is lost, {} with it",
                counted(lost, "unreceived message")
            ),
        );
    }

    /// The sweep has run.
    pub fn note_sweep(&self, window: Window, redelivered: u32) {
        if redelivered == 0 {
            return;
        }
        let number = self.tally.number(window);
        let what = format!(
            "{} unheard of for {}: sent again, in window {number}",
            counted(redelivered, "event"),
            time::span(self.world.dispatch.lease)
        );
        self.screen.note("sweep", &what);
    }

    /// Brings the bars up to date.
    pub fn show(&self) {
        if !self.screen.is_live() {
            return;
        }
        let counts = self.tally.read();
        let now = match counts.gone() {
            0 => format!(
                "at most {} per window of {}",
                counted(self.world.dispatch.per_window, "event"),
                self.every()
            ),
            gone => format!(
                "{} lost: the sweep acts when their leases of {} are over",
                counted(gone, "message"),
                time::span(self.world.dispatch.lease)
            ),
        };
        self.screen.show(&counts, now);
    }
}
