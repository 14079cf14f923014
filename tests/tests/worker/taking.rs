//! Which messages may take a row, and what the three steps of a worker write and cost.

use std::time::Duration;

use daybook_ledger::{Blame, Claim, Extended, Failed, Moved, Postponed, RetryPolicy, Taken};
use daybook_schema::{Attempt, DispatchMessage, Row, Status};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Stage};
use uuid::Uuid;

use crate::acting::{LEASE, stage};

const WRITE: &str = "BatchExecuteStatement";

/// A claimed row and the message that was sent for it.
async fn claimed(stage: &Stage) -> (Row, DispatchMessage) {
    stage.record(&[Upload::new("a.json", 1, "e")]).await;
    let row = stage.claim_due().await.remove(0);
    let message = DispatchMessage::for_row(&row).unwrap();
    (row, message)
}

async fn take(stage: &Stage, message: &DispatchMessage) -> Taken {
    stage.ledger.take(message, None, LEASE, stage.deadline()).await
}

/// The row, which must have been taken, and whether another worker had it before.
async fn took(stage: &Stage, message: &DispatchMessage) -> (Row, bool) {
    match take(stage, message).await {
        Taken::Taken { row, after_another } => (*row, after_another),
        other => panic!("not taken: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_taken_row_has_a_new_lease_and_a_new_token_and_its_attempt_is_the_same() {
    let stage = stage().await;
    let (row, message) = claimed(&stage).await;
    stage.pass(Duration::from_secs(7)).await;
    let (taken, after_another) = took(&stage, &message).await;
    assert!(!after_another);
    let expected = Row {
        due_at: stage.now().plus(LEASE),
        claim_token: taken.claim_token,
        deliveries: 0,
        ..row.clone()
    };
    assert_eq!(taken, expected);
    assert_ne!(taken.claim_token, row.claim_token);
    assert_eq!(stage.row(row.id).await, Some(taken));
}

#[tokio::test(start_paused = true)]
async fn taking_extending_and_postponing_cost_three_write_units_each() {
    let stage = stage().await;
    let (_, message) = claimed(&stage).await;
    let mut spent = Vec::new();
    let mut before = stage.ledger.consumed();
    let mut units = |stage: &Stage| {
        let used = stage.ledger.consumed() - before;
        before = stage.ledger.consumed();
        spent.push((used.write_units, used.requests));
    };
    let (row, _) = took(&stage, &message).await;
    units(&stage);
    stage.pass(LEASE / 3).await;
    let extended = stage.ledger.extend(&row, LEASE, stage.deadline()).await;
    assert_eq!(extended, Extended::Extended(stage.now().plus(LEASE)));
    units(&stage);
    let why = Some("exit status 75");
    let postponed = stage.ledger.postpone(&row, LEASE, why, stage.deadline()).await;
    assert_eq!(postponed, Postponed::Until(stage.now().plus(LEASE)));
    units(&stage);
    assert_eq!(spent, [(3.0, 1); 3]);
    let row = stage.row(row.id).await.unwrap();
    assert_eq!((row.status, row.attempt), (Status::Pending, Attempt(0)));
    assert_eq!(row.last_error.as_deref(), why);
}

#[tokio::test(start_paused = true)]
async fn a_message_takes_its_row_in_no_state_but_claimed_at_its_attempt_and_held_by_nobody() {
    let stage = stage().await;
    let upload = Upload::new("a.json", 1, "e");
    let now = stage.now();
    let (past, future) = (now, now.plus(LEASE));
    let sent = row_in(Status::Claimed, &upload, future);
    let message = DispatchMessage::for_row(&sent).unwrap();
    let with = |change: &dyn Fn(&mut Row)| {
        let mut row = sent.clone();
        change(&mut row);
        Some(row)
    };
    let held = |row: &mut Row| {
        row.deliveries = 0;
        row.claim_token = Some(Uuid::from_u128(7));
    };
    // The state; whether the message takes it, and if so whether another worker had it.
    let states = [
        ("gone", None, None),
        ("pending", with(&|row| row.status = Status::Pending), None),
        ("parked", with(&|row| row.status = Status::Parked), None),
        ("next attempt", with(&|row| row.attempt = Attempt(2)), None),
        ("as sent", with(&|_| {}), Some(false)),
        ("as sent, lease over", with(&|row| row.due_at = past), Some(false)),
        (
            "held",
            with(&|row| {
                held(row);
                row.due_at = future.plus(LEASE)
            }),
            None,
        ),
        ("held, lease ends as the message says", with(&held), None),
        (
            "held, lease over",
            with(&|row| {
                held(row);
                row.due_at = past
            }),
            Some(true),
        ),
        (
            "held, lease over, moved by the sweep",
            with(&|row| {
                held(row);
                row.lease_moves = 1
            }),
            Some(true),
        ),
        (
            "moved by the sweep",
            with(&|row| {
                row.lease_moves = 1;
                row.due_at = future.plus(LEASE)
            }),
            Some(false),
        ),
        (
            "redelivered",
            with(&|row| {
                row.deliveries = 2;
                row.due_at = future.plus(LEASE)
            }),
            Some(false),
        ),
    ];
    for (name, state, expected) in states {
        match &state {
            Some(row) => stage.put_rows([row]),
            None => drop(stage.ledger.delete_done(&sent).await.unwrap()),
        }
        let taken = match take(&stage, &message).await {
            Taken::Taken { after_another, .. } => Some(after_another),
            Taken::Stale => None,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(taken, expected, "{name}");
        if expected.is_none() {
            assert_eq!(stage.row(sent.id).await, state, "{name}: nothing is changed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_copies_one_takes_the_row_even_when_the_leases_end_at_the_same_instant() {
    let stage = stage().await;
    // No time passes between claim and take: the worker's lease would end when the message says.
    let (_, message) = claimed(&stage).await;
    let (row, _) = took(&stage, &message).await;
    assert_ne!(row.due_at, message.due_at);
    assert_eq!(take(&stage, &message).await, Taken::Stale);

    // Nor when an extension hits that instant.
    let lease = message.due_at.since(stage.now());
    let extended = stage.ledger.extend(&row, lease, stage.deadline()).await;
    assert_eq!(extended, Extended::Extended(message.due_at));
    assert_eq!(take(&stage, &message).await, Taken::Stale);
}

#[tokio::test(start_paused = true)]
async fn of_many_workers_that_see_a_lease_run_out_one_takes_the_row() {
    let stage = stage().await;
    stage.wire.with_latency(7);
    let (_, message) = claimed(&stage).await;
    took(&stage, &message).await;
    stage.pass(LEASE).await;
    let takes: Vec<_> = (0..8).map(|_| take(&stage, &message)).collect();
    let taken = futures::future::join_all(takes).await;
    let winners = taken.iter().filter(|taken| matches!(taken, Taken::Taken { .. }));
    assert_eq!(winners.count(), 1, "{taken:?}");
    assert!(
        taken
            .iter()
            .all(|taken| matches!(taken, Taken::Taken { .. } | Taken::Stale))
    );
}

#[tokio::test(start_paused = true)]
async fn a_take_whose_answer_is_lost_is_recognised_as_ones_own() {
    let stage = stage().await;
    let (_, message) = claimed(&stage).await;
    stage.wire.inject_next(WRITE, [Fault::AnswerLost]);
    let (row, after_another) = took(&stage, &message).await;
    assert!(!after_another);

    // The same for one that follows a dead worker.
    stage.pass(LEASE).await;
    stage.wire.inject_next(WRITE, [Fault::None, Fault::AnswerLost]);
    let (again, after_another) = took(&stage, &message).await;
    assert!(after_another);
    assert_ne!(again.claim_token, row.claim_token);
}

#[tokio::test(start_paused = true)]
async fn a_take_that_is_never_answered_is_unknown_and_one_that_is_throttled_is_not_applied() {
    let stage = stage().await;
    let (row, message) = claimed(&stage).await;
    stage.wire.inject_always(WRITE, Fault::Throttled);
    let taken = take(&stage, &message).await;
    assert!(matches!(taken, Taken::NotApplied(_)), "{taken:?}");
    assert_eq!(stage.row(row.id).await.as_ref(), Some(&row));
    stage.wire.inject_always(WRITE, Fault::AnswerLost);
    let taken = take(&stage, &message).await;
    assert!(matches!(taken, Taken::Unknown(_)), "{taken:?}");
    stage.wire.heal();
    // It was applied: nobody has the row until that lease is over.
    assert_eq!(take(&stage, &message).await, Taken::Stale);
    stage.pass(LEASE).await;
    took(&stage, &message).await;
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_is_taken_by_whichever_message_comes_first_and_the_other_is_stale() {
    let stage = stage().await;
    let (row, first) = claimed(&stage).await;
    stage.pass(LEASE).await;
    let claim = stage
        .ledger
        .redeliver(&[row], LEASE, stage.deadline())
        .await
        .remove(0);
    let Claim::Claimed(row) = claim else {
        panic!("{claim:?}")
    };
    let second = DispatchMessage::for_row(&row).unwrap();
    let (_, after_another) = took(&stage, &first).await;
    assert!(!after_another, "nobody had it");
    assert_eq!(take(&stage, &second).await, Taken::Stale);
}

#[tokio::test(start_paused = true)]
async fn an_extension_finds_its_own_earlier_write_and_loses_to_any_other() {
    let stage = stage().await;
    let (_, message) = claimed(&stage).await;
    let (row, _) = took(&stage, &message).await;
    let extend = || stage.ledger.extend(&row, LEASE, stage.deadline());

    stage.pass(Duration::from_secs(100)).await;
    stage.wire.inject_next(WRITE, [Fault::AnswerLost]);
    assert_eq!(
        extend().await,
        Extended::Extended(stage.row(row.id).await.unwrap().due_at)
    );

    // One that was applied and never answered: the caller knows an older lease.
    stage.wire.inject_always(WRITE, Fault::AnswerLost);
    assert!(matches!(extend().await, Extended::Unknown(_)));
    stage.wire.heal();
    stage.pass(Duration::from_secs(1)).await;
    assert_eq!(extend().await, Extended::Extended(stage.now().plus(LEASE)));

    // The sweep moved the lease after it was over, and nobody took the row: it is still ours.
    stage.pass(LEASE).await;
    let over = stage.row(row.id).await.unwrap();
    let moved = stage.ledger.move_leases(&[over], LEASE, stage.deadline()).await;
    assert_eq!(moved, [Moved::Moved]);
    stage.pass(Duration::from_secs(1)).await;
    assert_eq!(extend().await, Extended::Extended(stage.now().plus(LEASE)));
    assert_eq!(take(&stage, &message).await, Taken::Stale, "held again");

    stage.pass(LEASE).await;
    took(&stage, &message).await;
    assert_eq!(extend().await, Extended::Stale);
    stage.ledger.delete_done(&row).await.unwrap();
    assert_eq!(extend().await, Extended::Stale);
    assert_eq!(
        stage.row(row.id).await,
        None,
        "an extension never writes a row that is gone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_postponement_finds_its_own_earlier_write_keeps_the_last_error_and_loses_to_others() {
    let stage = stage().await;
    let (_, message) = claimed(&stage).await;
    let (row, _) = took(&stage, &message).await;
    stage.put_rows([&Row {
        last_error: Some("FAILED before".into()),
        ..row.clone()
    }]);
    stage.wire.inject_next(WRITE, [Fault::AnswerLost]);
    let postpone = || {
        stage
            .ledger
            .postpone(&row, Duration::ZERO, None, stage.deadline())
    };
    assert_eq!(
        postpone().await,
        Postponed::Until(stage.row(row.id).await.unwrap().due_at)
    );
    stage.wire.heal();
    let pending = stage.row(row.id).await.unwrap();
    assert_eq!(pending.last_error.as_deref(), Some("FAILED before"));
    assert_eq!((pending.attempt, pending.deliveries), (Attempt(0), 0));

    let again = stage.claim_due().await.remove(0);
    assert_eq!(again.attempt, Attempt(1), "the same attempt once more");
    assert_eq!(postpone().await, Postponed::Stale);
    assert_eq!(stage.row(row.id).await, Some(again));
}

#[tokio::test(start_paused = true)]
async fn a_failure_finds_its_own_earlier_write_and_loses_to_another_worker_that_has_the_row() {
    let stage = stage().await;
    let (_, message) = claimed(&stage).await;
    let (row, _) = took(&stage, &message).await;
    let policy = RetryPolicy::default();
    stage.pass(LEASE * 2).await;
    let (held, after_another) = took(&stage, &message).await;
    assert!(after_another);
    // Sent in time, and in the ledger when another worker already runs the target: put back, the row would be claimed beside it.
    let late = stage
        .ledger
        .fail_taken(&row, Blame::Own, "no", &policy, stage.deadline())
        .await;
    assert_eq!(late.unwrap(), Failed::Stale);
    assert_eq!(stage.row(row.id).await.as_ref(), Some(&held));

    let before = stage.ledger.consumed();
    stage.wire.inject_next(WRITE, [Fault::AnswerLost]);
    let failed = stage
        .ledger
        .fail_taken(&held, Blame::Own, "no", &policy, stage.deadline())
        .await;
    let pending = stage.row(row.id).await.unwrap();
    assert_eq!(failed.unwrap(), Failed::Retry(pending.due_at));
    assert_eq!((pending.status, pending.attempt), (Status::Pending, Attempt(1)));
    assert_eq!((pending.deaths, pending.last_error.as_deref()), (0, Some("no")));
    assert_eq!((stage.ledger.consumed() - before).read_units, 0.0);

    // The last attempt parks it.
    stage.put_rows([&Row {
        max_attempts: 1,
        ..held.clone()
    }]);
    let last = stage.row(row.id).await.unwrap();
    let failed = stage
        .ledger
        .fail_taken(&last, Blame::Own, "no", &policy, stage.deadline())
        .await;
    assert_eq!(failed.unwrap(), Failed::Parked);
}
