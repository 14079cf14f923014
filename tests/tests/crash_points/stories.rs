//! Small days in which every function makes every kind of request that it ever makes.

use daybook_ledger::Person;
use daybook_manager::Dispatch;
use daybook_schema::{Attempt, Outcome, Row, SourceName, Status, Subject};
use daybook_tests::notifications::Upload;
use daybook_tests::rows::row_in;
use futures::future::LocalBoxFuture;
use serde_json::json;

use crate::audits;
use crate::batches;
use crate::checker::{End, check, newest_receipt};
use crate::points::{Counted, Function, Plan};
use crate::workers;
use crate::world::{MINUTE, StoryPipeline};

const ANN: Person<'_> = Person {
    by: "ann",
    why: Some("she says so"),
};

/// What came of a story.
pub struct Told {
    pub counted: Counted,
    pub violations: Vec<String>,
}

pub struct Story {
    pub name: &'static str,
    tell: fn(Plan) -> LocalBoxFuture<'static, StoryPipeline>,
}

pub const STORIES: [Story; 16] = [
    Story {
        name: "a batch",
        tell: |plan| Box::pin(batches::batch(plan)),
    },
    Story {
        name: "stale batches",
        tell: |plan| Box::pin(batches::stale_batches(plan)),
    },
    Story {
        name: "notifications",
        tell: |plan| Box::pin(notifications(plan)),
    },
    Story {
        name: "a tick",
        tell: |plan| Box::pin(tick(plan)),
    },
    Story {
        name: "a tick below a cap",
        tell: |plan| Box::pin(tick_below_a_cap(plan)),
    },
    Story {
        name: "messages",
        tell: |plan| Box::pin(messages(plan)),
    },
    Story {
        name: "status events",
        tell: |plan| Box::pin(status_events(plan)),
    },
    Story {
        name: "successes together",
        tell: |plan| Box::pin(successes_together(plan)),
    },
    Story {
        name: "stale rows",
        tell: |plan| Box::pin(stale_rows(plan)),
    },
    Story {
        name: "people",
        tell: |plan| Box::pin(people(plan)),
    },
    Story {
        name: "an audit that repairs",
        tell: |plan| Box::pin(audits::audit(plan)),
    },
    Story {
        name: "a worker",
        tell: |plan| Box::pin(workers::worker(plan)),
    },
    Story {
        name: "a worker, later",
        tell: |plan| Box::pin(workers::worker_later(plan)),
    },
    Story {
        name: "a worker, three at once",
        tell: |plan| Box::pin(workers::worker_at_once(plan)),
    },
    Story {
        name: "one machine at work",
        tell: |plan| Box::pin(workers::machine_at_work(plan)),
    },
    Story {
        name: "one machine that starts again",
        tell: |plan| Box::pin(workers::one_machine(plan)),
    },
];

impl Story {
    /// Tells it with these deaths, in virtual time. Same plan, same story.
    pub fn tell(&self, plan: Plan) -> Told {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let world = (self.tell)(plan).await;
            Told {
                counted: world.counted(),
                violations: world.violations.into_inner().unwrap(),
            }
        })
    }
}

/// Several forms, several records, twice, unreadable, and done before.
async fn notifications(plan: Plan) -> StoryPipeline {
    let world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Ingest]).await;
    let [one, two, done] = ["one", "two", "done"].map(|key| world.upload(key));
    world.complete(&done).await;
    world.notify(&json!({"Records": [two.record(), done.record()]}).to_string());
    world.notify(&one.event_bridge());
    world.notify(&one.notification());
    world.notify("{\"Records\": \"not a list\"");
    world.settle().await;
    let ends = [
        (&one, End::Done(&[1])),
        (&two, End::Done(&[1])),
        (&done, End::Done(&[])),
    ];
    check(&world, &ends, 1).await;
    world
}

/// Rows that are due, and a queue that refuses one of their messages. And before, a tick that finds nothing.
async fn tick(plan: Plan) -> StoryPipeline {
    let world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Schedule]).await;
    world.tick(true).await;
    let uploads = ["one", "two", "refused"].map(|key| world.pending(key));
    // One tick in which it happens; what comes after is not new.
    world.stage.pass(MINUTE).await;
    world.tick(false).await;
    world.points.watch(&[]);
    world.settle().await;
    let ends = uploads.each_ref().map(|upload| (upload, End::Done(&[1])));
    check(&world, &ends, 0).await;
    world
}

