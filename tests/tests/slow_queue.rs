//! Queues that are slow, lost or missing; executions that outlive their rows' leases; reports that come late or never.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "slow_queue/closed_names.rs"]
mod closed_names;
#[path = "slow_queue/deadlines.rs"]
mod deadlines;
#[path = "slow_queue/outages.rs"]
mod outages;
#[path = "slow_queue/reports.rs"]
mod reports;
#[path = "slow_queue/running.rs"]
mod running;
#[path = "slow_queue/shares.rs"]
mod shares;
#[path = "slow_queue/untold.rs"]
mod untold;
#[path = "slow_queue/waiting.rs"]
mod waiting;

use daybook_schema::Row;
use daybook_tests::Stage;
use daybook_tests::notifications::Upload;

fn upload() -> Upload {
    Upload::new("a.json", 1, "e")
}

/// A stage on which one upload is claimed and its message waits; the message's body.
async fn one_dispatched() -> (Stage, String) {
    let stage = Stage::usual().await;
    stage.record(&[upload()]).await;
    assert_eq!(stage.schedule().await.sent, 1);
    let body = stage.dispatched()[0].to_json();
    (stage, body)
}

/// A stage on which one upload's execution runs; the message's body.
async fn one_running() -> (Stage, String) {
    let (stage, body) = one_dispatched().await;
    stage.invoke_all().await;
    assert_eq!(stage.execution_names(), [format!("{}-1", upload().event().id)]);
    (stage, body)
}

/// The one row.
async fn the_row(stage: &Stage) -> Row {
    stage.row(upload().event().id).await.unwrap()
}
