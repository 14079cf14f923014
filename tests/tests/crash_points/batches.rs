//! Batches: what a tick makes of rows that are due, and rows whose batches' messages or ends are lost.

use std::time::Duration;

use daybook_manager::{Batching, Dispatch};
use daybook_schema::{BatchId, BatchMessage, Row, RunName};
use serde_json::json;
use uuid::Uuid;

use crate::checker::{End, check};
use crate::points::{Function, Plan};
use crate::world::{MINUTE, StoryPipeline};

fn dispatch() -> Dispatch {
    Dispatch {
        batching: Batching::of(3, Duration::ZERO).unwrap(),
        ..StoryPipeline::dispatch()
    }
}

/// Three rows that are due, one of which fails once; one execution for all, and one for that.
pub async fn batch(plan: Plan) -> StoryPipeline {
    let watched = [Function::Schedule, Function::Invoke, Function::Complete];
    let world = StoryPipeline::new(plan, dispatch(), &watched).await;
    let [one, two, twice] = ["one", "two", "twice"].map(|key| world.pending(key));
    world.settle().await;
    let ends = [
        (&one, End::Done(&[1])),
        (&two, End::Done(&[1])),
        (&twice, End::Done(&[1, 2])),
    ];
    check(&world, &ends, 0).await;
    world
}

/// Leases of batches that ran out: of one whose end was never told, of a row that bears it and is not in its input, and of one whose
/// message is lost.
pub async fn stale_batches(plan: Plan) -> StoryPipeline {
    let world = StoryPipeline::new(plan, dispatch(), &[Function::Sweep, Function::Invoke]).await;
    let [named, unnamed, lost] = ["silent", "unnamed", "lost"].map(|key| world.upload(key));
    let in_batch = |number, upload| Row {
        batch: Some(BatchId(Uuid::from_u128(number))),
        ..world.claimed(upload, MINUTE)
    };
    let rows = [in_batch(1, &named), in_batch(1, &unnamed), in_batch(2, &lost)];
    world.stage.put_rows(&rows);
    start(&world, &rows[0]).await;
    world.stage.pass(2 * MINUTE).await;
    world.settle().await;
    let ends = [
        (&named, End::Done(&[1])),
        (&unnamed, End::Done(&[1])),
        (&lost, End::Done(&[1])),
    ];
    check(&world, &ends, 0).await;
    world
}

/// The execution of the row's batch is started with it alone.
async fn start(world: &StoryPipeline, row: &Row) {
    let RunName::Batch(name) = row.run_name() else {
        panic!("{row:?} is in no batch");
    };
    let input = BatchMessage::for_rows(name, [row]).unwrap().input().to_json();
    let start =
        json!({"stateMachineArn": world.stage.state_machine, "name": name.to_string(), "input": input});
    let started = world
        .stage
        .aws
        .handle("AWSStepFunctions.StartExecution", start.to_string().as_bytes())
        .await;
    assert_eq!(started.status, 200, "{started:?}");
}
