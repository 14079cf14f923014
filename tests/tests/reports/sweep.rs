//! The sweep's report.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_ledger::{Asker, Deadline, GrantRequest, Refusal, SweepTurn};
use daybook_manager::NO_ANSWER;
use daybook_reconciler::{SweepReport, SweepSettings, Sweeper};
use daybook_schema::{Attempt, Row, Status};
use daybook_tests::{Fault, Request, Stage};

use crate::{changed_meanwhile, newer, rows, with_n};

/// Stale rows, none of whose messages is anywhere.
async fn with_lost(count: usize) -> (Stage, Vec<Row>) {
    let stage = Stage::usual().await;
    let rows = rows(&stage, Status::Claimed, count).await;
    stage.put_rows(&rows);
    (stage, rows)
}

/// Receipts for them, as if each had been completed and the deletion had not come to it.
async fn cover(stage: &Stage, rows: &[Row]) {
    for row in rows {
        stage
            .ledger
            .complete(row.event().unwrap(), Attempt(1), "arn")
            .await
            .unwrap();
    }
    stage.put_rows(rows);
}

async fn start(stage: &Stage, rows: &[Row]) {
    for row in rows {
        let message = daybook_schema::DispatchMessage::for_row(row).unwrap();
        stage.executions().start(&message.input, None).await;
    }
}

