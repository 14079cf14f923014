//! The console of `daybook up`: pages on a listener of their own, since the port for events refuses browsers on purpose.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use daybook_console::settings::PATIENCE;
use daybook_console::snapshot::Snapshots;
use daybook_console::{Deployment, Settings, Source, router_on};
use daybook_inspect::activity::Activity;
use daybook_inspect::audits::{KeptAudit, KeptAudits};
use daybook_inspect::aws::s3::S3;
use daybook_inspect::checks::flow::Configured;
use daybook_inspect::metrics::Counted;
use daybook_inspect::operate::log::Log;
use daybook_inspect::parts::{LocalFolder, Parts, Running};
use daybook_inspect::rate::Rate;
use daybook_inspect::wording::shell::quoted;
use daybook_ledger::RetryPolicy;
use daybook_manager::Dispatch;
use futures::future::{BoxFuture, FutureExt};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::args::listen::{Token, address};
use crate::args::{operator, values};
use crate::commands::console::listen::{access, hosts, listen};
use crate::commands::run::up::connections::{self, Limits};
use crate::commands::run::up::counters::Recording;
use crate::commands::run::up::runs::Runs;
use crate::deployment::audits;
use crate::deployment::audits::off_the_loop;
use crate::deployment::folder::Folder;
use crate::deployment::people::PeopleLog;
use crate::ui::error::UserError;
use crate::ui::logging;

/// Where it listens unless said otherwise.
const USUAL: &str = "127.0.0.1:9481";

/// How old what the pages say may be.
const POLL: Duration = Duration::from_secs(2);

/// The console.
#[derive(Args, Debug)]
#[command(next_help_heading = "Server")]
pub struct UpConsoleArguments {
    /// Console's address or off [default: 127.0.0.1:9481]
    ///
    /// As HOST:PORT. The usual one is left out if it is not free. Port 0 picks a free one; any but a loopback
    /// address requires --token
    #[arg(long, value_name = "ADDRESS", env = "DAYBOOK_CONSOLE", hide_env_values = true)]
    pub console: Option<ConsoleAddress>,

    /// Let nothing be changed in the console
    #[arg(long, env = "DAYBOOK_CONSOLE_READ_ONLY", hide_env_values = true)]
    pub console_read_only: bool,

    /// Who acts in the console
    ///
    /// Unless they give another name there; $USER@host by default
    #[arg(long, value_name = "NAME", value_parser = operator::words, env = "DAYBOOK_BY", hide_env_values = true)]
    pub console_by: Option<String>,
}

/// Where the console listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleAddress {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl FromStr for ConsoleAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            text => address(text)
                .map(Self::At)
                .map_err(|_| "HOST:PORT or off is needed, such as 127.0.0.1:9481".to_owned()),
        }
    }
}

impl UpConsoleArguments {
    /// Checks what the flags do not say one by one.
    ///
    /// # Errors
    /// A usage error of clap's.
    pub fn check(&self, token: Option<&Token>) -> Result<(), clap::Error> {
        match self.console {
            Some(ConsoleAddress::At(address)) if !address.ip().is_loopback() && token.is_none() => {
                let why = format!(
                    "{address} can be reached by other machines, so a token is needed: set DAYBOOK_TOKEN"
                );
                Err(values::usage_of("console", &why))
            }
            _ => Ok(()),
        }
    }

    /// Listens, unless the console is off. Where the usual port is taken, `daybook up` goes on without a console.
    ///
    /// # Errors
    /// When an address that was asked for cannot be had.
    pub async fn listen(&self) -> Result<Option<TcpListener>, UserError> {
        let (address, is_usual) = match self.console {
            Some(ConsoleAddress::Off) => return Ok(None),
            Some(ConsoleAddress::At(address)) => (address, false),
            None => match USUAL.parse() {
                Ok(address) => (address, true),
                Err(_) => return Ok(None),
            },
        };
        match listen(address).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) if is_usual => {
                logging::say(&format!(
                    "no console: {address} cannot be had ({error}); --console ADDRESS names another"
                ));
                Ok(None)
            }
            Err(error) => Err(UserError::new(format!("cannot listen on {address}"))
                .because(error)
                .hint("give another address with --console (DAYBOOK_CONSOLE); port 0 takes any, `off` does without")),
        }
    }
}

/// What the console of a process shows.
pub struct Shown {
    pub folder: Folder,
    pub dispatch: Dispatch,
    pub dir: PathBuf,
    pub running: Running,
    pub runs: Arc<Runs>,
    pub recording: Arc<Recording>,
    pub trouble: watch::Receiver<Option<String>>,
}

