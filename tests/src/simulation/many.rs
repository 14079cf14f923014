//! Many seeds on all cores, and what they came to together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::{Report, Scenario, run};

/// Runs scenarios on so many threads, and hands over the report of each as it ends, in no order; until `each` says that it is
/// enough. A run that panics ends the process: nothing of it can be trusted.
pub fn run_all(scenarios: &[Scenario], jobs: usize, mut each: impl FnMut(Report) -> bool) {
    let next = AtomicU64::new(0);
    let enough = AtomicBool::new(false);
    let (sender, reports) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let sender = sender.clone();
            scope.spawn(|| {
                let sender = sender;
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    if enough.load(Ordering::Relaxed) || sender.send(run(scenario)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for report in reports {
            if !enough.load(Ordering::Relaxed) && !each(report) {
                enough.store(true, Ordering::Relaxed);
            }
        }
    });
}

/// Sums over reports.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Runs.
    pub runs: u64,
    /// Those in which something was wrong.
    pub bad: u64,
    /// Requests.
    pub requests: u64,
    /// Virtual time.
    pub virtual_time: Duration,
    /// The longest time from the end of the faults to rest.
    pub longest_drain: Duration,
    /// Faults, by class.
    pub faults: BTreeMap<&'static str, u64>,
    /// What became of S3's events, what was sent and run, and other counts.
    pub counts: BTreeMap<&'static str, u64>,
    /// Executions of what had been done before, by documented case.
    pub duplicates: BTreeMap<&'static str, u64>,
    /// Steps that rows took, told apart by attempt and delivery.
    pub states: BTreeSet<String>,
    /// Write units.
    pub write_units: f64,
}

impl Totals {
    /// Adds a report.
    pub fn add(&mut self, report: &Report) {
        let findings = &report.findings;
        self.runs += 1;
        self.bad += u64::from(!findings.violations.is_empty());
        self.requests += report.requests;
        self.virtual_time += report.virtual_time;
        self.longest_drain = self.longest_drain.max(findings.drained_in);
        self.write_units += findings.write_units;
        let counts = [
            ("events told", findings.uploads),
            ("general events", findings.general),
            ("succeeded", findings.succeeded),
            ("parked", findings.parked),
            ("covered", findings.covered),
            ("found by audits", findings.repaired),
            ("restored away", findings.restored_away),
            ("out of the receipts' reach", findings.out_of_reach),
            ("executions", findings.executions),
            ("attempts failed", findings.failed_attempts),
            ("messages sent", findings.sent as usize),
            ("dispatched at once", findings.at_once),
            ("attempts redelivered", findings.redelivered),
        ];
        for (what, count) in counts {
            *self.counts.entry(what).or_default() += count as u64;
        }
        let maps = [
            (&mut self.faults, &report.faults),
            (&mut self.counts, &report.counts),
            (&mut self.duplicates, &findings.duplicates),
        ];
        for (sums, counts) in maps {
            for (what, count) in counts {
                *sums.entry(what).or_default() += count;
            }
        }
        self.states.extend(findings.states.iter().cloned());
    }

    /// One of the counts.
    pub fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or(0)
    }
}
