//! The lease of a row, and the message that told of it, are held while its run lasts.

use std::time::Duration;

use daybook_ledger::{Deadline, Extended};
use daybook_schema::{EventId, Row};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::inbox::Message;
use super::job::Job;

/// Between two looks at the clock while a lease is held: so soon after a suspended machine wakes, its leases are seen to be over.
const LOOK: Duration = Duration::from_secs(10);

/// How long the extension of a lease that is over already may take.
const LATE: Duration = Duration::from_secs(5);

impl Job {
    /// Holds all of these rows, and their message with the last of them, which was taken last; each that is lost, and why.
    pub(super) fn hold_each<'a>(
        &'a self,
        rows: &'a mut [Row],
        message: Option<Message<'a>>,
    ) -> impl futures::Stream<Item = (EventId, String)> + Unpin {
        let last = rows.len().saturating_sub(1);
        let hold = move |(position, row): (usize, &'a mut Row)| {
            let message = message.filter(|_| position == last);
            async move {
                let id = row.id;
                (id, self.hold(row, message).await)
            }
        };
        let holds: FuturesUnordered<_> = rows.iter_mut().enumerate().map(hold).collect();
        Box::pin(holds.chain(futures::stream::pending()))
    }

    /// Extends the lease, and a message's visibility, at every third of the lease, until that fails; why it failed.
    ///
    /// The last sixth of a lease is for stopping: when the ledger did not confirm a longer one by then, another worker may have
    /// the row when this one ends, and only stopping keeps the two apart. A machine that was suspended finds its leases over: one
    /// extension says whether another worker has the row since.
    pub(super) async fn hold(&self, row: &mut Row, message: Option<Message<'_>>) -> String {
        let lease = self.settings.lease;
        let clock = self.ledger.clock();
        loop {
            self.wait_to_extend(row).await;
            let mut trouble = "no time left to extend the lease".to_owned();
            let mut slept = row.due_at.since(clock.now()) <= lease / 6;
            loop {
                let left = row.due_at.since(clock.now()).saturating_sub(lease / 6);
                let last = match (left.is_zero(), std::mem::take(&mut slept)) {
                    (true, false) => return trouble,
                    (true, true) => LATE,
                    (false, _) => left,
                };
                let deadline = Deadline::after(clock, last);
                // Together: dying between the two would bring the message back before the lease is over, or long after.
                let visibility = async {
                    if let Some(message) = message {
                        let hidden = message.hide(self.settings.visibility());
                        let _ = tokio::time::timeout(lease / 12, hidden).await;
                    }
                };
                let extension = tokio::time::timeout(last, self.ledger.extend(row, lease, deadline));
                let (_, extended) = futures::join!(visibility, extension);
                match extended {
                    Ok(Extended::Extended(until)) => {
                        row.due_at = until;
                        break;
                    }
                    Ok(Extended::Stale) => return "the row went on, or is another worker's".into(),
                    // Perhaps written: the next one finds out.
                    Ok(Extended::NotApplied(cause) | Extended::Unknown(cause)) => trouble = cause.into(),
                    Err(_) => trouble = "the ledger did not answer before the lease neared its end".into(),
                }
                tokio::time::sleep((lease / 30).min(Duration::from_secs(5))).await;
            }
        }
    }

    /// Waits for a third of the lease, or until more of it is over by the clock than can be: the machine was suspended.
    async fn wait_to_extend(&self, row: &Row) {
        let lease = self.settings.lease;
        let mut wait = lease / 3;
        while !wait.is_zero() && row.due_at.since(self.ledger.clock().now()) > lease / 2 {
            let nap = wait.min(LOOK);
            tokio::time::sleep(nap).await;
            wait -= nap;
        }
    }
}
