//! What is read for it.

use daybook_ledger::{Cause, ClaimedFirst, Control, Count, IndexKey, Ledger, LedgerError};
use daybook_schema::{Status, Timestamp};

use crate::aws::failure;
use crate::aws::failure::AwsResource;
use crate::aws::failure::Failure;
use crate::limits;
use crate::limits::observe::Rows;
use crate::parts::Parts;
use crate::rate::Rate;
use crate::wording::text;

/// What was found out; each part by itself.
pub struct Found {
    /// When.
    pub now: Timestamp,
    /// The control item.
    pub control: Part<Control>,
    /// Pending rows that are due.
    pub due: Part<Count>,
    /// Pending rows that are due later.
    pub later: Part<Count>,
    /// Claimed rows whose leases have not ended.
    pub within_lease: Part<Count>,
    /// Claimed rows whose leases have ended.
    pub lease_over: Part<Count>,
    /// Parked rows.
    pub parked: Part<Count>,
    /// The first row of each status: pending, claimed, parked.
    pub first: [FirstPart; 3],
    /// Of the claimed rows whose leases end first, those that workers hold and those that nothing took.
    pub claimed: Part<ClaimedFirst>,
    /// Rows that a newer release wrote.
    pub newer: Part<Count>,
    /// Messages in the dispatch queue, where one is named.
    pub depth: Option<Result<u64, Cause>>,
    /// Messages in the intake queue, where one is named: notifications that wait for ingest. Whoever can ask it puts them here.
    pub intake: Option<Result<u64, Cause>>,
    /// Running executions of the state machine, where there is one.
    pub running: Option<Result<Count, Cause>>,
    /// N and the window.
    pub rate: Rate,
    /// What may keep events that are due from being sent faster.
    pub limits: limits::Observed,
    /// What the process that runs a folder's pipeline says is wrong with itself. [`gather`] reads the ledger only, and leaves it unset.
    pub trouble: Option<String>,
}

/// What one request says.
pub type Part<T> = Result<T, LedgerError>;

/// Told by several requests, of which more than one may fail.
pub type FirstPart = Result<Option<First>, Failure>;

/// The row of a status that comes first.
#[derive(Clone, Copy)]
pub struct First {
    /// What the index says of it.
    pub key: IndexKey,
    /// Not known when the row has gone on meanwhile.
    pub recorded_at: Option<Timestamp>,
}

/// Looks at everything at once. Counting stops at about `enough` rows in each shard; N and the window are as `given`, else as the
/// deployment `said`, unless the control item says otherwise.
pub async fn gather(parts: &Parts<'_>, enough: Option<u32>, given: Rate, said: Rate) -> Found {
    let ledger = parts.ledger;
    let now = ledger.clock().now();
    let depth = async {
        let queue = parts.queue?;
        Some(queue.depth().await.map_err(Cause::from))
    };
    let running = async {
        let running = parts.executions?.running(PAGES).await;
        Some(match running.failure {
            Some(cause) => Err(cause),
            None => Ok(Count {
                rows: running.names.len() as u64,
                exact: running.complete,
            }),
        })
    };
    let firsts = async {
        tokio::join!(
            first(ledger, Status::Pending),
            first(ledger, Status::Claimed),
            first(ledger, Status::Parked),
        )
    };
    let looks = async { tokio::join!(ledger.claimed_first(), ledger.newer_rows()) };
    let counts = counts(ledger, now, enough);
    let due_since = limits::observe::due_since(parts, now);
    let (control, mut counts, firsts, due_since, looks, depth, running) =
        tokio::join!(ledger.control(), counts, firsts, due_since, looks, depth, running);
    let nothing = |count: &Part<Count>| matches!(count, Ok(Count { rows: 0, exact: true }));
    if counts.iter().all(nothing) {
        confirm_nothing(ledger, now, &mut counts).await;
    }
    let [due, later, within_lease, lease_over, parked] = counts;
    let known = control.as_ref().ok();
    let rate = Rate::of(known, given, said);
    let rows = Rows {
        due: due.as_ref().ok().copied(),
        due_since,
        claimed: both(&within_lease, &lease_over),
    };
    let limits = limits::Observed {
        later: later.as_ref().ok().copied(),
        ..limits::Observed::of(parts.folder, known, rate, rows, now)
    };
    Found {
        now,
        rate,
        limits,
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
        trouble: parts.folder.and_then(|folder| folder.trouble).map(str::to_owned),
        intake: None,
    }
}

