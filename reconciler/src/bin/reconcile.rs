//! The Lambda function of the sweep: brings back rows whose leases ran out, and counts where rows stand.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use daybook_ledger::{Clock, Consumed, Deadline, Ledger, Window};
use daybook_manager::arguments::{BackoffArguments, BudgetArguments, LeaseArguments};
use daybook_manager::lambda::{
    Aws, Failure, Function, LedgerArguments, QueueArguments, Service, TargetArguments, Tick, run,
};
use daybook_manager::{Dispatch, DispatchQueue};
use daybook_reconciler::lambda::{gauges, swept};
use daybook_reconciler::{SweepSettings, Sweeper};
use serde_json::Value;

/// What is kept of a run's time for counting rows when the sweep has taken all that it may: an eighth, and no more than this.
const TIME_TO_COUNT: Duration = Duration::from_secs(10);

#[derive(Parser)]
#[command(about = "Brings back events whose leases ran out, as a Lambda function of a schedule")]
struct Settings {
    #[command(flatten)]
    ledger: LedgerArguments,

    #[command(flatten)]
    queue: QueueArguments,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    budget: BudgetArguments,

    #[command(flatten)]
    lease: LeaseArguments,

    #[command(flatten)]
    backoff: BackoffArguments,
}

struct ReconcileFunction {
    sweeper: Sweeper,
    ledger: Ledger,
    window: Duration,
}

impl Function for ReconcileFunction {
    const NAME: &'static str = "reconcile";
    type Settings = Settings;
    type Event = Tick;

    fn stack(settings: &Settings) -> &str {
        &settings.ledger.stack
    }

    fn new(settings: Settings, aws: &Aws, clock: &Clock) -> Result<Self, String> {
        let ledger = aws.ledger(&settings.ledger, clock)?;
        let sqs = aws_sdk_sqs::Client::new(&aws.config(Service::Sqs));
        let queue = DispatchQueue::new(sqs, settings.queue.dispatch_queue_url);
        let target = settings.target.named()?.open(aws);
        let dispatch = Dispatch {
            per_window: settings.budget.per_window,
            window: settings.budget.every,
            lease: settings.lease.lease,
            retry: settings.backoff.checked().map_err(|error| error.of_variable())?,
            ..Dispatch::default()
        };
        Ok(Self {
            window: dispatch.window,
            sweeper: Sweeper::of_target(ledger.clone(), queue, target, dispatch, SweepSettings::default()),
            ledger,
        })
    }

    fn consumed(&self) -> Consumed {
        self.ledger.consumed()
    }

    async fn handle(&self, tick: &Tick, deadline: Deadline) -> Result<Value, Failure> {
        let window = Window::at(tick.time(self.ledger.clock()), self.window);
        let clock = self.ledger.clock();
        let left = deadline.left(clock);
        let until = Deadline::after(clock, left - (left / 8).min(TIME_TO_COUNT));
        let report = self.sweeper.run_on(window, until).await?;
        let answer = swept(window, &report);
        gauges(&self.ledger, deadline).await;
        Ok(answer)
    }
}

fn main() -> ExitCode {
    run::<ReconcileFunction>()
}
