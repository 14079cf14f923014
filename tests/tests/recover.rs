//! What the restart of a machine makes of the rows that its last process had claimed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use daybook_ledger::{Deadline, Extended, Ledger, Random, RetryPolicy, Taken, TokenMark};
use daybook_reconciler::{RecoverReport, bring_forward, recover};
use daybook_schema::{Attempt, BatchId, DispatchMessage, Row, Status};
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Stage};

const LEASE: Duration = Duration::from_secs(900);

const RETRY: RetryPolicy = RetryPolicy {
    first_delay: Duration::from_secs(30),
    longest_delay: Duration::from_secs(3600),
};

/// A claimed row with its lease still to run; `held` by a worker, or on the way to one.
fn claimed(stage: &Stage, n: u32, held: bool) -> Row {
    let upload = Upload::new(&format!("{n}.json"), n.into(), "e");
    Row {
        deliveries: u32::from(!held),
        ..row_in(Status::Claimed, &upload, stage.now().plus(LEASE))
    }
}

async fn recovered(stage: &Stage) -> RecoverReport {
    recover(&stage.ledger, &RETRY, None, stage.deadline()).await
}

#[tokio::test(start_paused = true)]
async fn everything_claimed_is_due_again_at_once_and_no_attempt_is_used() {
    let stage = Stage::usual().await;
    let rows: Vec<Row> = (0..1203).map(|n| claimed(&stage, n, n % 3 == 0)).collect();
    stage.put_rows(&rows);
    let others = [Status::Pending, Status::Parked].map(|status| {
        let upload = Upload::new(status.as_str(), 1, "e");
        row_in(status, &upload, stage.now().plus(LEASE))
    });
    stage.put_rows(&others);
    let report = recovered(&stage).await;
    let expected = RecoverReport {
        put_back: 1203,
        ..RecoverReport::default()
    };
    assert_eq!(report, expected);
    for row in &rows {
        let now = stage.row(row.id).await.unwrap();
        assert_eq!((now.status, now.due_at), (Status::Pending, stage.now()));
        assert_eq!((now.attempt, now.deliveries), (Attempt(0), 0));
        assert_eq!(now.deaths, u32::from(row.is_held()));
        assert_eq!(now.last_error.is_some(), row.is_held());
    }
    for row in &others {
        assert_eq!(stage.row(row.id).await.as_ref(), Some(row));
    }
    assert_eq!(recovered(&stage).await, RecoverReport::default());
}

