//! Ingests, schedulers and sweeps at once: N together, each attempt once.

use std::collections::BTreeMap;

use daybook_ledger::{Asker, Grant, GrantRequest, Refusal, Window};
use daybook_manager::Delivered;
use daybook_tests::Request;

use super::*;

const AT_ONCE: usize = 8;

/// What was sent in one window: new attempts and redeliveries.
struct Sent(BTreeMap<String, usize>);

impl Sent {
    fn of(stage: &Stage) -> Self {
        let mut sent = BTreeMap::new();
        for message in stage.dispatched() {
            *sent.entry(message.input.name().to_string()).or_default() += 1;
        }
        Self(sent)
    }

    fn messages(&self) -> usize {
        self.0.values().sum()
    }
}

/// Eight ingests, two schedulers and a sweep at the same moment.
async fn overlap(stage: &Stage, newcomers: &[Upload], window: Window) {
    let batches: Vec<Vec<Delivered>> = newcomers
        .chunks(newcomers.len().div_ceil(AT_ONCE).max(1))
        .map(messages)
        .collect();
    let deadline = stage.deadline();
    let ingests = batches.iter().map(|batch| {
        let ingest = stage.ingest();
        async move { drop(ingest.handle(batch, deadline).await) }
    });
    let schedulers = (0..2).map(|_| {
        let scheduler = stage.scheduler();
        async move { drop(scheduler.run(window, deadline).await) }
    });
    let sweeper = stage.sweeper();
    let sweep = async { drop(sweeper.run(window, deadline).await) };
    futures::join!(
        futures::future::join_all(ingests),
        futures::future::join_all(schedulers),
        sweep
    );
}

