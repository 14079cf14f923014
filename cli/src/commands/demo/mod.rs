//! `daybook demo`: the whole pipeline in one process, in real time, with the loss of a queue on the way.

pub mod course;
pub mod movers;
pub mod notes;
pub mod objects;
pub mod result;
pub mod screen;
pub mod tally;
pub mod target;
pub mod world;

use std::process::ExitCode;
use std::sync::{Arc, Once};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use daybook_ledger::RetryPolicy;
use daybook_manager::Dispatch;
use daybook_schema::{EventId, ObjectId, SourceName, notification};
use fastrand::Rng;
use tokio::sync::RwLock;

use crate::args::values;
use crate::commands::demo::course::Demo;
use crate::commands::demo::objects::Object;
use crate::commands::demo::result::Evidence;
use crate::commands::demo::screen::Screen;
use crate::commands::demo::tally::Tally;
use crate::commands::demo::target::{Folder, ReadingTarget};
use crate::commands::demo::world::DemoPipeline;
use crate::ui::error::UserError;
use crate::ui::output::Output;

/// As of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// How often is looked whether all is done, and the bars move.
const LOOK: Duration = Duration::from_millis(50);

/// See it work: 115 events through an outage, without AWS
///
/// Devices upload objects to S3 faster than they can be processed. S3 sends a notification of each upload;
/// every notification becomes a row in the ledger first, and N per window are dispatched. Halfway through,
/// the queue between scheduler and processing is lost with everything in it: watch how the events come back.
///
/// Everything runs in this process and in real time: the embedded AWS is in memory, and objects and results
/// are in a temporary folder that is removed at the end.
#[derive(Args, Debug)]
pub struct DemoArguments {
    /// How many objects to upload; 1 to 1000000
    #[arg(long, value_name = "COUNT", default_value = "115", value_parser = values::demo_events)]
    #[arg(env = "DAYBOOK_EVENTS", hide_env_values = true)]
    events: u32,

    /// N: events per window, at least 1
    ///
    /// How many may be sent, redeliveries included
    #[arg(long, value_name = "N", default_value = "50", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    per_window: u32,

    /// Length of a window, 100ms to 1d
    ///
    /// Such as 2s or 500ms; deployments use minutes
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = values::every)]
    #[arg(env = "DAYBOOK_EVERY", hide_env_values = true)]
    every: Duration,

    /// Repeat the run of this seed; random by default
    ///
    /// It has the same uploads in the same order
    #[arg(long, value_name = "NUMBER", value_parser = values::seed, env = "DAYBOOK_SEED", hide_env_values = true)]
    seed: Option<u64>,
}

/// Everything that S3 has to say, in the order in which it says it.
struct Deliveries {
    at_first: Vec<String>,
    /// Said again once that event is done.
    late: Vec<(EventId, String)>,
    objects: Vec<ObjectId>,
}

