//! Successes that are reported at about the same time are settled together.
//!
//! The first to report leads: it takes along everybody who waits by then, and gives each an outcome of its own. While a group is
//! under way others gather until it ends, for ten milliseconds at most; while none is, nobody waits. A report whose leader was
//! dropped in the middle settles by itself. So every report gets its outcome, as long as somebody still waits for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_ledger::{Deleted, Ledger, LedgerError, Success, chain};
use daybook_schema::{Attempt, ObjectEvent};
use futures::StreamExt;
use tokio::sync::{Notify, oneshot};

/// How long a report waits for company at most, while another group is under way.
const GATHER: Duration = Duration::from_millis(10);

/// What came of a report; why it is not certainly done, otherwise.
type Outcome = Result<Deleted, String>;

/// The reports of one worker that wait, and the groups that are under way.
#[derive(Debug, Default)]
pub(super) struct Settler {
    gathering: Mutex<Gathering>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Gathering {
    waiting: Vec<Waiting>,
    under_way: usize,
}

#[derive(Debug)]
struct Waiting {
    event: ObjectEvent,
    attempt: Attempt,
    outcome: oneshot::Sender<Outcome>,
}

/// A group that is under way, until this is dropped.
struct UnderWay<'a>(&'a Settler);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
        self.0.ended.notify_waiters();
    }
}

impl Settler {
    /// Completes an event as [`Ledger::complete`] does, together with others of this worker where there are any.
    ///
    /// # Errors
    /// Why it is not certainly completed. Report it again.
    pub(super) async fn complete(&self, ledger: &Ledger, success: Success<'_>) -> Outcome {
        let (sender, mut outcome) = oneshot::channel();
        self.lock().waiting.push(Waiting {
            event: success.event.clone(),
            attempt: success.attempt,
            outcome: sender,
        });
        // What ends at this very moment comes along.
        tokio::task::yield_now().await;
        let given = tokio::select! {
            biased;
            given = &mut outcome => given,
            () = self.turn() => {
                self.lead(ledger, success.by).await;
                outcome.await
            }
        };
        match given {
            Ok(outcome) => outcome,
            // The leader was dropped, and what it had done by then is unknown: done twice is done.
            Err(_) => {
                let completed = ledger.complete(success.event, success.attempt, success.by).await;
                told(completed)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gathering> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when no group is under way, when one ends, or when it has been waited for long enough.
    async fn turn(&self) {
        let mut ended = std::pin::pin!(self.ended.notified());
        // Before the look: a group that ends in between is heard.
        ended.as_mut().enable();
        if self.lock().under_way > 0 {
            let _ = tokio::time::timeout(GATHER, ended).await;
        }
    }

    /// Everybody who waits and still wants an outcome: now a group that is under way. Nobody where another leader took them.
    fn take(&self) -> Option<(Vec<Waiting>, UnderWay<'_>)> {
        let mut gathering = self.lock();
        let mut group = std::mem::take(&mut gathering.waiting);
        group.retain(|waiting| !waiting.outcome.is_closed());
        if group.is_empty() {
            return None;
        }
        gathering.under_way += 1;
        Some((group, UnderWay(self)))
    }

    /// Settles everybody who waits. Ends when each has an outcome.
    async fn lead(&self, ledger: &Ledger, by: &str) {
        let Some((group, _under_way)) = self.take() else {
            return;
        };
        let (reports, mut outcomes): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|waiting| ((waiting.event, waiting.attempt), Some(waiting.outcome)))
            .unzip();
        let successes = reports.iter().map(|(event, attempt)| Success {
            event,
            attempt: *attempt,
            by,
        });
        let mut settled = ledger.complete_each(successes);
        while let Some((position, deleted)) = settled.next().await {
            if let Some(outcome) = outcomes[position].take() {
                // Nobody listens when its run was dropped; the event is done all the same.
                let _ = outcome.send(told(deleted));
            }
        }
    }
}

fn told(completed: Result<Deleted, LedgerError>) -> Outcome {
    completed.map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests {
    use daybook_tests::notifications::uploads;
    use daybook_tests::{Fault, Stage};
    use tokio::time::timeout;

    use super::*;

    fn success(event: &ObjectEvent) -> Success<'_> {
        Success {
            event,
            attempt: Attempt(1),
            by: "worker-1",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_a_leader_that_is_dropped_settles_alone_and_a_new_one_does_not_wait() {
        for fault in [Fault::Hang, Fault::HangAfter] {
            let stage = Stage::usual().await;
            let uploads = uploads(3);
            stage.record(&uploads).await;
            let events: Vec<ObjectEvent> = uploads.iter().map(|upload| upload.event()).collect();
            let settler = Settler::default();
            let complete = |n: usize| settler.complete(&stage.ledger, success(&events[n]));
            stage.wire.inject_next("BatchExecuteStatement", [fault.clone()]);
            let (mut leader, mut follower) = (Box::pin(complete(0)), Box::pin(complete(1)));
            let both = futures::future::join(&mut leader, &mut follower);
            assert!(timeout(Duration::from_millis(50), both).await.is_err());
            drop(leader);
            assert_eq!(settler.lock().under_way, 0);
            let began = stage.now();
            assert_eq!(complete(2).await, Ok(Deleted::Deleted), "{fault:?}");
            assert_eq!(follower.await, Ok(Deleted::Deleted), "{fault:?}");
            assert_eq!(stage.now(), began, "{fault:?}");
            let left = stage.rows().await;
            assert_eq!(left.keys().collect::<Vec<_>>(), [&events[0].id], "{fault:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_report_that_is_dropped_while_it_waits_is_not_settled_and_holds_up_nobody() {
        let stage = Stage::usual().await;
        let uploads = uploads(3);
        stage.record(&uploads).await;
        let events: Vec<ObjectEvent> = uploads.iter().map(|upload| upload.event()).collect();
        let settler = Settler::default();
        let complete = |n: usize| settler.complete(&stage.ledger, success(&events[n]));
        let second = Duration::from_secs(1);
        stage.wire.inject_next("PutItem", [Fault::Slow(second)]);
        let (mut first, mut dropped) = (Box::pin(complete(0)), Box::pin(complete(1)));
        assert!(timeout(Duration::from_millis(5), &mut first).await.is_err());
        assert!(timeout(Duration::from_millis(5), &mut dropped).await.is_err());
        drop(dropped);
        assert_eq!(complete(2).await, Ok(Deleted::Deleted));
        assert_eq!(first.await, Ok(Deleted::Deleted));
        let left = stage.rows().await;
        assert_eq!(left.keys().collect::<Vec<_>>(), [&events[1].id]);
    }
}
