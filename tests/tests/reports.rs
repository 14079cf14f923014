//! What the scheduler, the sweep and the invoker say that they did: every row counted once, whatever became of it.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "reports/own.rs"]
mod own;
#[path = "reports/schedule.rs"]
mod schedule;
#[path = "reports/send.rs"]
mod send;
#[path = "reports/start.rs"]
mod start;
#[path = "reports/sweep.rs"]
mod sweep;

use std::time::Duration;

use daybook_manager::Dispatch;
use daybook_schema::{ExecutionName, Row, Status};
use daybook_tests::notifications::uploads;
use daybook_tests::rows::{item, row_in};
use daybook_tests::{Fault, Request, Stage, StageOptions};
use serde_json::Value;

/// A stage with that N.
async fn with_n(per_window: u32) -> Stage {
    let dispatch = Dispatch {
        per_window,
        ..Dispatch::default()
    };
    Stage::new(StageOptions {
        dispatch,
        ..StageOptions::default()
    })
    .await
}

/// So many rows in that status that are due, the first one longest.
async fn rows(stage: &Stage, status: Status, count: usize) -> Vec<Row> {
    let mut rows = Vec::with_capacity(count);
    for upload in uploads(count) {
        rows.push(row_in(status, &upload, stage.now()));
        stage.pass(Duration::from_millis(1)).await;
    }
    rows
}

/// The row as a newer release would have written it.
fn newer(row: &Row) -> Value {
    let mut row = serde_json::to_value(row).unwrap();
    row["v"] = 99.into();
    row
}

/// These rows, in this state, as soon as the run has its budget: after it has read the index, and before it claims.
fn changed_meanwhile(
    stage: &Stage,
    rows: Vec<Value>,
    mut faults: impl FnMut(&Request) -> Fault + Send + 'static,
) {
    let others = stage.clone();
    stage.wire.inject(move |request| {
        if request.operation == "UpdateItem" {
            others.put_items("ledger", rows.iter().cloned().map(item).collect());
        }
        faults(request)
    });
}

fn json(row: &Row) -> Value {
    serde_json::to_value(row).unwrap()
}

fn name_of(row: &Row) -> ExecutionName {
    ExecutionName {
        id: row.id,
        attempt: row.attempt,
    }
}