/// What is known of where the process stands, for the console and for `GET /metrics`: the ledger is asked once for both.
pub fn snapshots(shown: Shown) -> Arc<Snapshots> {
    Arc::new(Snapshots::new(Arc::new(UpSource(Arc::new(shown))), POLL))
}

/// Serves the pages until `stop` is true. Without a console nothing is served.
pub fn serve(
    listener: Option<TcpListener>,
    (arguments, token): (&UpConsoleArguments, Option<Token>),
    snapshots: Arc<Snapshots>,
    stop: watch::Receiver<bool>,
) -> impl Future<Output = ()> + use<> {
    let by = arguments.console_by.clone().unwrap_or_else(operator::usual_name);
    serve_as(
        listener,
        (arguments.console_read_only, token, by),
        snapshots,
        stop,
    )
}

async fn serve_as(
    listener: Option<TcpListener>,
    who: (bool, Option<Token>, String),
    snapshots: Arc<Snapshots>,
    stop: watch::Receiver<bool>,
) {
    let Some(listener) = listener else { return };
    match settings(&listener, who, stop.clone()) {
        Ok(settings) => {
            let router = router_on(snapshots, settings);
            connections::serve(listener, router, Limits::default(), stop).await;
        }
        Err(error) => logging::say(&format!("no console: {error:#}")),
    }
}

fn settings(
    listener: &TcpListener,
    (read_only, token, by): (bool, Option<Token>, String),
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Settings> {
    let address = listener.local_addr()?;
    let token = token.filter(|_| !address.ip().is_loopback());
    Ok(Settings {
        hosts: hosts(address, &[]),
        access: access(token.as_ref())?,
        read_only,
        poll: POLL,
        patience: PATIENCE,
        by,
        stop,
    })
}

struct UpSource(Arc<Shown>);

/// The process at one moment.
struct Moment {
    shown: Arc<Shown>,
    activity: Activity,
    trouble: Option<String>,
}

impl Source for UpSource {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Deployment>, String>> {
        let moment = Moment {
            shown: self.0.clone(),
            activity: self.0.runs.activity(),
            trouble: self.0.trouble.borrow().clone(),
        };
        async { Ok(Arc::new(moment) as Arc<dyn Deployment>) }.boxed()
    }

    fn counted(&self) -> Option<Counted> {
        let recording = &self.0.recording;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Some(Counted {
            recorded: get(&recording.recorded),
            unreadable: get(&recording.unreadable),
            known: get(&recording.known),
            refused: get(&recording.refused),
            ends: self.0.runs.total(),
        })
    }
}

impl Deployment for Moment {
    fn parts(&self) -> Parts<'_> {
        Parts {
            ledger: &self.shown.folder.ledger,
            queue: None,
            executions: None,
            source: self.shown.folder.settings.source.clone(),
            folder: Some(LocalFolder {
                path: &self.shown.dir,
                running: Some(&self.shown.running),
                activity: Some(&self.activity),
                trouble: self.trouble.as_deref(),
            }),
        }
    }

    fn name(&self) -> String {
        format!("folder {}", self.shown.dir.display())
    }

    fn rate(&self) -> Rate {
        Rate {
            per_window: Some(self.shown.dispatch.per_window),
            window: Some(self.shown.dispatch.window),
        }
    }

    fn max_attempts(&self) -> u32 {
        self.shown.folder.settings.max_attempts
    }

    fn retry(&self) -> RetryPolicy {
        self.shown.dispatch.retry
    }

    fn s3(&self) -> Result<S3, String> {
        Err("S3 is not asked: `daybook why` with --s3-endpoint asks it".to_owned())
    }

    fn configured(&self) -> Configured {
        let dispatch = &self.shown.dispatch;
        Configured {
            per_window: dispatch.per_window,
            window: dispatch.window,
            lease: dispatch.lease,
            batching: dispatch.batching,
            max_in_flight: dispatch.max_in_flight,
        }
    }

    fn audits(&self) -> BoxFuture<'_, Result<KeptAudits, String>> {
        let dir = self.shown.dir.clone();
        off_the_loop(move || audits::list_or_why(&dir)).boxed()
    }

    fn audit(&self, id: String) -> BoxFuture<'_, Result<Option<KeptAudit>, String>> {
        let dir = self.shown.dir.clone();
        off_the_loop(move || audits::read_or_why(&dir, &id)).boxed()
    }

    fn log(&self) -> Option<Arc<dyn Log>> {
        Some(Arc::new(PeopleLog::of(&self.shown.dir)))
    }

    fn flags(&self) -> String {
        format!("--local {}", quoted(&self.shown.dir.display().to_string()))
    }
}
