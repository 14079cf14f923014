//! How often a worker asks its queue, and how patient it is with each service.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_manager::worker::WorkerSettings;
use daybook_tests::notifications::uploads;
use daybook_tests::{Fault, Request, Stage};

use crate::acting::{Actor, cron, minutes, settings, stage, start, start_with};

const SECOND: Duration = Duration::from_secs(1);

/// The wire does what `policy` says; when each request of that operation was made, in milliseconds from now.
/// When requests of that kind were made, in milliseconds from now.
pub fn watched(
    stage: &Stage,
    operation: &'static str,
    mut policy: impl FnMut(&Request) -> Fault + Send + 'static,
) -> Arc<Mutex<Vec<i64>>> {
    let times = Arc::new(Mutex::new(Vec::new()));
    let (noted, clock, begin) = (times.clone(), stage.clock.clone(), stage.now());
    stage.wire.inject(move |request| {
        if request.operation == operation {
            let at = clock.now().unix_millis() - begin.unix_millis();
            noted.lock().unwrap().push(at);
        }
        policy(request)
    });
    times
}

fn short_leases() -> WorkerSettings {
    WorkerSettings {
        lease: 12 * SECOND,
        ..settings()
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_worker_asks_three_times_a_minute() {
    let stage = stage().await;
    let asked = watched(&stage, "ReceiveMessage", |_| Fault::None);
    let worker = start(&stage, &Actor::succeeding(&stage, SECOND));
    stage.pass(minutes(1) + SECOND).await;
    assert_eq!(*asked.lock().unwrap(), [0, 20_000, 40_000, 60_000]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_refuses_is_asked_less_and_less_until_it_answers_again() {
    let stage = stage().await;
    let refuses = |request: &Request| match request.operation.as_str() {
        "ReceiveMessage" => Fault::Invalid,
        _ => Fault::None,
    };
    let asked = watched(&stage, "ReceiveMessage", refuses);
    let target = Actor::succeeding(&stage, SECOND);
    let worker = start(&stage, &target);
    stage.pass(minutes(2)).await;
    let seconds = [0, 1, 3, 7, 15, 31, 61, 91];
    assert_eq!(*asked.lock().unwrap(), seconds.map(|second| second * 1000));

    stage.record(&uploads(1)).await;
    stage.schedule().await;
    stage.wire.heal();
    stage.pass(minutes(1)).await;
    assert_eq!(target.only().len(), 1);
    // The next failure is a first one again.
    let asked = watched(&stage, "ReceiveMessage", refuses);
    stage.pass(minutes(1)).await;
    let asked = asked.lock().unwrap().clone();
    let pauses: Vec<i64> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[..4], [1000, 2000, 4000, 8000]);
    worker.kill().await;
}

#[tokio::test(start_paused = true)]
async fn a_take_is_given_up_after_a_third_of_the_lease_and_its_message_comes_again() {
    let stage = stage().await;
    stage.record(&uploads(1)).await;
    stage.schedule().await;
    let asked = watched(&stage, "BatchExecuteStatement", |request| {
        match request.operation.as_str() {
            "BatchExecuteStatement" => Fault::Throttled,
            _ => Fault::None,
        }
    });
    let target = Actor::succeeding(&stage, SECOND);
    let worker = start_with(&stage, &target, short_leases());
    stage.pass(25 * SECOND).await;
    let last = *asked.lock().unwrap().last().unwrap();
    assert!((2000..=4500).contains(&last), "{last} ms");
    stage.wire.heal();
    stage.pass(minutes(1)).await;
    assert_eq!(target.only().len(), 1);
    assert_eq!(worker.stop().await.completed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_holds_up_no_extension_of_a_lease() {
    let stage = stage().await;
    stage.record(&uploads(1)).await;
    stage.schedule().await;
    stage.wire.inject_always("ChangeMessageVisibility", Fault::Hang);
    let target = Actor::succeeding(&stage, minutes(1));
    let worker = start_with(&stage, &target, short_leases());
    cron(&stage, minutes(2)).await;
    let runs = target.only();
    assert!(runs.len() == 1 && runs[0].answered, "{runs:?}");
    assert_eq!(worker.stop().await.completed, 1);
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_fails_is_tried_again_while_there_is_time() {
    let stage = stage().await;
    stage.record(&uploads(1)).await;
    stage.schedule().await;
    let mut writes = 0;
    // The first is the take; the next two are the first extension, at a third of the lease.
    let asked = watched(&stage, "BatchExecuteStatement", move |request| {
        writes += u32::from(request.operation == "BatchExecuteStatement");
        match request.operation.as_str() {
            "BatchExecuteStatement" if (2..=3).contains(&writes) => Fault::Invalid,
            _ => Fault::None,
        }
    });
    let target = Actor::succeeding(&stage, 30 * SECOND);
    let worker = start_with(&stage, &target, short_leases());
    cron(&stage, minutes(1)).await;
    let runs = target.only();
    assert!(runs.len() == 1 && runs[0].answered, "{runs:?}");
    assert_eq!(asked.lock().unwrap()[..4], [0, 4000, 4400, 4800]);
    assert_eq!(worker.stop().await.completed, 1);
}
