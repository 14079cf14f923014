//! Runs that near their deadline.

use std::time::Duration;

use daybook_ledger::Deadline;
use daybook_manager::{Dispatch, Invoked};
use daybook_schema::{Row, Status};
use daybook_tests::notifications::uploads;
use daybook_tests::rows::{delivered, row_in};
use daybook_tests::{Fault, Stage, StageOptions};

use crate::{one_dispatched, the_row};

fn within(stage: &Stage, seconds: f64) -> Deadline {
    Deadline::after(&stage.clock, Duration::from_secs_f64(seconds))
}

#[tokio::test(start_paused = true)]
async fn in_the_last_five_seconds_the_scheduler_claims_nothing_and_says_so() {
    let stage = Stage::usual().await;
    stage.record(&uploads(3)).await;
    for seconds in [0.0, 1.0, 4.999] {
        let report = stage
            .scheduler()
            .run(stage.window(), within(&stage, seconds))
            .await
            .unwrap();
        assert!(report.out_of_time, "{seconds} s");
        assert_eq!((report.granted, report.claimed), (0, 0), "{seconds} s");
    }
    assert_eq!(stage.control_item().await, None, "no budget was taken");
    let report = stage
        .scheduler()
        .run(stage.window(), within(&stage, 5.0))
        .await
        .unwrap();
    assert_eq!((report.out_of_time, report.claimed), (false, 3));
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_whose_deadline_nears_on_the_way_stops_claiming_and_leaves_nothing_unsent() {
    let options = StageOptions {
        dispatch: Dispatch {
            per_window: 2000,
            ..Dispatch::default()
        },
        ..StageOptions::default()
    };
    let stage = Stage::new(options).await;
    let rows: Vec<Row> = uploads(2000)
        .iter()
        .map(|upload| row_in(Status::Pending, upload, stage.now()))
        .collect();
    stage.put_rows(&rows);
    // Every third batch of claims is throttled, and the waiting for it takes time.
    let mut batches = 0u32;
    stage
        .wire
        .inject(move |request| match request.operation.as_str() {
            "BatchExecuteStatement" => {
                batches += 1;
                if batches.is_multiple_of(3) {
                    Fault::Throttled
                } else {
                    Fault::None
                }
            }
            _ => Fault::None,
        });
    stage.wire.with_latency(1);
    let report = stage
        .scheduler()
        .run(stage.window(), within(&stage, 6.0))
        .await
        .unwrap();
    assert!(report.out_of_time, "{report:?}");
    assert!(report.claimed > 0 && report.claimed < 2000, "{report:?}");
    assert_eq!((report.sent, report.unknown), (report.claimed, 0), "{report:?}");
    assert_eq!(stage.dispatched().len(), report.sent as usize);
    let rows = stage.rows_in(Status::Claimed).await;
    assert_eq!(rows, u64::from(report.sent));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_is_out_of_time_redelivers_nothing_and_leaves_the_rows() {
    let (stage, _) = one_dispatched().await;
    stage.aws.sqs().purge(&stage.dispatch_queue).unwrap();
    stage.pass(stage.options.dispatch.lease).await;
    let before = the_row(&stage).await;
    let swept = stage
        .sweeper()
        .run(stage.window(), within(&stage, 4.0))
        .await
        .unwrap();
    assert_eq!(
        (swept.stale, swept.redelivered, swept.left),
        (1, 0, 1),
        "{swept:?}"
    );
    assert_eq!(the_row(&stage).await, before);
    assert_eq!(stage.sweep().await.redelivered, 1);
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_not_begun_before_the_deadline_come_again() {
    let (stage, body) = one_dispatched().await;
    let over = within(&stage, 0.0);
    let invoked = stage
        .invoker()
        .handle(&[delivered("m", body)], over)
        .await
        .remove(0);
    assert!(matches!(invoked, Invoked::Returned(_)), "{invoked:?}");
    assert!(stage.execution_names().is_empty());
}
