//! The Lambda function of a schedule that takes messages from one queue to another, N a tick, without a ledger.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use daybook_ledger::{Clock, Deadline};
use daybook_manager::arguments::{self, at_least_one};
use daybook_manager::lambda::{self, Aws, Failure, Function, Service, Tick};
use daybook_manager::{DeduplicationId, Relay, RelaySettings};
use serde_json::Value;

#[derive(Parser)]
#[command(
    about = "Sends messages from one SQS queue to another, at most N per tick, as a Lambda function of a schedule"
)]
struct Settings {
    /// The CloudFormation stack: a dimension of all metrics
    #[arg(long, value_name = "NAME", env = "DAYBOOK_STACK", hide_env_values = true)]
    stack: String,

    /// URL of the queue that messages are taken from
    #[arg(long, value_name = "URL", value_parser = arguments::queue_url)]
    #[arg(env = "DAYBOOK_RELAY_FROM", hide_env_values = true)]
    from: String,

    /// URL of the queue that they are sent to
    #[arg(long, value_name = "URL", value_parser = arguments::queue_url)]
    #[arg(env = "DAYBOOK_RELAY_TO", hide_env_values = true)]
    to: String,

    /// N: how many messages one tick takes at most; at least 1
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    per_window: u32,

    /// What a FIFO queue recognises repeated messages by
    #[arg(long, value_enum, value_name = "WHICH", default_value_t)]
    #[arg(env = "DAYBOOK_RELAY_DEDUPLICATION_ID", hide_env_values = true)]
    deduplication_id: DeduplicationId,
}

/// How long a poll waits: short, because an idle tick pays for it.
const WAIT: Duration = Duration::from_secs(2);

struct RelayFunction(Relay);

impl Function for RelayFunction {
    const NAME: &'static str = "relay";
    type Settings = Settings;
    type Event = Tick;

    fn stack(settings: &Settings) -> &str {
        &settings.stack
    }

    fn new(settings: Settings, aws: &Aws, clock: &Clock) -> Result<Self, String> {
        if settings.from == settings.to {
            return Err("DAYBOOK_RELAY_FROM and DAYBOOK_RELAY_TO are the same queue".into());
        }
        let client = aws_sdk_sqs::Client::new(&aws.config(Service::Sqs));
        let settings = RelaySettings {
            from: settings.from,
            to: settings.to,
            per_window: settings.per_window,
            wait: WAIT,
            deduplication_id: settings.deduplication_id,
        };
        Ok(Self(Relay::new(client, settings, clock.clone())))
    }

    async fn handle(&self, _: &Tick, deadline: Deadline) -> Result<Value, Failure> {
        let report = self.0.run(deadline).await;
        Ok(lambda::telemetry::relayed(&report))
    }
}

fn main() -> ExitCode {
    lambda::run::<RelayFunction>()
}
