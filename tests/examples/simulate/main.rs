//! Simulates any number of seeds in parallel, or replays one.
//!
//! ```text
//! cargo run --release -p daybook-tests --example simulate -- --seeds 50000
//! cargo run -p daybook-tests --example simulate -- --seed 17 --trace
//! ```
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod arguments;
mod figures;

use std::process::ExitCode;
use std::time::Instant;

/// A fifth of a run is allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use arguments::Arguments;
use daybook_tests::simulation::{Report, Scenario, Totals, run, run_all, shrink};

/// Runs that a shrink may take.
const SHRINK_RUNS: usize = 120;

/// Lines of a trace that are shown, from its end.
const TRACE_LINES: usize = 400;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match (arguments.seed, arguments.each_class) {
        (Some(seed), _) => one(&arguments, seed),
        (None, true) => figures::each_class(&arguments),
        (None, false) => many(&arguments),
    }
}

/// One run, with its trace if asked for.
fn one(arguments: &Arguments, seed: u64) -> ExitCode {
    let scenario = Scenario {
        keep_lines: arguments.trace,
        ..arguments.scenario(seed)
    };
    let report = run(&scenario);
    let skipped = report
        .lines
        .len()
        .saturating_sub(arguments.lines.unwrap_or(TRACE_LINES));
    if skipped > 0 {
        println!(
            "({skipped} earlier lines; --lines {} shows all)",
            report.lines.len()
        );
    }
    for line in report.lines.iter().skip(skipped) {
        println!("{}", line.chars().take(arguments.width).collect::<String>());
    }
    println!(
        "trace {}, {} requests, {:?}",
        report.trace, report.requests, report.faults
    );
    let fails = !report.findings.violations.is_empty();
    if fails {
        tell(&report, arguments.shrink);
    }
    exit(fails)
}

fn many(arguments: &Arguments) -> ExitCode {
    let scenarios: Vec<Scenario> = (arguments.first..arguments.first + arguments.seeds)
        .map(|number| arguments.numbered(number))
        .collect();
    let mut totals = Totals::default();
    let begun = Instant::now();
    let mut said = Instant::now();
    run_all(&scenarios, arguments.jobs, |report| {
        totals.add(&report);
        let fails = !report.findings.violations.is_empty();
        if fails {
            if totals.bad <= 20 {
                tell(&report, arguments.shrink && totals.bad == 1);
            }
            if arguments.until_failure {
                let property = report.findings.violations[0].property.name();
                println!("caught: {property} after {} runs", totals.runs);
            }
        }
        if said.elapsed().as_secs() >= 60 {
            said = Instant::now();
            let rate = totals.runs as f64 / begun.elapsed().as_secs_f64();
            eprintln!("{} runs, {} bad, {rate:.1} a second", totals.runs, totals.bad);
        }
        !(fails && arguments.until_failure)
    });
    figures::print(&totals, begun.elapsed());
    exit(totals.bad > 0)
}

fn tell(report: &Report, shrinks: bool) {
    println!("seed {}: {}", report.scenario.seed, report.scenario.command());
    for violation in report.findings.violations.iter().take(8) {
        println!("  {violation}");
    }
    if shrinks {
        let (smallest, runs) = shrink(&report.scenario, SHRINK_RUNS);
        println!(
            "  smallest of {runs} runs that still fails: {}",
            smallest.command()
        );
        for violation in run(&smallest).findings.violations.iter().take(8) {
            println!("    {violation}");
        }
    }
}

fn exit(fails: bool) -> ExitCode {
    if fails {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