/// From the `first`th request of an operation on.
fn from(operation: &'static str, first: u32, fault: Fault) -> impl FnMut(&Request) -> Fault + Send + 'static {
    let mut seen = 0;
    move |request| {
        seen += u32::from(request.operation == operation);
        match request.operation == operation && seen >= first {
            true => fault.clone(),
            false => Fault::None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_stale_row_is_counted_under_what_was_done_about_it() {
    let (stage, rows) = with_lost(12).await;
    cover(&stage, &rows[..3]).await;
    start(&stage, &rows[3..5]).await;
    // Seven are left, and the queue holds three messages: those of the youngest, as far as one can say.
    stage.queue().send(&rows[9..]).await;
    let report = stage.sweep().await;
    let expected = SweepReport {
        stale: 12,
        deleted: 3,
        renewed: 2,
        redelivered: 4,
        moved: 3,
        ..SweepReport::default()
    };
    assert_eq!(report, expected);
    let left = stage.rows().await;
    let deliveries: BTreeMap<u32, usize> = left.values().fold(BTreeMap::new(), |mut counts, row| {
        *counts.entry(row.deliveries).or_default() += 1;
        counts
    });
    assert_eq!(deliveries, BTreeMap::from([(1, 5), (2, 4)]));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_written_is_left_for_the_next_sweep() {
    for (operation, fault) in [
        ("DeleteItem", Fault::NotSent),
        ("DeleteItem", Fault::Hang),
        ("BatchExecuteStatement", Fault::Invalid),
    ] {
        let (stage, rows) = with_lost(6).await;
        cover(&stage, &rows[..2]).await;
        start(&stage, &rows[2..4]).await;
        stage.queue().send(&rows[4..]).await;
        stage.wire.inject_always(operation, fault.clone());
        let report = stage.sweep().await;
        let left = if operation == "DeleteItem" { 2 } else { 4 };
        assert_eq!((report.stale, report.left), (6, left), "{fault:?}: {report:?}");
        assert_eq!(
            report.deleted + report.renewed + report.moved,
            6 - left,
            "{fault:?}: {report:?}"
        );
        assert_eq!(
            (report.failures.len(), report.unknown),
            (1, 0),
            "{fault:?}: {report:?}"
        );
        assert_eq!(
            stage.rows().await.len(),
            if operation == "DeleteItem" { 6 } else { 4 }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_became_of_each_redelivery_is_counted_once() {
    let (stage, rows) = with_lost(25).await;
    let mut sends = 0;
    // A newer release was faster with one.
    changed_meanwhile(&stage, vec![newer(&rows[0])], move |request| {
        if request.operation != "SendMessageBatch" {
            return Fault::None;
        }
        sends += 1;
        match sends {
            1 => Fault::Partial(vec![0, 1, 2]),
            2 => Fault::NotSent,
            _ => Fault::None,
        }
    });
    let report = stage.sweep().await;
    assert_eq!(
        (
            report.stale,
            report.newer,
            report.redelivered,
            report.unsent,
            report.unknown,
            report.left
        ),
        (25, 1, 24 - 3 - 10, 3, 10, 0),
        "{report:?}"
    );
    assert_eq!(stage.dispatched().len(), report.redelivered as usize);
    assert_eq!(report.failures.len(), 2, "{:?}", report.failures);
}

#[tokio::test(start_paused = true)]
async fn redeliveries_that_are_not_written_or_have_no_answer_are_told_apart() {
    for (fault, left, unknown) in [(Fault::Invalid, 2, 0), (Fault::HangAfter, 0, 2)] {
        let (stage, _) = with_lost(2).await;
        stage.wire.inject_always("BatchExecuteStatement", fault.clone());
        let report = stage.sweep().await;
        assert_eq!(
            (report.redelivered, report.left, report.unknown),
            (0, left, unknown),
            "{fault:?}: {report:?}"
        );
        assert!(stage.dispatched().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_that_cannot_be_taken_back_and_one_that_hangs_are_unknown() {
    let (stage, _) = with_lost(2).await;
    let mut writes = from("BatchExecuteStatement", 2, Fault::NotSent);
    stage
        .wire
        .inject(move |request| match request.operation.as_str() {
            "SendMessageBatch" => Fault::Throttled,
            _ => writes(request),
        });
    let report = stage.sweep().await;
    assert_eq!(
        (report.redelivered, report.unsent, report.unknown),
        (0, 0, 2),
        "{report:?}"
    );

    let (stage, _) = with_lost(2).await;
    stage.wire.inject_always("SendMessageBatch", Fault::Hang);
    let report = stage.sweep().await;
    assert_eq!(
        (report.redelivered, report.unsent, report.unknown),
        (0, 0, 2),
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_is_full_says_that_there_may_be_more() {
    // Nothing can be done about any of them.
    for (found, more) in [(4, false), (5, true), (6, true)] {
        let (stage, _) = with_lost(found).await;
        stage.ledger.pause(None, "kim", "why").await.unwrap();
        let settings = SweepSettings {
            rows: 5,
            ..SweepSettings::default()
        };
        let sweeper = Sweeper::new(
            stage.ledger.clone(),
            stage.queue(),
            None,
            stage.options.dispatch.clone(),
            settings,
        );
        let report = sweeper.run(stage.window(), stage.deadline()).await.unwrap();
        let seen = found.min(5) as u32;
        assert_eq!((report.stale, report.left, report.more), (seen, seen, more));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_goes_on_to_the_next_rows_while_it_has_time() {
    let (stage, rows) = with_lost(23).await;
    start(&stage, &rows[..22]).await;
    let settings = SweepSettings {
        rows: 5,
        ..SweepSettings::default()
    };
    let sweeper = |stage: &Stage| {
        Sweeper::new(
            stage.ledger.clone(),
            stage.queue(),
            Some(stage.executions()),
            stage.options.dispatch.clone(),
            settings,
        )
    };
    let report = sweeper(&stage)
        .run(stage.window(), stage.deadline())
        .await
        .unwrap();
    let expected = SweepReport {
        stale: 23,
        renewed: 22,
        redelivered: 1,
        ..SweepReport::default()
    };
    assert_eq!(report, expected);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_redelivers_with_five_seconds_left_and_not_with_less() {
    for (millis, redelivered) in [(5000, 1), (4999, 0)] {
        let (stage, _) = with_lost(1).await;
        let deadline = Deadline::after(&stage.clock, Duration::from_millis(millis));
        let report = stage.sweeper().run(stage.window(), deadline).await.unwrap();
        assert_eq!(
            (report.redelivered, report.left, report.out_of_time),
            (redelivered, 1 - redelivered, redelivered == 0),
            "{report:?}"
        );
    }
    // Nothing is left undone where nothing was to be sent again.
    let (stage, rows) = with_lost(1).await;
    start(&stage, &rows).await;
    let deadline = Deadline::after(&stage.clock, Duration::from_secs(4));
    let report = stage.sweeper().run(stage.window(), deadline).await.unwrap();
    assert_eq!(
        (report.renewed, report.left, report.out_of_time),
        (1, 0, false),
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_sweep_is_owed_is_taken_back_without_asking_anybody_else_when_nothing_is_stale_any_more() {
    let stage = with_n(2).await;
    let lost = rows(&stage, Status::Claimed, 5).await;
    stage.put_rows(&lost);
    let report = stage.sweep().await;
    assert_eq!((report.redelivered, report.left), (2, 3), "{report:?}");
    let report = stage.sweep().await;
    assert_eq!(
        (report.redelivered, report.moved, report.left),
        (0, 2, 1),
        "{report:?}"
    );
    assert_eq!(report.refusal, Some(Refusal::WindowFull));
    assert_eq!(stage.ledger.control().await.unwrap().owed, 1);
    for row in &lost {
        stage
            .ledger
            .complete(row.event().unwrap(), Attempt(1), "arn")
            .await
            .unwrap();
    }
    let before = stage.wire.operations();
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(stage.sweep().await, SweepReport::default());
    assert_eq!(stage.ledger.control().await.unwrap().owed, 0);
    let asked = stage.wire.operations();
    for operation in ["ListExecutions", "GetQueueAttributes"] {
        assert_eq!(asked.get(operation), before.get(operation), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_outlasts_a_sweep_is_left_or_unknown() {
    let stage = with_n(400).await;
    stage.put_rows(&rows(&stage, Status::Claimed, 100).await);
    // Eight of the ten requests go at once, and take 5 seconds each.
    stage.wire.inject_always("SendMessageBatch", Fault::Hang);
    let eight_seconds = || Deadline::after(&stage.clock, Duration::from_secs(8));
    let report = stage
        .sweeper()
        .run(stage.window(), eight_seconds())
        .await
        .unwrap();
    assert_eq!((report.redelivered, report.unknown), (0, 100), "{report:?}");
    assert_eq!(report.failures, [NO_ANSWER]);

    let (stage, rows) = with_lost(2).await;
    cover(&stage, &rows).await;
    stage.wire.inject_always("DeleteItem", Fault::Hang);
    let deadline = Deadline::after(&stage.clock, Duration::from_secs(8));
    let report = stage.sweeper().run(stage.window(), deadline).await.unwrap();
    assert_eq!((report.deleted, report.left), (0, 2), "{report:?}");
    assert_eq!(report.failures, [NO_ANSWER]);
}

#[tokio::test(start_paused = true)]
async fn rows_that_cannot_be_read_are_no_sign_that_a_sweep_is_owed_nothing() {
    let stage = Stage::usual().await;
    let mut control = stage.ledger.control().await.unwrap();
    let request = GrantRequest {
        window: stage.window(),
        per_window: 1,
        wanted: 1,
        asker: Asker::Sweep(SweepTurn::ONLY),
    };
    for _ in 0..2 {
        stage.ledger.grant(&request, control).await.unwrap();
        control = stage.ledger.control().await.unwrap();
    }
    assert_eq!(control.owed, 1);
    stage.wire.inject_always("Query", Fault::NotSent);
    let report = stage.sweep().await;
    assert!(!report.failures.is_empty(), "{report:?}");
    assert_eq!(stage.ledger.control().await.unwrap().owed, 1);
    stage.wire.heal();
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(stage.sweep().await, SweepReport::default());
    assert_eq!(stage.ledger.control().await.unwrap().owed, 0);
}
