//! `daybook status`: how many events stand where, and whether anything moves.

mod drain;
mod programs;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use daybook_ledger::{ClaimedFirst, Control, Count, IndexKey, Ledger, LedgerError};
use daybook_schema::{Status, Timestamp};

use crate::arguments::Output;
use crate::deployment::{Deployment, DeploymentArguments, Place};
use crate::report;
use crate::settings;
use crate::view;
pub use drain::Rate;
pub use programs::dispatch_json;
pub use table::per_window_words;

/// Show how many events wait, are on their way and wait for a person, and whether anything moves
///
/// The budget, a pause and the queue's depth are shown beside the counts. What cannot be found out is called unknown, and
/// stderr says why.
///
/// Counting reads the index: about one read unit per 50 rows. Up to 10,000 rows are counted in each of the 16 shards of a
/// status (--count-to), and beyond that the number is "at least". --exact counts all, however many there are.
///
/// With --output json: pending, claimed and parked each have rows, exact (false: at least so many) and first (id, due_at,
/// recorded_at of the row that comes first); pending has due and later, claimed has within_lease and lease_over, and each of
/// these has an _exact beside it. dispatch has per_window (null: as configured), window (start, seconds, granted), owed and
/// paused. claimed has undelivered and held too, from the 300 rows whose leases end first. newer (rows, exact) counts rows that
/// a newer release wrote, which this one leaves alone, among the 300 of each status that are due first. running_executions has
/// rows and exact. drain has per_window, window_seconds, seconds and exact: how long what waits needs at least. What is not known is
/// null, and failures says why.
#[derive(Args, Debug)]
pub struct StatusArguments {
    #[command(flatten)]
    deployment: DeploymentArguments,

    /// Count all rows, however many there are
    #[arg(long, help_heading = "Counting", conflicts_with = "count_to")]
    exact: bool,

    /// Stop counting at about so many rows in each of the 16 shards of a status, and say "at least"
    #[arg(long, value_name = "N", default_value = "10000", help_heading = "Counting")]
    #[arg(value_parser = settings::at_least_one)]
    count_to: u32,

    /// N as the scheduler has it, to tell how long what waits needs at least; a folder says it itself
    #[arg(long, value_name = "N", value_parser = settings::at_least_one, help_heading = "Dispatch")]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    per_window: Option<u32>,

    /// The window's length as the scheduler has it; the newest window's unless given
    #[arg(long, value_name = "TIME", value_parser = settings::every, help_heading = "Dispatch")]
    #[arg(env = "DAYBOOK_EVERY", hide_env_values = true)]
    every: Option<Duration>,
}

/// What was found out; each part by itself.
struct Found {
    now: Timestamp,
    control: Part<Control>,
    due: Part<Count>,
    later: Part<Count>,
    within_lease: Part<Count>,
    lease_over: Part<Count>,
    parked: Part<Count>,
    first: [FirstPart; 3],
    claimed: Part<ClaimedFirst>,
    newer: Part<Count>,
    depth: Option<Result<u64, String>>,
    /// Of the state machine, where there is one.
    running: Option<Result<Count, String>>,
    rate: Rate,
}

/// Pages of 1,000 running executions that are counted.
const PAGES: usize = 10;

type Part<T> = Result<T, LedgerError>;

/// Told by several requests, of which more than one may fail.
type FirstPart = Result<Option<First>, String>;

/// The row of a status that comes first.
#[derive(Clone, Copy)]
struct First {
    key: IndexKey,
    /// Not known when the row has gone on meanwhile.
    recorded_at: Option<Timestamp>,
}

/// Runs it.
///
/// # Errors
/// When the deployment cannot be found, its ledger not be read, or a part is not known.
pub async fn run(arguments: StatusArguments, output: Output) -> anyhow::Result<ExitCode> {
    let deployment = arguments.deployment.open().await?;
    let enough = Some(arguments.count_to).filter(|_| !arguments.exact);
    let given = Rate {
        per_window: arguments.per_window,
        window: arguments.every,
    };
    let found = gather(&deployment, enough, given).await;
    if found.counts().iter().all(|count| count.is_err())
        && let Err(error) = found.control
    {
        return Err(deployment.place.ledger_failure(error).into());
    }
    let failures = found.failures();
    report::print(
        output,
        &found.lines(&deployment),
        &found.json(&deployment, &failures),
    )?;
    if matches!((&found.depth, &deployment.place), (None, Place::Aws { .. })) {
        eprintln!(
            "note: the queue's depth is unknown, because no queue is named: --dispatch-queue-url \
             (DAYBOOK_DISPATCH_QUEUE_URL) names it, or --stack (DAYBOOK_STACK)"
        );
    }
    report::incomplete(&failures, &deployment.place)
}

