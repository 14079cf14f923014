//! What a sweep looks at: stale rows, the executions that run, the queue's depth.

use std::collections::{BTreeMap, BTreeSet};

use daybook_ledger::{Deadline, IndexKey, LedgerError, Lookup};
use daybook_manager::{Described, Executions, Pace, QueueError, Running};
use daybook_schema::{EventId, RunName, Status};
use futures::StreamExt;

use super::{SweepReport, Sweeper};
use crate::plan::{Runs, Sorted, StaleRow, sort};

/// Executions asked for at once; the pace keeps them apart.
const ASKS_AT_ONCE: usize = 4;

/// Rows that are asked for before those of them that run have new leases.
const ASKS_TOGETHER: usize = 100;

/// After so many answers in a row that say nothing, nothing more is asked.
const UNKNOWN_IN_A_ROW: usize = 10;

impl Sweeper {
    /// The stale rows as the index shows them, oldest first.
    pub(super) async fn stale_keys(&self, report: &mut SweepReport) -> Vec<IndexKey> {
        let now = self.ledger.clock().now();
        let mut stale = self.ledger.due(Status::Claimed, Some(now), self.settings.rows);
        // Nothing moves rows of a newer release, so they come first: the others take their places.
        let keys = stale.next_own(self.settings.rows).await;
        report.newer = stale.newer();
        report.stale = u32::try_from(keys.len())
            .unwrap_or(u32::MAX)
            .saturating_add(report.newer);
        report.more = keys.len() == self.settings.rows;
        for cause in stale.failures() {
            report.failure(cause);
        }
        keys
    }

    /// The executions of these rows that run, and how many messages the queue holds, if it says so. The list is given half of the
    /// time that is left.
    pub(super) async fn observe(
        &self,
        keys: &[IndexKey],
        deadline: Deadline,
        report: &mut SweepReport,
    ) -> (Running, Option<u64>) {
        if keys.is_empty() {
            return (Running::none(), Some(0));
        }
        let clock = self.ledger.clock();
        let half = Deadline::after(clock, deadline.left(clock) / 2);
        let running = async {
            match &self.executions {
                Some(executions) => {
                    let ids: BTreeSet<EventId> = keys.iter().map(|key| key.id).collect();
                    let pages = self.settings.execution_pages;
                    executions.running_among(&ids, pages, clock, half).await
                }
                None => Running::none(),
            }
        };
        let (running, depth) = futures::join!(running, deadline.bound(clock, self.depth()));
        report.incomplete = !running.complete;
        if let Some(cause) = &running.failure {
            report.failure(cause);
        }
        let depth = match depth {
            Some(Ok(depth)) => Some(depth),
            Some(Err(error)) => {
                report.failure(error);
                None
            }
            None => {
                report.no_answer();
                None
            }
        };
        (running, depth)
    }

    /// How many messages are on their way to the target, or wait for it.
    async fn depth(&self) -> Result<u64, QueueError> {
        let waiting = async {
            match &self.target_queue {
                Some(queue) => queue.depth().await,
                None => Ok(0),
            }
        };
        let (dispatch, waiting) = futures::join!(self.queue.depth(), waiting);
        Ok(dispatch? + waiting?)
    }

    /// What is seen of the rows that could be read: one that cannot must not keep all others from being repaired.
    pub(super) async fn look(
        &self,
        keys: &[IndexKey],
        running: &BTreeSet<RunName>,
        report: &mut SweepReport,
    ) -> Sorted {
        let ids: Vec<EventId> = keys.iter().map(|key| key.id).collect();
        let mut rows = Vec::with_capacity(ids.len());
        for row in self.ledger.get_many(&ids).await {
            match row {
                Ok(row) => rows.push(row),
                Err(LedgerError::Newer(_)) => report.newer += 1,
                Err(error) => report.failure(error),
            }
        }
        let objects = rows
            .iter()
            .filter_map(|row| row.event().map(|event| event.object_id()));
        let receipts = self.ledger.receipts(objects).await;
        sort(rows, running, &receipts, self.ledger.clock().now())
    }

    /// Asks for the executions of rows that an incomplete list does not show, oldest lease first and at a bounded rate, and renews
    /// those that run. The rows whose executions do not; of the others it is not known, and they are left as they are.
    pub(super) async fn ask_each(
        &self,
        executions: &Executions,
        rows: Vec<StaleRow>,
        deadline: Deadline,
        report: &mut SweepReport,
    ) -> Vec<StaleRow> {
        let clock = self.ledger.clock();
        // A quarter of the time is kept for what comes of it.
        let until = Deadline::after(clock, deadline.left(clock) / 4 * 3);
        let pace = Pace::per_second(self.settings.asks_per_second);
        let executions_of = by_name(rows);
        let (mut not_running, mut unknown) = (Vec::new(), Vec::<StaleRow>::new());
        let mut asked = 0;
        let mut silent = 0;
        while asked < executions_of.len() && silent < UNKNOWN_IN_A_ROW && !until.is_over(clock) {
            let chunk = &executions_of[asked..executions_of.len().min(asked + ASKS_TOGETHER)];
            let requests: Vec<_> = chunk
                .iter()
                .map(|(name, _)| ask(executions, &pace, *name))
                .collect();
            let mut answers = futures::stream::iter(requests).buffered(ASKS_AT_ONCE);
            let (mut running, mut counted) = (Vec::new(), Vec::new());
            for (_, rows) in chunk {
                if silent >= UNKNOWN_IN_A_ROW {
                    break;
                }
                let Some(Some(lookup)) = until.bound(clock, answers.next()).await else {
                    break;
                };
                asked += 1;
                silent = match lookup {
                    Lookup::Unknown(_) => silent + 1,
                    Lookup::Found(_) | Lookup::Absent => 0,
                };
                match lookup {
                    Lookup::Found(execution) if execution.is_running() => {
                        for row in rows {
                            match row.runs() {
                                Runs::Renew(name) => running.push(name),
                                Runs::Count => counted.push(row.lease),
                                Runs::Redeliver => not_running.push(*row),
                            }
                        }
                    }
                    Lookup::Found(_) | Lookup::Absent => not_running.extend(rows),
                    Lookup::Unknown(cause) => {
                        unknown.extend(rows);
                        report.failure(cause);
                    }
                }
            }
            drop(answers);
            let leases = self
                .ledger
                .renew(&running, None, self.dispatch.lease, deadline)
                .await;
            report.renewed += report.leases(leases);
            self.count_running(&counted, deadline, report).await;
        }
        unknown.extend(executions_of[asked..].iter().flat_map(|(_, rows)| rows));
        let now = clock.now();
        let (overdue, left): (Vec<StaleRow>, Vec<StaleRow>) =
            unknown.into_iter().partition(|row| row.is_overdue(now));
        report.leave(left.len());
        not_running.extend(overdue);
        not_running
    }
}

async fn ask(executions: &Executions, pace: &Pace, name: RunName) -> Lookup<Described> {
    pace.turn().await;
    executions.describe(name).await
}

/// The rows by the executions that they are for, in their order: a batch's is asked for once.
fn by_name(rows: Vec<StaleRow>) -> Vec<(RunName, Vec<StaleRow>)> {
    let mut positions: BTreeMap<RunName, usize> = BTreeMap::new();
    let mut groups: Vec<(RunName, Vec<StaleRow>)> = Vec::new();
    for row in rows {
        let position = *positions.entry(row.name).or_insert(groups.len());
        match groups.get_mut(position) {
            Some((_, group)) => group.push(row),
            None => groups.push((row.name, vec![row])),
        }
    }
    groups
}
