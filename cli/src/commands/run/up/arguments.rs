//! The flags of `daybook up`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use daybook_manager::{Dispatch, Start};
use daybook_schema::SourceName;
use daybook_schema::notification::{KeyEncoding, Reading};

pub use crate::args::listen::Token;
use crate::args::listen::address;
use crate::args::log::LogArguments;
use crate::args::target::TargetArguments;
use crate::args::values;
use crate::commands::run::up::console::UpConsoleArguments;
use crate::deployment::folder;

/// Events that may be in flight for each worker unless said otherwise: enough that none waits for work, and few enough that
/// what is queued is worked on before its lease ends.
const IN_FLIGHT_PER_WORKER: u32 = 25;

/// Run everything on this machine: no AWS, the ledger in a folder
///
/// Runs all of Daybook in this process, without AWS: takes S3 event notifications over HTTP (POST /events),
/// writes each event to a ledger in a folder before acknowledging it, and runs a command or calls an HTTP
/// endpoint for each, at most N per window. Without --exec or --post it only collects, and prints what it
/// would run. If it is killed, nothing is lost: start it again. Ctrl-C and SIGTERM drain: no more events are
/// taken, running ones get 20 seconds to finish, and those that need longer are stopped and put back, with no
/// attempt used. A second signal stops at once.
#[derive(Args, Debug)]
pub struct UpArguments {
    /// Folder of the ledger, on a local disk; created if missing. Only one process can use it at a time
    #[arg(
        long,
        value_name = "DIR",
        default_value = folder::USUAL_DIR,
        env = folder::DIR_VARIABLE
    )]
    #[arg(hide_env_values = true, help_heading = "Ledger")]
    pub data_dir: PathBuf,

    /// How long receipts of finished events are kept, such as 14d or 36h; duplicates are recognised for that
    /// long. 0 turns receipts off
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = values::time)]
    #[arg(
        env = "DAYBOOK_RECEIPTS_KEEP",
        hide_env_values = true,
        help_heading = "Ledger"
    )]
    pub receipts_keep: Duration,

    /// Address to listen on, as HOST:PORT; port 0 picks a free one. On a loopback address the same port also
    /// serves AWS clients (DynamoDB, SQS, Step Functions); any other address requires --token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9480", value_parser = address)]
    #[arg(env = "DAYBOOK_LISTEN", hide_env_values = true, help_heading = "Events")]
    pub listen: SocketAddr,

    /// Secret that senders must present as `Authorization: Bearer TOKEN`, and AWS clients as their access key
    /// id. Prefer DAYBOOK_TOKEN: other users of this machine can read flags
    #[arg(
        long,
        value_name = "TOKEN",
        env = "DAYBOOK_TOKEN",
        hide_env_values = true,
        help_heading = "Events"
    )]
    pub token: Option<Token>,

    /// Name of the S3 that the events come from; keeps apart servers that share a bucket name
    #[arg(
        long,
        value_name = "NAME",
        default_value_t,
        env = "DAYBOOK_SOURCE",
        hide_env_values = true
    )]
    #[arg(help_heading = "Events")]
    pub source: SourceName,

    /// How notifications spell keys: encoded (form-encoded, as S3 does), plain, or auto (by the server that
    /// the notification names)
    #[arg(
        long,
        value_name = "HOW",
        default_value_t,
        env = "DAYBOOK_KEY_ENCODING",
        hide_env_values = true
    )]
    #[arg(help_heading = "Events")]
    pub key_encoding: KeyEncoding,

    /// How many events may be pending or running before --admission applies; at least 1
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_BACKLOG", hide_env_values = true, help_heading = "Events")]
    pub max_backlog: Option<u32>,

    /// What to do with events beyond --max-backlog: buffer accepts them and logs it, reject answers 429 with
    /// Retry-After
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value_t,
        help_heading = "Events"
    )]
    #[arg(env = "DAYBOOK_ADMISSION", hide_env_values = true)]
    pub admission: Admission,

    #[command(flatten)]
    pub pace: PaceArguments,

    #[command(flatten)]
    pub console: UpConsoleArguments,

    #[command(flatten)]
    pub log: LogArguments,

    #[command(flatten)]
    pub target: TargetArguments,
}