async fn gather(deployment: &Deployment, enough: Option<u32>, given: Rate) -> Found {
    let ledger = &deployment.ledger;
    let now = ledger.clock().now();
    let depth = async {
        let queue = deployment.queue.as_ref()?;
        Some(queue.depth().await.map_err(|error| error.to_string()))
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
    if let Some(failure) = report::shard_failures(rows.failures()).into_iter().next() {
        return Err(failure);
    }
    let Some(key) = keys.first().copied() else {
        return Ok(None);
    };
    // One that cannot be read is shown by `list`; here its place in the index says enough.
    let row = match ledger.get(key.id).await {
        Ok(row) => row,
        Err(error) if error.unreadable().is_some() => None,
        Err(error) => return Err(report::chain(&error)),
    };
    Ok(Some(First {
        key,
        recorded_at: row.map(|row| row.recorded_at),
    }))
}

impl Found {
    fn counts(&self) -> [&Part<Count>; 5] {
        [
            &self.due,
            &self.later,
            &self.within_lease,
            &self.lease_over,
            &self.parked,
        ]
    }

    /// Each cause once: 80 requests to one table tend to fail alike.
    fn failures(&self) -> Vec<String> {
        let counts = self.counts();
        let counts = counts.iter().filter_map(|count| count.as_ref().err());
        let of_claimed = self
            .claimed
            .as_ref()
            .err()
            .into_iter()
            .chain(self.newer.as_ref().err());
        let of_ledger = self
            .control
            .as_ref()
            .err()
            .into_iter()
            .chain(counts)
            .chain(of_claimed);
        let firsts = self.first.iter().filter_map(|first| first.as_ref().err());
        let of_queue = self.depth.as_ref().and_then(|depth| depth.as_ref().err());
        let of_machine = self.running.as_ref().and_then(|running| running.as_ref().err());
        let mut failures: Vec<String> = of_ledger
            .map(|error| report::chain(error))
            .chain(firsts.chain(of_queue).chain(of_machine).cloned())
            .collect();
        let mut seen = std::collections::BTreeSet::new();
        failures.retain(|failure| seen.insert(failure.clone()));
        failures
    }
}

fn both(one: &Part<Count>, other: &Part<Count>) -> Option<Count> {
    let (one, other) = (one.as_ref().ok()?, other.as_ref().ok()?);
    Some(view::sum(*one, *other))
}

#[cfg(test)]
mod tests {
    use daybook_ledger::{Clock, Deadline, NewRow, Random, Recorded};
    use daybook_local::LocalAws;
    use daybook_schema::{SourceName, notification, tables};

    use super::*;
    use crate::embedded::{Clients, create_table};

    #[tokio::test]
    async fn a_row_that_no_count_has_seen_is_found_before_nothing_is_said_to_be_open() {
        let aws = LocalAws::builder().build().unwrap();
        let table = create_table(&aws, tables::LEDGER, "ledger").await.unwrap();
        let dynamodb = Clients::of(&aws).dynamodb;
        let ledger = Ledger::new(dynamodb, table, None, Clock::system(), Random::from_seed(1));
        let zero = || [0; 5].map(|rows| Ok(Count { rows, exact: true }));
        let rows = |counts: &[Part<Count>; 5]| counts.each_ref().map(|count| count.as_ref().unwrap().rows);
        let mut counts: [Part<Count>; 5] = zero();
        confirm_nothing(&ledger, ledger.clock().now(), &mut counts).await;
        assert_eq!(rows(&counts), [0; 5]);

        let body = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"2026-11-20T10:15:00.000Z",
            "eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"data"},"object":{"key":"a","sequencer":"0A"}}}]}"#;
        let event = notification::read(body, &SourceName::default()).events.remove(0);
        let row = NewRow::Event {
            event,
            max_attempts: 5,
            trace: None,
            caveat: None,
        };
        let deadline = Deadline::after(ledger.clock(), Duration::from_secs(30));
        assert_eq!(ledger.record(vec![row], deadline).await, [Recorded::Recorded]);
        confirm_nothing(&ledger, ledger.clock().now(), &mut counts).await;
        assert_eq!(rows(&counts), [1, 0, 0, 0, 0]);
    }
}
