//! What the sweep and the invoker do to the leases of claimed rows, and to due times that cannot be.

use std::time::Duration;

use daybook_schema::tables::attribute::DUE_AT;
use daybook_schema::{BatchId, EventId, ExecutionName, Row, Step, Timestamp};

use crate::cause::Cause;
use crate::claim::{Claim, Released, claimed, released, token_of};
use crate::ledger::Ledger;
use crate::read::IndexKey;
use crate::statement::{Written, number, text};
use crate::time::Deadline;
use crate::update::Update;

/// The longest lease that redelivery doubles up to: 6 hours.
const LONGEST_LEASE: Duration = Duration::from_secs(6 * 60 * 60);

/// What came of one change of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Done.
    Moved,
    /// The row is gone or went on; nothing was changed.
    Stale,
    /// Not written, or perhaps not. The lease is over or soon will be, so the next sweep looks again.
    Left(Cause),
}

/// A claimed row's lease as it was read: what a write that moves it on asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The row.
    pub id: EventId,
    /// When it ends.
    pub due_at: Timestamp,
    /// How often this attempt was put on the queue.
    pub deliveries: u32,
    /// How often it was moved on because the queue was slow.
    pub lease_moves: u32,
    /// The batch that it is in.
    pub batch: Option<BatchId>,
}

impl From<&Row> for Lease {
    fn from(row: &Row) -> Self {
        Self {
            id: row.id,
            due_at: row.due_at,
            deliveries: row.deliveries,
            lease_moves: row.lease_moves,
            batch: row.batch,
        }
    }
}

impl From<&Lease> for Lease {
    fn from(lease: &Lease) -> Self {
        *lease
    }
}

impl Ledger {
    /// Gives the rows of executions that are known to run a new lease: CLAIMED, the same attempt, and that batch or none; the
    /// delivery count starts again at 1, because this delivery arrived.
    pub async fn renew(
        &self,
        running: &[ExecutionName],
        batch: Option<BatchId>,
        lease: Duration,
        deadline: Deadline,
    ) -> Vec<Moved> {
        let lease_end = self.clock.now().plus(lease);
        let updates = running.iter().map(|name| {
            Update::of(name.id, Step::Renew)
                .of_batch(batch)
                .set(DUE_AT, text(lease_end))
                .set("deliveries", number(1))
                .set("lease_moves", number(0))
                .when("attempt", number(name.attempt))
        });
        self.update(updates, deadline)
            .await
            .into_iter()
            .map(moved)
            .collect()
    }

    /// Counts that an execution was started by the delivery that the row bears, a repeated one, and gives the row a new lease: CLAIMED,
    /// same attempt, delivery and token as `row` was just read; one death more, and the delivery count starts again at 1. The same
    /// three write units as a renewal.
    ///
    /// For executions whose names protect from nothing and whose ends nobody can ask for: when the next delivery comes, this one has
    /// ended untold. A message that is lost starts nothing, so it counts nothing; a copy of a message finds another count of
    /// deliveries.
    pub async fn count_start(&self, row: &Row, lease: Duration, deadline: Deadline) -> Moved {
        let update = Update::of(row.id, Step::Renew)
            .of_batch(row.batch)
            .set(DUE_AT, text(self.clock.now().plus(lease)))
            .set("deliveries", number(1))
            .set("lease_moves", number(0))
            .set("deaths", number(row.deaths.saturating_add(1)))
            .when("attempt", number(row.attempt))
            .when("deliveries", number(row.deliveries))
            .when("claim_token", token_of(row));
        let written = self.update([update], deadline).await.pop();
        written.map_or_else(|| Moved::Left("no outcome".into()), moved)
    }

    /// Moves the leases of rows on whose messages probably still wait in a slow queue: the same delivery, one lease longer.
    pub async fn move_leases(
        &self,
        rows: impl IntoIterator<Item = impl Into<Lease>>,
        lease: Duration,
        deadline: Deadline,
    ) -> Vec<Moved> {
        let lease_end = self.clock.now().plus(lease);
        let updates = rows.into_iter().map(Into::into).map(|row: Lease| {
            Update::of(row.id, Step::MoveLease)
                .of_batch(row.batch)
                .set(DUE_AT, text(lease_end))
                .set("lease_moves", number(row.lease_moves.saturating_add(1)))
                .when(DUE_AT, text(row.due_at))
        });
        self.update(updates, deadline)
            .await
            .into_iter()
            .map(moved)
            .collect()
    }