/// How fast.
#[derive(Args, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct PaceArguments {
    /// N: how many events may be handed to workers per window, redeliveries included; at least 1
    #[arg(long, value_name = "N", default_value = "1000", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    per_window: u32,

    /// Length of a window, such as 1m or 30s; 100ms to 1d
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::every)]
    #[arg(env = "DAYBOOK_EVERY", hide_env_values = true)]
    every: Duration,

    /// How many events may be in flight at once, queued or running; at least 1 [default: 25 per worker, or two
    /// batches if that is more]
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_IN_FLIGHT", hide_env_values = true)]
    max_in_flight: Option<u32>,

    /// When events that arrive are handed to workers: immediate (at once, while a worker is free and N lasts) or
    /// scheduled (through the queue on the same port, where workers of other processes have their share)
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Start::Immediate)]
    #[arg(env = "DAYBOOK_DISPATCH", hide_env_values = true)]
    dispatch: Start,

    #[command(flatten)]
    batch: values::BatchArguments,

    /// After how many failed attempts an event is parked for a person; at least 1
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_ATTEMPTS", hide_env_values = true)]
    max_attempts: u32,

    /// How long an event may wait for a worker before the sweep checks on it; workers renew the leases of the
    /// events they hold; 3s to 11h
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = values::time)]
    #[arg(env = "DAYBOOK_LEASE", hide_env_values = true)]
    pub lease: Duration,

    #[command(flatten)]
    pub backoff: values::BackoffArguments,
}

impl UpArguments {
    /// The checked settings of dispatch.
    ///
    /// # Errors
    /// A usage error of clap's, when settings could not work.
    pub fn dispatch(&self) -> Result<Dispatch, clap::Error> {
        let dispatch = Dispatch {
            per_window: self.pace.per_window,
            window: self.pace.every,
            // Workers that are handed their events count them themselves.
            max_in_flight: (self.pace.dispatch == Start::Scheduled).then(|| self.most_in_flight()),
            max_attempts: self.pace.max_attempts,
            lease: self.pace.lease,
            retry: self
                .pace
                .backoff
                .checked()
                .map_err(|error| values::usage(&error))?,
            start: self.pace.dispatch,
            batching: self.pace.batch.checked().map_err(|error| values::usage(&error))?,
        };
        dispatch.checked().map_err(|error| values::usage(&error))
    }

    /// How many events may be in flight.
    pub fn most_in_flight(&self) -> u32 {
        // One batch runs, and one more gathers.
        let by_worker = IN_FLIGHT_PER_WORKER.max(2 * self.pace.batch.batch_size);
        let by_workers = self.target.workers.saturating_mul(by_worker);
        self.pace.max_in_flight.unwrap_or(by_workers)
    }

    /// How notifications are read.
    pub fn reading(&self) -> Reading {
        Reading {
            source: self.source.clone(),
            keys: self.key_encoding,
        }
    }

    /// What others that write into the folder must know.
    pub fn folder_settings(&self, dispatch: &Dispatch) -> folder::Settings {
        folder::Settings {
            source: self.source.clone(),
            keys: self.key_encoding,
            max_attempts: dispatch.max_attempts,
            backoff_millis: millis(dispatch.retry.first_delay).zip(millis(dispatch.retry.longest_delay)),
            receipts_keep_seconds: self.receipts_keep.as_secs(),
            per_window: Some(dispatch.per_window),
            window_millis: millis(dispatch.window),
            ledger_made: false,
            token_mark: None,
        }
    }

    /// Checks what the flags do not say one by one.
    ///
    /// # Errors
    /// A usage error of clap's.
    pub fn check(&self) -> Result<(), clap::Error> {
        if !self.listen.ip().is_loopback() && self.token.is_none() {
            let why = format!(
                "{} can be reached by other machines, so a token is needed: set DAYBOOK_TOKEN",
                self.listen
            );
            return Err(values::usage_of("listen", &why));
        }
        self.console.check(self.token.as_ref())?;
        if self.admission == Admission::Reject && self.max_backlog.is_none() {
            let why = "reject needs to know from where on: give --max-backlog";
            return Err(values::usage_of("admission", &why));
        }
        Ok(())
    }
}

/// What happens to events over the backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Admission {
    /// Accept them
    #[default]
    Buffer,
    /// Refuse them with 429
    Reject,
}

fn millis(time: Duration) -> Option<u64> {
    u64::try_from(time.as_millis()).ok()
}
