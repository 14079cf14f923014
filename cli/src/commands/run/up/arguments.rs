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
/// Takes S3 notifications over HTTP (POST /events), records each event in a folder before acknowledging it, and
/// runs --exec or calls --post for it, at most N per window; with neither it only collects. A kill loses
/// nothing: start it again.
///
/// The event is JSON on stdin or in the POST; a command has DAYBOOK_BUCKET, DAYBOOK_KEY … in its environment,
/// too. Exit code 0 or 2xx: success. 75, 429 or 503 with Retry-After, or no connection: later, no attempt used.
/// Anything else: a failed attempt. Ctrl-C and SIGTERM drain: running events get 20 seconds, longer ones are
/// put back with no attempt used; a second signal stops at once.
#[derive(Args, Debug)]
pub struct UpArguments {
    #[command(flatten)]
    pub target: TargetArguments,

    /// Folder of the ledger
    ///
    /// On a local disk; it is created if missing. Only one process can use it at a time
    #[arg(
        long,
        value_name = "DIR",
        default_value = folder::USUAL_DIR,
        env = folder::DIR_VARIABLE
    )]
    #[arg(hide_env_values = true, help_heading = "Server")]
    pub data_dir: PathBuf,

    /// How long receipts are kept
    ///
    /// Such as 14d or 36h; duplicates are recognised for that long. 0 turns receipts off
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = values::time)]
    #[arg(
        env = "DAYBOOK_RECEIPTS_KEEP",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub receipts_keep: Duration,

    /// HOST:PORT to listen on
    ///
    /// Port 0 picks a free one. On a loopback address the same port also serves AWS clients (DynamoDB, SQS,
    /// Step Functions); any other address requires --token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9480", value_parser = address)]
    #[arg(env = "DAYBOOK_LISTEN", hide_env_values = true, help_heading = "Server")]
    pub listen: SocketAddr,

    /// Secret of senders (safer in DAYBOOK_TOKEN)
    ///
    /// Senders present it as `Authorization: Bearer TOKEN`, and AWS clients as their access key id. Prefer
    /// the variable: other users of this machine can read flags
    #[arg(
        long,
        value_name = "TOKEN",
        env = "DAYBOOK_TOKEN",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub token: Option<Token>,

    /// Name of the S3 that sends events
    ///
    /// It keeps apart servers that share a bucket name
    #[arg(
        long,
        value_name = "NAME",
        default_value_t,
        env = "DAYBOOK_SOURCE",
        hide_env_values = true
    )]
    #[arg(help_heading = "Server")]
    pub source: SourceName,

    /// Keys are encoded, plain or auto
    ///
    /// How notifications spell them: encoded is form-encoded, as S3 does it; auto goes by the server that the
    /// notification names
    #[arg(
        long,
        value_name = "HOW",
        default_value_t,
        env = "DAYBOOK_KEY_ENCODING",
        hide_env_values = true
    )]
    #[arg(help_heading = "Server")]
    pub key_encoding: KeyEncoding,

    /// Most pending and running events; see --admission
    ///
    /// Beyond that, --admission applies; at least 1
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_BACKLOG", hide_env_values = true, help_heading = "Server")]
    pub max_backlog: Option<u32>,

    /// When it is full
    ///
    /// What to do with events beyond --max-backlog: buffer accepts them and logs it, reject answers 429 with
    /// Retry-After
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value_t,
        help_heading = "Server"
    )]
    #[arg(env = "DAYBOOK_ADMISSION", hide_env_values = true)]
    pub admission: Admission,

    #[command(flatten)]
    pub pace: PaceArguments,

    #[command(flatten)]
    pub console: UpConsoleArguments,

    #[command(flatten)]
    pub log: LogArguments,
}

/// How fast.
#[derive(Args, Debug)]
#[command(next_help_heading = "Dispatch")]
pub struct PaceArguments {
    /// N: events per window, at least 1
    ///
    /// How many may be handed to workers, redeliveries included
    #[arg(long, value_name = "N", default_value = "1000", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_PER_WINDOW", hide_env_values = true)]
    per_window: u32,

    /// Length of a window, 100ms to 1d
    ///
    /// Such as 1m or 30s
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::every)]
    #[arg(env = "DAYBOOK_EVERY", hide_env_values = true)]
    every: Duration,

    /// Most events queued or running, at least 1
    ///
    /// 25 per worker by default, or two batches if that is more
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_IN_FLIGHT", hide_env_values = true)]
    max_in_flight: Option<u32>,

    /// Start immediate or scheduled
    ///
    /// When events that arrive are handed to workers: immediate is at once, while a worker is free and N
    /// lasts; scheduled is through the queue on the same port, where workers of other processes have their
    /// share
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Start::Immediate)]
    #[arg(hide_possible_values = true)]
    #[arg(env = "DAYBOOK_DISPATCH", hide_env_values = true)]
    dispatch: Start,

    #[command(flatten)]
    batch: values::BatchArguments,

    /// Failed attempts until it is parked
    ///
    /// An event with that many is parked for a person; at least 1
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_ATTEMPTS", hide_env_values = true)]
    max_attempts: u32,

    /// Lease of a queued event, 3s to 11h
    ///
    /// How long it may wait for a worker before the sweep checks on it; workers renew the leases of the
    /// events they hold
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
