//! The Lambda function of the schedule: claims due rows, at most N in a window, and sends them.

use std::process::ExitCode;

use clap::Parser;
use daybook_ledger::{Clock, Consumed, Deadline, Ledger, Window};
use daybook_manager::arguments::{
    BatchArguments, BudgetArguments, InFlightArguments, LeaseArguments, StartArguments,
};
use daybook_manager::lambda::{self, Aws, Failure, Function, LedgerArguments, QueueArguments, Service, Tick};
use daybook_manager::{Dispatch, DispatchQueue, Scheduler};
use serde_json::Value;

#[derive(Parser)]
#[command(about = "Sends due events, at most N in a window, as a Lambda function of a schedule")]
struct Settings {
    #[command(flatten)]
    ledger: LedgerArguments,

    #[command(flatten)]
    queue: QueueArguments,

    #[command(flatten)]
    budget: BudgetArguments,

    #[command(flatten)]
    lease: LeaseArguments,

    #[command(flatten)]
    in_flight: InFlightArguments,

    #[command(flatten)]
    start: StartArguments,

    #[command(flatten)]
    batch: BatchArguments,
}

struct ScheduleFunction {
    scheduler: Scheduler,
    ledger: Ledger,
    window: std::time::Duration,
}

impl Function for ScheduleFunction {
    const NAME: &'static str = "schedule";
    type Settings = Settings;
    type Event = Tick;

    fn stack(settings: &Settings) -> &str {
        &settings.ledger.stack
    }

    fn new(settings: Settings, aws: &Aws, clock: &Clock) -> Result<Self, String> {
        let ledger = aws.ledger(&settings.ledger, clock)?;
        let client = aws_sdk_sqs::Client::new(&aws.config(Service::Sqs));
        let queue = DispatchQueue::new(client, settings.queue.dispatch_queue_url);
        let batching = settings.batch.checked().map_err(|error| error.of_variable())?;
        let dispatch = Dispatch {
            per_window: settings.budget.per_window,
            window: settings.budget.every,
            lease: settings.lease.lease,
            max_in_flight: settings.in_flight.max_in_flight,
            start: settings.start.dispatch,
            batching,
            ..Dispatch::default()
        };
        let dispatch = dispatch.checked().map_err(|error| error.of_variable())?;
        Ok(Self {
            window: dispatch.window,
            scheduler: Scheduler::new(ledger.clone(), queue, dispatch),
            ledger,
        })
    }

    fn consumed(&self) -> Consumed {
        self.ledger.consumed()
    }

    async fn handle(&self, tick: &Tick, deadline: Deadline) -> Result<Value, Failure> {
        let window = Window::at(tick.time(self.ledger.clock()), self.window);
        let report = self.scheduler.run(window, deadline).await?;
        Ok(lambda::telemetry::scheduled(&report))
    }
}

fn main() -> ExitCode {
    lambda::run::<ScheduleFunction>()
}
