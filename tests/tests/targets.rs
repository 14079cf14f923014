//! Targets beside state machines: a Lambda function that is invoked asynchronously, and a queue.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "targets/function.rs"]
mod function;
#[path = "targets/queue.rs"]
mod queue;
#[path = "targets/queue_together.rs"]
mod queue_together;
#[path = "targets/untold.rs"]
mod untold;

use std::time::Duration;

use daybook_manager::{Batching, Dispatch, Invoked};
use daybook_schema::{Row, Status};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::delivered;
use daybook_tests::{Stage, StageOptions, StageTarget};

fn upload() -> Upload {
    Upload::new("a b.json", 1, "e")
}

async fn stage(target: StageTarget) -> Stage {
    Stage::new(StageOptions {
        target,
        ..StageOptions::default()
    })
    .await
}

/// Batches of up to ten.
async fn stage_of_batches(target: StageTarget) -> Stage {
    Stage::new(StageOptions {
        target,
        dispatch: Dispatch {
            batching: Batching::of(10, Duration::ZERO).unwrap(),
            ..Dispatch::default()
        },
        ..StageOptions::default()
    })
    .await
}

/// Records and sends these, and gives the bodies of their messages.
async fn dispatched(stage: &Stage, uploads: &[Upload]) -> Vec<String> {
    stage.record(uploads).await;
    assert_eq!(stage.schedule().await.sent as usize, uploads.len());
    let messages = stage.aws.sqs().messages(&stage.dispatch_queue).unwrap();
    messages.into_iter().map(|message| message.body).collect()
}

async fn invoke(stage: &Stage, body: &str) -> Invoked {
    stage
        .invoker()
        .handle(&[delivered("m", body)], stage.deadline())
        .await
        .remove(0)
}

/// The one row, which is claimed for its first attempt and has failed none.
async fn claimed(stage: &Stage) -> Row {
    let row = stage.row(upload().event().id).await.unwrap();
    assert_eq!((row.status, row.attempt.0), (Status::Claimed, 1));
    assert_eq!(row.last_error, None);
    row
}
