//! General events: as none of S3's is lost, none of them is; but no audit finds what a restore took away.

use serde_json::{Value, json};

use super::runs::Runs;
use super::{Checker, Findings, Property, status};

/// Every general event that reached the intake: a success was reported for it, its row is parked, or a person took it out. Done twice only
/// where an object event may be.
pub(super) fn nothing_is_lost(checker: &Checker, rows: &[Value], runs: &Runs, findings: &mut Findings) {
    let (history, shadow) = (checker.world.lock(), checker.shadows.lock());
    for event in &history.general {
        let id = event.row();
        let successes = runs.successes(&id);
        let is_parked = rows
            .iter()
            .any(|row| row["id"]["S"] == json!(id) && status(row) == "PARKED");
        let was_taken = history.restores.iter().any(|restore| restore.taken.contains(&id));
        match (
            successes > 0 || is_parked || history.closed.contains(&id),
            was_taken,
        ) {
            (true, _) => findings.general += 1,
            (false, true) => findings.restored_away += 1,
            (false, false) => findings.violate(Property::Lost, format!("lost: {event:?}, row {id}")),
        }
        let insert = shadow.inserts.get(&id);
        let is_again = insert.is_some_and(|insert| insert.last_millis > insert.at_millis);
        let is_batched = checker.scenario.batching().is_some();
        let unprotected =
            checker.scenario.has_workers() || checker.scenario.has_express() || (is_batched && is_again);
        let case = if history.receipts_removed.contains(&event.id) {
            Some("a receipt was gone before its time")
        } else if was_taken || (is_batched && !history.restores.is_empty()) {
            Some("the ledger was restored while it ran")
        } else if history.failed_by_person.contains(&id) {
            Some("a person called a running attempt failed")
        } else if unprotected && !checker.scenario.faults.is_empty() {
            Some("a worker or an Express execution did not report its work in time")
        } else {
            None
        };
        match case {
            _ if successes <= 1 => {}
            Some(case) => *findings.duplicates.entry(case).or_default() += successes as u64 - 1,
            None => findings.violate(
                Property::Duplicates,
                format!("{successes} successes for {event:?}, row {id}"),
            ),
        }
    }
}
