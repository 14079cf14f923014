//! What to do with stale rows, as a pure function of what was observed.

use std::collections::{BTreeMap, BTreeSet};

use daybook_schema::{Attempt, ExecutionName, ObjectId, Receipt, Row, Status, Timestamp};

/// How often a row's lease may be moved on because the queue is deep. A lost message must not hide behind a slow queue for
/// ever.
pub const LEASE_MOVES: u32 = 3;

/// What is to be done with the stale rows; each row is in at most one list. Rows that moved on since the index was read are in
/// none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Their executions run: a new lease.
    pub renew: Vec<ExecutionName>,
    /// Receipts cover them: delete.
    pub covered: Vec<Row>,
    /// Their messages probably wait in the queue: a longer lease.
    pub move_lease: Vec<Row>,
    /// Their messages are probably lost: once more on the queue, oldest lease first.
    pub redeliver: Vec<Row>,
}

/// Decides, from the stale rows as the table holds them, the executions that run, the receipts, and how many messages the
/// queue holds.
///
/// While the queue holds at least as many messages as there are stale rows left, they are taken to be waiting there. Of more
/// stale rows than messages, at least the difference is lost: the ones whose leases ended first.
pub fn plan(
    rows: Vec<Row>,
    running: &BTreeSet<ExecutionName>,
    receipts: &BTreeMap<ObjectId, Receipt>,
    queue_depth: u64,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    let mut left = Vec::new();
    for row in rows {
        let is_stale = row.status == Status::Claimed && row.due_at <= now && row.attempt > Attempt(0);
        let Some(event) = row.event().filter(|_| is_stale) else {
            continue;
        };
        let name = ExecutionName {
            id: row.id,
            attempt: row.attempt,
        };
        if receipts
            .get(&event.object_id())
            .is_some_and(|receipt| receipt.covers(event))
        {
            plan.covered.push(row);
        } else if running.contains(&name) {
            plan.renew.push(name);
        } else {
            left.push(row);
        }
    }
    left.sort_by_key(|row| (row.due_at, row.id));
    let waiting = usize::try_from(queue_depth).unwrap_or(usize::MAX);
    let lost = left.len().saturating_sub(waiting);
    for (position, row) in left.into_iter().enumerate() {
        match position < lost || row.lease_moves >= LEASE_MOVES {
            true => plan.redeliver.push(row),
            false => plan.move_lease.push(row),
        }
    }
    plan
}
