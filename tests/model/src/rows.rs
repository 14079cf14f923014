//! The steps of a row: the same names and the same conditions as in the ledger crate and design.md. `None` where the condition is
//! false. What a condition asks beyond the row itself (`due_at` as seen, our token) is in the [`View`].

use crate::bounds::Rules;
use crate::defects::Defect;
use crate::world::{Row, Status, View};

use Status::{Claimed, Parked, Pending};

/// How often the sweep may move a lease. 3 in the reconciler; one is enough to see that it ends.
pub const LEASE_MOVES: u8 = 1;

/// No row with this id → PENDING, due now; or with a grant, CLAIMED as a claim would leave it.
pub fn record(row: Option<Row>, life: u8, max_attempts: u8, claimed: bool) -> Option<Row> {
    row.is_none().then_some(Row {
        status: if claimed { Claimed } else { Pending },
        due: !claimed,
        attempt: u8::from(claimed),
        max_attempts,
        lease_moves: 0,
        life,
        newer: false,
        rounds: 0,
        spared: 0,
        queued: 0,
    })
}

/// Whether no newer release wrote it: every step asks for that.
pub fn is_known(row: Row) -> bool {
    !row.newer
}

/// PENDING and due_at as the index showed them → CLAIMED, the next attempt, a lease.
pub fn claim(row: Row, view: View, rules: &Rules) -> Option<Row> {
    let holds = match rules.defect {
        Some(Defect::UnconditionalClaim) => true,
        Some(Defect::ClaimWithoutDueAt) => row.status == Pending,
        _ => row.status == Pending && view.fresh,
    };
    let holds = holds && (is_known(row) || rules.has(Defect::ClaimOfNewer));
    holds.then_some(Row {
        status: Claimed,
        due: false,
        attempt: row.attempt + 1,
        lease_moves: 0,
        ..row
    })
}

/// Whether a claim or redelivery whose condition is false is ours all the same: a retry of our own write.
pub fn is_ours(row: Row, view: View, rules: &Rules) -> bool {
    match rules.defect {
        Some(Defect::NoTokenCheck) => row.status == Claimed,
        Some(Defect::TokenWithoutStatus) => view.mine,
        _ => row.status == Claimed && view.mine && is_known(row),
    }
}

/// CLAIMED, our token, due_at as claimed → PENDING, due now, the attempt unused.
pub fn release(row: Row, view: View) -> Option<Row> {
    (row.status == Claimed && view.fresh && view.mine && is_known(row)).then(|| Row {
        status: Pending,
        due: true,
        attempt: row.attempt - 1,
        ..row
    })
}

/// CLAIMED and the same attempt → a new lease.
pub fn renew(row: Row, attempt: u8) -> Option<Row> {
    (row.status == Claimed && row.attempt == attempt && is_known(row)).then_some(Row {
        due: false,
        lease_moves: 0,
        ..row
    })
}

/// CLAIMED, due_at as seen → a new lease, counted.
pub fn move_lease(row: Row, view: View) -> Option<Row> {
    (row.status == Claimed && view.fresh && is_known(row)).then_some(Row {
        due: false,
        lease_moves: row.lease_moves + 1,
        ..row
    })
}

/// CLAIMED, due_at as seen (over then) → the same attempt once more, a longer lease.
pub fn redeliver(row: Row, view: View, rules: &Rules) -> Option<Row> {
    (row.status == Claimed && view.fresh && is_known(row)).then_some(Row {
        due: false,
        attempt: row.attempt + u8::from(rules.has(Defect::RedeliveryIsAnAttempt)),
        ..row
    })
}

/// CLAIMED, our token, due_at as redelivered → the lease is over.
pub fn unsend(row: Row, view: View) -> Option<Row> {
    (row.status == Claimed && view.fresh && view.mine && is_known(row)).then_some(Row { due: true, ..row })
}

/// What the end of a failed attempt would write: PARKED or not, and the limit. `None` when the report is of an old attempt.
pub fn read_for_fail(row: Row, attempt: u8, started_in: u8, rules: &Rules) -> Option<(bool, u8)> {
    if row.status != Claimed || (row.attempt != attempt && !rules.has(Defect::FailWithoutAttempt)) {
        return None;
    }
    let replayed = started_in < row.life && !rules.has(Defect::ReplayCosts);
    let max_attempts = row.max_attempts + u8::from(replayed);
    Some((row.attempt >= max_attempts, max_attempts))
}

/// CLAIMED, the same attempt, recorded as read → PENDING with backoff, or PARKED.
pub fn fail(row: Row, attempt: u8, life: u8, (park, max_attempts): (bool, u8), rules: &Rules) -> Option<Row> {
    let same = row.attempt == attempt || rules.has(Defect::FailWithoutAttempt);
    (row.status == Claimed && same && row.life == life && is_known(row)).then_some(Row {
        status: if park { Parked } else { Pending },
        due: false,
        max_attempts,
        queued: 0,
        ..row
    })
}

/// PARKED → PENDING, due now, another round.
pub fn redrive(row: Row, round: u8) -> Option<Row> {
    (row.status == Parked && is_known(row)).then_some(Row {
        status: Pending,
        due: true,
        max_attempts: row.attempt + round,
        rounds: row.rounds + 1,
        ..row
    })
}

/// CLAIMED as just seen, at a person's word → PARKED, whatever attempts are left.
pub fn cancel(row: Row, attempt: u8, rules: &Rules) -> Option<Row> {
    let as_seen = row.status == Claimed && row.attempt == attempt;
    (is_known(row) && (as_seen || rules.has(Defect::CancelUnseen))).then(|| Row {
        status: Parked,
        due: false,
        queued: 0,
        spared: row.spared + row.max_attempts.saturating_sub(row.attempt),
        ..row
    })
}

/// CLAIMED as just seen, at a person's word → PENDING, due now, the attempt unused.
pub fn free(row: Row) -> Option<Row> {
    (row.status == Claimed && is_known(row)).then(|| Row {
        status: Pending,
        due: true,
        attempt: row.attempt - 1,
        // The person says that nothing is on the queue for it.
        queued: 0,
        ..row
    })
}
