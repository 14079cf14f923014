//! Overlapping schedulers: each row once, and N together. Overlapping completers: no row too many, no receipt too old.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daybook_ledger::{Refusal, Success, Window};
use daybook_manager::{Dispatch, ScheduleReport};
use daybook_schema::{Attempt, ObjectEvent, Row, Status, Timestamp};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Stage, StageOptions};

const SCHEDULERS: usize = 8;
const MINUTE: Duration = Duration::from_secs(60);

async fn stage(seed: u64, fifo: bool, dispatch: Dispatch, rows: usize) -> Stage {
    let options = StageOptions {
        seed,
        fifo,
        dispatch,
        ..StageOptions::default()
    };
    let stage = Stage::new(options).await;
    let rows: Vec<Row> = uploads(rows)
        .iter()
        .map(|upload| row_in(Status::Pending, upload, stage.now()))
        .collect();
    stage.put_rows(&rows);
    stage.wire.with_latency(seed);
    stage
}

/// Eight schedulers at once, each for the window that it is given.
async fn overlap(stage: &Stage, windows: &[Window]) -> Vec<ScheduleReport> {
    let deadline = stage.deadline();
    let runs = windows.iter().map(|window| {
        let scheduler = stage.scheduler();
        async move { scheduler.run(*window, deadline).await }
    });
    // A run that could not have its budget claimed nothing.
    futures::future::join_all(runs)
        .await
        .into_iter()
        .flatten()
        .collect()
}

fn sent_once(stage: &Stage) -> usize {
    let mut seen = BTreeSet::new();
    for message in stage.dispatched() {
        let name = message.input.name();
        assert!(seen.insert(name), "{name} was sent twice");
    }
    seen.len()
}

/// How many rows were ever claimed and not given back; each at its first attempt.
async fn claimed(stage: &Stage) -> usize {
    let rows = stage.rows().await;
    for row in rows.values() {
        let expected = u32::from(row.status == Status::Claimed);
        assert_eq!(row.attempt, Attempt(expected), "{row:?}");
    }
    rows.values().filter(|row| row.status == Status::Claimed).count()
}

/// What a whole scenario met, so that no test passes by meeting nothing.
#[derive(Debug, Default)]
struct Met {
    lost: u32,
    released: u32,
    unknown: u32,
    faults: BTreeMap<&'static str, u64>,
}

async fn race(seed: u64, fifo: bool, per_window: u32, rows: usize, met: &mut Met) {
    let dispatch = Dispatch {
        per_window,
        ..Dispatch::default()
    };
    let stage = stage(seed, fifo, dispatch, rows).await;
    let n = per_window as usize;
    stage.wire.inject_faults_of_dispatch(seed);
    let (mut sent_before, mut claimed_before) = (0, 0);
    for round in 0..12 {
        if round == 6 {
            met.faults.extend(stage.wire.faults());
            stage.wire.heal();
        }
        let window = stage.window();
        let reports = overlap(&stage, &[window; SCHEDULERS]).await;
        for report in &reports {
            met.lost += report.lost;
            met.released += report.released;
            met.unknown += report.unknown;
        }
        let granted: u32 = reports.iter().map(|report| report.granted).sum();
        assert!(granted <= per_window, "seed {seed}: {granted} granted");
        let (sent, claimed) = (sent_once(&stage), claimed(&stage).await);
        assert!(
            sent - sent_before <= n,
            "seed {seed}: {} sent in {window:?}",
            sent - sent_before
        );
        assert!(
            claimed <= claimed_before + n,
            "seed {seed}: more than N claimed in {window:?}"
        );
        assert!(
            sent <= claimed,
            "seed {seed}: a message of a row that is not claimed"
        );
        (sent_before, claimed_before) = (sent, claimed);
        stage.pass(MINUTE).await;
    }
    assert_eq!(
        claimed(&stage).await,
        rows,
        "seed {seed}: every row was claimed in the end"
    );
}

