//! Days in the life of a pipeline, by seeds.
//!
//! S3 uploads, overwrites and deletes, and tells of it: twice, late, out of order, in several forms, sometimes never, sometimes in
//! words that nobody can read. Overlapping runs of ingest, schedule, invoke, complete, sweep, audit and repair handle it, each by
//! a clock of its own; some die at a request, some at any instant. An operator pauses, resumes, redrives, removes. Executions
//! succeed, fail, time out, hang, and run longer than the lease. Faults happen at the wire; messages, status events and receipts
//! vanish or come twice; the table is restored to an earlier moment. Then the faults stop, the pipeline drains, and a checker that
//! watched from outside says whether anything was lost.
//!
//! Idle time costs nothing: the clock jumps to the next thing that happens.

mod actors;
mod checker;
mod faults;
mod many;
mod scenario;
mod shadow;
mod shrink;
mod statement;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::checker::{Findings, Property, Violation};
pub use self::faults::{CLASSES, Class};
pub use self::many::{Totals, run_all};
pub use self::scenario::{PER_WINDOW, Scenario, WINDOW};
pub use self::shrink::shrink;

use crate::stage::Stage;

/// How long draining may take once the faults have stopped: two days until an audit finds what S3 never told or a restore took away, and then
/// two more where every execution of it ends untold: four leases for each of four attempts, with the windows and backoffs between them.
const DRAIN: Duration = Duration::from_secs(5 * 24 * 3600);

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was simulated.
    pub scenario: Scenario,
    /// The hash of all requests.
    pub trace: String,
    /// A line per request and per thing that happened, if asked for, in the order of time.
    pub lines: Vec<String>,
    /// How many requests there were.
    pub requests: u64,
    /// Faults at the wire and in the world, by class.
    pub faults: BTreeMap<&'static str, u64>,
    /// What else was counted.
    pub counts: BTreeMap<&'static str, u64>,
    /// How long it took, in virtual time.
    pub virtual_time: Duration,
    /// What the checker saw.
    pub findings: Findings,
}

/// Simulates. Same scenario, same report, whatever else the machine does.
pub fn run(scenario: &Scenario) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(simulate(scenario))
}

async fn simulate(scenario: &Scenario) -> Report {
    let begun = tokio::time::Instant::now();
    let stage = Stage::new(scenario.options()).await;
    stage.wire.with_latency(scenario.seed);
    let world = world::SharedHistory::default();
    if scenario.keep_lines {
        stage.wire.keep_lines();
        world.lock().lines = Some(Vec::new());
    }
    let shadows = shadow::Shadows::watch(&stage, scenario, &world);
    let mut checker = checker::Checker::new(scenario, &world, &shadows);
    let chaos = faults::Chaos::new(scenario);
    let cast = actors::Cast::new(&stage, scenario, &chaos, &world, &shadows);
    let mut actors = cast.start().await;
    tokio::time::sleep(scenario.span).await;
    chaos.stop(&stage);
    checker.drain(&stage, DRAIN).await;
    actors.abort_all();
    while actors.join_next().await.is_some() {}
    let mut faults = stage.wire.faults();
    faults.extend(chaos.counts().into_iter().filter(|(_, count)| *count > 0));
    let findings = checker.findings(&stage).await;
    let mut lines = stage.wire.lines();
    let history = world.lock();
    lines.extend(history.lines.iter().flatten().cloned());
    // Every line begins with its time, to the right of a fixed width; the sort is stable.
    lines.sort_by(|one, other| one[..10].cmp(&other[..10]));
    Report {
        scenario: scenario.clone(),
        trace: stage.wire.hash(),
        lines,
        requests: stage.wire.requests(),
        faults,
        counts: history.counts.clone(),
        virtual_time: begun.elapsed(),
        findings,
    }
}
