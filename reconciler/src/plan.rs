//! What to do with stale rows, as pure functions of what was observed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daybook_ledger::Lease;
use daybook_schema::{Attempt, ExecutionName, ObjectId, Receipt, Row, RunName, Status, Timestamp};

/// How often a row's lease may be moved on because the queue is deep. A lost message must not hide behind a slow queue for
/// ever.
pub const LEASE_MOVES: u32 = 3;

/// A row may wait for so long after the end of its lease while Step Functions does not say whether its execution runs: 6 hours,
/// the longest lease. Then it is redelivered all the same, which is safe: its name keeps it from running twice.
pub const UNKNOWN_AT_MOST: Duration = Duration::from_secs(6 * 3600);

/// A stale row without its event, so that tens of thousands of them fit into a function's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaleRow {
    /// The execution that its message starts.
    pub name: RunName,
    /// Its lease, which is over.
    pub lease: Lease,
}

impl StaleRow {
    /// Whether it has waited as long as a row may for Step Functions to say something.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now.since(self.lease.due_at) >= UNKNOWN_AT_MOST
    }

    /// What follows where its execution runs. Of a batch's it is not known that this row is in its input: that counts as a move of the
    /// lease, and after the last one the row is sent again, for the invoker to find out.
    pub fn runs(&self) -> Runs {
        match self.name {
            RunName::Single(name) => Runs::Renew(name),
            RunName::Batch(_) if self.lease.lease_moves < LEASE_MOVES => Runs::Count,
            RunName::Batch(_) => Runs::Redeliver,
        }
    }
}

/// What is done with a stale row whose execution runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// A new lease.
    Renew(ExecutionName),
    /// A lease longer, counted as a move.
    Count,
    /// Once more on the queue.
    Redeliver,
}

/// What is seen of stale rows; each row is in at most one list. Rows that moved on since the index was read are in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sorted {
    /// Their executions run: a new lease.
    pub renew: Vec<ExecutionName>,
    /// Their batches' executions run: a longer lease, counted.
    pub count: Vec<Lease>,
    /// Receipts cover them: delete.
    pub covered: Vec<Row>,
    /// Neither: of those that are in the list of running executions they are not.
    pub unlisted: Vec<StaleRow>,
}

/// Sorts stale rows as the table holds them, by the executions that run and by the receipts.
pub fn sort(
    rows: Vec<Row>,
    running: &BTreeSet<RunName>,
    receipts: &BTreeMap<ObjectId, Receipt>,
    now: Timestamp,
) -> Sorted {
    let mut sorted = Sorted::default();
    for row in rows {
        let is_stale = row.status == Status::Claimed && row.due_at <= now && row.attempt > Attempt(0);
        let Some(event) = row.event().filter(|_| is_stale) else {
            continue;
        };
        let stale = StaleRow {
            name: row.run_name(),
            lease: Lease::from(&row),
        };
        if receipts
            .get(&event.object_id())
            .is_some_and(|receipt| receipt.covers(event))
        {
            sorted.covered.push(row);
            continue;
        }
        match running.contains(&stale.name).then(|| stale.runs()) {
            Some(Runs::Renew(name)) => sorted.renew.push(name),
            Some(Runs::Count) => sorted.count.push(stale.lease),
            Some(Runs::Redeliver) | None => sorted.unlisted.push(stale),
        }
    }
    sorted
}

/// What is to be done with rows of which no execution runs; each is in one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Their messages probably wait in the queue: a longer lease.
    pub move_lease: Vec<Lease>,
    /// Their messages are probably lost: once more on the queue, oldest lease first.
    pub redeliver: Vec<Lease>,
}

/// Decides, from the stale rows of which no execution runs and how many messages the queue holds.
///
/// While the queue holds at least as many messages as there are such executions, they are taken to be waiting there. Of more
/// executions than messages, at least the difference is lost: the ones of which a lease ended first. Rows of one batch share a message.
pub fn plan(rows: Vec<StaleRow>, queue_depth: u64) -> Plan {
    let mut plan = Plan::default();
    let mut rows = rows;
    rows.sort_by_key(|row| (row.lease.due_at, row.lease.id));
    let mut positions: BTreeMap<RunName, usize> = BTreeMap::new();
    for row in &rows {
        let next = positions.len();
        positions.entry(row.name).or_insert(next);
    }
    let waiting = usize::try_from(queue_depth).unwrap_or(usize::MAX);
    let lost = positions.len().saturating_sub(waiting);
    for StaleRow { name, lease } in rows {
        match positions[&name] < lost || lease.lease_moves >= LEASE_MOVES {
            true => plan.redeliver.push(lease),
            false => plan.move_lease.push(lease),
        }
    }
    plan
}
