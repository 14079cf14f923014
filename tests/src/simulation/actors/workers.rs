//! Workers in the place of Step Functions: a target that succeeds, fails, puts off and hangs, and processes that die.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use daybook_local::ExecutionStatus;
use daybook_manager::worker::{Run, Target, TargetAnswer, Worker, WorkerSettings};
use futures::future::BoxFuture;
use tokio::task::JoinSet;

use super::Cast;
use crate::simulation::checker::WorkerRun;

/// A worker's own lease: it says so again at every third of it.
const LEASE: Duration = Duration::from_secs(15 * 60);

/// How long a worker waits before it looks for messages again.
const IDLE: Duration = Duration::from_secs(90);

/// A run that takes longer is stopped, and its attempt has failed.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// What becomes of a run follows from the seed, its event, its attempt, and how often that was begun.
#[derive(Clone)]
struct Job {
    cast: Cast,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// Two workers at a time; each lives for hours, and ends by dying or by being told to.
pub(super) fn start(cast: &Cast, actors: &mut JoinSet<()>) {
    for lane in 0..2 {
        actors.spawn(worker(cast.clone(), lane));
    }
}

async fn worker(cast: Cast, lane: u64) {
    let mut rng = cast.chaos.stream(&format!("worker {lane}"));
    let stage = cast.as_seen_by("worker", lane);
    let settings = WorkerSettings {
        workers: 4,
        lease: LEASE,
        timeout: TIMEOUT,
        retry: stage.options.dispatch.retry,
        ..WorkerSettings::new(format!("worker {lane}"))
    };
    loop {
        // A worker that polls an empty queue for hours shows nothing and takes its time.
        while cast.stage.aws.sqs().depth(&stage.dispatch_queue).unwrap().visible == 0 {
            tokio::time::sleep(IDLE).await;
        }
        let target = Arc::new(Job { cast: cast.clone() });
        let (ledger, sqs) = (stage.ledger.clone(), stage.sqs.clone());
        let worker = Worker::new(ledger, sqs, &stage.dispatch_queue, target, settings.clone());
        let life = Duration::from_secs(rng.u64(1..2400));
        let is_told_to_stop = rng.u8(0..5) == 0;
        let dies = cast.chaos.strikes("worker_dies");
        let run = async {
            match (dies, is_told_to_stop) {
                // Dropped in the middle of whatever it does.
                (true, _) => drop(tokio::time::timeout(life, worker.run(std::future::pending())).await),
                (false, true) => {
                    worker.run(tokio::time::sleep(life)).await;
                }
                (false, false) => {
                    worker.run(nothing_to_do(&cast)).await;
                }
            }
        };
        cast.process("worker", None, run).await;
        tokio::time::sleep(Duration::from_secs(rng.u64(1..120))).await;
    }
}

/// Ready when the queue holds nothing any more.
async fn nothing_to_do(cast: &Cast) {
    loop {
        tokio::time::sleep(IDLE).await;
        let depth = cast.stage.aws.sqs().depth(&cast.stage.dispatch_queue).unwrap();
        if depth.visible + depth.in_flight + depth.delayed == 0 {
            return;
        }
    }
}

/// Notes how a run ended, also when it is dropped.
struct Noting {
    cast: Cast,
    number: usize,
}

impl Drop for Noting {
    fn drop(&mut self) {
        let now = DateTime::from_timestamp_millis(self.cast.now());
        let mut world = self.cast.world.lock();
        if let Some(run) = world.worker_runs.get_mut(self.number) {
            run.ended = now;
        }
    }
}

impl Target for Job {
    fn run(&self, run: Run) -> BoxFuture<'_, TargetAnswer> {
        let cast = self.cast.clone();
        Box::pin(async move {
            let input = &run.input.events()[0];
            let (id, attempt) = (input.id.to_string(), u64::from(input.attempt.0));
            let started = DateTime::from_timestamp_millis(cast.now()).unwrap();
            let number = {
                let mut world = cast.world.lock();
                world.worker_runs.push(WorkerRun {
                    id: id.clone(),
                    attempt,
                    status: ExecutionStatus::Running,
                    started,
                    ended: None,
                });
                world.worker_runs.len() - 1
            };
            let noting = Noting {
                cast: cast.clone(),
                number,
            };
            cast.line(|| format!("a worker runs {id}-{attempt}"));
            let mut rng = cast.chaos.stream(&format!("run {number} of {id}"));
            let is_poison = input.key.as_str().contains("/07 ") && input.kind.as_str() == "created";
            let millis = if cast.chaos.strikes("hung_execution") {
                8 * 3_600_000
            } else if cast.chaos.strikes("long_execution") {
                1_200_000 + rng.u64(0..2_000_000)
            } else {
                let millis = 1000 + rng.u64(0..240_000);
                // In every other worker seed at a full minute: many at the same moment.
                let now = cast.now().unsigned_abs();
                match cast.scenario.seed % 16 {
                    8.. => (now + millis).next_multiple_of(60_000) - now,
                    _ => millis,
                }
            };
            let mut stop = run.stop.clone();
            let stopped = tokio::select! {
                biased;
                () = stop.requested() => true,
                () = tokio::time::sleep(Duration::from_millis(millis)) => false,
            };
            let answer = match rng.u32(0..100) {
                _ if stopped => TargetAnswer::Failed {
                    why: "stopped".into(),
                },
                _ if is_poison => TargetAnswer::Failed { why: "poison".into() },
                0..15 => TargetAnswer::Failed {
                    why: "the simulation says so".into(),
                },
                15..20 => TargetAnswer::Later {
                    after: None,
                    why: "not now".into(),
                },
                _ => TargetAnswer::Success,
            };
            let status = match &answer {
                TargetAnswer::Success => ExecutionStatus::Succeeded,
                // Neither a failure nor a success: as if it had never been.
                TargetAnswer::Later { .. } => ExecutionStatus::Aborted,
                TargetAnswer::Failed { .. } | TargetAnswer::Listed { .. } => ExecutionStatus::Failed,
            };
            cast.world.lock().worker_runs[number].status = status;
            drop(noting);
            answer
        })
    }
}