#[tokio::test(start_paused = true)]
async fn what_was_done_and_not_yet_deleted_is_deleted() {
    let stage = Stage::usual().await;
    let (done, open) = (claimed(&stage, 1, true), claimed(&stage, 2, true));
    stage.put_rows([&done, &open]);
    let event = done.event().unwrap();
    stage.ledger.complete(event, Attempt(1), "worker").await.unwrap();
    stage.put_rows([&done]);
    let report = recovered(&stage).await;
    assert_eq!((report.deleted, report.put_back), (1, 1));
    assert_eq!(stage.row(done.id).await, None);
    assert!(stage.row(open.id).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_every_process_dies_on_fails_its_attempt_at_the_fourth() {
    let stage = Stage::usual().await;
    let mut row = claimed(&stage, 1, true);
    for deaths in 1..=3 {
        stage.put_rows([&row]);
        assert_eq!(recovered(&stage).await.put_back, 1);
        let back = stage.row(row.id).await.unwrap();
        assert_eq!((back.deaths, back.attempt), (deaths, Attempt(0)));
        row.deaths = back.deaths;
    }
    stage.put_rows([&row]);
    let report = recovered(&stage).await;
    assert_eq!((report.failed, report.put_back), (1, 0));
    let failed = stage.row(row.id).await.unwrap();
    assert_eq!(
        (failed.status, failed.attempt, failed.deaths),
        (Status::Pending, Attempt(1), 0)
    );
    assert!(failed.due_at > stage.now(), "it backs off");
    let why = failed.last_error.unwrap();
    assert_eq!(why, "the process ended 4 times while it worked on this");
}

#[tokio::test(start_paused = true)]
async fn a_row_of_a_batch_that_every_process_dies_on_fails_its_attempt_and_goes_into_no_company_again() {
    let stage = Stage::usual().await;
    let batch = BatchId(uuid::Uuid::from_u128(0xBA7C));
    for (deaths, expected) in [(2, (0, false, 3)), (3, (1, true, 0))] {
        let row = Row {
            batch: Some(batch),
            deaths,
            ..claimed(&stage, deaths, true)
        };
        stage.put_rows([&row]);
        assert_eq!(recovered(&stage).await.left, 0);
        let now = stage.row(row.id).await.unwrap();
        assert_eq!((now.status, now.batch), (Status::Pending, None));
        assert_eq!((now.attempt.0, now.alone, now.deaths), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_in_the_queue_is_no_death() {
    let stage = Stage::usual().await;
    let row = Row {
        deaths: 3,
        ..claimed(&stage, 1, false)
    };
    stage.put_rows([&row]);
    assert_eq!(recovered(&stage).await.put_back, 1);
    assert_eq!(stage.row(row.id).await.unwrap().deaths, 3);
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_refuses_is_reported_and_the_rows_keep_their_leases() {
    let stage = Stage::usual().await;
    let row = claimed(&stage, 1, true);
    stage.put_rows([&row]);
    stage
        .wire
        .inject(|request| match request.operation == "BatchExecuteStatement" {
            true => Fault::NotSent,
            false => Fault::None,
        });
    let report = recovered(&stage).await;
    assert_eq!((report.put_back, report.left), (0, 1));
    assert_eq!(report.failures.len(), 1);
    stage.wire.heal();
    assert_eq!(stage.row(row.id).await, Some(row));
    assert_eq!(recovered(&stage).await.put_back, 1);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_went_on_since_the_index_showed_it_is_left_alone() {
    let stage = Stage::usual().await;
    let (done, row) = (claimed(&stage, 1, true), claimed(&stage, 2, true));
    let event = done.event().unwrap();
    stage.ledger.complete(event, Attempt(1), "worker").await.unwrap();
    stage.put_rows([&done, &row]);
    // As a recovery asks: what the index answered now it answers again then.
    let mut keys = stage.ledger.due(Status::Claimed, None, 500);
    assert_eq!(keys.next(500).await.len(), 2);
    // A receipt covers the first: it may go when its next attempt is claimed, and not by a recovery that has not seen it claimed.
    let waiting = [done, row].map(|row| Row {
        status: Status::Pending,
        ..row
    });
    stage.put_rows(&waiting);
    stage.wire.inject_always("Query", Fault::Stale);
    assert_eq!(recovered(&stage).await, RecoverReport::default());
    let reads = stage.wire.operations();
    assert_eq!(reads.get("BatchGetItem"), Some(&1), "both were looked at");
    for row in &waiting {
        assert_eq!(stage.row(row.id).await.as_ref(), Some(row));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_of_another_process_holds_is_left_to_its_lease() {
    let stage = Stage::usual().await;
    let random = Random::from_seed(9);
    let ours = TokenMark::draw(&random);
    let worker = |random: Random| {
        let (table, clock) = ("ledger".parse().unwrap(), stage.clock.clone());
        Ledger::new(stage.dynamodb.clone(), table, None, clock, random)
    };
    let (own, foreign) = (worker(random.clone().marking(ours)), worker(random));
    stage.record(&uploads(9)).await;
    stage.claim_due().await;
    let mut rows: Vec<Row> = stage.rows().await.into_values().collect();
    for (n, row) in rows.iter_mut().enumerate() {
        let message = DispatchMessage::for_row(row).unwrap();
        let taken = match n % 3 {
            // The last third waits in the queue.
            0 => own.take(&message, None, LEASE, stage.deadline()).await,
            1 => foreign.take(&message, None, LEASE, stage.deadline()).await,
            _ => continue,
        };
        let Taken::Taken { row: taken, .. } = taken else {
            panic!("{taken:?}")
        };
        *row = *taken;
    }
    let recover = |ours| recover(&stage.ledger, &RETRY, ours, stage.deadline());
    let report = recover(Some(ours)).await;
    let expected = RecoverReport {
        put_back: 6,
        held_elsewhere: 3,
        ..RecoverReport::default()
    };
    assert_eq!(report, expected);
    for (n, row) in rows.iter().enumerate() {
        let now = stage.row(row.id).await.unwrap();
        match n % 3 {
            1 => assert_eq!(now, *row, "it is the other worker's"),
            _ => assert_eq!((now.status, now.deaths), (Status::Pending, u32::from(n % 3 == 0))),
        }
    }
    // It goes on as if nothing had been.
    let extended = foreign.extend(&rows[1], LEASE, stage.deadline()).await;
    assert!(matches!(extended, Extended::Extended(_)), "{extended:?}");
    // What it is known to have done goes all the same; without a mark nobody is known to live.
    let done = rows[4].event().unwrap();
    stage.ledger.complete(done, Attempt(1), "worker").await.unwrap();
    stage.put_rows([&rows[4]]);
    let report = recover(Some(ours)).await;
    assert_eq!(
        (report.deleted, report.held_elsewhere, report.put_back),
        (1, 2, 0)
    );
    assert_eq!(recover(None).await.put_back, 2);
}

#[tokio::test(start_paused = true)]
async fn a_recovery_ends_soon_after_its_deadline_whatever_hangs() {
    let stage = Stage::usual().await;
    let rows: Vec<Row> = (0..1200).map(|n| claimed(&stage, n, true)).collect();
    for row in &rows {
        let event = row.event().unwrap();
        stage.ledger.complete(event, Attempt(1), "worker").await.unwrap();
    }
    stage.put_rows(&rows);
    stage
        .wire
        .inject_always("DeleteItem", Fault::Slow(Duration::from_secs(1)));
    let started = stage.now();
    let deadline = Deadline::after(&stage.clock, Duration::from_secs(10));
    let report = recover(&stage.ledger, &RETRY, None, deadline).await;
    let took = stage.now().since(started);
    assert!(took <= Duration::from_secs(11), "{took:?}");
    assert_eq!((report.deleted, report.left), (160, 340));
    assert_eq!(report.failures.len(), 2, "{:?}", report.failures);
}

#[tokio::test(start_paused = true)]
async fn what_was_recorded_while_the_clock_was_ahead_is_due_once_it_is_right() {
    let stage = Stage::usual().await;
    let hour = Duration::from_secs(3600);
    let row = |n: u32, recorded_after: Duration, due_after: Duration| {
        let upload = Upload::new(&format!("{n}.json"), n.into(), "e");
        Row {
            recorded_at: stage.now().plus(recorded_after),
            ..row_in(Status::Pending, &upload, stage.now().plus(due_after))
        }
    };
    // Ahead by 14 hours, as where a clock has local time; by ten years, as where it has none.
    let mut wrong = vec![row(0, 14 * hour, 14 * hour)];
    wrong.extend((1..700).map(|n| row(n, 87_600 * hour, 87_600 * hour)));
    // Failed while it was ahead.
    wrong.push(row(700, Duration::ZERO, 87_600 * hour));
    // The longest backoff there is, a moment's difference, and a failure since the clock is right.
    let right = [
        row(799, 14 * hour, hour),
        row(800, Duration::ZERO, 7 * 24 * hour),
        row(801, hour / 120, hour / 120),
    ];
    let parked = Row {
        status: Status::Parked,
        ..row(802, 14 * hour, 14 * hour)
    };
    stage.put_rows(wrong.iter().chain(&right).chain([&parked]));
    let report = bring_forward(&stage.ledger, stage.deadline()).await;
    assert_eq!((report.rows, report.failures.len()), (701, 0), "{report:?}");
    for row in &wrong {
        let now = stage.row(row.id).await.unwrap();
        let expected = Row {
            due_at: stage.now(),
            ..row.clone()
        };
        assert_eq!(now, expected);
    }
    for row in right.iter().chain([&parked]) {
        assert_eq!(stage.row(row.id).await.as_ref(), Some(row));
    }
    assert_eq!(bring_forward(&stage.ledger, stage.deadline()).await.rows, 0);
}
