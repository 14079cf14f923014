//! What the functions of this crate tell: metrics, and lines of the log.

use daybook_ledger::{Count, Deadline, Ledger, Window};
use daybook_manager::lambda::{metric, telemetry};
use daybook_schema::Status;
use serde_json::Value;

use crate::sweep::SweepReport;

/// So many rows are counted in each of the 16 shards of a status; where there are more, a gauge shows that there are at least
/// so many. Counting 160,000 rows reads some 2,000 units.
const COUNT_TO: u32 = 10_000;

/// What a sweep did: for the log and the metrics, and as the function's answer.
pub fn swept(window: Window, report: &SweepReport) -> Value {
    metric::count(metric::SWEEP_RUNS, 1u64);
    metric::count(metric::EVENTS_RENEWED, report.renewed);
    metric::count(metric::EVENTS_REDELIVERED, report.redelivered);
    metric::count(metric::LEASES_MOVED, report.moved);
    telemetry::failures("the sweep", &report.failures);
    let answer = serde_json::json!(report.of(window));
    tracing::info!(report = %answer, "swept");
    answer
}

/// Counts where rows stand. What could not be counted is not told: unknown is not 0.
pub async fn gauges(ledger: &Ledger, deadline: Deadline) {
    let clock = ledger.clock();
    let now = clock.now();
    let count = |status| ledger.count(status, None, Some(COUNT_TO));
    let looked = async {
        futures::join!(
            count(Status::Pending),
            count(Status::Claimed),
            count(Status::Parked),
            ledger.claimed_first(),
            ledger.newer_rows(),
        )
    };
    let Some((pending, claimed, parked, in_flight, newer)) = deadline.bound(clock, looked).await else {
        tracing::warn!("no time is left to count rows: where they stand is not known");
        return;
    };
    for (name, count) in [
        (metric::PENDING_ROWS, pending),
        (metric::CLAIMED_ROWS, claimed),
        (metric::PARKED_ROWS, parked),
        (metric::NEWER_ROWS, newer),
    ] {
        match count {
            Ok(Count { rows, .. }) => metric::gauge(name, rows as f64),
            Err(error) => tracing::warn!(cause = %error, "{name} is not known"),
        }
    }
    match in_flight {
        Ok(claimed) => {
            metric::gauge(metric::UNDELIVERED_ROWS, claimed.undelivered.rows as f64);
            let over = claimed.first_lease_end.map_or(0, |end| now.since(end).as_secs());
            metric::gauge(metric::OLDEST_CLAIMED_SECONDS, over as f64);
        }
        Err(error) => tracing::warn!(cause = %error, "how long claimed rows wait is not known"),
    }
}