#[tokio::test(start_paused = true)]
async fn n_holds_over_ingests_schedulers_and_sweeps_and_everything_is_sent_in_the_end() {
    const PER_MINUTE: usize = 16;
    let mut was_sent_at_once = false;
    for seed in 1..=6 {
        let stage = stage_with(seed, 20).await;
        stage.wire.with_latency(seed);
        stage.wire.inject_faults_of_dispatch(seed);
        let all = uploads(PER_MINUTE * 10);
        let mut before = 0;
        for minute in 0..90 {
            if minute == 10 {
                stage.wire.heal();
            }
            let newcomers = all.chunks(PER_MINUTE).nth(minute).unwrap_or_default();
            overlap(&stage, newcomers, stage.window()).await;
            let sent = Sent::of(&stage).messages();
            assert!(
                sent - before <= 20,
                "seed {seed}: {} sent in minute {minute}",
                sent - before
            );
            // Leases of what nobody knows end, and the sweep waits for a queue that is full three times.
            was_sent_at_once |= minute == 0 && sent > 0;
            before = sent;
            // What was not answered comes again.
            if minute == 12 {
                for message in &mut messages(&all) {
                    message.receive_count = 2;
                    stage
                        .ingest()
                        .handle(std::slice::from_ref(message), stage.deadline())
                        .await;
                }
            }
            stage.pass(MINUTE).await;
        }
        let sent = Sent::of(&stage);
        assert_eq!(sent.0.len(), all.len(), "seed {seed}: every event was sent");
    }
    assert!(was_sent_at_once);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_do_not_keep_the_scheduler_from_its_rows() {
    for seed in 1..=4 {
        let stage = stage_with(seed, 50).await;
        stage.wire.with_latency(seed);
        let old: Vec<_> = uploads(40)
            .iter()
            .map(|upload| row_in(Status::Pending, upload, stage.now()))
            .collect();
        stage.put_rows(&old);
        let all = uploads(40 + 300);
        let deadline = stage.deadline();
        let scheduler = stage.scheduler();
        let tick = async { scheduler.run(stage.window(), deadline).await };
        let callers = all[40..].chunks(3).map(|chunk| {
            let (ingest, batch) = (stage.ingest(), messages(chunk));
            async move { drop(ingest.handle(&batch, deadline).await) }
        });
        let (report, _) = futures::join!(tick, futures::future::join_all(callers));
        let report = report.unwrap();
        assert_eq!(report.failures, [], "seed {seed}");
        assert!(queued(&stage) <= 50, "seed {seed}");
        stage.pass(MINUTE).await;
        // The note keeps newcomers out of the next window, whatever this tick was granted.
        let report = stage.schedule().await;
        assert_eq!(report.sent, 50, "seed {seed}: {report:?}");
    }
}

/// Asks for one after the other until it is told that rows wait; whether it was told.
async fn ask_until_told(stage: &Stage) -> bool {
    let request = GrantRequest {
        window: stage.window(),
        per_window: u32::MAX,
        wanted: 1,
        asker: Asker::Ingest,
    };
    for _ in 0..20 {
        let control = stage.ledger.control().await.unwrap();
        if stage.ledger.grant(&request, control).await.unwrap() == Grant::Refused(Refusal::Backlog) {
            return true;
        }
    }
    false
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_lost_two_races_says_so_before_its_next_try() {
    let mut said_so = 0;
    for seed in 1..=4 {
        let stage = stage_with(seed, u32::MAX).await;
        stage.wire.with_latency(seed);
        stage.wire.keep_log();
        // One row: after a grant nothing would be left behind, and nothing said.
        stage.put_rows(&[row_in(Status::Pending, &uploads(1)[0], stage.now())]);
        let scheduler = stage.scheduler();
        let tick = scheduler.run(stage.window(), stage.deadline());
        let callers = (0..100).map(|_| ask_until_told(&stage));
        let (report, _) = futures::join!(tick, futures::future::join_all(callers));
        assert_eq!(report.unwrap().sent, 1, "seed {seed}");
        // Where it won one of the two it said nothing.
        let log = stage.wire.log();
        let notes = |(request, ..): &&(Request, u16, serde_json::Value)| {
            request.body["UpdateExpression"] == *"SET backlog_at = :now"
        };
        said_so += u32::from(log.iter().any(|one| notes(&one)));
    }
    assert!(said_so >= 2, "of 4 ticks among 100 callers {said_so} said so");
}

#[tokio::test(start_paused = true)]
async fn with_ticks_in_every_second_window_and_clocks_a_window_apart_a_backlog_drains() {
    let stage = stage_with(1, 10).await;
    let old: Vec<_> = uploads(60)
        .iter()
        .map(|upload| row_in(Status::Pending, upload, stage.now()))
        .collect();
    stage.put_rows(&old);
    let all = uploads(60 + 400);
    let mut newcomers = all[60..].chunks(10);
    let (mut scheduled, mut last_window) = (0, stage.window());
    stage.pass(MINUTE).await;
    for minute in 0..24 {
        if let Some(newcomers) = newcomers.next().filter(|_| minute > 0) {
            arrive(&stage, newcomers).await;
        }
        if minute % 2 == 0 {
            // The schedule's own time is a window behind ingest's clock.
            let window = last_window;
            let report = stage.scheduler().run(window, stage.deadline()).await.unwrap();
            scheduled += report.sent;
        }
        last_window = stage.window();
        stage.pass(MINUTE).await;
    }
    let old_left = {
        let rows = stage.rows().await;
        old.iter()
            .filter(|row| rows.get(&row.id).is_some_and(|row| row.status == Status::Pending))
            .count()
    };
    assert_eq!(old_left, 0, "{scheduled} were scheduled");
}

#[tokio::test(start_paused = true)]
async fn ingests_that_lose_to_each_other_leave_no_note_of_a_backlog() {
    for seed in 1..=4 {
        let stage = stage_with(seed, 200).await;
        stage.wire.with_latency(seed);
        let all = uploads(60);
        let deadline = stage.deadline();
        let callers = all.chunks(3).map(|chunk| {
            let (ingest, batch) = (stage.ingest(), messages(chunk));
            async move { drop(ingest.handle(&batch, deadline).await) }
        });
        futures::future::join_all(callers).await;
        assert_eq!(
            stage.ledger.control().await.unwrap().backlog_at,
            None,
            "seed {seed}"
        );
        let sent = queued(&stage);
        assert!(
            (3..60).contains(&sent),
            "seed {seed}: {sent} were sent, so none lost"
        );
        stage.schedule().await;
        assert_eq!(
            stage.ledger.control().await.unwrap().backlog_at,
            None,
            "seed {seed}"
        );
    }
}
