//! Where claimed rows go: to the dispatch queue, or straight to the workers of this process.

use daybook_ledger::{Cause, Deadline, Hand, Ledger, Released};
use daybook_schema::{EventId, Row};

use crate::delivery::NO_ANSWER;
use crate::queue::DispatchQueue;
use crate::settings::Batching;
use crate::worker::{Handover, Places};

/// Where claimed rows go.
#[derive(Clone, Debug)]
pub enum Outlet {
    /// To the dispatch queue, from which an invoker or a worker has them.
    Queue(DispatchQueue),
    /// To the workers of this process. They need neither a message nor a take: the claim is theirs.
    Workers(Handover),
}

/// What came of handing one row on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandedOn {
    /// The queue or a worker has it.
    Sent,
    /// It certainly has not, and the row is PENDING again, no attempt used.
    Released,
    /// The queue may have it, or the row could not be released: it stays claimed, and its lease brings it back.
    Unknown,
    /// Not sent, and the row went on meanwhile.
    Gone,
}

/// What came of handing rows on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandedOver {
    /// Each row's outcome; in no order.
    pub rows: Vec<(EventId, HandedOn)>,
    /// What went wrong.
    pub failures: Vec<Cause>,
}

impl HandedOver {
    /// How many rows had that outcome.
    pub fn count(&self, outcome: HandedOn) -> u32 {
        let rows = self.rows.iter().filter(|(_, one)| *one == outcome);
        u32::try_from(rows.count()).unwrap_or(u32::MAX)
    }
}

impl From<DispatchQueue> for Outlet {
    fn from(queue: DispatchQueue) -> Self {
        Self::Queue(queue)
    }
}

impl Outlet {
    /// Who has a row that is claimed for this outlet. Workers put together what is handed to them by themselves.
    pub fn hand(&self, batching: Option<Batching>) -> Hand {
        match self {
            Self::Queue(_) => batching.map_or(Hand::Queue, |batching| Hand::Batches(batching.size)),
            Self::Workers(_) => Hand::Worker,
        }
    }

    /// How rows for this outlet are put together before they are claimed.
    pub fn batching(&self, batching: Option<Batching>) -> Option<Batching> {
        batching.filter(|_| matches!(self, Self::Queue(_)))
    }

    /// Whether rows for this outlet are asked for a few at a time, and the next ones soon: whenever workers are free.
    pub(crate) fn looks_ahead(&self) -> bool {
        matches!(self, Self::Workers(_))
    }

    /// Room for at most so many rows. A queue has room for all.
    pub fn reserve(&self, wanted: u32) -> Places {
        match self {
            Self::Queue(_) => Places::unbounded(wanted),
            Self::Workers(handover) => handover.reserve(wanted),
        }
    }

    /// Hands claimed rows on, which have places. What the outlet certainly does not take is released; what it may have stays claimed,
    /// because giving it back could run an attempt twice. Ends soon after the deadline.
    pub async fn hand_on(
        &self,
        ledger: &Ledger,
        rows: Vec<Row>,
        places: &mut Places,
        deadline: Deadline,
    ) -> HandedOver {
        let mut over = HandedOver::default();
        let refused = match self {
            Self::Queue(queue) => send(queue, ledger, rows, deadline, &mut over).await,
            Self::Workers(handover) => {
                let ids: Vec<EventId> = rows.iter().map(|row| row.id).collect();
                let refused = handover.give(rows, places);
                let is_taken = |id: &EventId| !refused.iter().any(|row| row.id == *id);
                let taken = ids.into_iter().filter(is_taken);
                over.rows.extend(taken.map(|id| (id, HandedOn::Sent)));
                refused
            }
        };
        let released = ledger.release(&refused, deadline).await;
        for (row, released) in refused.iter().zip(released) {
            let outcome = match released {
                Released::Released => HandedOn::Released,
                Released::Stale => HandedOn::Gone,
                Released::Left(cause) => {
                    over.failures.push(cause);
                    HandedOn::Unknown
                }
            };
            over.rows.push((row.id, outcome));
        }
        over
    }
}

/// Sends the rows' messages; those that the queue certainly does not have.
async fn send(
    queue: &DispatchQueue,
    ledger: &Ledger,
    rows: Vec<Row>,
    deadline: Deadline,
    over: &mut HandedOver,
) -> Vec<Row> {
    let ids: Vec<EventId> = rows.iter().map(|row| row.id).collect();
    let Some(dispatched) = deadline.bound(ledger.clock(), queue.dispatch(rows)).await else {
        // The queue may have them.
        if !ids.is_empty() {
            over.failures.push(NO_ANSWER);
        }
        over.rows
            .extend(ids.into_iter().map(|id| (id, HandedOn::Unknown)));
        return Vec::new();
    };
    let sent = dispatched.sent.into_iter().map(|id| (id, HandedOn::Sent));
    let unknown = dispatched.unknown.into_iter().map(|id| (id, HandedOn::Unknown));
    over.rows.extend(sent.chain(unknown));
    over.failures.extend(dispatched.causes);
    dispatched.refused
}
