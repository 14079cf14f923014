//! What the Lambda functions share: settings by environment variables, clients, JSON logs, metrics, the deadline.
//!
//! A function is a [`Function`], and its `main` is [`run`]. Everything is made once, at start; between invocations nothing is
//! kept but clients, connections and the pace of starts.
//!
//! | when | what |
//! |---|---|
//! | start | settings are checked and clients built; a bad setting is one line of log and exit code 1 |
//! | invocation | the event is read, the function handles it until a little before Lambda ends the process |
//! | end | metrics are written, whatever the outcome was |

mod aws;
mod batch;
mod failure;
mod function;
mod invocation;
mod log;
pub mod metric;
mod settings;
mod target;
pub mod telemetry;
mod tick;

use std::process::ExitCode;

pub use aws::{Aws, Service};
pub use batch::Batch;
use daybook_ledger::Clock;
pub use failure::Failure;
pub use function::{Event, Function};
use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use metric::Metrics;
use serde_json::Value;
pub use settings::{LedgerArguments, QueueArguments, ReadingArguments, SourceArguments, parse};
pub use target::{NamedTarget, TargetArguments};
pub use tick::Tick;

/// The `main` of a function: settings, clients, then invocations until Lambda ends the process.
pub fn run<F: Function>() -> ExitCode {
    let current = log::Current::default();
    let started = log::start(&current, F::NAME)
        .and_then(|()| settings::parse::<F::Settings>())
        .and_then(start::<F>);
    let (function, clock, metrics) = match started {
        Ok(started) => started,
        Err(why) => {
            tracing::error!(function = F::NAME, "the function cannot start: {why}");
            return ExitCode::FAILURE;
        }
    };
    // One thread: a function has less than one processor unless it is given more than 1.7 GB.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(serve(&function, &clock, &metrics, &current)),
        Err(error) => Err(error.into()),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(function = F::NAME, "the function ends: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start<F: Function>(settings: F::Settings) -> Result<(F, Clock, Metrics), String> {
    let stack = F::stack(&settings).to_owned();
    let aws = Aws::from_environment()?;
    let clock = Clock::system();
    let metrics = Metrics::start(&stack, F::NAME)?;
    log::watch_panics(metrics);
    Ok((F::new(settings, &aws, &clock)?, clock, metrics))
}

async fn serve<F: Function>(
    function: &F,
    clock: &Clock,
    metrics: &Metrics,
    current: &log::Current,
) -> Result<(), lambda_runtime::Error> {
    let handler = service_fn(|event: LambdaEvent<Value>| async move {
        current.set(&event.context);
        metrics.begin(&event.context.request_id);
        let answer = invocation::handle(function, clock, event).await;
        metrics.flush(function.consumed());
        current.clear();
        answer
    });
    Runtime::new(handler).run().await
}
