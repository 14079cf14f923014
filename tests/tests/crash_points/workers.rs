//! Workers in the place of Step Functions, and one machine.

use std::time::Duration;

use daybook_schema::Row;
use daybook_tests::notifications::Upload;

use crate::checker::{End, check, newest_receipt};
use crate::points::{Function, Plan};
use crate::world::{MINUTE, StoryPipeline};

/// A worker in the place of Step Functions: an attempt that fails and one that succeeds, and a message whose row is done.
pub async fn worker(plan: Plan) -> StoryPipeline {
    let mut world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Worker]).await;
    world.has_worker = true;
    let [twice, done] = ["twice", "done"].map(|key| world.upload(key));
    let row = world.claimed(&twice, 5 * MINUTE);
    // As a worker leaves it that died between receipt and deletion.
    let half_done = Row {
        deliveries: 0,
        ..world.claimed(&done, Duration::ZERO)
    };
    world.complete(&done).await;
    world.stage.put_rows([&row, &half_done]);
    world.send(&row);
    world.send(&world.claimed(&done, 5 * MINUTE));
    world.settle().await;
    let ends = [(&twice, End::Done(&[1, 2])), (&done, End::Done(&[]))];
    check(&world, &ends, 0).await;
    world
}

/// A target that says "later", and a message that comes twice.
pub async fn worker_later(plan: Plan) -> StoryPipeline {
    let mut world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Worker]).await;
    world.has_worker = true;
    let later = world.upload("later");
    let row = world.claimed(&later, 5 * MINUTE);
    world.stage.put_rows([&row]);
    world.send(&row);
    world.send(&row);
    world.settle().await;
    check(&world, &[(&later, End::Done(&[1]))], 0).await;
    world
}

/// Targets that succeed at the same moment, one of them for a key whose earlier upload is done.
pub async fn worker_at_once(plan: Plan) -> StoryPipeline {
    let mut world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Worker]).await;
    (world.has_worker, world.workers) = (true, 3);
    world.complete(&world.upload("again")).await;
    let uploads = ["one", "two", "again"].map(|key| world.upload(key));
    let rows = uploads.each_ref().map(|upload| world.claimed(upload, 5 * MINUTE));
    world.stage.put_rows(&rows);
    for row in &rows {
        world.send(row);
    }
    world.settle().await;
    let ends = uploads.each_ref().map(|upload| (upload, End::Done(&[1])));
    check(&world, &ends, 0).await;
    newest_receipt(&world, &uploads[2]).await;
    world
}

/// On one machine the queue dies with the worker, and the restart puts back what it had.
pub async fn machine_at_work(plan: Plan) -> StoryPipeline {
    let mut world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Worker]).await;
    (world.has_worker, world.is_one_machine) = (true, true);
    let one = world.upload("one");
    let row = world.claimed(&one, 5 * MINUTE);
    world.stage.put_rows([&row]);
    world.send(&row);
    world.settle().await;
    check(&world, &[(&one, End::Done(&[1]))], 0).await;
    world
}

/// Whatever dies, all of the machine dies, and its queue with it; the restart puts back what was claimed.
pub async fn one_machine(plan: Plan) -> StoryPipeline {
    let mut world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Recover]).await;
    (world.has_worker, world.is_one_machine) = (true, true);
    let [queued, held, deadly, done] = ["queued", "held", "deadly", "done"].map(|key| world.upload(key));
    let claimed = |upload: &Upload| world.claimed(upload, 5 * MINUTE);
    let taken = |upload: &Upload, deaths: u32| Row {
        deliveries: 0,
        deaths,
        ..claimed(upload)
    };
    let rows = [
        claimed(&queued),
        taken(&held, 0),
        taken(&deadly, 3),
        taken(&done, 0),
    ];
    world.complete(&done).await;
    world.stage.put_rows(&rows);
    world.restart();
    world.settle().await;
    let ends = [
        (&queued, End::Done(&[1])),
        (&held, End::Done(&[1])),
        (&deadly, End::Done(&[2])),
        (&done, End::Done(&[])),
    ];
    check(&world, &ends, 0).await;
    world
}
