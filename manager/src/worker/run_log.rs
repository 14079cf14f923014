//! A line in the log for each run that did not succeed, with what it was for and why, and not more lines than a person can read.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use daybook_ledger::Failed;
use daybook_schema::{Row, Timestamp};

use super::worked::Worked;

/// Between two of these there are at most [`LINES`] lines.
const PERIOD: Duration = Duration::from_secs(10);

/// How many lines a period has.
const LINES: u32 = 20;

/// The lines of one worker's runs.
#[derive(Debug, Default)]
pub(super) struct RunLog(Mutex<Allowance>);

/// How many lines may still be written.
#[derive(Debug, Default)]
struct Allowance {
    /// When this period began.
    since: Option<Timestamp>,
    /// Lines of this period.
    written: u32,
    /// Runs since the last line that no line was written for.
    left_out: u64,
}

impl Allowance {
    /// Asks for a line: `Some` with the number of runs that were left out before it, or `None` when there are lines enough. A clock
    /// that was set back begins a new period.
    fn ask(&mut self, now: Timestamp) -> Option<u64> {
        let is_over = self
            .since
            .is_none_or(|since| now < since || now >= since.plus(PERIOD));
        if is_over {
            self.since = Some(now);
            self.written = 0;
        }
        if self.written == LINES {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl RunLog {
    /// Says what came of a run of that row: a success at INFO; a failed attempt and one that is put off at WARN, 20 lines in ten
    /// seconds, with `left_out` for what had none since the line before. What strangers chose, keys and errors, is escaped. What
    /// is returned or lost has lines of its own where that is found out.
    pub(super) fn tell(&self, row: &Row, why: &str, worked: &Worked, now: Timestamp) {
        let (message, until) = match worked {
            Worked::Failed(Failed::Retry(at)) => ("an attempt failed, and the next is due later", Some(at)),
            Worked::Failed(Failed::Parked) => ("the last attempt failed; the event waits for a person", None),
            Worked::Later(at) => ("an event is put off, and no attempt is used", Some(at)),
            Worked::Completed => return succeeded(row),
            Worked::Failed(Failed::Stale)
            | Worked::Dropped
            | Worked::Returned(_)
            | Worked::LeaseLost(_)
            | Worked::Stopped => return,
        };
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner).ask(now);
        let Some(left_out) = asked else { return };
        let (event, general) = (row.object_event(), row.cloud_event());
        tracing::warn!(
            event.id = %row.id,
            s3.bucket = event.map(|event| event.bucket.as_str()),
            s3.key = event.map(|event| event.key.as_str()),
            cloudevents.event_source = general.map(|event| event.source.as_str()),
            cloudevents.event_id = general.map(|event| event.id.as_str()),
            attempt = row.attempt.0,
            max_attempts = row.max_attempts,
            error = why,
            due_at = until.map(ToString::to_string),
            left_out = (left_out > 0).then_some(left_out),
            "{message}"
        );
    }
}

fn succeeded(row: &Row) {
    let (event, general) = (row.object_event(), row.cloud_event());
    tracing::info!(
        event.id = %row.id,
        s3.bucket = event.map(|event| event.bucket.as_str()),
        s3.key = event.map(|event| event.key.as_str()),
        cloudevents.event_source = general.map(|event| event.source.as_str()),
        cloudevents.event_id = general.map(|event| event.id.as_str()),
        attempt = row.attempt.0,
        "an event is done"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_has_twenty_lines_in_ten_seconds_and_the_next_line_says_how_many_had_none() {
        let at = |millis| Timestamp::from_unix_millis(millis).expect("a time");
        let mut allowance = Allowance::default();
        let asked: Vec<Option<u64>> = (0..600).map(|n| allowance.ask(at(1_000 + n * 10))).collect();
        assert_eq!(asked.iter().flatten().count(), 20);
        assert_eq!(asked[..20], [Some(0); 20]);
        assert_eq!(allowance.ask(at(11_000)), Some(580));
        assert_eq!(allowance.ask(at(11_001)), Some(0));
        // Nobody waits for a clock that was years ahead.
        assert_eq!(allowance.ask(at(5)), Some(0));
        assert_eq!(allowance.since, Some(at(5)));
    }
}