#[tokio::test(start_paused = true)]
async fn eight_schedulers_claim_each_row_once_and_stay_within_n_on_a_standard_queue() {
    let mut met = Met::default();
    for seed in 1..=8 {
        // More budget than rows: all contend for the same rows. More rows than budget: all contend for the budget.
        race(seed, false, 100, 30, &mut met).await;
        race(seed, false, 20, 150, &mut met).await;
    }
    assert!(met.lost > 0 && met.released > 0 && met.unknown > 0, "{met:?}");
    assert!(
        ["stale", "answer_lost", "partial", "not_sent"]
            .iter()
            .all(|kind| met.faults.contains_key(kind)),
        "{met:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn eight_schedulers_claim_each_row_once_and_stay_within_n_on_a_fifo_queue() {
    let mut met = Met::default();
    for seed in 11..=16 {
        race(seed, true, 100, 30, &mut met).await;
        race(seed, true, 20, 150, &mut met).await;
    }
    assert!(met.lost > 0 && met.released > 0 && met.unknown > 0, "{met:?}");
}

#[tokio::test(start_paused = true)]
async fn without_faults_eight_schedulers_use_the_budget_to_the_last_message() {
    let dispatch = Dispatch {
        per_window: 20,
        ..Dispatch::default()
    };
    let stage = stage(3, false, dispatch, 150).await;
    for minute in 1..=3 {
        overlap(&stage, &[stage.window(); SCHEDULERS]).await;
        assert_eq!(sent_once(&stage), minute * 20);
        stage.pass(MINUTE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_granted_less_than_is_due_claims_no_more() {
    let stage = stage(1, false, Dispatch::default(), 30).await;
    let report = stage.schedule().await;
    assert_eq!((report.granted, report.sent), (30, 30));
    stage.record(&uploads(100)[30..]).await;
    let reports = overlap(&stage, &[stage.window(); SCHEDULERS]).await;
    let sent: u32 = reports.iter().map(|report| report.sent).sum();
    assert_eq!((sent, sent_once(&stage)), (20, 50));
    assert_eq!(claimed(&stage).await, 50);
}

#[tokio::test(start_paused = true)]
async fn late_ticks_spend_the_previous_windows_budget_and_no_other() {
    let dispatch = Dispatch {
        per_window: 10,
        ..Dispatch::default()
    };
    for seed in 1..=4 {
        let stage = stage(seed, false, dispatch.clone(), 200).await;
        let late = stage.window();
        overlap(&stage, &[late]).await;
        let spent: u32 = 10;
        stage.pass(MINUTE).await;
        let current = stage.window();
        let windows: Vec<Window> = (0..SCHEDULERS)
            .map(|n| if n % 2 == 0 { late } else { current })
            .collect();
        let mut sent: BTreeMap<Timestamp, u32> = BTreeMap::from([(late.start, spent)]);
        for report in overlap(&stage, &windows).await {
            *sent.entry(report.window.start).or_default() += report.sent;
        }
        assert_eq!(
            sent,
            BTreeMap::from([(late.start, 10), (current.start, 10)]),
            "seed {seed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_was_never_run_can_be_run_one_window_late_and_not_two() {
    let dispatch = Dispatch {
        per_window: 10,
        ..Dispatch::default()
    };
    let stage = stage(1, false, dispatch, 200).await;
    let missed = stage.window();
    stage.pass(MINUTE).await;
    let current = stage.window();
    assert_eq!(overlap(&stage, &[current]).await[0].sent, 10);
    assert_eq!(overlap(&stage, &[missed]).await[0].sent, 10);
    stage.pass(MINUTE).await;
    assert_eq!(overlap(&stage, &[stage.window()]).await[0].sent, 10);
    let report = overlap(&stage, &[missed]).await.remove(0);
    assert_eq!((report.claimed, report.refusal), (0, Some(Refusal::WindowPassed)));
    assert_eq!(sent_once(&stage), 30);
}

/// Eight completers at once have the same successes, in orders of their own, beside others of the same objects: each row goes, and
/// every object has the receipt of its newest upload, whatever DynamoDB fails in.
#[tokio::test(start_paused = true)]
async fn eight_completers_of_the_same_events_leave_no_row_and_the_newest_receipts() {
    let mut met: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in 1..=6 {
        let stage = stage(seed, false, Dispatch::default(), 0).await;
        let uploads: Vec<Upload> = (0..60)
            .map(|n| Upload::new(&format!("{}.json", n % 40), n, &format!("e{n}")))
            .collect();
        stage.record(&uploads).await;
        let events: Vec<ObjectEvent> = uploads.iter().map(Upload::event).collect();
        let mut rng = fastrand::Rng::with_seed(seed);
        stage.wire.inject(move |request| {
            let position = rng.usize(0..25);
            match (request.operation.as_str(), rng.u32(0..100)) {
                ("BatchExecuteStatement", 0..12) => Fault::AnswerLost,
                ("BatchExecuteStatement", 12..24) => Fault::Partial(vec![position]),
                ("BatchExecuteStatement", 24..36) => Fault::PartialError(vec![position]),
                ("BatchExecuteStatement", 36..48) => Fault::PartialAfter(vec![position]),
                ("PutItem" | "DeleteItem", 0..10) => Fault::AnswerLost,
                ("PutItem" | "DeleteItem", 10..20) => Fault::Throttled,
                _ => Fault::None,
            }
        });
        for round in 0..3 {
            if round == 2 {
                for (fault, count) in stage.wire.faults() {
                    *met.entry(fault).or_default() += count;
                }
                stage.wire.heal();
            }
            let runs = (0..8).map(|run| {
                let mut shuffled = events.clone();
                fastrand::Rng::with_seed(seed * 100 + run).shuffle(&mut shuffled);
                let (ledger, deadline) = (&stage.ledger, stage.deadline());
                async move {
                    let success = |event| Success {
                        event,
                        attempt: Attempt(1),
                        by: "arn",
                    };
                    let successes: Vec<Success<'_>> = shuffled.iter().map(success).collect();
                    let outcomes = ledger.complete_many(&successes, deadline).await;
                    let done = shuffled
                        .iter()
                        .zip(outcomes)
                        .filter(|(_, outcome)| outcome.is_ok());
                    done.map(|(event, _)| event.id).collect::<Vec<_>>()
                }
            });
            let done: BTreeSet<_> = futures::future::join_all(runs)
                .await
                .into_iter()
                .flatten()
                .collect();
            let left = stage.rows().await;
            assert!(done.iter().all(|id| !left.contains_key(id)), "seed {seed}");
            for event in events.iter().filter(|event| !left.contains_key(&event.id)) {
                let receipt = stage.receipt(event).await.expect("a deleted row has a receipt");
                assert!(receipt.covers(event), "seed {seed}: {receipt:?}");
            }
        }
        assert!(stage.rows().await.is_empty(), "seed {seed}");
        for event in events[20..].iter() {
            assert_eq!(
                stage.receipt(event).await.unwrap().event_id,
                event.id,
                "seed {seed}"
            );
        }
    }
    for fault in [
        "answer_lost",
        "partial",
        "partial_error",
        "partial_after",
        "throttled",
    ] {
        assert!(met.contains_key(fault), "{met:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_an_in_flight_cap_at_most_the_cap_and_n_more_are_claimed() {
    let dispatch = Dispatch {
        per_window: 20,
        max_in_flight: Some(30),
        ..Dispatch::default()
    };
    for seed in 1..=6 {
        let stage = stage(seed, false, dispatch.clone(), 200).await;
        stage.wire.inject_faults_of_dispatch(seed);
        for _ in 0..10 {
            overlap(&stage, &[stage.window(); SCHEDULERS]).await;
            let claimed = claimed(&stage).await;
            assert!(claimed <= 30 + 20, "seed {seed}: {claimed} in flight");
            stage.pass(MINUTE).await;
        }
        assert!(claimed(&stage).await >= 30, "seed {seed}: the cap is used");
        // With an index that is up to date nothing more is claimed.
        stage.wire.heal();
        let report = stage.schedule().await;
        assert_eq!((report.claimed, report.granted), (0, 0), "seed {seed}");
    }
}
