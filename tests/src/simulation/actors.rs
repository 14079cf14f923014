//! Who acts during the day: S3, the overlapping movers, the executions, and misfortune.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_ledger::Window;
use daybook_local::{Outcome, StartedExecution, Target};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::faults::Chaos;
use super::{DAY, Scenario, WINDOW};
use crate::notifications::Upload;
use crate::stage::Stage;

/// What S3 has sent so far.
pub(crate) type SentByS3 = Arc<Mutex<Vec<Upload>>>;

/// How long a mover sleeps before it looks for messages again.
const IDLE: Duration = Duration::from_secs(20);

/// Starts everybody. Dropping or aborting the set stops them.
pub(crate) fn start(stage: &Stage, scenario: &Scenario, chaos: &Chaos, sent: SentByS3) -> JoinSet<()> {
    let mut actors = JoinSet::new();
    if scenario.faults {
        chaos.strike_the_wire(stage);
        actors.spawn(misfortune(stage.clone(), chaos.clone()));
        actors.spawn(brownouts(chaos.clone()));
    }
    let target = Machine { seed: scenario.seed };
    stage
        .aws
        .executions()
        .set_target(&stage.state_machine, Arc::new(target));
    status_events(stage, chaos);
    for (at, upload) in day_of_uploads(scenario) {
        actors.spawn(upload_and_notify(
            stage.clone(),
            chaos.clone(),
            sent.clone(),
            at,
            upload,
        ));
    }
    actors.spawn(send_garbage(stage.clone()));
    for lane in 0..2 {
        actors.spawn(pump(stage.clone(), chaos.clone(), Queue::Intake, lane));
        actors.spawn(pump(stage.clone(), chaos.clone(), Queue::Dispatch, lane));
        actors.spawn(pump(stage.clone(), chaos.clone(), Queue::Completion, lane));
    }
    actors.spawn(ticks(stage.clone(), chaos.clone()));
    actors.spawn(sweeps(stage.clone(), chaos.clone()));
    actors
}

/// Uploads in bursts: some keys once, some again with the same or other content.
fn day_of_uploads(scenario: &Scenario) -> Vec<(Duration, Upload)> {
    let mut rng = fastrand::Rng::with_seed(scenario.seed ^ 0x0b_1ec7);
    let bursts: Vec<u64> = (0..5).map(|_| rng.u64(0..DAY.as_secs() * 9 / 10)).collect();
    let mut times: Vec<u64> = (0..scenario.uploads)
        .map(|_| bursts[rng.usize(0..bursts.len())] + rng.u64(0..600))
        .collect();
    times.sort_unstable();
    let mut uploads = Vec::new();
    for (n, at) in times.into_iter().enumerate() {
        let key = format!(
            "devices/{:02} ü+%/reading.json",
            rng.usize(0..scenario.uploads * 2 / 3)
        );
        let etag = format!("{:032x}", rng.u8(0..3));
        let upload = Upload::new(&key, n as u64, &etag);
        let at_millis = crate::stage::EPOCH_SECONDS * 1000 + at as i64 * 1000;
        uploads.push((Duration::from_secs(at), Upload { at_millis, ..upload }));
    }
    uploads
}

/// S3: at least once, unordered, seconds to an hour late, in one form or the other.
async fn upload_and_notify(stage: Stage, chaos: Chaos, sent: SentByS3, at: Duration, upload: Upload) {
    tokio::time::sleep(at).await;
    let copies = 1 + usize::from(chaos.strikes("notification_twice", 200));
    for _ in 0..copies {
        let late = if chaos.strikes("notification_late", 100) {
            3600
        } else {
            5
        };
        tokio::time::sleep(Duration::from_millis(chaos.below(late * 1000))).await;
        let body = match chaos.below(3) {
            0 => upload.event_bridge(),
            1 => json!({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:us-east-1:1:t",
                "Message": upload.notification(), "Timestamp": "2026-11-21T00:00:00.000Z"})
            .to_string(),
            _ => upload.notification(),
        };
        stage.aws.sqs().send(&stage.intake, &body).unwrap();
        sent.lock().unwrap().push(upload.clone());
    }
}

/// What nobody can read must be kept, too.
async fn send_garbage(stage: Stage) {
    tokio::time::sleep(DAY / 3).await;
    stage
        .aws
        .sqs()
        .send(&stage.intake, super::checker::GARBAGE)
        .unwrap();
}

#[derive(Clone, Copy)]
enum Queue {
    Intake,
    Dispatch,
    Completion,
}

