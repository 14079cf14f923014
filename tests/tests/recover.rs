//! What the restart of a machine makes of the rows that its last process had claimed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_reconciler::{RecoverReport, recover};
use daybook_schema::{Attempt, Row, Status};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use daybook_tests::{Fault, Stage};

const LEASE: Duration = Duration::from_secs(900);

/// A claimed row with its lease still to run; `held` by a worker, or on the way to one.
fn claimed(stage: &Stage, n: u32, held: bool) -> Row {
    let upload = Upload::new(&format!("{n}.json"), n.into(), "e");
    Row {
        deliveries: u32::from(!held),
        ..row_in(Status::Claimed, &upload, stage.now().plus(LEASE))
    }
}

async fn recovered(stage: &Stage) -> RecoverReport {
    recover(&stage.ledger, &RetryPolicy::default(), stage.deadline()).await
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
