//! General events: as none of S3's is lost, none of them is; but no audit finds what a restore took away.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::runs::Runs;
use super::{Checker, Findings, Property, status};
use crate::simulation::shadow::Shadow;
use crate::simulation::world::{GeneralEvent, History};

/// Every general event that reached the intake: a success was reported for it, its row is parked, or a person took it out; and however
/// often it was sent, it has one row. Done twice only where an object event may be.
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
        if successes > 1 {
            match case(checker, event, &history, &shadow) {
                Some(case) => *findings.duplicates.entry(case).or_default() += successes as u64 - 1,
                None => findings.violate(
                    Property::Duplicates,
                    format!("{successes} successes for {event:?}, row {id}"),
                ),
            }
        }
        if checker.scenario.faults.is_empty() && is_again(&id, &shadow) && !shadow.overtaken.contains(&id) {
            let text = format!("without faults {event:?} was recorded twice, as row {id}");
            findings.violate(Property::Duplicates, text);
        }
    }
    let sent: BTreeSet<String> = history.general.iter().map(GeneralEvent::row).collect();
    let recorded = shadow.inserts.iter().filter(|(_, insert)| insert.general);
    for (id, insert) in recorded.filter(|(id, _)| !sent.contains(*id)) {
        let text = format!("row {id} is of no general event that was sent: {insert:?}");
        findings.violate(Property::Counts, text);
    }
}

/// Which documented case may have run it twice.
fn case(checker: &Checker, event: &GeneralEvent, history: &History, shadow: &Shadow) -> Option<&'static str> {
    let (scenario, id) = (&checker.scenario, event.row());
    let is_batched = scenario.batching().is_some();
    let is_again = is_again(&id, shadow);
    let was_taken = history.restores.iter().any(|restore| restore.taken.contains(&id));
    let is_gone = !scenario.has_receipts() || history.receipts_expired.contains_key(&event.id);
    // Neither does a name protect: a worker has none, an Express one is free at its end, and that of a batch is of its claim.
    let unprotected = scenario.has_workers() || scenario.has_express() || (is_batched && is_again);
    if history.receipts_removed.contains(&event.id) {
        Some("a receipt was gone before its time")
    } else if was_taken || (is_batched && !history.restores.is_empty()) {
        Some("the ledger was restored while it ran")
    } else if history.failed_by_person.contains(&id) {
        Some("a person called a running attempt failed")
    } else if history.cancelled.contains(&id) {
        Some("a person cancelled an attempt that ran on, and redrove it")
    } else if unprotected && is_again && is_gone {
        Some("an event was told of again after its receipt had expired")
    } else if unprotected && is_again && shadow.overtaken.contains(&id) {
        Some("an event was done between the look for its receipt and its insert")
    } else if unprotected && !scenario.faults.is_empty() {
        Some("a worker or an Express execution did not report its work in time")
    } else {
        None
    }
}

/// Whether it was recorded again after its row was gone.
fn is_again(id: &str, shadow: &Shadow) -> bool {
    let insert = shadow.inserts.get(id);
    insert.is_some_and(|insert| insert.last_millis > insert.at_millis)
}