/// More rows than may be in flight.
async fn tick_below_a_cap(plan: Plan) -> StoryPipeline {
    let dispatch = Dispatch {
        max_in_flight: Some(1),
        ..StoryPipeline::dispatch()
    };
    let world = StoryPipeline::new(plan, dispatch, &[Function::Schedule]).await;
    let uploads = ["one", "two"].map(|key| world.pending(key));
    world.tick(false).await;
    world.points.watch(&[]);
    world.settle().await;
    let ends = uploads.each_ref().map(|upload| (upload, End::Done(&[1])));
    check(&world, &ends, 0).await;
    world
}

/// First messages, and second ones whose executions do not run yet, run, succeeded, failed, and whose rows are gone.
async fn messages(plan: Plan) -> StoryPipeline {
    let world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Invoke]).await;
    let [first, second, running, succeeded, failed] =
        ["first", "second", "running long", "succeeded", "failed twice"].map(|key| world.upload(key));
    let mut rows = Vec::new();
    for (upload, deliveries) in [
        (&first, 1),
        (&second, 2),
        (&running, 2),
        (&succeeded, 2),
        (&failed, 2),
    ] {
        rows.push(Row {
            deliveries,
            ..world.claimed(upload, 4 * MINUTE)
        });
    }
    world.stage.put_rows(&rows);
    let gone = Row {
        deliveries: 2,
        ..world.claimed(&world.upload("gone"), MINUTE)
    };
    for row in &rows[2..] {
        world.start(row).await;
    }
    world.stage.pass(MINUTE).await;
    world.stage.lose_status_events();
    for row in rows.iter().chain([&gone]) {
        world.send(row);
    }
    world.tick(false).await;
    world.points.watch(&[]);
    world.settle().await;
    let ends = [
        (&first, End::Done(&[1])),
        (&second, End::Done(&[1])),
        (&running, End::Done(&[1])),
        (&succeeded, End::Done(&[1])),
        (&failed, End::Done(&[1, 2])),
    ];
    check(&world, &ends, 0).await;
    world
}

/// Executions that succeed, fail once, and fail for good.
async fn status_events(plan: Plan) -> StoryPipeline {
    let world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Complete]).await;
    let [one, twice, poison] = ["one", "twice", "poison"].map(|key| world.pending(key));
    world.settle().await;
    let ends = [
        (&one, End::Done(&[1])),
        (&twice, End::Done(&[1, 2])),
        (&poison, End::Parked(&[1, 2])),
    ];
    check(&world, &ends, 0).await;
    world
}

/// Executions that succeed at the same moment, one of them for a key whose earlier upload is done.
async fn successes_together(plan: Plan) -> StoryPipeline {
    let world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Complete]).await;
    world.complete(&world.upload("again")).await;
    let uploads = ["one", "two", "again"].map(|key| world.pending(key));
    world.settle().await;
    let ends = uploads.each_ref().map(|upload| (upload, End::Done(&[1])));
    check(&world, &ends, 0).await;
    newest_receipt(&world, &uploads[2]).await;
    world
}

/// Leases that ran out: of a running execution, of a row that is done, of lost messages, of one that waits; and a queue that
/// refuses one message.
async fn stale_rows(plan: Plan) -> StoryPipeline {
    let world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Sweep]).await;
    let [long, done, lost, refused, waiting] =
        ["long", "done", "gone", "refused", "waiting"].map(|key| world.upload(key));
    let stale = |upload: &Upload, minutes: u32| world.claimed(upload, minutes * MINUTE);
    let rows = [
        stale(&long, 1),
        stale(&done, 1),
        stale(&lost, 2),
        stale(&refused, 2),
        stale(&waiting, 3),
    ];
    world.start(&rows[0]).await;
    world.complete(&done).await;
    world.stage.put_rows(&rows);
    world.send(&rows[4]);
    world.stage.pass(4 * MINUTE).await;
    *world.invokes_from.lock().unwrap() = world.stage.now().plus(2 * MINUTE);
    world.tick(false).await;
    world.points.watch(&[]);
    world.settle().await;
    let ends = [
        (&long, End::Done(&[1])),
        (&done, End::Done(&[])),
        (&lost, End::Done(&[1])),
        (&refused, End::Done(&[1])),
        (&waiting, End::Done(&[1])),
    ];
    check(&world, &ends, 0).await;
    world
}

