//! A log that does not repeat itself: what goes wrong all the time is said now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// Within this time a place in the code has at most [`LINES`] lines.
const PERIOD: Duration = Duration::from_secs(60);

/// How many lines of a kind tell enough.
const LINES: u32 = 2;

/// Modules whose lines never repeat themselves: those of failed runs have a limit of their own, and those of a watch say what changed.
const OTHERS: [&str; 2] = ["::run_log", "::watch"];

/// Lets a place in the code warn twice a minute, and says when more of the same is left out and how many lines were.
pub struct Repeats {
    places: Mutex<HashMap<Identifier, Allowance>>,
    say: fn(&str),
}

/// How many lines a place may still write.
struct Allowance {
    since: Instant,
    written: u32,
    left_out: u64,
}

/// What to do with a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Write it, after so many of its kind that were left out.
    Write(u64),
    /// Leave it out, the first one.
    BeginLeavingOut,
    /// Leave it out.
    LeaveOut,
}

impl Allowance {
    fn ask(&mut self, now: Instant) -> Verdict {
        if now.duration_since(self.since) >= PERIOD {
            (self.since, self.written) = (now, 0);
        }
        if self.written < LINES {
            self.written += 1;
            return Verdict::Write(std::mem::take(&mut self.left_out));
        }
        self.left_out += 1;
        match self.left_out {
            1 => Verdict::BeginLeavingOut,
            _ => Verdict::LeaveOut,
        }
    }
}

impl Repeats {
    /// Says so by that: it must not log, or the log would be about the log.
    pub fn new(say: fn(&str)) -> Self {
        Self {
            places: Mutex::default(),
            say,
        }
    }

    fn verdict(&self, of: &Metadata<'_>, now: Instant) -> Verdict {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let allowance = places.entry(of.callsite()).or_insert(Allowance {
            since: now,
            written: 0,
            left_out: 0,
        });
        allowance.ask(now)
    }
}

impl<S> Filter<S> for Repeats {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let of = event.metadata();
        if *of.level() > Level::WARN || OTHERS.iter().any(|other| of.target().ends_with(other)) {
            return true;
        }
        let from = of.target();
        match self.verdict(of, Instant::now()) {
            Verdict::Write(0) => true,
            Verdict::Write(n) => {
                (self.say)(&format!("  … {n} lines like the next were left out"));
                true
            }
            Verdict::BeginLeavingOut => {
                (self.say)(&format!("  … more lines from {from} are left out for a minute"));
                false
            }
            Verdict::LeaveOut => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_itself_is_said_twice_a_minute_and_nothing_is_left_out_in_silence() {
        let start = Instant::now();
        let mut allowance = Allowance {
            since: start,
            written: 0,
            left_out: 0,
        };
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut asked = |seconds| allowance.ask(at(seconds));
        assert_eq!(asked(0), Verdict::Write(0));
        assert_eq!(asked(1), Verdict::Write(0));
        assert_eq!(asked(2), Verdict::BeginLeavingOut);
        assert_eq!(asked(59), Verdict::LeaveOut);
        assert_eq!(asked(60), Verdict::Write(2));
        assert_eq!(asked(61), Verdict::Write(0));
        assert_eq!(asked(62), Verdict::BeginLeavingOut);
        assert_eq!(asked(900), Verdict::Write(1));
    }
}
