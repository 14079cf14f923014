//! The Lambda function of the completion queue: executions' ends in, rows deleted or put back.

use std::process::ExitCode;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use clap::Parser;
use daybook_ledger::{Clock, Consumed, Deadline, Ledger};
use daybook_manager::arguments::BackoffArguments;
use daybook_manager::lambda::{self, Aws, Batch, Failure, Function, LedgerArguments, TargetArguments};
use daybook_manager::{Completed, Completer};

#[derive(Parser)]
#[command(about = "Settles rows by how their attempts ended, as a Lambda function of the completion queue")]
struct Settings {
    #[command(flatten)]
    ledger: LedgerArguments,

    #[command(flatten)]
    target: TargetArguments,

    #[command(flatten)]
    backoff: BackoffArguments,
}

struct CompleteFunction {
    completer: Completer,
    ledger: Ledger,
}

impl Function for CompleteFunction {
    const NAME: &'static str = "complete";
    type Settings = Settings;
    type Event = Batch;

    fn stack(settings: &Settings) -> &str {
        &settings.ledger.stack
    }

    fn new(settings: Settings, aws: &Aws, clock: &Clock) -> Result<Self, String> {
        let ledger = aws.ledger(&settings.ledger, clock)?;
        let policy = settings.backoff.checked().map_err(|error| error.of_variable())?;
        let target = settings.target.named()?.open(aws);
        Ok(Self {
            completer: Completer::new(ledger.clone(), target, policy),
            ledger,
        })
    }

    fn consumed(&self) -> Consumed {
        self.ledger.consumed()
    }

    async fn handle(&self, batch: &Batch, deadline: Deadline) -> Result<SqsBatchResponse, Failure> {
        let completed = self.completer.handle(batch.messages(), deadline).await;
        lambda::telemetry::completed(batch.messages(), &completed);
        Ok(batch.answer(completed.iter().map(Completed::disposition)))
    }
}

fn main() -> ExitCode {
    lambda::run::<CompleteFunction>()
}
