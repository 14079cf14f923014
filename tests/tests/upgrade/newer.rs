//! After a roll back: rows of the newer release stay as they are, are counted, and take nothing from the others.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_ledger::{Deadline, RetryPolicy};
use daybook_manager::{Completed, Dispatch, Invoked, Settled};
use daybook_reconciler::{SweepSettings, Sweeper, recover};
use daybook_schema::{DispatchMessage, EventId, ExecutionInput, Row, Status};
use daybook_tests::notifications::uploads;
use daybook_tests::rows::{delivered, newer_item, row_in};
use daybook_tests::{Stage, StageOptions};
use serde_json::{Value, json};

/// So many rows of the newer release and so many of this one, in that status and due, all of the newer ones first.
async fn after_roll_back(
    dispatch: Dispatch,
    status: Status,
    newer: usize,
    own: usize,
) -> (Stage, Vec<Row>, Vec<Row>) {
    let stage = Stage::new(StageOptions {
        dispatch,
        ..StageOptions::default()
    })
    .await;
    let mut rows = Vec::new();
    for upload in uploads(newer + own) {
        rows.push(row_in(status, &upload, stage.now()));
        stage.pass(Duration::from_millis(1)).await;
    }
    let own = rows.split_off(newer);
    stage.put_items("ledger", rows.iter().map(newer_item).collect());
    stage.put_rows(&own);
    (stage, rows, own)
}

fn n(per_window: u32) -> Dispatch {
    Dispatch {
        per_window,
        ..Dispatch::default()
    }
}

async fn stored(stage: &Stage, rows: &[Row]) -> BTreeMap<EventId, Option<Value>> {
    let mut stored = BTreeMap::new();
    for row in rows {
        stored.insert(row.id, stage.row_as_stored(row.id).await);
    }
    stored
}