    /// Makes PENDING rows due now that the index shows as due at another time: whoever calls it knows that time to be wrong.
    /// `rows` without repetitions. Three write units each.
    pub async fn bring_forward(&self, rows: &[IndexKey], deadline: Deadline) -> Vec<Moved> {
        let now = self.clock.now();
        let updates = rows.iter().map(|row| {
            Update::of(row.id, Step::BringForward)
                .set(DUE_AT, text(now))
                .when(DUE_AT, text(row.due_at))
        });
        self.update(updates, deadline)
            .await
            .into_iter()
            .map(moved)
            .collect()
    }

    /// Takes rows whose leases ran out for another delivery of the same attempt. The lease doubles with every delivery, up to
    /// 6 hours, so that copies in a slow queue stay few.
    pub async fn redeliver(
        &self,
        rows: impl IntoIterator<Item = impl Into<Lease>>,
        lease: Duration,
        deadline: Deadline,
    ) -> Vec<Claim> {
        let token = self.random.token();
        let now = self.clock.now();
        let updates = rows.into_iter().map(Into::into).map(|row: Lease| {
            Update::of(row.id, Step::Redeliver)
                .of_batch(row.batch)
                .set(DUE_AT, text(now.plus(doubled(lease, row.deliveries))))
                // Not counted up in place: rows of version 1 have no count yet. The lease in the condition tells that
                // this one still holds.
                .set("deliveries", number(row.deliveries.saturating_add(1)))
                .set("claim_token", text(token))
                .when(DUE_AT, text(row.due_at))
                .returning_row()
        });
        let written = self.update(updates, deadline).await;
        written
            .into_iter()
            .map(|written| claimed(written, token))
            .collect()
    }

    /// Takes back redeliveries that the queue certainly did not take: the count as before, the lease over, so that the next
    /// sweep tries again at once and an outage of the queue does not push the lease to hours.
    pub async fn unsend(&self, rows: &[Row], deadline: Deadline) -> Vec<Released> {
        let now = self.clock.now();
        let updates = rows.iter().map(|row| {
            Update::of(row.id, Step::Unsend)
                .of_batch(row.batch)
                .set(DUE_AT, text(now))
                .count("deliveries", false)
                .when(DUE_AT, text(row.due_at))
                .when("claim_token", token_of(row))
        });
        self.update(updates, deadline)
            .await
            .into_iter()
            .map(released)
            .collect()
    }
}

/// The lease after the next delivery: doubled per delivery so far, at most 6 hours (or the plain lease if it is longer).
fn doubled(lease: Duration, deliveries: u32) -> Duration {
    let doubled = lease.saturating_mul(2u32.saturating_pow(deliveries.min(31)));
    doubled.min(LONGEST_LEASE.max(lease))
}

fn moved(written: Written) -> Moved {
    match written {
        Written::Applied(_) => Moved::Moved,
        Written::ConditionFailed(_) | Written::Duplicate => Moved::Stale,
        Written::Newer(newer) => Moved::Left(newer.into()),
        Written::Refused(cause) | Written::Throttled(cause) | Written::Unknown(cause) => Moved::Left(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_doubles_with_every_delivery_up_to_six_hours() {
        let quarter = Duration::from_secs(900);
        let hours: Vec<f64> = (1..8)
            .map(|n| doubled(quarter, n).as_secs_f64() / 3600.0)
            .collect();
        assert_eq!(hours, [0.5, 1.0, 2.0, 4.0, 6.0, 6.0, 6.0]);
        let long = Duration::from_secs(8 * 3600);
        assert_eq!(
            doubled(long, 1),
            long,
            "a configured lease beyond the cap is kept"
        );
        assert_eq!(doubled(quarter, u32::MAX), LONGEST_LEASE);
    }
}