/// Runs the demo.
///
/// # Errors
/// When it cannot run, does not end in time, or shows that the promise did not hold.
pub async fn run(arguments: DemoArguments, output: Output) -> anyhow::Result<ExitCode> {
    // Short enough to be typed again.
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let dispatch = arguments.dispatch()?;
    let folder = tempfile::Builder::new()
        .prefix("daybook-demo-")
        .tempdir()
        .context("no temporary folder for the objects can be made")?;
    let objects_and_results = Folder::create(folder.path()).context("the temporary folder cannot be used")?;
    let mut rng = Rng::with_seed(seed);
    let uploads = objects::uploads(&mut rng, arguments.events, chrono::Utc::now());
    for upload in &uploads {
        objects_and_results
            .put(upload)
            .context("an object cannot be written to the temporary folder")?;
    }
    let deliveries = Deliveries::of(&uploads, &mut rng)?;
    let target = ReadingTarget::new(
        objects_and_results.clone(),
        (dispatch.window / 4).min(Duration::from_secs(1)),
    );
    let demo = Arc::new(Demo {
        world: DemoPipeline::create(seed, dispatch, Arc::new(target)).await?,
        tally: Tally::default(),
        screen: Screen::new(arguments.events),
        gate: RwLock::new(()),
        intake_noted: Once::new(),
        events: arguments.events,
        notifications: u32::try_from(deliveries.at_first.len()).unwrap_or(u32::MAX),
        middle: arguments.events.div_ceil(2),
        seed,
    });
    demo.note_beginning();
    for notification in &deliveries.at_first {
        demo.world
            .aws
            .sqs()
            .send(&demo.world.intake.queue_url, notification)?;
    }
    let all = deliveries.at_first.len() + deliveries.late.len();
    let ended = demo.play(deliveries.late, all).await;
    if let Ok(End::Interrupted) = ended {
        demo.screen.leave();
        eprintln!("stopped by Ctrl-C; the demo keeps nothing");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    demo.screen.close();
    ended?;
    let evidence = Evidence::gather(&demo, &objects_and_results, deliveries.objects).await?;
    evidence.print(output)?;
    evidence.verdict()?;
    Ok(ExitCode::SUCCESS)
}

impl DemoArguments {
    fn dispatch(&self) -> Result<Dispatch, clap::Error> {
        let dispatch = Dispatch {
            per_window: self.per_window,
            window: self.every,
            // What real pipelines set it for: when processing does not keep up, less is sent.
            max_in_flight: Some(self.per_window.saturating_mul(3)),
            // Longer than any event takes here, so that only what is lost is sent again.
            lease: (self.every * 3).max(Duration::from_secs(6)),
            retry: RetryPolicy {
                first_delay: Duration::from_secs(1),
                longest_delay: Duration::from_secs(4),
            },
            ..Dispatch::default()
        };
        dispatch.checked().map_err(|error| values::usage(&error))
    }
}

impl Deliveries {
    /// Every upload once in random order, and some twice: one in twenty at least, half of these soon after the first time,
    /// half when the event is long done.
    fn of(uploads: &[Object], rng: &mut Rng) -> anyhow::Result<Self> {
        let mut order: Vec<&Object> = uploads.iter().collect();
        rng.shuffle(&mut order);
        let twice = uploads.len().div_ceil(20);
        let soon = twice.div_ceil(2);
        let (mut at_first, mut late, mut objects) = (Vec::new(), Vec::new(), Vec::new());
        for (position, object) in order.into_iter().enumerate() {
            let first = object.notification(rng);
            let event = notification::read(&first, &SourceName::default())
                .events
                .pop()
                .context("the demo's own notification cannot be read")?;
            objects.push(event.object_id());
            at_first.push(first);
            if position < soon {
                at_first.push(object.notification(rng));
            } else if position < twice {
                late.push((event.id, object.notification(rng)));
            }
        }
        Ok(Self {
            at_first,
            late,
            objects,
        })
    }
}

enum End {
    Drained,
    Interrupted,
}

impl Demo {
    /// Lets all movers run until nothing is left to do.
    async fn play(
        self: &Arc<Self>,
        late: Vec<(EventId, String)>,
        notifications: usize,
    ) -> anyhow::Result<End> {
        tokio::select! {
            // Ctrl-C is listened for before anything runs that it should stop.
            biased;
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("Ctrl-C cannot be waited for")?;
                Ok(End::Interrupted)
            }
            ended = self.run_movers(late, notifications) => ended.map(|()| End::Drained),
        }
    }

    async fn run_movers(
        self: &Arc<Self>,
        late: Vec<(EventId, String)>,
        notifications: usize,
    ) -> anyhow::Result<()> {
        let limit = self.limit();
        let mut movers = movers::start(self, late);
        tokio::select! {
            biased;
            // Movers never end by themselves.
            Some(ended) = movers.join_next() => {
                ended.context("a mover stopped")?;
                Err(anyhow::anyhow!("a mover stopped"))
            }
            drained = self.drained(notifications) => drained,
            () = tokio::time::sleep(limit) => Err(self.too_slow(limit)),
        }
    }

    /// Returns when every notification is handled and every event is done or parked.
    async fn drained(&self, notifications: usize) -> anyhow::Result<()> {
        let world = &self.world;
        loop {
            tokio::time::sleep(LOOK).await;
            self.show();
            let (handled, settled) = {
                let counts = self.tally.read();
                (
                    counts.recorded + counts.already_there,
                    counts.done() + counts.parked,
                )
            };
            if (handled as usize) < notifications || settled < self.events {
                continue;
            }
            let mut left = 0;
            for queue in [&world.intake, &world.dispatch_queue, &world.completion] {
                left += world.depth(queue)?;
            }
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Far more than it takes: every window twice, the lost ones' leases, and a slow machine's 20 events a second.
    fn limit(&self) -> Duration {
        let dispatch = &self.world.dispatch;
        let windows = self
            .events
            .div_ceil(dispatch.per_window)
            .saturating_mul(3)
            .saturating_add(10);
        dispatch.window * windows
            + dispatch.lease * 5
            + Duration::from_secs(60)
            + Duration::from_secs(u64::from(self.events)) / 20
    }

    fn too_slow(&self, limit: Duration) -> anyhow::Error {
        let counts = self.tally.read();
        let troubles: Vec<&str> = counts.failures.keys().map(String::as_str).collect();
        let error = UserError::new(format!(
            "the demo did not end within {} s: of {} events, {} wait, {} are in flight, {} are done",
            limit.as_secs(),
            self.events,
            counts.waiting(),
            counts.in_flight(),
            counts.done()
        ))
        .hint("a busy machine needs fewer --events or a longer --every; -v shows what happened");
        match troubles.is_empty() {
            true => error.into(),
            false => error
                .because(anyhow::anyhow!(troubles.join("\n  caused by: ")))
                .into(),
        }
    }
}
