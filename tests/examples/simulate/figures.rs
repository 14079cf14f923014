//! What many runs came to.

use std::process::ExitCode;
use std::time::Duration;

use daybook_tests::simulation::{CLASSES, Scenario, Totals, run_all};

use crate::arguments::Arguments;

pub fn print(totals: &Totals, took: Duration) {
    let seconds = took.as_secs_f64();
    println!(
        "{} runs in {seconds:.0} s: {:.1} seeds a second; {} bad",
        totals.runs,
        totals.runs as f64 / seconds,
        totals.bad
    );
    println!(
        "{} requests, {:.0} virtual days, {:.0} write units; the longest drain took {:.1} hours",
        totals.requests,
        totals.virtual_time.as_secs_f64() / 86_400.0,
        totals.write_units,
        totals.longest_drain.as_secs_f64() / 3600.0
    );
    for (what, count) in &totals.counts {
        println!("{count:>12} {what}");
    }
    println!("faults, by class:");
    for class in &CLASSES {
        let count = totals.faults.get(class.name).copied().unwrap_or(0);
        println!("{count:>12} {:<20} {}", class.name, class.what);
    }
    println!(
        "{} different steps of rows (status, what was written, attempt, delivery)",
        totals.states.len()
    );
    println!("duplicates, by documented case:");
    if totals.duplicates.is_empty() {
        println!("{:>12} none", 0);
    }
    for (case, count) in &totals.duplicates {
        println!("{count:>12} {case}");
    }
}

/// Every class of faults alone: how many duplicates it makes.
pub fn each_class(arguments: &Arguments) -> ExitCode {
    let alone = CLASSES.iter().map(|class| vec![class.name]);
    let mut bad = 0;
    println!("| faults | runs | bad | events | redelivered | duplicates | per 10,000 events | case |");
    println!("|---|---|---|---|---|---|---|---|");
    for faults in std::iter::once(Vec::new()).chain(alone) {
        let scenarios: Vec<Scenario> = (arguments.first..arguments.first + arguments.seeds)
            .map(|seed| Scenario {
                faults: faults.iter().copied().collect(),
                ..Scenario::new(seed)
            })
            .collect();
        let mut totals = Totals::default();
        run_all(&scenarios, arguments.jobs, |report| {
            totals.add(&report);
            true
        });
        bad += totals.bad;
        let (events, duplicates) = (
            totals.count("events told"),
            totals.duplicates.values().sum::<u64>(),
        );
        let cases: Vec<&str> = totals.duplicates.keys().copied().collect();
        println!(
            "| {} | {} | {} | {events} | {} | {duplicates} | {:.1} | {} |",
            faults.first().unwrap_or(&"none"),
            totals.runs,
            totals.bad,
            totals.count("attempts redelivered"),
            duplicates as f64 * 10_000.0 / events.max(1) as f64,
            cases.join("; ")
        );
    }
    if bad > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
