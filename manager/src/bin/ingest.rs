//! The Lambda function of the intake queue: notifications in, rows out.

use std::process::ExitCode;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use clap::Parser;
use daybook_ledger::{Deadline, Ledger};
use daybook_manager::arguments::AttemptsArguments;
use daybook_manager::lambda::{self, Aws, Batch, Failure, Function, LedgerArguments, ReadingArguments};
use daybook_manager::{Ingest, Ingested};

#[derive(Parser)]
#[command(about = "Records S3 object events in the ledger, as a Lambda function of the intake queue")]
struct Settings {
    #[command(flatten)]
    ledger: LedgerArguments,

    #[command(flatten)]
    reading: ReadingArguments,

    #[command(flatten)]
    attempts: AttemptsArguments,
}

struct IngestFunction(Ingest);

impl Function for IngestFunction {
    const NAME: &'static str = "ingest";
    type Settings = Settings;
    type Event = Batch;

    fn ledger(settings: &Settings) -> &LedgerArguments {
        &settings.ledger
    }

    fn new(settings: Settings, ledger: Ledger, _: &Aws) -> Result<Self, String> {
        let reading = settings.reading.reading();
        Ok(Self(Ingest::new(ledger, reading, settings.attempts.max_attempts)))
    }

    async fn handle(&self, batch: &Batch, deadline: Deadline) -> Result<SqsBatchResponse, Failure> {
        let ingested = self.0.handle(batch.messages(), deadline).await;
        lambda::telemetry::ingested(batch.messages(), &ingested);
        Ok(batch.answer(ingested.iter().map(Ingested::disposition)))
    }
}

fn main() -> ExitCode {
    lambda::run::<IngestFunction>()
}
