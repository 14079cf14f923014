//! Hours of faults by seed: workers die, requests are lost, answers are lost, services hang.

use std::time::Duration;

use daybook_manager::worker::TargetAnswer;
use daybook_tests::notifications::uploads;
use daybook_tests::{Fault, Stage};

use crate::acting::{Actor, Running, cron, minutes, stage_with, start};

const EVENTS: usize = 60;

fn trouble(seed: u64, percent: u8) -> impl FnMut(&daybook_tests::Request) -> Fault + Send {
    let mut rng = fastrand::Rng::with_seed(seed);
    move |_| match rng.u8(..100) {
        n if n >= percent => Fault::None,
        _ => match rng.u8(..6) {
            0 => Fault::NotSent,
            1 | 2 => Fault::AnswerLost,
            3 => Fault::Throttled,
            4 => Fault::Hang,
            _ => Fault::HangAfter,
        },
    }
}

/// Two workers, one of which dies every few minutes, beside a tick and a sweep each minute.
async fn faulty_hours(stage: &Stage, target: &Actor, rng: &mut fastrand::Rng) {
    let mut workers: Vec<Running> = vec![start(stage, target), start(stage, target)];
    for _ in 0..20 {
        cron(stage, Duration::from_secs(rng.u64(120..900))).await;
        let victim = workers.remove(rng.usize(..workers.len()));
        if rng.bool() {
            victim.kill().await;
        } else {
            victim.stop().await;
        }
        stage.aws.sqs().lose(&stage.dispatch_queue, |_| rng.u8(..20) == 0);
        stage
            .aws
            .sqs()
            .duplicate(&stage.dispatch_queue, |_| rng.u8(..20) == 0);
        workers.push(start(stage, target));
    }
    for worker in workers {
        worker.kill().await;
    }
}

async fn every_event_completes(seed: u64) {
    let stage = stage_with(|options| {
        options.seed = seed;
        options.dispatch.max_attempts = 1000;
    })
    .await;
    stage.wire.with_latency(seed);
    stage.record(&uploads(EVENTS)).await;
    let mut rng = fastrand::Rng::with_seed(seed);
    let script = std::sync::Mutex::new(rng.fork());
    let target = Actor::new(&stage, move |_, _| {
        let mut rng = script.lock().unwrap();
        let answer = match rng.u8(..10) {
            0 | 1 => TargetAnswer::Failed { why: "no".into() },
            2 => TargetAnswer::Later {
                after: None,
                why: "not yet".into(),
            },
            _ => TargetAnswer::Success,
        };
        (Duration::from_secs(rng.u64(0..1500)), answer)
    });
    stage.wire.inject(trouble(seed, 10));
    faulty_hours(&stage, &target, &mut rng).await;
    stage.wire.heal();

    let worker = start(&stage, &target);
    for _ in 0..48 {
        cron(&stage, minutes(60)).await;
        if stage.rows().await.is_empty() {
            break;
        }
    }
    let left = stage.rows().await;
    assert!(left.is_empty(), "seed {seed}: {left:#?}");
    worker.kill().await;
    let runs = target.runs();
    assert_eq!(runs.len(), EVENTS, "seed {seed}");
    for (id, runs) in &runs {
        for pair in runs.windows(2) {
            let ended = pair[0].ended.unwrap();
            assert!(
                ended <= pair[1].started,
                "seed {seed}: two runs of {id} at once: {pair:?}"
            );
        }
    }
    for upload in uploads(EVENTS) {
        let receipt = stage.receipt(&upload.event()).await;
        assert!(receipt.is_some(), "seed {seed}: {upload:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_every_event_completes_and_no_two_runs_of_one_overlap() {
    let seeds = match std::env::var("DAYBOOK_WORKER_SEEDS") {
        // How many to try instead.
        Ok(seeds) => seeds.parse().unwrap(),
        Err(_) => 2,
    };
    for seed in 1..=seeds {
        every_event_completes(seed).await;
    }
}
