//! A target that does what a test says, workers that can be killed, and the cron beside them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_manager::worker::{Run, Target, TargetAnswer, Worker, WorkerReport, WorkerSettings};
use daybook_schema::{EventId, ExecutionInput, Timestamp};
use daybook_tests::{Stage, StageOptions};
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const LEASE: Duration = Duration::from_secs(300);

pub fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

type Script = Box<dyn Fn(&ExecutionInput, usize) -> (Duration, TargetAnswer) + Send + Sync>;

/// One run as the target saw it; `ended` is `None` while it lasts.
#[derive(Clone, Debug)]
pub struct Seen {
    pub started: Timestamp,
    pub ended: Option<Timestamp>,
    /// Whether it came to its answer.
    pub answered: bool,
}

/// Works as long as the script says, and answers what it says. Clones are one target.
#[derive(Clone)]
pub struct Actor {
    stage: Stage,
    script: Arc<Script>,
    runs: Arc<Mutex<BTreeMap<EventId, Vec<Seen>>>>,
    most_at_once: Arc<Mutex<(usize, usize)>>,
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Actor")
    }
}

impl Actor {
    /// `script` is asked for each run of an event: its input, and how many runs of the event there were before.
    pub fn new(
        stage: &Stage,
        script: impl Fn(&ExecutionInput, usize) -> (Duration, TargetAnswer) + Send + Sync + 'static,
    ) -> Self {
        Self {
            stage: stage.clone(),
            script: Arc::new(Box::new(script)),
            runs: Arc::default(),
            most_at_once: Arc::default(),
        }
    }

    /// Every run takes that long and succeeds.
    pub fn succeeding(stage: &Stage, after: Duration) -> Self {
        Self::new(stage, move |_, _| (after, TargetAnswer::Success))
    }

    /// Every run takes a second and fails with these words.
    pub fn failing(stage: &Stage, why: &'static str) -> Self {
        let failed = move || TargetAnswer::Failed { why: why.into() };
        Self::new(stage, move |_, _| (Duration::from_secs(1), failed()))
    }

    /// All runs of all events, by event.
    pub fn runs(&self) -> BTreeMap<EventId, Vec<Seen>> {
        self.runs.lock().unwrap().clone()
    }

    /// The runs of the only event.
    pub fn only(&self) -> Vec<Seen> {
        let runs = self.runs();
        assert!(runs.len() <= 1, "{runs:?}");
        runs.into_values().next().unwrap_or_default()
    }

    /// The most runs that there were at once.
    pub fn most_at_once(&self) -> usize {
        self.most_at_once.lock().unwrap().1
    }

    /// That no two runs of one event overlapped.
    pub fn assert_no_overlap(&self) {
        for (id, runs) in self.runs() {
            for pair in runs.windows(2) {
                let ended = pair[0].ended.expect("an earlier run lasts");
                assert!(ended <= pair[1].started, "{id}: {pair:?}");
            }
        }
    }
}

/// Notes the end of a run, however it ends.
struct Ending {
    actor: Actor,
    id: EventId,
    run: usize,
    answered: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut runs = self.actor.runs.lock().unwrap();
        let seen = &mut runs.get_mut(&self.id).unwrap()[self.run];
        seen.ended = Some(self.actor.stage.now());
        seen.answered = self.answered;
        self.actor.most_at_once.lock().unwrap().0 -= 1;
    }
}

impl Target for Actor {
    fn run(&self, mut run: Run) -> BoxFuture<'_, TargetAnswer> {
        Box::pin(async move {
            let input = &run.input.events()[0];
            let id = input.id;
            let before = {
                let mut runs = self.runs.lock().unwrap();
                let runs = runs.entry(id).or_default();
                runs.push(Seen {
                    started: self.stage.now(),
                    ended: None,
                    answered: false,
                });
                runs.len() - 1
            };
            {
                let mut at_once = self.most_at_once.lock().unwrap();
                at_once.0 += 1;
                at_once.1 = at_once.1.max(at_once.0);
            }
            let mut ending = Ending {
                actor: self.clone(),
                id,
                run: before,
                answered: false,
            };
            let (takes, answer) = (self.script)(input, before);
            tokio::select! {
                biased;
                () = tokio::time::sleep(takes) => {
                    ending.answered = true;
                    answer
                }
                () = run.stop.requested() => TargetAnswer::Success,
            }
        })
    }
}

/// A worker that can be killed or asked to stop.
pub struct Running {
    task: JoinHandle<WorkerReport>,
    shutdown: oneshot::Sender<()>,
}

impl Running {
    /// As kill -9 would end it.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// As SIGTERM would end it.
    pub async fn stop(self) -> WorkerReport {
        self.shutdown.send(()).unwrap();
        self.task.await.unwrap()
    }
}

/// Settings of every worker here.
pub fn settings() -> WorkerSettings {
    WorkerSettings {
        workers: 8,
        lease: LEASE,
        ..WorkerSettings::new("worker-1")
    }
}

pub fn start(stage: &Stage, target: &Actor) -> Running {
    start_with(stage, target, settings())
}

pub fn start_with(stage: &Stage, target: &Actor, settings: WorkerSettings) -> Running {
    start_target(stage, Arc::new(target.clone()), settings)
}

pub fn start_target(stage: &Stage, target: Arc<dyn Target>, settings: WorkerSettings) -> Running {
    let worker = Worker::new(
        stage.ledger.clone(),
        stage.sqs.clone(),
        &stage.dispatch_queue,
        target,
        settings.checked().unwrap(),
    );
    let (shutdown, asked) = oneshot::channel();
    let task = tokio::spawn(async move {
        worker
            .run(async {
                if asked.await.is_err() {
                    std::future::pending().await
                }
            })
            .await
    });
    Running { task, shutdown }
}

/// A stage that sends as much as there is, with leases of 5 minutes.
pub async fn stage() -> Stage {
    stage_with(|_| {}).await
}

pub async fn stage_with(change: impl FnOnce(&mut StageOptions)) -> Stage {
    let mut options = StageOptions::default();
    options.dispatch.per_window = 10_000;
    options.dispatch.lease = LEASE;
    change(&mut options);
    Stage::new(options).await
}

/// A tick and a sweep every minute for that long.
pub async fn cron(stage: &Stage, duration: Duration) {
    let until = stage.now().plus(duration);
    while stage.now() < until {
        stage.pass(minutes(1)).await;
        // A run may be refused by a fault at the wire; the next one does it.
        let _ = stage.scheduler().run(stage.window(), stage.deadline()).await;
        let _ = stage.sweeper().run(stage.window(), stage.deadline()).await;
    }
}
