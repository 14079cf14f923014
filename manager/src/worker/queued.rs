//! One message of the dispatch queue, from the row that is taken to what becomes of the message.

use std::time::Duration;

use daybook_ledger::{Deadline, Taken, chain};
use daybook_schema::{DispatchMessage, Row};

use super::inbox::{Held, Inbox, Message};
use super::job::{Job, Report, Worked};
use super::target::Stop;

/// So many workers may die with an attempt, or lose their leases; then it has failed.
const MOST_DEATHS: u32 = 3;

/// How long a message stays hidden whose row was certainly not taken.
const RETURN_AFTER: Duration = Duration::from_secs(30);

impl Job {
    /// Works on one message. `stop` ends the run early; a message that came while the worker drains is given back unseen.
    pub(super) async fn work(&self, inbox: &Inbox, held: Held, stop: Stop, draining: bool) -> Worked {
        if draining {
            inbox.hide(&held, Duration::ZERO).await;
            return Worked::Returned("the worker shuts down".into());
        }
        let worked = self.take_and_run(Message { inbox, held: &held }, stop).await;
        // Report, then acknowledge. A crash in between costs one delivery, which finds its row gone on.
        match &worked {
            Worked::Completed | Worked::Failed(_) | Worked::Later(_) | Worked::Dropped | Worked::Stopped => {
                inbox.delete(&held).await
            }
            // The message is left to its visibility timeout: it is the other holder's too if SQS delivered it twice.
            Worked::LeaseLost(cause) => {
                tracing::warn!(sqs.message_id = %held.delivered.message_id, %cause, "a lease was lost; its run is stopped");
            }
            Worked::Returned(cause) => {
                tracing::warn!(sqs.message_id = %held.delivered.message_id, %cause, "a dispatch message is returned");
            }
        }
        worked
    }

    async fn take_and_run(&self, told: Message<'_>, stop: Stop) -> Worked {
        let message = match DispatchMessage::from_json(&told.held.delivered.body) {
            Ok(message) => message,
            Err(error) => {
                told.hide(RETURN_AFTER).await;
                return Worked::Returned(error.to_string());
            }
        };
        // After a suspend of the machine the lease of a run may be over that goes on here: to take its row would be to run it twice.
        let Some(_mine) = self.begin(message.input.name()) else {
            return Worked::Dropped;
        };
        let patience = (self.settings.lease / 3).min(Duration::from_secs(20));
        let deadline = Deadline::after(self.ledger.clock(), patience);
        // Take, then work: dying after this line leaves a row that is ours until its lease ends, and a message that comes
        // again just after.
        match self
            .ledger
            .take(&message, None, self.settings.lease, deadline)
            .await
        {
            Taken::Taken { row, after_another } => {
                if after_another && let Some(worked) = self.after_another(&row).await {
                    return worked;
                }
                self.run_and_report(*row, Some(told), stop).await
            }
            Taken::Stale => Worked::Dropped,
            Taken::NotApplied(cause) => {
                told.hide(RETURN_AFTER).await;
                Worked::Returned(cause.into())
            }
            // Perhaps the row is ours: seen before the lease is over, the message would be dropped. It stays hidden that long.
            Taken::Unknown(cause) => Worked::Returned(cause.into()),
        }
    }

    /// Another worker took this attempt and did not report. Either its report was half done, or this event kills workers;
    /// `None` when it deserves another run.
    ///
    /// How often the message was received says nothing: it may have been returned while the ledger was down.
    async fn after_another(&self, row: &Row) -> Option<Worked> {
        let event = row.event()?;
        let receipts = self.ledger.receipts([event.object_id()]).await;
        let is_done = receipts
            .get(&event.object_id())
            .is_some_and(|receipt| receipt.covers(event));
        // The other worker died between receipt and deletion.
        if is_done {
            return Some(match self.ledger.delete_done(row).await {
                Ok(_) => Worked::Dropped,
                Err(error) => Worked::Returned(chain(&error)),
            });
        }
        if row.deaths < MOST_DEATHS {
            return None;
        }
        let why = format!("{} workers that had it died or lost their leases", row.deaths);
        Some(self.report(row, Report::Failure(why)).await)
    }
}
