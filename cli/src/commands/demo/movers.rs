//! The movers, each in a loop of its own, as Lambda's event source mappings and crons would run them.

use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::{Deadline, Failed, Window};
use daybook_manager::{
    Batch, Completed, Completer, Delivered, Disposition, Ingest, Invoked, Invoker, Pace, Payload, Poll,
    Scheduler, Settled,
};
use daybook_reconciler::{SweepSettings, Sweeper};
use daybook_schema::notification::Reading;
use daybook_schema::{DispatchMessage, EventId, ExecutionName};
use tokio::task::JoinSet;

use crate::commands::demo::course::Demo;

/// How long a poller rests when its queue is empty.
const REST: Duration = Duration::from_millis(20);

/// How long a mover rests after a failure: it must not fill the screen.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// As Lambda's event source mapping would run them, several at once.
const INGEST_POLLERS: usize = 2;
const INVOKE_POLLERS: usize = 4;
const COMPLETE_POLLERS: usize = 4;

/// Status events that may wait before no more executions are started. All movers share one small machine here: without
/// this bound, ends of executions could wait longer than a lease, and look like losses.
const COMPLETIONS_WAITING: usize = 400;

/// How late after a window's start its run begins, so that a timer that rings early does not ring in the window before.
const INTO_WINDOW: Duration = Duration::from_millis(5);

/// Starts all of them. Dropping the set stops them.
pub fn start(demo: &Arc<Demo>, late: Vec<(EventId, String)>) -> JoinSet<()> {
    let mut movers = JoinSet::new();
    for _ in 0..INGEST_POLLERS {
        movers.spawn(ingest(demo.clone()));
    }
    for _ in 0..INVOKE_POLLERS {
        movers.spawn(invoke(demo.clone()));
    }
    for _ in 0..COMPLETE_POLLERS {
        movers.spawn(complete(demo.clone()));
    }
    movers.spawn(schedule(demo.clone()));
    movers.spawn(sweep(demo.clone()));
    movers.spawn(late_duplicates(demo.clone(), late));
    movers
}

impl Demo {
    fn deadline(&self) -> Deadline {
        Deadline::after(self.world.ledger.clock(), Duration::from_secs(60))
    }

    /// Something went wrong that the movers are made to survive. It is shown all the same, once per cause.
    fn trouble(&self, mover: &str, cause: impl ToString) {
        let what = format!("{mover}: {}", cause.to_string());
        if self.tally.failure(&what) {
            self.screen.note("trouble", &what);
        }
    }

