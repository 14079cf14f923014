//! Scheduler and sweep beside each other, with more to send than N for both.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_ledger::Deadline;
use daybook_manager::Dispatch;
use daybook_schema::{Row, Status, Timestamp};
use daybook_tests::notifications::uploads;
use daybook_tests::rows::row_in;
use daybook_tests::{Stage, StageOptions};

const MINUTE: Duration = Duration::from_secs(60);

/// So many lost rows and a backlog for an hour; leases that do not end meanwhile.
async fn busy(lost: usize) -> Stage {
    let dispatch = Dispatch {
        lease: MINUTE * 120,
        ..Dispatch::default()
    };
    let stage = Stage::new(StageOptions {
        dispatch,
        ..StageOptions::default()
    })
    .await;
    let rows: Vec<Row> = uploads(lost + 4000)
        .iter()
        .enumerate()
        .map(|(n, upload)| match n < lost {
            true => row_in(Status::Claimed, upload, stage.now()),
            false => row_in(Status::Pending, upload, stage.now()),
        })
        .collect();
    stage.put_rows(&rows);
    stage
}

/// Whatever waits in the dispatch queue arrives.
fn arrive(stage: &Stage) {
    stage.aws.sqs().lose(&stage.dispatch_queue, |_| true);
}

/// What was sent in each window by the stage's clock.
fn watch(stage: &Stage) -> Arc<Mutex<BTreeMap<Timestamp, u32>>> {
    let sent: Arc<Mutex<BTreeMap<Timestamp, u32>>> = Arc::default();
    let (seen, clock) = (sent.clone(), stage.clock.clone());
    stage.wire.observe(move |request, answer| {
        if request.operation == "SendMessageBatch" {
            let window = clock.now().window_start(MINUTE);
            let taken = answer["Successful"].as_array().map_or(0, Vec::len);
            *seen.lock().unwrap().entry(window).or_default() += u32::try_from(taken).unwrap();
        }
    });
    sent
}

#[tokio::test(start_paused = true)]
async fn a_thousand_lost_rows_come_back_within_an_hour_beside_a_scheduler_that_has_half_of_n_in_every_window()
{
    let stage = busy(1000).await;
    let sent = watch(&stage);
    let begin = stage.now();
    let scheduler = async {
        let mut had = Vec::new();
        for minute in 0..60 {
            stage.pass(begin.plus(MINUTE * minute).since(stage.now())).await;
            had.push(stage.schedule().await.sent);
            stage.pass(Duration::from_secs(20)).await;
            arrive(&stage);
            stage.pass(Duration::from_secs(35)).await;
            arrive(&stage);
        }
        had
    };
    let sweeps = async {
        let mut redelivered = 0;
        for run in 0..12 {
            let at = begin.plus(MINUTE * 5 * run).plus(Duration::from_secs(25));
            stage.pass(at.since(stage.now())).await;
            let deadline = Deadline::after(&stage.clock, Duration::from_secs(228));
            let report = stage.sweeper().run_on(stage.window(), deadline).await.unwrap();
            assert!(report.failures.is_empty(), "{report:?}");
            redelivered += report.redelivered;
        }
        redelivered
    };
    let (had, redelivered) = futures::join!(scheduler, sweeps);
    assert_eq!(redelivered, 1000);
    assert!(had.iter().all(|had| *had >= 25), "{had:?}");
    let sent: Vec<u32> = sent.lock().unwrap().values().copied().collect();
    assert_eq!(sent.len(), 60);
    assert!(sent.iter().all(|sent| *sent <= 50), "{sent:?}");
    for ten in sent.windows(10) {
        assert!(ten.iter().sum::<u32>() >= 475, "{ten:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_in_every_window_leaves_the_scheduler_its_half_whoever_comes_first() {
    for sweep_first in [true, false] {
        let stage = busy(1000).await;
        assert_eq!(stage.schedule().await.sent, 50);
        for minute in 0..20 {
            arrive(&stage);
            stage.pass(MINUTE).await;
            let before = if sweep_first {
                stage.sweep().await.redelivered
            } else {
                0
            };
            let had = stage.schedule().await.sent;
            arrive(&stage);
            let after = if sweep_first {
                0
            } else {
                stage.sweep().await.redelivered
            };
            assert!(had >= 25, "{had} in window {minute}");
            let redelivered = before + after;
            assert!(
                had + redelivered <= 50,
                "{had} and {redelivered} in window {minute}"
            );
            assert!(
                minute < 1 || redelivered == 25,
                "{redelivered} in window {minute}"
            );
        }
    }
}

/// A run of the sweep that waits for a budget says what it did in all of its windows.
#[tokio::test(start_paused = true)]
async fn a_sweep_that_stays_ends_when_nothing_waits_any_more_or_its_time_is_over() {
    for (lost, redelivered, seconds) in [(60, 60, 90), (1000, 200, 210), (40, 40, 0)] {
        let stage = busy(lost).await;
        let begin = stage.now();
        let deadline = Deadline::after(&stage.clock, Duration::from_secs(228));
        let purge = async {
            loop {
                stage.pass(Duration::from_secs(7)).await;
                arrive(&stage);
            }
        };
        let sweep = async { stage.sweeper().run_on(stage.window(), deadline).await.unwrap() };
        let report = tokio::select! {
            biased;
            report = sweep => report,
            () = purge => unreachable!(),
        };
        // The scheduler never came: each window is all the sweep's.
        let left = u32::try_from(lost).unwrap() - redelivered;
        assert_eq!(
            (report.redelivered, report.left),
            (redelivered, left),
            "{report:?}"
        );
        assert_eq!(report.stale as usize, lost, "each row once");
        assert_eq!(stage.now().since(begin).as_secs(), seconds, "{report:?}");
    }
}

/// While dispatch is paused nobody waits for a budget.
#[tokio::test(start_paused = true)]
async fn a_sweep_does_not_stay_for_a_pause() {
    let stage = busy(10).await;
    stage.ledger.pause(None, "kim", "why").await.unwrap();
    let begin = stage.now();
    let deadline = Deadline::after(&stage.clock, Duration::from_secs(228));
    let report = stage.sweeper().run_on(stage.window(), deadline).await.unwrap();
    assert_eq!((report.redelivered, report.left), (0, 10), "{report:?}");
    assert_eq!(stage.now(), begin);
}
