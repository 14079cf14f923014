//! Many days, by many seeds. `tests/examples/simulate` runs any number of them; docs/reliability.md says what they prove.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use daybook_tests::simulation::{CLASSES, Report, Scenario, Totals, run_all, shrink};

/// Runs these on all cores; the reports in their order.
fn reports(scenarios: &[Scenario]) -> Vec<Report> {
    let mut reports = Vec::new();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    run_all(scenarios, cores, |report| {
        reports.push(report);
        true
    });
    reports.sort_by_key(|report| report.scenario.seed);
    reports
}

/// Prints how to replay what failed, and the first of it made small.
fn tell(reports: &[Report]) -> usize {
    let bad: Vec<&Report> = reports
        .iter()
        .filter(|report| !report.findings.violations.is_empty())
        .collect();
    for report in bad.iter().take(5) {
        eprintln!("seed {}: {}", report.scenario.seed, report.scenario.command());
        for violation in &report.findings.violations {
            eprintln!("  {violation}");
        }
    }
    if let Some(first) = bad.first() {
        let (smallest, runs) = shrink(&first.scenario, 60);
        eprintln!("smallest of {runs} runs that still fails: {}", smallest.command());
    }
    bad.len()
}

#[test]
fn nothing_is_lost_in_three_hundred_seeds_with_all_faults_on() {
    let scenarios: Vec<Scenario> = (0..300).map(Scenario::new).collect();
    let reports = reports(&scenarios);
    let bad = tell(&reports);
    let mut totals = Totals::default();
    for report in &reports {
        totals.add(report);
    }
    println!("{totals:#?}");
    assert_eq!(bad, 0, "of {} runs", reports.len());
    // A fault that is never injected proves nothing.
    for class in CLASSES.iter().filter(|class| class.name != "clock_skew") {
        assert!(
            totals.faults.contains_key(class.name),
            "there was no {}",
            class.name
        );
    }
    for what in [
        "parked",
        "covered",
        "found by audits",
        "attempts failed",
        "dispatched at once",
        "attempts redelivered",
        "general events",
    ] {
        assert!(totals.count(what) > 0, "nothing was ever {what}");
    }
}

/// 18723: a notification three hours late, after all else was at rest. 27437: a repair an hour after its audit, when the receipts
/// that would tell were gone. 795: three workers died with an attempt before it ran. 2487: an Express report after its
/// lease. 2904: a row that a person had failed was restored. 4652: the only audit in time came within the settling time of
/// the intake. 3911 and 5623: what an audit found after two days ended untold in each of its executions, for a day and a half more.
/// 7474: a copy of a message whose input had been refused, which is not refused once and taken later. 8276: two runs asked for grants at once,
/// and each one's first answer was lost. 9729: a general event came again while its row was being deleted. 10044: an input was taken in a
/// brownout, and called invalid when it came once more.
#[test]
fn nothing_is_lost_in_seeds_that_once_found_something() {
    let then = |seed| {
        let mut scenario = Scenario::new(seed);
        // What they found was found with it.
        scenario.dynoxide = true;
        // There were none of these, and each of them is a request more.
        scenario.faults.remove("stranger_rows");
        scenario.faults.remove("invalid_input");
        scenario
    };
    let mut scenarios = [18_723, 27_437, 795, 2_487, 2_904, 4_652].map(then).to_vec();
    scenarios.extend([3_911, 5_623, 7_474, 8_276, 10_044].map(Scenario::new));
    scenarios.push(Scenario::calm(9_729));
    let reports = reports(&scenarios);
    assert_eq!(tell(&reports), 0);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let twice = |seed| [Scenario::new(seed), Scenario::new(seed)];
    let scenarios: Vec<Scenario> = [3, 17, 39, 1234].into_iter().flat_map(twice).collect();
    let reports = reports(&scenarios);
    for pair in reports.chunks(2) {
        assert_eq!(pair[0].trace, pair[1].trace, "seed {}", pair[0].scenario.seed);
        assert_eq!(pair[0].findings, pair[1].findings);
    }
    assert_ne!(reports[0].trace, reports[2].trace, "another seed is another day");
}

#[test]
fn nothing_is_lost_with_dynoxide_for_the_tables() {
    let witnessed = |seed| Scenario {
        dynoxide: true,
        ..Scenario::new(seed)
    };
    let reports = reports(&(0..300).step_by(15).map(witnessed).collect::<Vec<_>>());
    assert_eq!(tell(&reports), 0);
}

#[test]
fn without_faults_nothing_runs_twice_and_every_message_is_sent_once() {
    let scenarios: Vec<Scenario> = (0..12).map(Scenario::calm).collect();
    let reports = reports(&scenarios);
    assert_eq!(tell(&reports), 0);
    for report in &reports {
        let (seed, findings) = (report.scenario.seed, &report.findings);
        assert_eq!(report.faults.values().sum::<u64>(), 0, "seed {seed}");
        let by_person = findings.duplicates.keys().all(|case| case.contains("person"));
        assert!(by_person, "seed {seed}: {:?}", findings.duplicates);
    }
}

#[test]
fn a_week_is_simulated_as_a_day_is() {
    let week = Scenario::new(39);
    assert_eq!(week.span, Duration::from_secs(7 * 24 * 3600));
    let reports = reports(&[week]);
    assert_eq!(tell(&reports), 0);
    assert!(reports[0].virtual_time >= Duration::from_secs(7 * 24 * 3600));
}
