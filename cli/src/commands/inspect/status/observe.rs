//! What `daybook status` reads.

use daybook_ledger::{Cause, ClaimedFirst, Control, Count, IndexKey, Ledger, LedgerError};
use daybook_schema::{Status, Timestamp};

use crate::aws::clients::AwsResource;
use crate::aws::failure::Failure;
use crate::deployment::rate::Rate;
use crate::deployment::{Deployment, failures};
use crate::ui::text;

/// What was found out; each part by itself.
pub struct Found {
    pub now: Timestamp,
    pub control: Part<Control>,
    pub due: Part<Count>,
    pub later: Part<Count>,
    pub within_lease: Part<Count>,
    pub lease_over: Part<Count>,
    pub parked: Part<Count>,
    pub first: [FirstPart; 3],
    pub claimed: Part<ClaimedFirst>,
    pub newer: Part<Count>,
    pub depth: Option<Result<u64, Cause>>,
    /// Of the state machine, where there is one.
    pub running: Option<Result<Count, Cause>>,
    pub rate: Rate,
}

pub type Part<T> = Result<T, LedgerError>;

/// Told by several requests, of which more than one may fail.
pub type FirstPart = Result<Option<First>, Failure>;

/// The row of a status that comes first.
#[derive(Clone, Copy)]
pub struct First {
    pub key: IndexKey,
    /// Not known when the row has gone on meanwhile.
    pub recorded_at: Option<Timestamp>,
}

pub async fn gather(deployment: &Deployment, enough: Option<u32>, given: Rate) -> Found {
    let ledger = &deployment.ledger;
    let now = ledger.clock().now();
    let depth = async {
        let queue = deployment.queue.as_ref()?;
        Some(queue.depth().await.map_err(Cause::from))
    };
    let running = async {
        let running = deployment.executions.as_ref()?.running(PAGES).await;
        Some(match running.failure {
            Some(cause) => Err(cause),
            None => Ok(Count {
                rows: running.names.len() as u64,
                exact: running.complete,
            }),
        })
    };
    let counts = async {
        tokio::join!(
            ledger.count(Status::Pending, Some(now), enough),
            ledger.count_after(Status::Pending, now, enough),
            ledger.count_after(Status::Claimed, now, enough),
            ledger.count(Status::Claimed, Some(now), enough),
            ledger.count(Status::Parked, None, enough),
        )
    };
    let firsts = async {
        tokio::join!(
            first(ledger, Status::Pending),
            first(ledger, Status::Claimed),
            first(ledger, Status::Parked),
        )
    };
    let looks = async { tokio::join!(ledger.claimed_first(), ledger.newer_rows()) };
    let (control, (due, later, within_lease, lease_over, parked), firsts, looks, depth, running) =
        tokio::join!(ledger.control(), counts, firsts, looks, depth, running);
    let mut counts = [due, later, within_lease, lease_over, parked];
    let nothing = |count: &Part<Count>| matches!(count, Ok(Count { rows: 0, exact: true }));
    if counts.iter().all(nothing) {
        confirm_nothing(ledger, now, &mut counts).await;
    }
    let [due, later, within_lease, lease_over, parked] = counts;
    Found {
        now,
        rate: Rate::of(control.as_ref().ok(), given, deployment.rate()),
        claimed: looks.0,
        newer: looks.1,
        running,
        control,
        due,
        later,
        within_lease,
        lease_over,
        parked,
        first: [firsts.0, firsts.1, firsts.2],
        depth,
    }
}

/// A row that moves from one status to another while they are counted one after the other is in neither. So "nothing is open"
/// is said only after one consistent read of the table, which costs next to nothing where it is true.
pub async fn confirm_nothing(ledger: &Ledger, now: Timestamp, counts: &mut [Part<Count>; 5]) {
    let mut pages = ledger.open_rows();
    let mut rows = [0; 5];
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                // One that cannot be read is open all the same, and waits for a person.
                let places = page.into_iter().map(|row| match row {
                    Ok(row) => match (row.status, row.due_at <= now) {
                        (Status::Pending, true) => 0,
                        (Status::Pending, false) => 1,
                        (Status::Claimed, false) => 2,
                        (Status::Claimed, true) => 3,
                        (Status::Parked, _) => 4,
                    },
                    Err(_) => 4,
                });
                places.for_each(|place| rows[place] += 1);
            }
            Ok(None) => break,
            Err(error) => {
                counts[0] = Err(error);
                return;
            }
        }
    }
    *counts = rows.map(|rows| Ok(Count { rows, exact: true }));
}

pub async fn first(ledger: &Ledger, status: Status) -> FirstPart {
    let mut rows = ledger.due(status, None, 1);
    let keys = rows.next(1).await;
    if let Some(failure) = failures::shard_failures(&rows).into_iter().next() {
        return Err(failure);
    }
    let Some(key) = keys.first().copied() else {
        return Ok(None);
    };
    // One that cannot be read is shown by `list`; here its place in the index says enough.
    let row = match ledger.get(key.id).await {
        Ok(row) => row,
        Err(error) if error.unreadable().is_some() => None,
        Err(error) => return Err(Failure::of_ledger(error)),
    };
    Ok(Some(First {
        key,
        recorded_at: row.map(|row| row.recorded_at),
    }))
}

impl Found {
    pub fn counts(&self) -> [&Part<Count>; 5] {
        [
            &self.due,
            &self.later,
            &self.within_lease,
            &self.lease_over,
            &self.parked,
        ]
    }

    /// Each cause once: 80 requests to one table tend to fail alike.
    pub fn failures(&self) -> Vec<Failure> {
        let of_counts = self.counts().into_iter().filter_map(|count| count.as_ref().err());
        let of_ledger = self.control.as_ref().err().into_iter().chain(of_counts);
        let of_ledger = of_ledger.chain(self.claimed.as_ref().err());
        let of_ledger = of_ledger.chain(self.newer.as_ref().err()).map(Failure::of_ledger);
        let of_firsts = self
            .first
            .iter()
            .filter_map(|first| first.as_ref().err().cloned());
        let of_queue = self.depth.as_ref().and_then(|depth| depth.as_ref().err());
        let of_queue = of_queue.map(|cause| Failure::about(AwsResource::Queue, cause));
        let of_machine = self.running.as_ref().and_then(|running| running.as_ref().err());
        let of_machine = of_machine.map(|cause| Failure::about(AwsResource::StateMachine, cause));
        let mut seen = std::collections::BTreeSet::new();
        of_ledger
            .chain(of_firsts)
            .chain(of_queue)
            .chain(of_machine)
            .filter(|failure| seen.insert(failure.clone()))
            .collect()
    }
}

pub fn both(one: &Part<Count>, other: &Part<Count>) -> Option<Count> {
    let (one, other) = (one.as_ref().ok()?, other.as_ref().ok()?);
    Some(text::sum(*one, *other))
}

/// Pages of 1,000 running executions that are counted.
pub const PAGES: usize = 10;