#[tokio::test(start_paused = true)]
async fn rows_of_a_newer_release_at_the_head_of_the_index_hide_nothing_and_use_up_nothing() {
    // More than a page of every shard, and more than are passed over at once.
    for newer in [1, 10, 40, 4000] {
        let (stage, left, own) = after_roll_back(n(10), Status::Pending, newer, 15).await;
        let before = stored(&stage, &left[..newer.min(40)]).await;
        let report = stage.schedule().await;
        assert_eq!(
            (
                report.granted,
                report.claimed,
                report.newer,
                report.lost,
                report.unknown
            ),
            (10, 10, newer as u32, 0, 0),
            "{report:?}"
        );
        assert!(report.failures.is_empty(), "{report:?}");
        let oldest = own[..10].iter().map(|row| row.id);
        let mut sent: Vec<EventId> = stage
            .dispatched()
            .iter()
            .map(|message| message.input.id)
            .collect();
        sent.sort_unstable();
        let mut expected: Vec<EventId> = oldest.collect();
        expected.sort_unstable();
        assert_eq!(sent, expected, "the oldest of this release");
        stage.pass(Duration::from_secs(60)).await;
        assert_eq!(stage.schedule().await.claimed, 5);
        assert_eq!(stored(&stage, &left[..newer.min(40)]).await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn where_only_rows_of_a_newer_release_are_due_no_budget_is_taken() {
    let (stage, _, _) = after_roll_back(n(10), Status::Pending, 30, 0).await;
    let report = stage.schedule().await;
    assert_eq!((report.granted, report.newer), (0, 30), "{report:?}");
    assert_eq!(
        stage
            .control_item()
            .await
            .map(|control| control["granted"].clone()),
        None
    );
    // All of N is left for what the sweep finds.
    let lost: Vec<Row> = uploads(45)[30..40]
        .iter()
        .map(|upload| row_in(Status::Claimed, upload, stage.now()))
        .collect();
    stage.put_rows(&lost);
    stage.pass(Duration::from_millis(1)).await;
    assert_eq!(stage.sweep().await.redelivered, 10);
}

#[tokio::test(start_paused = true)]
async fn a_row_of_a_newer_release_among_the_others_is_replaced_by_the_next_one() {
    let (stage, own, _) = after_roll_back(n(10), Status::Pending, 0, 14).await;
    assert!(own.is_empty());
    let rows: Vec<Row> = stage.rows().await.into_values().collect();
    let mut oldest = rows.clone();
    oldest.sort_by_key(|row| row.due_at);
    stage.put_items(
        "ledger",
        [3, 5]
            .map(|position: usize| newer_item(&oldest[position]))
            .to_vec(),
    );
    let report = stage.schedule().await;
    assert_eq!(
        (report.granted, report.claimed, report.newer),
        (10, 10, 2),
        "{report:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn claimed_rows_of_a_newer_release_whose_leases_are_over_do_not_fill_the_cap() {
    let capped = Dispatch {
        max_in_flight: Some(8),
        ..n(10)
    };
    let (stage, _, _) = after_roll_back(capped, Status::Claimed, 20, 3).await;
    let waiting: Vec<Row> = uploads(40)[23..]
        .iter()
        .map(|upload| row_in(Status::Pending, upload, stage.now()))
        .collect();
    stage.put_rows(&waiting);
    // Three of this release's are in flight.
    assert_eq!(stage.schedule().await.claimed, 8 - 3);
    assert_eq!(stage.schedule().await.claimed, 0);
}

#[tokio::test(start_paused = true)]
async fn the_sweep_passes_over_rows_of_a_newer_release_and_repairs_the_others() {
    for newer in [1, 12, 4000] {
        let (stage, left, own) = after_roll_back(n(50), Status::Claimed, newer, 4).await;
        let before = stored(&stage, &left[..newer.min(12)]).await;
        let settings = SweepSettings {
            rows: 5,
            ..SweepSettings::default()
        };
        let dispatch = stage.options.dispatch.clone();
        let executions = Some(stage.executions());
        let sweeper = Sweeper::new(
            stage.ledger.clone(),
            stage.queue(),
            executions,
            dispatch,
            settings,
        );
        let report = sweeper.run(stage.window(), stage.deadline()).await.unwrap();
        assert_eq!(
            (report.stale, report.newer, report.redelivered, report.more),
            (newer as u32 + 4, newer as u32, own.len() as u32, false),
            "{report:?}"
        );
        assert!(report.failures.is_empty(), "{report:?}");
        assert_eq!(stored(&stage, &left[..newer.min(12)]).await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_one_machine_puts_its_own_rows_back_and_leaves_those_of_a_newer_release() {
    let (stage, left, own) = after_roll_back(n(50), Status::Claimed, 7, 4).await;
    let before = stored(&stage, &left).await;
    let deadline = Deadline::after(&stage.clock, Duration::from_secs(60));
    let report = recover(&stage.ledger, &RetryPolicy::default(), None, deadline).await;
    assert_eq!(
        (report.put_back, report.newer, report.left),
        (own.len() as u32, 7, 0),
        "{report:?}"
    );
    assert!(report.failures.is_empty(), "{report:?}");
    assert_eq!(stored(&stage, &left).await, before);
}

#[tokio::test(start_paused = true)]
async fn they_are_counted_wherever_they_stand() {
    for status in [Status::Pending, Status::Claimed, Status::Parked] {
        let (stage, ..) = after_roll_back(n(50), status, 7, 40).await;
        let count = stage.ledger.newer_rows().await.unwrap();
        assert_eq!((count.rows, count.exact), (7, true), "{status}");
    }
    let (stage, ..) = after_roll_back(n(50), Status::Pending, 310, 0).await;
    let count = stage.ledger.newer_rows().await.unwrap();
    assert_eq!((count.rows, count.exact), (300, false), "at least");
}

fn status_event(stage: &Stage, row: &Row, status: &str) -> String {
    let input = ExecutionInput::new(row.event().unwrap(), row.attempt);
    json!({
        "source": "aws.states", "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": "arn", "stateMachineArn": stage.state_machine, "status": status,
            "name": input.name().to_string(), "input": input.to_json(),
        },
    })
    .to_string()
}

#[tokio::test(start_paused = true)]
async fn reports_about_them_wait_for_the_newer_release() {
    let (stage, left, _) = after_roll_back(n(50), Status::Claimed, 2, 0).await;
    let before = stored(&stage, &left).await;
    let events = [
        delivered("done", status_event(&stage, &left[0], "SUCCEEDED")),
        delivered("failed", status_event(&stage, &left[1], "FAILED")),
    ];
    let completed = stage.completer().handle(&events, stage.deadline()).await;
    assert_eq!(completed[0], Completed::Settled(Settled::LeftNewer));
    assert!(stage.receipt(left[0].event().unwrap()).await.is_some());
    let Completed::Returned(cause) = &completed[1] else {
        panic!("{completed:?}");
    };
    assert!(cause.contains("was written by a newer Daybook (v = 6"), "{cause}");
    let again = Row {
        deliveries: 2,
        ..left[1].clone()
    };
    let message = DispatchMessage::for_row(&again).unwrap().to_json();
    let invoked = stage
        .invoker()
        .handle(&[delivered("m", message)], stage.deadline())
        .await
        .remove(0);
    let Invoked::Returned(cause) = invoked else {
        panic!("{invoked:?}");
    };
    assert!(cause.contains("was written by a newer Daybook (v = 6"), "{cause}");
    assert!(stage.execution_names().is_empty());
    assert_eq!(stored(&stage, &left).await, before);

    // The newer release is back: here it reads them, as this one reads its own.
    stage.put_rows(&left);
    assert_eq!(stage.sweep().await.deleted, 1, "the one that is done");
    for _ in 0..3 {
        stage.invoke_all().await;
        stage.succeed_running();
        stage.complete_all().await;
        stage.pass(Duration::from_secs(3600)).await;
        stage.sweep().await;
    }
    assert_eq!(stage.rows().await.len(), 0);
}
