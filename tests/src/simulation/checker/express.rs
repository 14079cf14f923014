//! Express executions: a name protects from nothing, so less is promised than of Standard ones. What an attempt needs to have
//! failed is held to all the same.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::runs::Runs;
use super::{Checker, Findings, Property, has_failed, status};

/// So many executions of one attempt must have ended without a report in time before it may have failed without one: a
/// start by a first delivery is counted by none, each of these three by a repeated one.
const MOST_UNTOLD: usize = 3;

/// An attempt has failed only when one of its executions reported so, or when no report came in time of at least three of
/// them: they died, or their report was late.
pub(super) fn executions_are_honest(checker: &Checker, rows: &[Value], runs: &Runs, findings: &mut Findings) {
    let (world, shadow) = (checker.world.lock(), checker.shadows.lock());
    for (id, of_row) in &runs.0 {
        findings.executions += of_row.len();
        let mut failures: BTreeMap<u64, usize> = BTreeMap::new();
        for run in of_row.iter().filter(|run| has_failed(run.status)) {
            *failures.entry(run.attempt).or_default() += 1;
        }
        findings.failed_attempts += failures.len();
        // A person may give back or fail what still runs.
        let is_meddled_with = world.failed_by_person.contains(id)
            || world.cancelled.contains(id)
            || world.freed.contains(id)
            || shadow.invalid.contains(id)
            || !world.restores.is_empty();
        if is_meddled_with {
            continue;
        }
        let last = of_row.iter().map(|run| run.attempt).max().unwrap_or(0);
        let behind = rows.iter().find(|row| row["id"]["S"] == json!(id)).map(|row| {
            let attempt = row["attempt"]["N"].as_str().and_then(|n| n.parse().ok());
            let attempt: u64 = attempt.unwrap_or(0);
            attempt - u64::from(status(row) == "CLAIMED")
        });
        for attempt in 1..=behind.unwrap_or(0).max(last.saturating_sub(1)) {
            let failed = failures.get(&attempt).copied().unwrap_or(0);
            let count =
                |of: &BTreeMap<(String, u64), usize>| of.get(&(id.clone(), attempt)).copied().unwrap_or(0);
            let (untold, unheard) = (count(&world.untold), count(&world.unheard));
            if failed == untold && untold + unheard < MOST_UNTOLD {
                let text = format!(
                    "{id}: attempt {attempt} counts as failed; {untold} of its executions ended untold, the reports of {unheard} were \
                     late, and none told of a failure"
                );
                findings.violate(Property::Attempts, text);
            }
        }
    }
}
