//! Runs of which nobody tells the end: counted on the row where a repeated delivery started them, and after three the attempt has failed.

use std::time::Duration;

use daybook_manager::{Dispatch, Invoked, QueueCompletion};
use daybook_schema::{DispatchMessage, Row, Status};
use daybook_tests::notifications::uploads;
use daybook_tests::rows::row_in;
use daybook_tests::{Stage, StageOptions, StageTarget};

use crate::{dispatched, invoke, stage, stage_of_batches, upload};

const FUNCTION: StageTarget = StageTarget::Function;
const QUEUE: StageTarget = StageTarget::Queue(QueueCompletion::Reported, false);
const FIFO: StageTarget = StageTarget::Queue(QueueCompletion::Reported, true);

async fn claimed(stage: &Stage, deliveries: u32, deaths: u32) -> (Row, String) {
    let row = Row {
        deliveries,
        deaths,
        ..row_in(Status::Claimed, &upload(), stage.now())
    };
    stage.put_rows([&row]);
    let message = DispatchMessage::for_row(&row).unwrap().to_json();
    (row, message)
}

#[tokio::test(start_paused = true)]
async fn only_a_start_by_a_repeated_delivery_is_counted() {
    for target in [FUNCTION, QUEUE] {
        for (deliveries, deaths) in [(1, 0), (2, 1), (3, 1)] {
            let stage = stage(target).await;
            let (row, message) = claimed(&stage, deliveries, 0).await;
            assert_eq!(invoke(&stage, &message).await, Invoked::Started);
            let row = stage.row(row.id).await.unwrap();
            assert_eq!((row.deliveries, row.deaths), (1, deaths), "{target:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_delivery_after_the_third_fails_the_attempt_and_says_where_to_look() {
    for (target, hint) in [
        (FUNCTION, "3 invocations in a row ended without a record"),
        (QUEUE, "3 messages in a row brought no report"),
    ] {
        let stage = stage(target).await;
        let (row, message) = claimed(&stage, 2, 3).await;
        let invoked = invoke(&stage, &message).await;
        assert!(matches!(invoked, Invoked::Untold(_)), "{invoked:?}");
        assert_eq!(stage.functions.requests(), 0);
        let row = stage.row(row.id).await.unwrap();
        assert_eq!((row.status, row.deaths), (Status::Pending, 0));
        let error = row.last_error.unwrap();
        assert!(error.starts_with("UNTOLD: ") && error.contains(hint), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_that_never_tells_parks_its_event_in_the_end() {
    let stage = Stage::new(StageOptions {
        target: FUNCTION,
        dispatch: Dispatch {
            max_attempts: 2,
            ..Dispatch::default()
        },
        ..StageOptions::default()
    })
    .await;
    stage.record(&[upload()]).await;
    let id = upload().event().id;
    for _ in 0..24 * 60 {
        stage.schedule().await;
        stage.invoke_all().await;
        stage.pass(Duration::from_secs(60)).await;
        stage.sweep().await;
        if stage.row(id).await.unwrap().status == Status::Parked {
            break;
        }
    }
    let row = stage.row(id).await.unwrap();
    assert_eq!((row.status, row.attempt.0), (Status::Parked, 2));
    // Of each attempt the first, and the three that were counted.
    assert_eq!(stage.functions.invocations().len(), 2 * 4);
}

#[tokio::test(start_paused = true)]
async fn all_of_a_batch_that_nobody_tells_of_fails_and_says_how_many() {
    for target in [FUNCTION, QUEUE] {
        let stage = stage_of_batches(target).await;
        let mut body = dispatched(&stage, &uploads(3)).await.remove(0);
        // The first, and the three that are counted.
        for _ in 0..4 {
            assert_eq!(invoke(&stage, &body).await, Invoked::Started);
            stage.aws.sqs().lose(&stage.dispatch_queue, |_| true);
            if target == QUEUE {
                stage.aws.sqs().lose(&stage.target_queue, |_| true);
            }
            stage.pass(Duration::from_secs(901)).await;
            assert_eq!(stage.sweep().await.redelivered, 3);
            let waiting = stage.aws.sqs().messages(&stage.dispatch_queue).unwrap();
            body = waiting[0].body.clone();
        }
        let Invoked::UntoldBatch(settled) = invoke(&stage, &body).await else {
            panic!("the attempts have failed");
        };
        assert_eq!((settled.retried, settled.parked), (3, 0));
        for row in stage.rows().await.into_values() {
            assert_eq!((row.status, row.deaths), (Status::Pending, 0));
            assert!(row.last_error.unwrap().starts_with("UNTOLD: 3 "));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_to_a_fifo_queue_is_no_copy_to_it() {
    let stage = stage(FIFO).await;
    let (row, message) = claimed(&stage, 2, 0).await;
    assert_eq!(invoke(&stage, &message).await, Invoked::Started);
    let lease = stage.row(row.id).await.unwrap().due_at;
    assert!(lease > stage.now().plus(Duration::from_secs(300)));
}
