//! What the sweep and the invoker do to the leases of claimed rows.

use std::time::Duration;

use daybook_schema::{ExecutionName, Row, Shard, Step};

use crate::Ledger;
use crate::claim::{Claim, Released, claimed, released};
use crate::statement::{Statement, Written, number, text};
use crate::time::Deadline;

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
    Left(String),
}

impl Ledger {
    /// Gives the rows of executions that are known to run a new lease: CLAIMED and the same attempt; the delivery count
    /// starts again at 1, because this delivery arrived.
    pub async fn renew(&self, running: &[ExecutionName], lease: Duration, deadline: Deadline) -> Vec<Moved> {
        let lease_end = self.clock.now().plus(lease);
        let update = format!(
            "UPDATE \"{}\" SET \"due_at\" = ? SET \"deliveries\" = 1 SET \"lease_moves\" = 0 \
             WHERE \"id\" = ? AND \"status_shard\" = ? AND \"attempt\" = ?",
            self.table
        );
        let statements = running
            .iter()
            .map(|name| Statement {
                text: update.clone(),
                parameters: vec![
                    text(lease_end),
                    text(name.id),
                    text(Shard::of(name.id).with(Step::Renew.from())),
                    number(name.attempt),
                ],
            })
            .collect();
        self.write(statements, deadline)
            .await
            .into_iter()
            .map(moved)
            .collect()
    }

    /// Moves the leases of rows on whose messages probably still wait in a slow queue: the same delivery, one lease longer.
    pub async fn move_leases(&self, rows: &[Row], lease: Duration, deadline: Deadline) -> Vec<Moved> {
        let lease_end = self.clock.now().plus(lease);
        let update = format!(
            "UPDATE \"{}\" SET \"due_at\" = ? SET \"lease_moves\" = ? \
             WHERE \"id\" = ? AND \"status_shard\" = ? AND \"due_at\" = ?",
            self.table
        );
        let statements = rows
            .iter()
            .map(|row| Statement {
                text: update.clone(),
                parameters: vec![
                    text(lease_end),
                    number(row.lease_moves.saturating_add(1)),
                    text(row.id),
                    text(row.status_shard().to(Step::MoveLease.from())),
                    text(row.due_at),
                ],
            })
            .collect();
        self.write(statements, deadline)
            .await
            .into_iter()
            .map(moved)
            .collect()
    }

    /// Takes rows whose leases ran out for another delivery of the same attempt. The lease doubles with every delivery, up to
    /// 6 hours, so that copies in a slow queue stay few.
    pub async fn redeliver(&self, rows: &[Row], lease: Duration, deadline: Deadline) -> Vec<Claim> {
        let token = self.random.token();
        let now = self.clock.now();
        let update = format!(
            "UPDATE \"{}\" SET \"due_at\" = ? SET \"deliveries\" = ? SET \"claim_token\" = ? \
             WHERE \"id\" = ? AND \"status_shard\" = ? AND \"due_at\" = ? RETURNING ALL NEW *",
            self.table
        );
        let statements = rows
            .iter()
            .map(|row| Statement {
                text: update.clone(),
                parameters: vec![
                    text(now.plus(doubled(lease, row.deliveries))),
                    // Not counted up in place: rows of version 1 have no count yet. The lease in the condition tells that
                    // this one still holds.
                    number(row.deliveries.saturating_add(1)),
                    text(token),
                    text(row.id),
                    text(row.status_shard().to(Step::Redeliver.from())),
                    text(row.due_at),
                ],
            })
            .collect();
        self.write(statements, deadline)
            .await
            .into_iter()
            .map(|written| claimed(written, token))
            .collect()
    }

    /// Takes back redeliveries that the queue certainly did not take: the count as before, the lease over, so that the next
    /// sweep tries again at once and an outage of the queue does not push the lease to hours.
    pub async fn unsend(&self, rows: &[Row], deadline: Deadline) -> Vec<Released> {
        let now = self.clock.now();
        let update = format!(
            "UPDATE \"{}\" SET \"due_at\" = ? SET \"deliveries\" = deliveries - 1 \
             WHERE \"id\" = ? AND \"status_shard\" = ? AND \"due_at\" = ? AND \"claim_token\" = ?",
            self.table
        );
        let statements = rows
            .iter()
            .map(|row| Statement {
                text: update.clone(),
                parameters: vec![
                    text(now),
                    text(row.id),
                    text(row.status_shard().to(Step::Unsend.from())),
                    text(row.due_at),
                    text(row.claim_token.map(|token| token.to_string()).unwrap_or_default()),
                ],
            })
            .collect();
        self.write(statements, deadline)
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
