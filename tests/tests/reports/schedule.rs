//! The scheduler's report.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_ledger::{Asker, Deadline, GrantRequest};
use daybook_manager::NO_ANSWER;
use daybook_schema::{EventId, Row, Status};
use daybook_tests::{Fault, Stage};

use crate::{changed_meanwhile, json, newer, rows, with_n};

fn claimed_by_another(row: &Row) -> Row {
    Row {
        status: Status::Claimed,
        attempt: row.attempt.next(),
        deliveries: 1,
        due_at: row.due_at.plus(Duration::from_secs(900)),
        ..row.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn rows_lost_to_another_run_are_replaced_by_as_many_and_the_oldest_of_the_others() {
    let stage = with_n(10).await;
    let rows = rows(&stage, Status::Pending, 30).await;
    stage.put_rows(&rows);
    let request = GrantRequest {
        window: stage.window(),
        per_window: 10,
        wanted: 6,
        asker: Asker::Scheduler,
    };
    let control = stage.ledger.control().await.unwrap();
    stage.ledger.grant(&request, control).await.unwrap();
    // Ten are found, four granted, and just these four are lost.
    let taken = rows[..4].iter().map(claimed_by_another);
    changed_meanwhile(&stage, taken.map(|row| json(&row)).collect(), |_| Fault::None);
    let report = stage.schedule().await;
    assert_eq!(
        (report.granted, report.claimed, report.lost, report.sent),
        (4, 4, 4, 4),
        "{report:?}"
    );
    let sent: BTreeSet<EventId> = stage
        .dispatched()
        .iter()
        .map(|message| message.input.id)
        .collect();
    let expected: BTreeSet<EventId> = rows[4..8].iter().map(|row| row.id).collect();
    assert_eq!(sent, expected);
}

#[tokio::test(start_paused = true)]
async fn what_became_of_each_of_many_rows_is_counted_once() {
    let stage = with_n(400).await;
    let rows = rows(&stage, Status::Pending, 350).await;
    stage.put_rows(&rows);
    let mut changed: Vec<_> = [10, 110, 210, 310]
        .map(|position: usize| json(&claimed_by_another(&rows[position])))
        .to_vec();
    changed.extend([20, 120].map(|position: usize| newer(&rows[position])));
    let mut sends = 0;
    changed_meanwhile(&stage, changed, move |request| {
        if request.operation != "SendMessageBatch" {
            return Fault::None;
        }
        sends += 1;
        match sends {
            1 => Fault::Partial(vec![0, 1]),
            2 => Fault::PartialAfter(vec![3]),
            3 => Fault::NotSent,
            4 => Fault::Throttled,
            _ => Fault::None,
        }
    });
    let report = stage.schedule().await;
    assert_eq!(
        (report.granted, report.lost, report.newer, report.claimed),
        (350, 4, 2, 344),
        "{report:?}"
    );
    // One that the queue failed at inside, and ten whose answer did not come.
    assert_eq!((report.released, report.unknown), (2 + 10, 1 + 10), "{report:?}");
    assert_eq!(report.sent, 344 - 12 - 11);
    assert!(!report.out_of_time && report.refusal.is_none(), "{report:?}");
    assert_eq!(stage.dispatched().len(), report.sent as usize + 1);
    let told = |part: &str| {
        report
            .failures
            .iter()
            .filter(|cause| cause.words().contains(part))
            .count()
    };
    for part in [
        "ServiceUnavailable",
        "InternalError",
        "connection reset",
        "ThrottlingException",
    ] {
        assert_eq!(told(part), 1, "{part}: {:?}", report.failures);
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_can_be_neither_sent_nor_given_back_are_unknown_and_stay_claimed() {
    let stage = Stage::usual().await;
    stage.put_rows(&rows(&stage, Status::Pending, 3).await);
    let mut batches = 0;
    stage
        .wire
        .inject(move |request| match request.operation.as_str() {
            "SendMessageBatch" => Fault::Partial(vec![0, 1]),
            "BatchExecuteStatement" => {
                batches += 1;
                if batches == 1 { Fault::None } else { Fault::NotSent }
            }
            _ => Fault::None,
        });
    let report = stage.schedule().await;
    assert_eq!(
        (report.claimed, report.sent, report.released, report.unknown),
        (3, 1, 0, 2),
        "{report:?}"
    );
    assert_eq!(stage.rows_in(Status::Claimed).await, 3);
}

#[tokio::test(start_paused = true)]
async fn sends_that_outlast_the_run_leave_what_was_claimed_unknown() {
    let stage = with_n(100).await;
    stage.put_rows(&rows(&stage, Status::Pending, 100).await);
    // Eight of the ten requests go at once, and take 5 seconds each.
    stage.wire.inject_always("SendMessageBatch", Fault::Hang);
    let deadline = Deadline::after(&stage.clock, Duration::from_secs(8));
    let report = stage.scheduler().run(stage.window(), deadline).await.unwrap();
    assert_eq!(
        (report.claimed, report.sent, report.unknown),
        (100, 0, 100),
        "{report:?}"
    );
    assert_eq!(report.failures, [NO_ANSWER]);
}
