//! A day in the life of a pipeline, by a seed.
//!
//! S3 sends notifications (twice, late, out of order, in several forms, some unreadable). Overlapping runs of ingest,
//! schedule, invoke, complete and sweep handle them; some runs are killed in the middle. Executions succeed, fail, time out,
//! are aborted, and some run longer than the lease. Faults happen at the wire, messages and status events vanish or come
//! twice. Then the faults stop, the pipeline drains, and a checker that watched from outside says whether anything was lost.
//!
//! Idle time costs nothing: the clock jumps to the next thing that happens.

mod actors;
mod checker;
mod faults;

use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_manager::Dispatch;

pub use checker::Findings;

use crate::stage::{Stage, StageOptions};

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Decides everything that is random.
    pub seed: u64,
    /// Uploads during the day.
    pub uploads: usize,
    /// Whether faults happen.
    pub faults: bool,
    /// Whether to keep a line per request.
    pub keep_lines: bool,
}

impl Scenario {
    /// The usual day with that seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            uploads: 45,
            faults: true,
            keep_lines: false,
        }
    }
}

/// What came of a day.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The hash of all requests.
    pub trace: String,
    /// A line per request, if asked for.
    pub lines: Vec<String>,
    /// How many requests there were.
    pub requests: u64,
    /// Faults at the wire and in the world, by kind.
    pub faults: std::collections::BTreeMap<&'static str, u64>,
    /// How long it took, in virtual time.
    pub virtual_time: Duration,
    /// What the checker saw.
    pub findings: Findings,
}

/// N of the simulated pipeline: small, so that bursts make a backlog.
pub const PER_WINDOW: u32 = 8;

/// Its window.
pub const WINDOW: Duration = Duration::from_secs(90 * 60);

/// The wait after the first failed attempt; it doubles up to an hour, which four attempts do not reach.
const FIRST_DELAY: Duration = Duration::from_secs(7 * 60);

/// The day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long draining may take once the faults have stopped: the longest lease, four doublings of the longest backoff, and
/// the windows that the backlog needs.
const DRAIN: Duration = Duration::from_secs(3 * 24 * 3600);

fn options(scenario: &Scenario) -> StageOptions {
    StageOptions {
        seed: scenario.seed,
        dispatch: Dispatch {
            per_window: PER_WINDOW,
            window: WINDOW,
            // Every third day has a cap below what is uploaded in a burst.
            max_in_flight: (scenario.seed % 3 == 2).then_some(12),
            lease: Duration::from_secs(80 * 60),
            max_attempts: 4,
            retry: RetryPolicy {
                first_delay: FIRST_DELAY,
                longest_delay: Duration::from_secs(3600),
            },
        },
        fifo: scenario.seed % 4 == 1,
        ..StageOptions::default()
    }
}

/// Simulates one day. Same scenario, same report, whatever else the machine does.
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
    let stage = Stage::new(options(scenario)).await;
    stage.wire.with_latency(scenario.seed);
    if scenario.keep_lines {
        stage.wire.keep_lines();
    }
    let mut checker = checker::Checker::watch(&stage);
    let chaos = faults::Chaos::new(scenario.seed, scenario.faults);
    let mut actors = actors::start(&stage, scenario, &chaos, checker.sent_by_s3());
    tokio::time::sleep(DAY).await;
    chaos.stop(&stage);
    checker.drain(&stage, DRAIN).await;
    actors.abort_all();
    while actors.join_next().await.is_some() {}
    let mut faults = stage.wire.faults();
    faults.extend(chaos.counts());
    Report {
        seed: scenario.seed,
        trace: stage.wire.hash(),
        lines: stage.wire.lines(),
        requests: stage.wire.requests(),
        faults,
        virtual_time: begun.elapsed(),
        findings: checker.findings(&stage).await,
    }
}
