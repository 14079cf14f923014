//! Batches: one execution for many events, through the real movers. What the model says of batches, docs/model.md lists.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "batches/claims.rs"]
mod claims;
#[path = "batches/names.rs"]
mod names;
#[path = "batches/outcomes.rs"]
mod outcomes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use daybook_ledger::RetryPolicy;
use daybook_local::{ExecutionStatus, ExecutionView, Outcome};
use daybook_manager::{Batching, Dispatch, Start};
use daybook_schema::{EventId, Row, Status};
use daybook_tests::notifications::uploads;
use daybook_tests::{Stage, StageOptions};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(300);

fn dispatch(size: u32) -> Dispatch {
    Dispatch {
        per_window: 1000,
        lease: LEASE,
        max_attempts: 2,
        retry: RetryPolicy {
            first_delay: Duration::from_secs(30),
            longest_delay: Duration::from_secs(60),
        },
        batching: Batching::of(size, Duration::ZERO).unwrap(),
        ..Dispatch::default()
    }
}

async fn stage_with(dispatch: Dispatch) -> Stage {
    Stage::new(StageOptions {
        dispatch,
        ..StageOptions::default()
    })
    .await
}

async fn stage(size: u32) -> Stage {
    stage_with(dispatch(size)).await
}

/// So many events, recorded, claimed and sent; their rows.
async fn claimed(stage: &Stage, events: usize) -> BTreeMap<EventId, Row> {
    stage.record(&uploads(events)).await;
    let report = stage.schedule().await;
    assert_eq!(
        (report.claimed, report.sent),
        (events as u32, events as u32),
        "{report:?}"
    );
    stage.rows().await
}

fn running(stage: &Stage) -> Vec<ExecutionView> {
    let mut all = stage.aws.executions().all();
    all.retain(|execution| execution.status == ExecutionStatus::Running);
    all
}

/// The ids and attempts that an execution was given.
fn given(execution: &ExecutionView) -> BTreeSet<(EventId, u32)> {
    let input: Value = serde_json::from_str(&execution.input).unwrap();
    let events = input["events"].as_array().unwrap().iter();
    let one = |event: &Value| {
        (
            event["id"].as_str().unwrap().parse().unwrap(),
            event["attempt"].as_u64().unwrap() as u32,
        )
    };
    events.map(one).collect()
}

fn end(stage: &Stage, execution: &ExecutionView, output: &Value) {
    let output = output.to_string();
    let executions = stage.aws.executions();
    executions
        .close(&execution.arn, Outcome::Succeeded { output })
        .unwrap();
}

fn failures(ids: impl IntoIterator<Item = EventId>) -> Value {
    let items: Vec<Value> = ids.into_iter().map(|id| json!({"itemIdentifier": id})).collect();
    json!({ "batchItemFailures": items })
}

/// No event at one attempt is in the inputs of two executions.
fn no_attempt_is_given_twice(stage: &Stage) {
    let mut seen = BTreeSet::new();
    for execution in stage.aws.executions().all() {
        for one in given(&execution) {
            assert!(seen.insert(one), "{one:?} was given to two executions");
        }
    }
}

async fn in_status(stage: &Stage, status: Status) -> usize {
    stage
        .rows()
        .await
        .values()
        .filter(|row| row.status == status)
        .count()
}
