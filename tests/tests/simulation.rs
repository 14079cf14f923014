//! Many days, by many seeds.

use std::sync::atomic::{AtomicU64, Ordering};

use daybook_tests::simulation::{Report, Scenario, run};

/// Runs the days of these seeds on all cores; the reports in the order of the seeds.
fn run_all(scenarios: Vec<Scenario>) -> Vec<Report> {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut reports: Vec<Report> = std::thread::scope(|scope| {
        let work = || {
            let mut reports = Vec::new();
            while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                reports.push(run(scenario));
            }
            reports
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a day ends"))
            .collect()
    });
    reports.sort_by_key(|report| report.seed);
    reports
}

#[test]
fn nothing_is_lost_in_two_hundred_days_of_faults() {
    let first: u64 = std::env::var("DAYBOOK_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0);
    let days: u64 = std::env::var("DAYBOOK_SEEDS")
        .ok()
        .and_then(|days| days.parse().ok())
        .unwrap_or(200);
    let reports = run_all((first..first + days).map(Scenario::new).collect());
    let bad: Vec<&Report> = reports
        .iter()
        .filter(|report| !report.findings.violations.is_empty())
        .collect();
    for report in bad.iter().take(5) {
        eprintln!(
            "seed {}: replay with DAYBOOK_SEED={} DAYBOOK_SEEDS=1 cargo test -p daybook-tests --test simulation",
            report.seed, report.seed
        );
        for violation in &report.findings.violations {
            eprintln!("  {violation}");
        }
    }
    let sum = |count: fn(&Report) -> usize| reports.iter().map(count).sum::<usize>();
    let mut faults = std::collections::BTreeMap::<&str, u64>::new();
    for (fault, times) in reports.iter().flat_map(|report| &report.faults) {
        *faults.entry(fault).or_default() += times;
    }
    println!(
        "{} days, {} requests, {} uploads, {} succeeded, {} parked, {} covered, {} attempts failed, {} redelivered",
        reports.len(),
        reports.iter().map(|report| report.requests).sum::<u64>(),
        sum(|report| report.findings.uploads),
        sum(|report| report.findings.succeeded),
        sum(|report| report.findings.parked),
        sum(|report| report.findings.covered),
        sum(|report| report.findings.failed_attempts),
        sum(|report| report.findings.redelivered),
    );
    println!("{faults:?}");
    assert!(
        bad.is_empty(),
        "{} of {} days went wrong",
        bad.len(),
        reports.len()
    );
    if days >= 20 {
        for fault in [
            "not_sent",
            "answer_lost",
            "throttled",
            "hang",
            "hang_after",
            "stale",
            "partial",
            "killed",
        ]
        .into_iter()
        .chain([
            "message_lost",
            "message_twice",
            "status_event_lost",
            "status_event_twice",
            "queue_purged",
            "brownout",
        ]) {
            assert!(
                faults.contains_key(fault),
                "the days had no {fault}: the faults are not injected"
            );
        }
        assert!(
            sum(|report| report.findings.redelivered) > 0,
            "no message was ever sent again"
        );
        assert!(sum(|report| report.findings.parked) > 0, "no row was ever parked");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let twice = |seed| vec![Scenario::new(seed), Scenario::new(seed)];
    let reports = run_all([3, 17, 90, 1234].into_iter().flat_map(twice).collect());
    for pair in reports.chunks(2) {
        assert_eq!(pair[0].trace, pair[1].trace, "seed {}", pair[0].seed);
        assert_eq!(pair[0].findings, pair[1].findings);
    }
    assert_ne!(reports[0].trace, reports[2].trace, "another seed is another day");
}

#[test]
fn a_day_without_faults_sends_every_message_once() {
    let calm = |seed| Scenario {
        faults: false,
        ..Scenario::new(seed)
    };
    for report in run_all((0..4).map(calm).collect()) {
        assert_eq!(
            report.findings.violations,
            Vec::<String>::new(),
            "seed {}",
            report.seed
        );
        assert_eq!(report.findings.redelivered, 0, "seed {}", report.seed);
        let attempts = report.findings.executions as u64;
        assert_eq!(
            report.findings.sent, attempts,
            "seed {}: one message per attempt",
            report.seed
        );
    }
}