/// A queue-fed mover: one invocation after the other while there are messages. Two of each overlap; some are killed.
async fn pump(stage: Stage, chaos: Chaos, queue: Queue, lane: u64) {
    tokio::time::sleep(Duration::from_millis(lane * 7)).await;
    let url = match queue {
        Queue::Intake => &stage.intake,
        Queue::Dispatch => &stage.dispatch_queue,
        Queue::Completion => &stage.completion,
    };
    loop {
        if stage.aws.sqs().depth(url).unwrap().visible == 0 {
            tokio::time::sleep(IDLE).await;
            continue;
        }
        if chaos.strikes("outage", 20) {
            tokio::time::sleep(Duration::from_secs(chaos.below(3 * 3600))).await;
        }
        let run = async {
            match queue {
                Queue::Intake => stage.pump_ingest().await,
                Queue::Dispatch => stage.pump_invoke().await,
                Queue::Completion => stage.pump_complete().await,
            }
        };
        killed_perhaps(&chaos, run).await;
        // Invocations do not follow each other in no time, or a failing one would spin.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs to the end, or is dropped in the middle, as Lambda does at its timeout.
async fn killed_perhaps<T>(chaos: &Chaos, run: impl Future<Output = T>) -> Option<T> {
    if chaos.strikes("killed", 60) {
        let life = Duration::from_millis(chaos.below(120));
        return tokio::time::timeout(life, run).await.ok();
    }
    Some(run.await)
}

/// The scheduler's cron: a tick per window, sometimes late, often two or three at once.
async fn ticks(stage: Stage, chaos: Chaos) {
    loop {
        let window = Window::at(stage.now(), WINDOW);
        let late = chaos.below(60_000);
        let runs = 1 + chaos.below(2) + chaos.below(2);
        let mut overlapping = JoinSet::new();
        for _ in 0..runs {
            let (stage, chaos) = (stage.clone(), chaos.clone());
            let start = late + chaos.below(20);
            overlapping.spawn(async move {
                tokio::time::sleep(Duration::from_millis(start)).await;
                killed_perhaps(&chaos, stage.scheduler().run(window, stage.deadline())).await;
            });
        }
        while overlapping.join_next().await.is_some() {}
        let next = window.start.plus(WINDOW);
        tokio::time::sleep(next.since(stage.now())).await;
    }
}

/// The reconciler's cron, twice a window in its own rhythm, sometimes overlapping itself.
async fn sweeps(stage: Stage, chaos: Chaos) {
    loop {
        tokio::time::sleep(WINDOW * 2 / 3 + Duration::from_millis(chaos.below(60_000))).await;
        let window = Window::at(stage.now(), WINDOW);
        // A run begun in the last moments of a window would send in the next one: the cron does not fire there.
        if window.start.plus(WINDOW).since(stage.now()) < Duration::from_secs(180) {
            continue;
        }
        let sweeper = stage.sweeper();
        let first = killed_perhaps(&chaos, sweeper.run(window, stage.deadline()));
        match chaos.strikes("sweep_twice", 300) {
            true => {
                let second = killed_perhaps(&chaos, sweeper.run(window, stage.deadline()));
                drop(futures::join!(first, second));
            }
            false => drop(first.await),
        }
    }
}

/// Messages vanish from the queue or arrive twice; once in a while the whole queue is gone.
async fn misfortune(stage: Stage, chaos: Chaos) {
    loop {
        tokio::time::sleep(Duration::from_secs(5 + chaos.below(40))).await;
        let (sqs, url) = (stage.aws.sqs(), &stage.dispatch_queue);
        if sqs.depth(url).unwrap().visible == 0 {
            continue;
        }
        if chaos.strikes("queue_purged", 10) {
            sqs.purge(url).unwrap();
        }
        sqs.lose(url, |_| chaos.strikes("message_lost", 40));
        sqs.duplicate(url, |_| chaos.strikes("message_twice", 40));
    }
}

/// Now and then a whole service hardly answers, for minutes: what retries cannot bridge.
async fn brownouts(chaos: Chaos) {
    loop {
        tokio::time::sleep(Duration::from_secs(chaos.below(6 * 3600))).await;
        let service = match chaos.below(4) {
            0 => "AmazonSQS",
            1 => "AWSStepFunctions",
            _ => "DynamoDB_20120810",
        };
        if chaos.strikes("brownout", 1000) {
            chaos.brown_out(Some(service));
            tokio::time::sleep(Duration::from_secs(60 + chaos.below(20 * 60))).await;
            chaos.brown_out(None);
        }
    }
}

/// EventBridge delivers status events never, once or twice, soon or late.
fn status_events(stage: &Stage, chaos: &Chaos) {
    let (sqs, url, chaos) = (stage.aws.sqs().clone(), stage.completion.clone(), chaos.clone());
    stage
        .aws
        .executions()
        .set_status_sink(Arc::new(move |event: Value| {
            if chaos.strikes("status_event_lost", 150) {
                return;
            }
            let copies = 1 + usize::from(chaos.strikes("status_event_twice", 100));
            for _ in 0..copies {
                let late = if chaos.strikes("status_event_late", 200) {
                    6 * 3600
                } else {
                    2
                };
                let delay = Duration::from_millis(chaos.below(late * 1000));
                let (sqs, url, body) = (sqs.clone(), url.clone(), event.to_string());
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    sqs.send(&url, &body).unwrap();
                });
            }
        }));
}

/// The state machine. What becomes of an execution follows from the seed and its name, not from when it is started.
struct Machine {
    seed: u64,
}

impl Target for Machine {
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome> {
        let digest = execution.name.bytes().fold(self.seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut rng = fastrand::Rng::with_seed(digest);
        let input: Value = serde_json::from_str(&execution.input).unwrap();
        // One key in thirty is poison: it fails every time, and must end parked.
        let poison = input["key"].as_str().is_some_and(|key| key.contains("/07 "));
        Box::pin(async move {
            let longer_than_the_lease = rng.u32(0..100) < 6;
            let seconds = if longer_than_the_lease {
                4500 + rng.u64(0..5400)
            } else {
                1 + rng.u64(0..240)
            };
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let (error, cause) = ("Work.Failed".to_owned(), "the simulation says so".to_owned());
            match rng.u32(0..100) {
                _ if poison => Outcome::Failed { error, cause },
                0..10 => Outcome::Failed { error, cause },
                10..14 => Outcome::TimedOut { error, cause },
                14..18 => Outcome::Aborted {
                    error: Some(error),
                    cause: Some(cause),
                },
                _ => Outcome::Succeeded { output: "{}".into() },
            }
        })
    }
}