/// What people do: pause, set N, release, fail, remove, complete, redrive, resume.
async fn people(plan: Plan) -> StoryPipeline {
    let world = StoryPipeline::new(plan, StoryPipeline::dispatch(), &[Function::Person]).await;
    let (stage, ledger) = (&world.stage, &world.stage.ledger);
    let [redriven, removed, worded, freed, failed] =
        ["poison 1", "poison 2", "poison 3", "gone 1", "gone 2"].map(|key| world.upload(key));
    let parked = [&redriven, &removed, &worded].map(|upload| Row {
        attempt: Attempt(2),
        max_attempts: 2,
        ..row_in(Status::Parked, upload, stage.now())
    });
    let claimed = [&freed, &failed].map(|upload| world.claimed(upload, 5 * MINUTE));
    let payload = world.upload("payload");
    let raw = Row::unreadable(
        &SourceName::default(),
        payload.notification(),
        "a form that was unknown".into(),
        None,
        stage.now(),
    );
    stage.put_rows(parked.iter().chain(&claimed).chain([&raw]));
    world
        .command(|| async {
            ledger.pause(None, "ann", "a release").await.unwrap();
            ledger.set_per_window(Some(2), ANN).await.unwrap();
            let rows = rows_of(&world, "gone 1", Status::Claimed).await;
            drop(ledger.free_rows(&rows, ANN, stage.deadline()).await);
            let rows = rows_of(&world, "gone 2", Status::Claimed).await;
            let retry = stage.options.dispatch.retry;
            drop(ledger.fail_rows(&rows, ANN, &retry, stage.deadline()).await);
            ledger.remove(parked[1].id, "ann", "she says so").await.unwrap();
        })
        .await;
    world
        .command(|| async {
            let rows = rows_of(&world, "poison 3", Status::Parked).await;
            let outcome = Outcome::Succeeded;
            drop(ledger.close_rows(&rows, outcome, ANN, stage.deadline()).await);
            ledger.redrive(parked[0].id, 1, stage.deadline()).await.unwrap();
            let rows: Vec<Row> = open_rows(&world).await.into_iter().filter(is_raw).collect();
            drop(ledger.redrive_rows(&rows, 1, Some(ANN), stage.deadline()).await);
            ledger.set_per_window(None, ANN).await.unwrap();
            ledger.resume().await.unwrap();
        })
        .await;
    world.settle().await;
    let control = stage.control_item().await.unwrap();
    if control.get("paused_at").is_some() || control.get("per_window").is_some() {
        world.violation(format!("still paused, or still another N: {control}"));
    }
    let ends = [
        (&redriven, End::Done(&[3])),
        (&removed, End::Removed),
        (&worded, End::DoneByWord),
        (&freed, End::Done(&[1])),
        (&failed, End::Done(&[2])),
        (&payload, End::Done(&[1])),
    ];
    check(&world, &ends, 0).await;
    world
}

async fn open_rows(world: &StoryPipeline) -> Vec<Row> {
    let mut pages = world.stage.ledger.open_rows();
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        rows.extend(page.into_iter().map(Result::unwrap));
    }
    rows
}

async fn rows_of(world: &StoryPipeline, key: &str, status: Status) -> Vec<Row> {
    let is_of = |row: &Row| {
        let is_key = |event: &daybook_schema::ObjectEvent| event.key.as_str() == key;
        row.status == status && row.event().is_some_and(is_key)
    };
    let rows = open_rows(world).await;
    rows.into_iter().filter(is_of).collect()
}

fn is_raw(row: &Row) -> bool {
    matches!(row.subject, Subject::Raw { .. })
}