    async fn receive(&self, mover: &str, poll: &Poll) -> Option<Batch> {
        match poll.receive().await {
            Ok(batch) if batch.messages.is_empty() => tokio::time::sleep(REST).await,
            Ok(batch) => return Some(batch),
            Err(error) => {
                self.trouble(mover, error);
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
        None
    }

    async fn acknowledge(&self, mover: &str, poll: &Poll, batch: Batch, dispositions: &[Disposition]) {
        if let Err(error) = poll.acknowledge(batch, dispositions).await {
            self.trouble(mover, error);
        }
    }
}

async fn ingest(demo: Arc<Demo>) {
    let world = &demo.world;
    let ingest = Ingest::new(
        world.ledger.clone(),
        Reading::default(),
        world.dispatch.max_attempts,
    );
    loop {
        let Some(batch) = demo.receive("ingest", &world.intake).await else {
            continue;
        };
        let payload = |message: &Delivered| Payload {
            body: message.body.clone(),
            trace: message.trace.clone(),
            again: message.receive_count > 1,
            message_id: Some(message.message_id.clone()),
        };
        let payloads: Vec<Payload> = batch.messages.iter().map(payload).collect();
        let mut dispositions = Vec::with_capacity(payloads.len());
        for ingested in ingest.ingest(&payloads, demo.deadline()).await {
            for outcome in &ingested.rows {
                demo.tally.recorded(outcome);
                if !outcome.is_safe() {
                    demo.trouble(
                        "ingest",
                        format!("an event is not in the ledger yet: {outcome:?}"),
                    );
                }
            }
            dispositions.push(match ingested.is_safe() {
                true => Disposition::Acknowledge,
                false => Disposition::Return,
            });
        }
        demo.acknowledge("ingest", &world.intake, batch, &dispositions)
            .await;
        demo.note_intake();
    }
}

async fn invoke(demo: Arc<Demo>) {
    let world = &demo.world;
    // StartExecution's usual rate, unless N asks for more.
    let per_second = f64::from(world.dispatch.per_window) / world.dispatch.window.as_secs_f64();
    let pace = Pace::per_second((per_second as u32).saturating_mul(2).max(300));
    let invoker = Invoker::new(
        world.ledger.clone(),
        world.executions(),
        world.dispatch.clone(),
        pace,
    );
    loop {
        if world
            .depth(&world.completion)
            .is_ok_and(|depth| depth > COMPLETIONS_WAITING)
        {
            tokio::time::sleep(REST).await;
            continue;
        }
        // Whoever holds the gate keeps every invoker out, and none is in the middle of a batch then.
        let open = demo.gate.read().await;
        let Some(batch) = demo.receive("invoke", &world.dispatch_queue).await else {
            continue;
        };
        let invoked = invoker.handle(&batch.messages, demo.deadline()).await;
        for (message, outcome) in batch.messages.iter().zip(&invoked) {
            let id = DispatchMessage::from_json(&message.body).map(|message| message.input.id);
            match (outcome, id) {
                (Invoked::Settled(Settled::Completed), Ok(id)) => demo.tally.done(id),
                (Invoked::Parked(_), _) => demo.tally.parked(),
                (Invoked::Settled(Settled::Failed(failed)), _) => demo.failed("invoke", *failed),
                (Invoked::Throttled(cause) | Invoked::Returned(cause), _) => demo.trouble("invoke", cause),
                _ => {}
            }
        }
        let dispositions: Vec<Disposition> = invoked.iter().map(Invoked::disposition).collect();
        demo.acknowledge("invoke", &world.dispatch_queue, batch, &dispositions)
            .await;
        drop(open);
    }
}

async fn complete(demo: Arc<Demo>) {
    let world = &demo.world;
    let completer = Completer::new(world.ledger.clone(), world.executions(), world.dispatch.retry);
    loop {
        let Some(batch) = demo.receive("complete", &world.completion).await else {
            continue;
        };
        let completed = completer.handle(&batch.messages, demo.deadline()).await;
        for (message, outcome) in batch.messages.iter().zip(&completed) {
            match (outcome, ended(message)) {
                (Completed::Settled(Settled::Completed | Settled::LeftNewer), Some(name)) => {
                    demo.tally.done(name.id)
                }
                (Completed::Settled(Settled::Failed(failed)), _) => demo.failed("complete", *failed),
                (Completed::Returned(cause), _) => demo.trouble("complete", cause),
                (Completed::Ignored, _) => demo.trouble("complete", "a status event of something else"),
                // The demo makes no batches.
                (Completed::Settled(Settled::Completed | Settled::LeftNewer), None)
                | (Completed::SettledBatch(_), _) => {}
            }
        }
        let dispositions: Vec<Disposition> = completed.iter().map(Completed::disposition).collect();
        demo.acknowledge("complete", &world.completion, batch, &dispositions)
            .await;
    }
}

impl Demo {
    fn failed(&self, mover: &str, failed: Failed) {
        match failed {
            Failed::Retry(_) => self.trouble(mover, "an attempt failed; the event is tried again"),
            Failed::Parked => {
                self.tally.parked();
                self.trouble(mover, "an event failed in every attempt and waits for a person");
            }
            Failed::Stale => {}
        }
    }
}

/// The execution that a status event is about.
fn ended(message: &Delivered) -> Option<ExecutionName> {
    let event: serde_json::Value = serde_json::from_str(&message.body).ok()?;
    event["detail"]["name"].as_str()?.parse().ok()
}

/// The scheduler at each window's start; in the middle window of all, an outage around it.
async fn schedule(demo: Arc<Demo>) {
    let world = &demo.world;
    let scheduler = Scheduler::new(world.ledger.clone(), world.queue(), world.dispatch.clone());
    let mut outage_to_come = true;
    // Ingest has a head start of half a window at least.
    tokio::time::sleep(world.dispatch.window / 2).await;
    loop {
        demo.sleep_until_window().await;
        let sent = demo.tally.read().sent;
        let may_be_middle = outage_to_come && sent.saturating_add(world.dispatch.per_window) >= demo.middle;
        let closed = match may_be_middle {
            true => Some(demo.gate.write().await),
            false => None,
        };
        let window = Window::at(world.ledger.clock().now(), world.dispatch.window);
        match scheduler.run(window, demo.deadline()).await {
            Ok(report) => {
                demo.tally.sent(window, report.sent);
                demo.note_window(window, report.sent);
                for cause in report.failures {
                    demo.trouble("schedule", cause);
                }
                if closed.is_some() && report.sent > 0 && demo.tally.read().sent >= demo.middle {
                    demo.lose_the_queue().await;
                    outage_to_come = false;
                }
            }
            Err(error) => demo.trouble("schedule", error),
        }
        drop(closed);
    }
}

/// The sweep in the middle of each window, from the same budget.
async fn sweep(demo: Arc<Demo>) {
    let world = &demo.world;
    let (queue, executions) = (world.queue(), Some(world.executions()));
    let sweeper = Sweeper::new(
        world.ledger.clone(),
        queue,
        executions,
        world.dispatch.clone(),
        SweepSettings::default(),
    );
    loop {
        demo.sleep_until_window().await;
        tokio::time::sleep(world.dispatch.window / 2).await;
        let window = Window::at(world.ledger.clock().now(), world.dispatch.window);
        match sweeper.run(window, demo.deadline()).await {
            Ok(report) => {
                tracing::info!(?report, "swept");
                demo.tally.redelivered(window, report.redelivered);
                demo.note_sweep(window, report.redelivered);
                for cause in report.failures {
                    demo.trouble("sweep", cause);
                }
            }
            Err(error) => demo.trouble("sweep", error),
        }
    }
}

impl Demo {
    /// Until the next window has begun.
    async fn sleep_until_window(&self) {
        let every = self.world.dispatch.window;
        let now = self.world.ledger.clock().now();
        let next = Window::at(now, every).start.plus(every);
        tokio::time::sleep(next.since(now) + INTO_WINDOW).await;
    }

    /// Nobody reads the dispatch queue while this runs: all that is in it is lost, and nobody has received it.
    async fn lose_the_queue(&self) {
        // Long enough to be seen.
        tokio::time::sleep(self.world.dispatch.window / 4).await;
        match self.world.aws.sqs().purge(&self.world.dispatch_queue.queue_url) {
            Ok(purged) => {
                let lost = u32::try_from(purged.never_received).unwrap_or(u32::MAX);
                self.tally.lost(lost);
                self.note_loss(lost);
            }
            Err(error) => self.trouble("outage", error),
        }
    }
}

/// S3 delivers at least once: some notifications come again after their events are done.
async fn late_duplicates(demo: Arc<Demo>, mut late: Vec<(EventId, String)>) {
    loop {
        tokio::time::sleep(REST).await;
        let (due, not_yet): (Vec<_>, Vec<_>) = {
            let counts = demo.tally.read();
            late.into_iter().partition(|(id, _)| counts.done.contains(id))
        };
        late = not_yet;
        for (_, notification) in due {
            if let Err(error) = demo
                .world
                .aws
                .sqs()
                .send(&demo.world.intake.queue_url, &notification)
            {
                demo.trouble("a late duplicate", error);
            }
        }
    }
}