/// Pending rows that are due and are due later, claimed ones within their leases and past them, and parked ones.
async fn counts(ledger: &Ledger, now: Timestamp, enough: Option<u32>) -> [Part<Count>; 5] {
    let (due, later, within_lease, lease_over, parked) = tokio::join!(
        ledger.count(Status::Pending, Some(now), enough),
        ledger.count_after(Status::Pending, now, enough),
        ledger.count_after(Status::Claimed, now, enough),
        ledger.count(Status::Claimed, Some(now), enough),
        ledger.count(Status::Parked, None, enough),
    );
    [due, later, within_lease, lease_over, parked]
}

/// A row that moves from one status to another while they are counted one after the other is in neither. So "nothing is open"
/// is said only after one consistent read of the table, which costs next to nothing where it is true.
async fn confirm_nothing(ledger: &Ledger, now: Timestamp, counts: &mut [Part<Count>; 5]) {
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

async fn first(ledger: &Ledger, status: Status) -> FirstPart {
    let mut rows = ledger.due(status, None, 1);
    let keys = rows.next(1).await;
    if let Some(failure) = failure::shard_failures(&rows).into_iter().next() {
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
    /// The five counts.
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
        let of_intake = self.intake.as_ref().and_then(|depth| depth.as_ref().err());
        let of_intake = of_intake.map(|cause| Failure::about(AwsResource::Intake, cause));
        let of_machine = self.running.as_ref().and_then(|running| running.as_ref().err());
        let of_machine = of_machine.map(|cause| Failure::about(AwsResource::StateMachine, cause));
        let mut seen = std::collections::BTreeSet::new();
        of_ledger
            .chain(of_firsts)
            .chain(of_queue)
            .chain(of_intake)
            .chain(of_machine)
            .filter(|failure| seen.insert(failure.clone()))
            .collect()
    }
}

/// Two counts together, if both are known.
pub fn both(one: &Part<Count>, other: &Part<Count>) -> Option<Count> {
    let (one, other) = (one.as_ref().ok()?, other.as_ref().ok()?);
    Some(text::sum(*one, *other))
}

/// Pages of 1,000 running executions that are counted.
const PAGES: usize = 10;

#[cfg(test)]
mod tests {
    use daybook_ledger::{NewRow, Recorded};
    use daybook_schema::{SourceName, notification};
    use daybook_tests::stage::Stage;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_row_that_no_count_has_seen_is_found_before_nothing_is_said_to_be_open() {
        let stage = Stage::usual().await;
        let ledger = &stage.ledger;
        let zero = || [0; 5].map(|rows| Ok(Count { rows, exact: true }));
        let rows = |counts: &[Part<Count>; 5]| counts.each_ref().map(|count| count.as_ref().unwrap().rows);
        let mut counts: [Part<Count>; 5] = zero();
        confirm_nothing(ledger, ledger.clock().now(), &mut counts).await;
        assert_eq!(rows(&counts), [0; 5]);

        let body = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2026-11-20T10:15:00.000Z",
            "eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"data"},"object":{"key":"a","sequencer":"0A"}}}]}"#;
        let event = notification::read(body, &SourceName::default()).events.remove(0);
        let row = NewRow::Event {
            event,
            max_attempts: 5,
            trace: None,
            caveat: None,
            at_once: false,
        };
        assert_eq!(
            ledger.record(vec![row], stage.deadline()).await,
            [Recorded::Recorded]
        );
        confirm_nothing(ledger, ledger.clock().now(), &mut counts).await;
        assert_eq!(rows(&counts), [1, 0, 0, 0, 0]);
    }
}
