//! The Lambda function of the intake queue: notifications in, rows out.

use std::process::ExitCode;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use clap::Parser;
use daybook_ledger::{Clock, Consumed, Deadline, Ledger};
use daybook_manager::arguments::{
    self, AttemptsArguments, BatchArguments, BudgetArguments, LeaseArguments, StartArguments,
};
use daybook_manager::lambda::{
    self, Aws, Batch, Failure, Function, LedgerArguments, ReadingArguments, Service,
};
use daybook_manager::{Dispatch, DispatchQueue, Immediate, Ingest, Ingested, Start};

#[derive(Parser)]
#[command(about = "Records S3 object events in the ledger, as a Lambda function of the intake queue")]
struct Settings {
    #[command(flatten)]
    ledger: LedgerArguments,

    #[command(flatten)]
    reading: ReadingArguments,

    #[command(flatten)]
    attempts: AttemptsArguments,

    #[command(flatten)]
    start: StartArguments,

    /// The SQS queue that new events are sent to at once; FIFO if its name ends in .fifo
    #[arg(long, value_name = "URL", value_parser = arguments::queue_url)]
    #[arg(env = "DAYBOOK_DISPATCH_QUEUE_URL", hide_env_values = true)]
    dispatch_queue_url: Option<String>,

    #[command(flatten)]
    budget: BudgetArguments,

    #[command(flatten)]
    lease: LeaseArguments,

    #[command(flatten)]
    batch: BatchArguments,
}

struct IngestFunction {
    ingest: Ingest,
    ledger: Ledger,
}

impl Function for IngestFunction {
    const NAME: &'static str = "ingest";
    type Settings = Settings;
    type Event = Batch;

    fn stack(settings: &Settings) -> &str {
        &settings.ledger.stack
    }

    fn new(settings: Settings, aws: &Aws, clock: &Clock) -> Result<Self, String> {
        let ledger = aws.ledger(&settings.ledger, clock)?;
        let reading = settings.reading.reading();
        let ingest = Ingest::new(ledger.clone(), reading, settings.attempts.max_attempts);
        if settings.start.dispatch == Start::Scheduled {
            return Ok(Self { ingest, ledger });
        }
        let url = settings.dispatch_queue_url.ok_or(
            "DAYBOOK_DISPATCH_QUEUE_URL is not set: it is needed where DAYBOOK_DISPATCH is immediate",
        )?;
        let batching = settings.batch.checked().map_err(|error| error.of_variable())?;
        let client = aws_sdk_sqs::Client::new(&aws.config(Service::Sqs));
        let dispatch = Dispatch {
            per_window: settings.budget.per_window,
            window: settings.budget.every,
            lease: settings.lease.lease,
            start: Start::Immediate,
            batching,
            ..Dispatch::default()
        };
        let immediate = Immediate::new(dispatch, DispatchQueue::new(client, url));
        Ok(Self {
            ingest: ingest.dispatching(immediate),
            ledger,
        })
    }

    fn consumed(&self) -> Consumed {
        self.ledger.consumed()
    }

    async fn handle(&self, batch: &Batch, deadline: Deadline) -> Result<SqsBatchResponse, Failure> {
        let ingested = self.ingest.handle(batch.messages(), deadline).await;
        lambda::telemetry::ingested(batch.messages(), &ingested);
        Ok(batch.answer(ingested.iter().map(Ingested::disposition)))
    }
}

fn main() -> ExitCode {
    lambda::run::<IngestFunction>()
}
