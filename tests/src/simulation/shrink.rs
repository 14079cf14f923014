//! Making a failing run small: less that happens, fewer faults, less time, as long as it still fails.

use std::time::Duration;

use super::{Scenario, run};

/// The smallest scenario found in at most so many runs that still fails, and how many were needed. Greedy: whole groups of fault
/// classes first, then one by one; then fewer uploads, then less time.
pub fn shrink(failing: &Scenario, most_runs: usize) -> (Scenario, usize) {
    let mut smallest = failing.clone();
    let mut runs = 0;
    let mut still_fails = |candidate: &Scenario| {
        runs += 1;
        runs <= most_runs && !run(candidate).findings.violations.is_empty()
    };
    let mut group = smallest.faults.len().div_ceil(2);
    while group > 0 {
        let names: Vec<&'static str> = smallest.faults.iter().copied().collect();
        for part in names.chunks(group) {
            let mut candidate = smallest.clone();
            candidate.faults.retain(|name| !part.contains(name));
            if candidate.faults.len() < smallest.faults.len() && still_fails(&candidate) {
                smallest = candidate;
            }
        }
        group /= 2;
    }
    loop {
        let fewer = [
            smallest.uploads / 2,
            smallest.uploads.saturating_sub(3),
            smallest.uploads.saturating_sub(1),
        ];
        let candidates = fewer
            .into_iter()
            .filter(|uploads| *uploads > 0 && *uploads < smallest.uploads);
        let candidates: Vec<Scenario> = candidates
            .map(|uploads| Scenario {
                uploads,
                ..smallest.clone()
            })
            .collect();
        match candidates.into_iter().find(&mut still_fails) {
            Some(smaller) => smallest = smaller,
            None => break,
        }
    }
    while smallest.span >= Duration::from_secs(2 * 3600) {
        let hours = smallest.span.as_secs() / 3600 / 2;
        let candidate = Scenario {
            span: Duration::from_secs(hours * 3600),
            ..smallest.clone()
        };
        if !still_fails(&candidate) {
            break;
        }
        smallest = candidate;
    }
    (smallest, runs.min(most_runs))
}
