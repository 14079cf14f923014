//! What runs for each event, where no Step Functions does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgGroup, Args};
use daybook_ledger::Clock;
use daybook_manager::worker::{CommandTarget, HttpTarget, Target, TargetLog};

use crate::args::{operator, values};
use crate::ui::error::UserError;

/// How long a connection may take. One that is not there by half of --timeout has not failed an attempt either.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// The target, and how many at once.
#[derive(Args, Debug)]
#[command(next_help_heading = "Target")]
#[group(skip)]
#[command(group = ArgGroup::new("target").args(["exec", "post"]))]
pub struct TargetArguments {
    /// POST each event as JSON to this URL
    ///
    /// 2xx means success; 429 and 503 with Retry-After mean later; so do no connection, 502, 503 and 504,
    /// after 5s to 10m; later uses no attempt; anything else is a failed attempt. A batch is one POST, whose
    /// answer may name the events that failed in batchItemFailures
    #[arg(long, value_name = "URL", env = "DAYBOOK_POST", hide_env_values = true)]
    post: Option<String>,

    /// Events to process at once, 1 to 1000
    #[arg(long, value_name = "N", default_value = "4", value_parser = values::whole::<u32>(1, 1000))]
    #[arg(env = "DAYBOOK_WORKERS", hide_env_values = true)]
    pub workers: u32,

    /// Longest run of one event; then it fails
    ///
    /// Its process group is killed
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = values::time)]
    #[arg(env = "DAYBOOK_TIMEOUT", hide_env_values = true)]
    pub timeout: Duration,

    /// Keep what the target writes in this folder
    ///
    /// It is made if missing: a file per event and attempt with up to 1 MiB, of the newest 1000 runs
    #[arg(long, value_name = "DIR", env = "DAYBOOK_TARGET_LOG", hide_env_values = true)]
    target_log: Option<PathBuf>,

    /// Run this command for each event; must come last
    ///
    /// Without a shell. The event is passed in the environment (DAYBOOK_BUCKET, DAYBOOK_KEY …) and as JSON on
    /// stdin. Exit code 0 means success, 75 means later (in a minute, no attempt used), anything else is a
    /// failed attempt. A batch is a line of JSON per event on stdin; events whose ids the command writes to
    /// the file that DAYBOOK_FAILURES names have failed
    #[arg(long, value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    exec: Vec<String>,
}

impl TargetArguments {
    /// The target, if one is given.
    ///
    /// # Errors
    /// A usage error of clap's, when it is a URL that cannot be called, or a command that cannot be started. When the folder for what it writes cannot be used.
    pub fn target(&self) -> anyhow::Result<Option<Arc<dyn Target>>> {
        if let Some(url) = &self.post {
            let target = HttpTarget::new(url, Clock::system());
            let target = target.map_err(|error| values::usage_of("post", &error))?;
            let target = target.with_connect_timeout(LONGEST_CONNECT.min(self.timeout / 2));
            return Ok(Some(Arc::new(target.with_log(self.log()?))));
        }
        let Some((program, arguments)) = self.exec.split_first() else {
            return Ok(None);
        };
        let target = CommandTarget::new(program, arguments);
        target.check().map_err(|error| values::usage_of("exec", &error))?;
        Ok(Some(Arc::new(target.with_log(self.log()?))))
    }

    /// Where what it writes is kept, if that is asked for.
    fn log(&self) -> Result<Option<Arc<TargetLog>>, UserError> {
        let Some(folder) = &self.target_log else {
            return Ok(None);
        };
        match TargetLog::open(folder, Clock::system()) {
            Ok(log) => Ok(Some(Arc::new(log))),
            Err(error) => Err(UserError::new(format!(
                "{} cannot keep what the target writes",
                folder.display()
            ))
            .because(error)
            .hint("give a folder that this user may write with --target-log (DAYBOOK_TARGET_LOG)")),
        }
    }

    /// The target of a command that is nothing without one.
    ///
    /// # Errors
    /// As [`TargetArguments::target`], and when none is given.
    pub fn required(&self) -> anyhow::Result<Arc<dyn Target>> {
        let missing = "one of the arguments --post <URL> or --exec <COMMAND>... is required\n";
        let missing = || clap::Error::raw(ErrorKind::MissingRequiredArgument, missing);
        Ok(self.target()?.ok_or_else(missing)?)
    }

    /// Whether one is given.
    pub fn is_given(&self) -> bool {
        self.post.is_some() || !self.exec.is_empty()
    }

    /// The target in a few words, for people.
    pub fn words(&self) -> String {
        match &self.post {
            Some(url) => format!("POST {url}"),
            None => self.exec.join(" "),
        }
    }
}

/// Who works, as receipts name it: `host:pid`.
pub fn this_process() -> String {
    format!("{}:{}", operator::host(), std::process::id())
}
