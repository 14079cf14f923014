//! The functions: ingest, schedule, invoke, complete, sweep; overlapping with themselves and all others.

use std::time::Duration;

use daybook_ledger::{Deadline, Window};
use daybook_reconciler::{SweepSettings, Sweeper};
use tokio::task::JoinSet;

use super::Cast;
use crate::simulation::scenario::WINDOW;
use crate::stage::Stage;

/// Stale rows that a sweep looks at together: few, so that a backlog takes several looks.
const SWEPT_AT_ONCE: usize = 10;

/// How long a function waits before it looks for messages again.
const IDLE: Duration = Duration::from_secs(45);

/// How long when its queue is quite empty.
const VERY_IDLE: Duration = Duration::from_secs(240);

#[derive(Clone, Copy)]
enum Queue {
    Intake,
    Dispatch,
    Completion,
}

impl Queue {
    fn function(self) -> &'static str {
        match self {
            Self::Intake => "ingest",
            Self::Dispatch => "invoke",
            Self::Completion => "complete",
        }
    }

    fn url(self, stage: &Stage) -> &str {
        match self {
            Self::Intake => &stage.intake,
            Self::Dispatch => &stage.dispatch_queue,
            Self::Completion => &stage.completion,
        }
    }
}

pub(super) fn start(cast: &Cast, actors: &mut JoinSet<()>) {
    for lane in 0..2 {
        let queues = match cast.scenario.has_workers() {
            true => vec![Queue::Intake],
            false => vec![Queue::Intake, Queue::Dispatch, Queue::Completion],
        };
        for queue in queues {
            actors.spawn(pump(cast.clone(), queue, lane));
        }
    }
    if cast.scenario.has_workers() {
        super::workers::start(cast, actors);
    }
    actors.spawn(ticks(cast.clone()));
    actors.spawn(sweeps(cast.clone()));
}

/// One invocation after the other while there are messages. Two of each function overlap.
async fn pump(cast: Cast, queue: Queue, lane: u64) {
    let stage = cast.as_seen_by(queue.function(), lane);
    tokio::time::sleep(Duration::from_millis(lane * 7)).await;
    loop {
        let depth = stage.aws.sqs().depth(queue.url(&stage)).unwrap();
        if depth.visible == 0 {
            let is_empty = depth.in_flight + depth.delayed == 0;
            tokio::time::sleep(if is_empty { VERY_IDLE } else { IDLE }).await;
            continue;
        }
        if cast.chaos.strikes("outage") {
            let seconds = cast.chaos.below("outage", 3 * 3600);
            cast.line(|| format!("{} is out for {seconds} s", queue.function()));
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        let run = async {
            match queue {
                Queue::Intake => stage.pump_ingest().await,
                Queue::Dispatch => stage.pump_invoke().await,
                Queue::Completion => stage.pump_complete().await,
            }
        };
        cast.process(queue.function(), None, run).await;
        // Invocations do not follow each other in no time, or a failing one would spin.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The scheduler's cron: a tick per window, sometimes late, often two or three runs at once. Where no row waits a tick writes
/// nothing, and is left out.
async fn ticks(cast: Cast) {
    let mut rng = cast.chaos.stream("ticks");
    let mut late_ones = JoinSet::new();
    loop {
        let window = Window::at(cast.stage.now(), WINDOW);
        let wait = rng.u64(0..60_000);
        let runs = 1 + rng.u64(0..2) + rng.u64(0..2);
        // A schedule fires at least once: now and then once more, minutes later.
        let again = (rng.u8(0..3) == 0).then(|| Duration::from_secs(rng.u64(30..540)));
        if cast.shadows.rows_in("PENDING") > 0 {
            let mut overlapping = JoinSet::new();
            for lane in 0..runs {
                let wait = Duration::from_millis(wait + rng.u64(0..20));
                if cast.chaos.strikes("late_tick") {
                    let late = Duration::from_millis(cast.chaos.below("late_tick", 3 * 3_600_000));
                    late_ones.spawn(schedule(cast.clone(), window, lane, wait + late));
                } else {
                    overlapping.spawn(schedule(cast.clone(), window, lane, wait));
                }
            }
            if let Some(later) = again {
                late_ones.spawn(schedule(
                    cast.clone(),
                    window,
                    runs,
                    Duration::from_millis(wait) + later,
                ));
            }
            while overlapping.join_next().await.is_some() {}
        }
        while late_ones.try_join_next().is_some() {}
        let next = window.start.plus(WINDOW);
        tokio::time::sleep(next.since(cast.stage.now())).await;
    }
}

async fn schedule(cast: Cast, window: Window, lane: u64, wait: Duration) {
    tokio::time::sleep(wait).await;
    let stage = cast.as_seen_by("schedule", lane);
    let scheduler = stage.scheduler();
    let run = scheduler.run(window, stage.deadline());
    let report = cast.process("schedule", Some(window), run).await;
    if let Some(Ok(report)) = report {
        cast.line(|| format!("schedule: {report:?}"));
    }
}

/// The reconciler's cron, in its own rhythm, sometimes overlapping itself. Where no row is claimed, it has nothing to do.
async fn sweeps(cast: Cast) {
    let mut rng = cast.chaos.stream("sweeps");
    loop {
        // Now and then once more, minutes later.
        let wait = match rng.u8(0..4) {
            0 => Duration::from_secs(rng.u64(30..540)),
            _ => WINDOW * 2 / 3,
        };
        tokio::time::sleep(wait + Duration::from_millis(rng.u64(0..60_000))).await;
        if cast.shadows.rows_in("CLAIMED") == 0 {
            continue;
        }
        let window = Window::at(cast.stage.now(), WINDOW);
        let stages: Vec<Stage> = (0..1 + rng.u64(0..10) / 7)
            .map(|lane| cast.as_seen_by("sweep", lane))
            .collect();
        let runs = stages.iter().map(|stage| async {
            let executions = (!cast.scenario.has_workers()).then(|| stage.executions());
            let sweeper = Sweeper::new(
                stage.ledger.clone(),
                stage.queue(),
                executions,
                stage.options.dispatch.clone(),
                SweepSettings {
                    rows: SWEPT_AT_ONCE,
                    ..SweepSettings::default()
                },
            );
            // As long as the function has.
            let deadline = Deadline::after(&stage.clock, Duration::from_secs(228));
            let run = sweeper.run_on(window, deadline);
            cast.process("sweep", Some(window), run).await
        });
        for report in futures::future::join_all(runs)
            .await
            .into_iter()
            .flatten()
            .flatten()
        {
            cast.line(|| format!("sweep: {report:?}"));
        }
    }
}
