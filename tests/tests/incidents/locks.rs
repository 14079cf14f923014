//! Locks that outlive who took them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_manager::Dispatch;
use daybook_tests::notifications::uploads;
use daybook_tests::wire::Process;
use daybook_tests::{Fault, Stage};

use crate::{MINUTE, drain, stage_with};

const FILES: usize = 2;

/// Every function once, each as a process of its own; executions succeed.
async fn all_processes(stage: &Stage) {
    let (window, deadline) = (stage.window(), stage.deadline());
    let (scheduler, sweeper) = (stage.scheduler(), stage.sweeper());
    let process = |name| Process::new(name, 0, None);
    process("ingest").run(stage.pump_ingest()).await;
    process("schedule").run(scheduler.run(window, deadline)).await;
    process("invoke").run(stage.pump_invoke()).await;
    stage.succeed_running();
    process("complete").run(stage.pump_complete()).await;
    process("sweep").run(sweeper.run(window, deadline)).await;
    stage.pass(5 * MINUTE).await;
}

/// The nth request of that function kills it, before or after AWS does it; only once. Queries of the index, which change nothing, do
/// not count. Returns how many requests it made.
fn die_at(stage: &Stage, function: &'static str, nth: u64, fault: &Fault) -> Arc<AtomicU64> {
    let made = Arc::new(AtomicU64::new(0));
    let (count, fault) = (made.clone(), fault.clone());
    stage.wire.inject(move |request| {
        let is_its =
            request.process.as_ref().is_some_and(|one| one.name == function) && request.operation != "Query";
        match is_its && count.fetch_add(1, Ordering::Relaxed) == nth {
            true => fault.clone(),
            false => Fault::None,
        }
    });
    made
}

/// A loader locked a batch of files before it loaded it, and was killed by its time limit: about once a week a batch stayed
/// locked, and nothing was loaded any more until a person ran the script that opens it.
///
/// <https://github.com/awslabs/aws-lambda-redshift-loader/issues/67>
#[tokio::test(start_paused = true)]
async fn whoever_dies_wherever_leaves_no_lock_that_a_person_must_open() {
    let mut deaths: BTreeMap<&str, u64> = BTreeMap::new();
    for function in ["ingest", "schedule", "invoke", "complete", "sweep"] {
        for fault in [Fault::DiesBefore, Fault::DiesAfter] {
            for nth in 0.. {
                let stage = Stage::usual().await;
                for upload in uploads(FILES) {
                    stage
                        .aws
                        .sqs()
                        .send(&stage.intake, &upload.notification())
                        .unwrap();
                }
                if function == "sweep" {
                    // It has something to do: the first messages vanish.
                    stage.pump_ingest().await;
                    stage.schedule().await;
                    stage.aws.sqs().purge(&stage.dispatch_queue).unwrap();
                }
                let made = die_at(&stage, function, nth, &fault);
                for _ in 0..12 {
                    all_processes(&stage).await;
                    if stage.rows().await.is_empty() && stage.execution_names().len() == FILES {
                        break;
                    }
                }
                let what = format!("{function} dies at its request {nth}, {fault:?}");
                assert!(stage.rows().await.is_empty(), "{what}: {:?}", stage.rows().await);
                assert_eq!(stage.execution_names().len(), FILES, "{what}");
                if made.load(Ordering::Relaxed) <= nth {
                    break;
                }
                *deaths.entry(function).or_default() += 1;
            }
        }
    }
    let least = deaths.values().min().copied().unwrap_or(0);
    assert!(deaths.len() == 5 && least >= 6, "{deaths:?}");
}

/// Two runs of a loader reached for the same batch. The condition of one was refused, and the files that it had in hand belonged to
/// no batch any more: some ten of 20,000 a day were never loaded.
///
/// <https://github.com/awslabs/aws-lambda-redshift-loader/issues/233>
#[tokio::test(start_paused = true)]
async fn who_loses_a_condition_loses_no_file() {
    const MANY: usize = 200;
    let stage = stage_with(Dispatch {
        per_window: 50,
        ..Dispatch::default()
    })
    .await;
    stage.wire.with_latency(233);
    // Told twice, to two runs of ingest at the same time: one of two inserts is refused.
    let bodies: Vec<String> = uploads(MANY).iter().map(|upload| upload.notification()).collect();
    futures::future::join(stage.ingest_all(&bodies), stage.ingest_all(&bodies)).await;
    assert_eq!(stage.rows().await.len(), MANY);
    // An index that is behind shows rows that another run has claimed.
    let mut rng = fastrand::Rng::with_seed(233);
    stage
        .wire
        .inject(move |request| match request.operation == "Query" && rng.bool() {
            true => Fault::Stale,
            false => Fault::None,
        });
    let mut lost = 0;
    for _ in 0..8 {
        let runs = (0..4).map(|_| stage.schedule());
        let reports = futures::future::join_all(runs).await;
        lost += reports.iter().map(|report| report.lost).sum::<u32>();
        assert!(reports.iter().map(|report| report.sent).sum::<u32>() <= 50);
        stage.pass(MINUTE).await;
    }
    assert!(lost > 0, "no run ever lost a row to another");
    stage.wire.heal();
    drain(&stage, Duration::from_secs(3600)).await;
    assert_eq!(stage.execution_names().len(), MANY);
}
