//! Dispatch at once: what ingest claims in the write that records it, what it leaves to the scheduler, and what a fault costs.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_ledger::{Deadline, Recorded};
use daybook_manager::{Delivered, Dispatch, HandedOn, Ingested, Start};
use daybook_schema::{Attempt, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::{delivered, row_in};
use daybook_tests::{Fault, Stage, StageOptions};

#[path = "immediate/races.rs"]
mod races;

const N: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

async fn stage_with(seed: u64, per_window: u32) -> Stage {
    let options = StageOptions {
        seed,
        dispatch: Dispatch {
            per_window,
            start: Start::Immediate,
            ..Dispatch::default()
        },
        ..StageOptions::default()
    };
    Stage::new(options).await
}

async fn stage() -> Stage {
    stage_with(1, N).await
}

fn messages(uploads: &[Upload]) -> Vec<Delivered> {
    let message = |upload: &Upload| delivered(&upload.key, upload.notification());
    uploads.iter().map(message).collect()
}

async fn arrive(stage: &Stage, uploads: &[Upload]) -> Vec<Ingested> {
    let messages = messages(uploads);
    let ingested = stage.ingest().handle(&messages, stage.deadline()).await;
    assert!(ingested.iter().all(Ingested::is_safe), "{ingested:?}");
    ingested
}

fn at_once(ingested: &[Ingested], outcome: HandedOn) -> usize {
    let handed = ingested.iter().flat_map(|one| &one.at_once);
    handed.filter(|one| **one == outcome).count()
}

/// Rows by status: PENDING, CLAIMED, PARKED.
async fn rows(stage: &Stage) -> [usize; 3] {
    let rows = stage.rows().await;
    Status::ALL.map(|status| rows.values().filter(|row| row.status == status).count())
}

/// The names of what is on the queue, each once.
fn queued(stage: &Stage) -> usize {
    let names: Vec<_> = stage.dispatched().iter().map(|one| one.input.name()).collect();
    let once: BTreeSet<_> = names.iter().collect();
    assert_eq!(once.len(), names.len(), "an attempt was sent twice");
    names.len()
}

#[tokio::test(start_paused = true)]
async fn what_arrives_is_on_the_queue_at_two_write_units_each_and_one_for_the_grant() {
    let stage = stage().await;
    let before = stage.ledger.consumed();
    let ingested = arrive(&stage, &uploads(8)).await;
    let used = stage.ledger.consumed() - before;
    assert_eq!(at_once(&ingested, HandedOn::Sent), 8);
    assert_eq!(used.write_units, 2.0 * 8.0 + 1.0);
    assert_eq!(used.requests, 4, "receipts, the control item twice, one batch");
    assert_eq!((rows(&stage).await, queued(&stage)), ([0, 8, 0], 8));
    for row in stage.rows().await.values() {
        assert_eq!((row.attempt, row.deliveries), (Attempt(1), 1));
        assert_eq!(row.due_at, stage.now().plus(stage.options.dispatch.lease));
    }
    // As if the scheduler had sent them.
    stage.invoke_all().await;
    assert_eq!(stage.succeed_running(), 8);
    stage.complete_all().await;
    assert_eq!(rows(&stage).await, [0; 3]);
    let all = stage.ledger.consumed() - before;
    assert_eq!(all.write_units, 5.0 * 8.0 + 1.0);
}

#[tokio::test(start_paused = true)]
async fn what_is_beyond_n_waits_for_the_scheduler() {
    let stage = stage().await;
    arrive(&stage, &uploads(7)).await;
    let ingested = arrive(&stage, &uploads(14)[7..]).await;
    assert_eq!(at_once(&ingested, HandedOn::Sent), 3);
    assert_eq!((rows(&stage).await, queued(&stage)), ([4, 10, 0], 10));
    assert_eq!(stage.schedule().await.sent, 0, "N is spent");
    stage.pass(MINUTE).await;
    assert_eq!(stage.schedule().await.sent, 4);
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_not_sent_and_its_share_is_lost_to_the_window() {
    let stage = stage().await;
    // Told of once more before its receipt, by a message of its own.
    arrive(&stage, &uploads(4)).await;
    let ingested = arrive(&stage, &uploads(6)).await;
    let outcomes: Vec<&Recorded> = ingested.iter().flat_map(|one| &one.rows).collect();
    assert_eq!(
        outcomes
            .iter()
            .filter(|one| ***one == Recorded::AlreadyThere)
            .count(),
        4
    );
    assert_eq!((at_once(&ingested, HandedOn::Sent), queued(&stage)), (2, 6));
    // 4 and 6 were granted, and nothing is given back: a give-back that is repeated would be a second budget.
    let ingested = arrive(&stage, &uploads(7)[6..]).await;
    assert_eq!(at_once(&ingested, HandedOn::Sent), 0);
    assert_eq!(rows(&stage).await, [1, 6, 0]);
}

#[tokio::test(start_paused = true)]
async fn two_that_are_equal_in_one_batch_are_sent_once() {
    let stage = stage().await;
    let upload = Upload::new("a.json", 1, "e");
    let ingested = arrive(&stage, &[upload.clone(), upload]).await;
    assert_eq!(at_once(&ingested, HandedOn::Sent), 1);
    assert_eq!((rows(&stage).await, queued(&stage)), ([0, 1, 0], 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_came_before_asks_for_nothing() {
    let stage = stage().await;
    let mut again = messages(&uploads(2));
    again[0].receive_count = 2;
    let ingested = stage.ingest().handle(&again, stage.deadline()).await;
    assert_eq!([ingested[0].at_once.len(), ingested[1].at_once.len()], [0, 1]);
    assert_eq!(stage.ledger.control().await.unwrap().granted, 1);
    assert_eq!(rows(&stage).await, [1, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn newcomers_do_not_overtake_what_a_tick_left_behind() {
    let stage = stage().await;
    let old: Vec<_> = uploads(15)
        .iter()
        .map(|upload| row_in(Status::Pending, upload, stage.now()))
        .collect();
    stage.put_rows(&old);
    assert_eq!(stage.schedule().await.sent, 10);
    let behind = stage.ledger.control().await.unwrap().backlog_at;
    assert!(
        behind.is_some_and(|at| at.since(stage.now()).is_zero()),
        "{behind:?}"
    );
    stage.pass(MINUTE).await;
    let ingested = arrive(&stage, &uploads(18)[15..]).await;
    assert_eq!(at_once(&ingested, HandedOn::Sent), 0, "although N is untouched");
    // Oldest first, and newcomers with what is left.
    assert_eq!(stage.schedule().await.sent, 8);
    assert_eq!(stage.ledger.control().await.unwrap().backlog_at, None);
    stage.pass(MINUTE).await;
    let ingested = arrive(&stage, &uploads(20)[18..]).await;
    assert_eq!(at_once(&ingested, HandedOn::Sent), 2);
}

#[tokio::test(start_paused = true)]
async fn a_note_of_a_scheduler_that_does_not_come_any_more_ends_after_ten_windows() {
    let stage = stage().await;
    stage.ledger.note_backlog().await.unwrap();
    stage.pass(10 * MINUTE).await;
    assert_eq!(at_once(&arrive(&stage, &uploads(1)).await, HandedOn::Sent), 0);
    stage.pass(MINUTE).await;
    assert_eq!(
        at_once(&arrive(&stage, &uploads(2)[1..]).await, HandedOn::Sent),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn while_dispatch_is_paused_everything_waits() {
    let stage = stage().await;
    stage.ledger.pause(None, "ann", "a look").await.unwrap();
    arrive(&stage, &uploads(2)).await;
    assert_eq!((rows(&stage).await, queued(&stage)), ([2, 0, 0], 0));
    stage.ledger.resume().await.unwrap();
    assert_eq!(stage.schedule().await.sent, 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_certainly_refuses_is_pending_again_and_what_it_may_have_stays_claimed() {
    for (fault, outcome, expected) in [
        (Fault::Throttled, HandedOn::Released, [3, 0, 0]),
        (Fault::Partial(vec![0, 1, 2]), HandedOn::Released, [3, 0, 0]),
        (Fault::NotSent, HandedOn::Unknown, [0, 3, 0]),
        (Fault::AnswerLost, HandedOn::Unknown, [0, 3, 0]),
        (Fault::ServerError, HandedOn::Unknown, [0, 3, 0]),
    ] {
        let stage = stage().await;
        stage.wire.inject_always("SendMessageBatch", fault.clone());
        let ingested = arrive(&stage, &uploads(3)).await;
        assert_eq!(at_once(&ingested, outcome), 3, "{fault:?}");
        assert_eq!(rows(&stage).await, expected, "{fault:?}");
        for row in stage.rows().await.values() {
            let attempts = u32::from(row.status == Status::Claimed);
            assert_eq!(row.attempt, Attempt(attempts), "{fault:?}: no attempt is used");
        }
        // Either way they run: at the next tick, or after their leases.
        stage.wire.heal();
        stage.pass(stage.options.dispatch.lease + MINUTE).await;
        stage.schedule().await;
        stage.sweep().await;
        stage.invoke_all().await;
        assert_eq!(stage.succeed_running(), 3, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_row_whose_insert_is_not_answered_is_not_sent_and_its_lease_brings_it_back() {
    let stage = stage().await;
    stage
        .wire
        .inject_always("BatchExecuteStatement", Fault::AnswerLost);
    let told = messages(&uploads(1));
    let ingested = stage.ingest().handle(&told, stage.deadline()).await;
    assert!(!ingested[0].is_safe(), "{ingested:?}");
    stage.wire.heal();
    assert_eq!((rows(&stage).await, queued(&stage)), ([0, 1, 0], 0));
    // The message comes again, and finds it there.
    let mut again = told;
    again[0].receive_count = 2;
    let ingested = stage.ingest().handle(&again, stage.deadline()).await;
    assert_eq!(ingested[0].rows, [Recorded::AlreadyThere]);
    assert_eq!(queued(&stage), 0);
    stage.pass(stage.options.dispatch.lease + MINUTE).await;
    assert_eq!(stage.sweep().await.redelivered, 1);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_cannot_be_had_makes_events_wait_and_fails_none() {
    for (operation, fault) in [
        ("GetItem", Fault::Throttled),
        ("GetItem", Fault::Hang),
        ("UpdateItem", Fault::ServerError),
        ("UpdateItem", Fault::AnswerLost),
    ] {
        let stage = stage().await;
        stage.wire.inject_always(operation, fault.clone());
        let ingested = arrive(&stage, &uploads(2)).await;
        assert_eq!(at_once(&ingested, HandedOn::Sent), 0, "{operation} {fault:?}");
        assert_eq!(rows(&stage).await, [2, 0, 0], "{operation} {fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_claimed_in_the_last_five_seconds() {
    let stage = stage().await;
    let deadline = Deadline::after(&stage.clock, Duration::from_millis(4900));
    let ingested = stage.ingest().handle(&messages(&uploads(2)), deadline).await;
    assert!(ingested.iter().all(|one| one.is_safe() && one.at_once.is_empty()));
    assert_eq!(rows(&stage).await, [2, 0, 0]);
    assert!(!stage.wire.operations().contains_key("UpdateItem"));
}

#[tokio::test(start_paused = true)]
async fn the_sweep_has_what_it_is_owed_before_newcomers() {
    let stage = stage().await;
    // Ten are lost on the way, and newcomers come in every window before the sweep.
    arrive(&stage, &uploads(10)).await;
    stage.aws.sqs().purge(&stage.dispatch_queue).unwrap();
    stage.pass(stage.options.dispatch.lease + MINUTE).await;
    let all = uploads(200);
    let mut redelivered = 0;
    for minute in 1..=8 {
        arrive(&stage, &all[minute * 20..minute * 20 + 15]).await;
        // What is on the queue arrives: a sweep that finds it full would wait for it.
        stage.invoke_all().await;
        redelivered += stage.sweep().await.redelivered;
        stage.pass(MINUTE).await;
    }
    assert_eq!(redelivered, 10);
}
