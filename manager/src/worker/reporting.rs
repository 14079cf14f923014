//! What came of a run is told the ledger, row by row.

use std::time::Duration;

use daybook_ledger::{Deadline, Postponed, Success, chain};
use daybook_schema::Row;

use super::job::{Job, Report};
use super::worked::Worked;

/// How much of a reason a row keeps, in characters.
const LONGEST_WHY: usize = 256;

impl Job {
    /// Reports until the ledger has it, or the lease is over: then the message comes again, and the event with it.
    pub(super) async fn report(&self, row: &Row, report: Report) -> Worked {
        let clock = self.ledger.clock();
        let deadline = Deadline(row.due_at);
        let mut pause = Duration::from_millis(200);
        loop {
            let cause = match self.report_once(row, &report, deadline).await {
                Ok(worked) => return worked,
                Err(cause) => cause,
            };
            if deadline.left(clock) <= pause {
                return Worked::Returned(cause);
            }
            tracing::warn!(event.id = %row.id, %cause, "what came of a run could not be reported; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(10));
        }
    }

    async fn report_once(&self, row: &Row, report: &Report, deadline: Deadline) -> Result<Worked, String> {
        match report {
            Report::Success => {
                // A row that keeps an unreadable payload is never claimed.
                let event = row.event().ok_or("the row has no event")?;
                let success = Success {
                    event,
                    attempt: row.attempt,
                    by: &self.settings.name,
                };
                let completed = self.settler.complete(&self.ledger, success).await;
                completed.map(|_| Worked::Completed)
            }
            Report::Failure(blame, why) => {
                let why = both_ends(why, LONGEST_WHY);
                let retry = &self.settings.retry;
                let failed = self.ledger.fail_taken(row, *blame, &why, retry, deadline).await;
                failed.map(Worked::Failed).map_err(|error| chain(&error))
            }
            Report::Later(after, why) => {
                let why = why.as_deref().map(|why| both_ends(why, LONGEST_WHY));
                match self.ledger.postpone(row, *after, why.as_deref(), deadline).await {
                    Postponed::Until(until) => Ok(Worked::Later(until)),
                    Postponed::Stale => Ok(Worked::Dropped),
                    Postponed::Left(cause) => Err(cause.into()),
                }
            }
        }
    }

    /// Puts a row back as if it had never been claimed, with what failed before as its last error.
    pub(super) async fn put_back(&self, row: &Row) -> Worked {
        match self.report(row, Report::Later(Duration::ZERO, None)).await {
            Worked::Later(_) => Worked::Stopped,
            other => other,
        }
    }
}

/// At most so many characters of a text: what happened stands at its start, and what a command said last at its end.
fn both_ends(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let start = most / 5;
    let end = characters.len() - (most - start - 3);
    let (start, end): (String, String) = (
        characters[..start].iter().collect(),
        characters[end..].iter().collect(),
    );
    format!("{start} … {end}")
}

#[cfg(test)]
mod tests {
    use super::both_ends;

    #[test]
    fn of_a_long_reason_the_start_and_the_end_are_kept() {
        assert_eq!(both_ends("exit status 1: no", 256), "exit status 1: no");
        let long = format!("exit status 1: {}the end é", "x".repeat(2000));
        let kept = both_ends(&long, 256);
        assert_eq!(kept.chars().count(), 256);
        assert!(
            kept.starts_with("exit status 1: xxx") && kept.ends_with("xxthe end é"),
            "{kept}"
        );
    }
}
