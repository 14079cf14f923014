//! The Lambda function of the dispatch queue: messages in, executions started, functions invoked or messages sent.

use std::process::ExitCode;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use clap::Parser;
use daybook_ledger::{Clock, Consumed, Deadline, Ledger};
use daybook_manager::arguments::{BackoffArguments, LeaseArguments, at_least_one};
use daybook_manager::lambda::{self, Aws, Batch, Failure, Function, LedgerArguments, TargetArguments};
use daybook_manager::{Dispatch, Invoked, Invoker, Pace};

#[derive(Parser)]
#[command(about = "Hands each attempt of an event to the target, as a Lambda function of the dispatch queue")]
struct Settings {
    #[command(flatten)]
    ledger: LedgerArguments,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    lease: LeaseArguments,

    #[command(flatten)]
    backoff: BackoffArguments,

    /// How many attempts one environment of the function hands over a second at most; at least 1
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    #[arg(env = "DAYBOOK_STARTS_PER_SECOND", hide_env_values = true)]
    starts_per_second: u32,
}

struct InvokeFunction {
    invoker: Invoker,
    ledger: Ledger,
}

impl Function for InvokeFunction {
    const NAME: &'static str = "invoke";
    type Settings = Settings;
    type Event = Batch;

    fn stack(settings: &Settings) -> &str {
        &settings.ledger.stack
    }

    fn new(settings: Settings, aws: &Aws, clock: &Clock) -> Result<Self, String> {
        let ledger = aws.ledger(&settings.ledger, clock)?;
        let target = settings.target.named()?.open(aws);
        let pace = Pace::per_second(settings.starts_per_second);
        let dispatch = Dispatch {
            lease: settings.lease.lease,
            retry: settings.backoff.checked().map_err(|error| error.of_variable())?,
            ..Dispatch::default()
        };
        Ok(Self {
            invoker: Invoker::new(ledger.clone(), target, dispatch, pace),
            ledger,
        })
    }

    fn consumed(&self) -> Consumed {
        self.ledger.consumed()
    }

    async fn handle(&self, batch: &Batch, deadline: Deadline) -> Result<SqsBatchResponse, Failure> {
        let invoked = self.invoker.handle(batch.messages(), deadline).await;
        lambda::telemetry::invoked(batch.messages(), &invoked);
        Ok(batch.answer(invoked.iter().map(Invoked::disposition)))
    }
}

fn main() -> ExitCode {
    lambda::run::<InvokeFunction>()
}
