//! Running again and again, for a deployment without timers of its own.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::log::LogArguments;
use crate::args::values;
use crate::signals;
use crate::ui::logging;

/// How often.
#[derive(Args, Debug)]
pub struct RepeatArguments {
    /// Run again every TIME until SIGTERM or Ctrl-C
    ///
    /// Such as 1m, even if a run fails
    #[arg(long, value_name = "TIME", value_parser = values::every, conflicts_with = "at")]
    #[arg(help_heading = "Dispatch")]
    pub repeat: Option<Duration>,

    #[command(flatten)]
    pub log: LogArguments,
}

/// Runs at once, and then every so often, until it is asked to stop; a run that is under way then is finished. A run that takes longer
/// delays the next one, and none is made up for.
pub async fn repeat(
    verb: &str,
    every: Duration,
    mut run: impl AsyncFnMut() -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let runs = async {
        let mut asked_to_stop = std::pin::pin!(signals::requested());
        logging::say(&format!(
            "{verb}: every {}; SIGTERM or Ctrl-C ends it",
            daybook_inspect::wording::time::span(every)
        ));
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = &mut asked_to_stop => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = run().await {
                tracing::warn!("{verb}: {error:#}");
            }
        }
    };
    tokio::select! {
        biased;
        () = runs => Ok(ExitCode::SUCCESS),
        () = signals::impatience() => Ok(ExitCode::from(signals::INTERRUPTED)),
    }
}
