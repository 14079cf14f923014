//! `daybook ingest --queue`: notifications from the intake queue into a ledger, until it is asked to stop.
//!
//! A message is deleted only when all of its rows are in the ledger:
//!
//! | the process dies | then |
//! |---|---|
//! | before the rows are recorded | the message comes again after its visibility timeout |
//! | after that, before the message is deleted | the same, and its rows are recognised |
//! | while it receives | what SQS handed out meanwhile comes again |

use std::time::Duration;

use daybook_ledger::{Deadline, Ledger};
use daybook_manager::{Ingest, Ingested, Poll};
use tokio::sync::watch;

use crate::commands::run::ingest_report::IngestOutput;

/// Receives under way at once, each of up to 10 messages.
const POLLERS: usize = 4;

/// How long one receive waits for a message; the longest that SQS allows.
pub const WAIT: Duration = Duration::from_secs(20);

/// How long recording what one receive brought may take, a throttling table's retries included. Shorter than the visibility timeout of a
/// queue that `daybook init` made.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest pause after trouble.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Receives, records and deletes until it is asked to stop; what was being recorded then is recorded first.
pub async fn read(
    ingest: &Ingest,
    ledger: &Ledger,
    queue: &Poll,
    stop: watch::Receiver<bool>,
) -> IngestOutput {
    let pollers = (0..POLLERS).map(|_| poll(ingest, ledger, queue, stop.clone()));
    let tallies = futures::future::join_all(pollers).await;
    tallies
        .into_iter()
        .fold(IngestOutput::default(), IngestOutput::and)
}

async fn poll(
    ingest: &Ingest,
    ledger: &Ledger,
    queue: &Poll,
    mut stop: watch::Receiver<bool>,
) -> IngestOutput {
    let mut tally = IngestOutput::default();
    let mut failures: u32 = 0;
    loop {
        let received = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return tally,
            received = queue.receive() => received,
        };
        let went_well = match received {
            Ok(batch) => take(ingest, ledger, queue, batch, &mut tally).await,
            Err(error) => {
                tracing::warn!(%error, "the intake queue cannot be received from; trying again");
                false
            }
        };
        failures = if went_well { 0 } else { failures.saturating_add(1) };
        if failures > 0 {
            // In an outage each receive brings its messages closer to the dead-letter queue.
            let doubled = Duration::from_secs(1).saturating_mul(2u32.saturating_pow(failures.min(10) - 1));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return tally,
                () = tokio::time::sleep(doubled.min(LONGEST_PAUSE)) => {}
            }
        }
    }
}

/// Records what was received, then deletes what is safe; whether all of it was.
async fn take(
    ingest: &Ingest,
    ledger: &Ledger,
    queue: &Poll,
    batch: daybook_manager::Batch,
    tally: &mut IngestOutput,
) -> bool {
    let deadline = Deadline::after(ledger.clock(), PATIENCE);
    let ingested = ingest.handle(&batch.messages, deadline).await;
    ingested.iter().for_each(|ingested| tally.add(ingested));
    let dispositions: Vec<_> = ingested.iter().map(Ingested::disposition).collect();
    if let Err(error) = queue.acknowledge(batch, &dispositions).await {
        tracing::warn!(%error, "recorded messages were not deleted; they come again, and their rows are recognised");
        return false;
    }
    ingested.iter().all(Ingested::is_safe)
}
