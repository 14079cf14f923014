//! A machine that is suspended: its clock jumps when it wakes, and what runs on it goes on as if nothing had been.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_ledger::{Clock, Ledger, Random, ReceiptSettings};
use daybook_manager::worker::WorkerSettings;
use daybook_schema::DispatchMessage;
use daybook_tests::Stage;
use daybook_tests::notifications::Upload;

use crate::acting::{Actor, LEASE, minutes, settings, stage, start, start_with};

const NIGHT: Duration = Duration::from_secs(8 * 3600);

/// The stage as a machine sees it that can be suspended: `asleep` are the seconds that it slept. No two
/// have one seed, or their tokens are the same.
fn machine(stage: &Stage, asleep: &Arc<AtomicU64>, seed: u64) -> Stage {
    let (clock, asleep) = (stage.clock.clone(), asleep.clone());
    let clock = Clock::new(move || {
        let slept = Duration::from_secs(asleep.load(Ordering::Relaxed));
        clock.now().plus(slept)
    });
    let receipts = ReceiptSettings {
        table: "receipts".parse().unwrap(),
        keep: minutes(60 * 24),
    };
    let ledger = Ledger::new(
        stage.dynamodb.clone(),
        "ledger".parse().unwrap(),
        Some(receipts),
        clock.clone(),
        Random::from_seed(seed),
    );
    Stage {
        clock,
        ledger,
        ..stage.clone()
    }
}

/// One event on its way to a worker, and the message with it.
async fn dispatched(stage: &Stage) -> DispatchMessage {
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    stage.schedule().await;
    let row = stage.rows().await.into_values().next().unwrap();
    DispatchMessage::for_row(&row).unwrap()
}

/// The message once more, as SQS shows it again when its visibility timeout is over.
async fn show_again(stage: &Stage, message: &DispatchMessage) {
    let sent = stage.sqs.send_message().queue_url(&stage.dispatch_queue);
    sent.message_body(message.to_json()).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_runs_when_a_laptop_is_closed_goes_on_when_it_is_opened() {
    let stage = stage().await;
    let message = dispatched(&stage).await;
    let asleep = Arc::new(AtomicU64::new(0));
    let laptop = machine(&stage, &asleep, 3);
    let target = Actor::succeeding(&stage, minutes(4));
    let worker = start(&laptop, &target);
    stage.pass(minutes(1)).await;
    asleep.store(NIGHT.as_secs(), Ordering::Relaxed);
    // By the clock the lease and the visibility timeout are long over.
    show_again(&stage, &message).await;
    stage.pass(Duration::from_secs(11)).await;
    let row = stage.rows().await.into_values().next().unwrap();
    let left = row.due_at.since(laptop.now());
    assert!(
        left > LEASE - Duration::from_secs(20),
        "{left:?} of the lease are left"
    );
    assert_eq!(laptop.sweep().await.stale, 0);
    stage.pass(minutes(4)).await;
    assert!(stage.rows().await.is_empty());
    assert_eq!(target.only().len(), 1, "it ran once");
    let report = worker.stop().await;
    assert_eq!(
        (report.completed, report.dropped, report.lost),
        (1, 1, 0),
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_another_machine_took_meanwhile_is_stopped_soon_after_it_is_opened() {
    let stage = stage().await;
    let message = dispatched(&stage).await;
    let asleep = Arc::new(AtomicU64::new(0));
    let target = Actor::succeeding(&stage, minutes(30));
    let busy = WorkerSettings {
        workers: 1,
        ..settings()
    };
    let worker = start_with(&machine(&stage, &asleep, 3), &target, busy);
    // Between two looks at the clock.
    stage.pass(Duration::from_secs(65)).await;
    // For the other machine the night went by as well, only that it was awake.
    asleep.store(NIGHT.as_secs(), Ordering::Relaxed);
    let other = start(&machine(&stage, &asleep, 4), &target);
    show_again(&stage, &message).await;
    stage.pass(Duration::from_secs(20)).await;
    let runs = target.only();
    let overlap = runs[0].ended.expect("it is stopped").since(runs[1].started);
    assert!(overlap <= Duration::from_secs(15), "{overlap:?}");
    stage.pass(minutes(31)).await;
    assert!(stage.rows().await.is_empty());
    let (mine, others) = (worker.stop().await, other.stop().await);
    assert_eq!((mine.lost, others.completed), (1, 1), "{mine:?} {others:?}");
}
