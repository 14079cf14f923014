//! `daybook up`: everything in one process, with the ledger on the disk.
//!
//! The order of start and end matters. Start: take the folder and the address, open the ledger, put back what the last process had
//! claimed, then serve. End: stop listening and claiming, finish the requests that run, let the workers drain, put back what is still queued.
//! Killed at any point, the ledger has every event that was acknowledged, and the next start puts back what was claimed.

pub mod arguments;
pub mod binary_mode;
pub mod body;
pub mod collect_only;
pub mod connections;
pub mod console;
pub mod counters;
pub mod intake;
pub mod jumps;
pub mod pipeline;
pub mod print;
pub mod refusal;
pub mod runs;
pub mod scrape;
pub mod server;
pub mod watch;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use daybook_console::snapshot::Snapshots;
use daybook_inspect::parts;
use daybook_inspect::wording::time;
use daybook_manager::Dispatch;
use daybook_manager::worker::WorkerSettings;
use tokio::net::TcpListener;
use tokio::sync::watch as channel;

use crate::args::{target, values};
pub use crate::commands::run::up::arguments::UpArguments;
use crate::commands::run::up::connections::Limits;
use crate::commands::run::up::counters::Recording;
use crate::commands::run::up::intake::{Backlog, Recorder};
use crate::commands::run::up::pipeline::{Pipeline, Workers};
use crate::commands::run::up::runs::Runs;
use crate::commands::run::up::server::{ServerState, Services};
use crate::deployment::folder::Folder;
use crate::deployment::lock::{Credential, Door, Holder, Lock};
use crate::signals;
use crate::ui::error::UserError;
use crate::ui::logging;
use crate::ui::output::Output;

/// Open files that the process asks for: a connection is one, and a command needs three.
const FILES: u64 = 65_536;

/// Between two looks at the row of each run: within a second of it the run of an event that a person completes or cancels is stopped.
const LOOK_AT_RUNS_EVERY: Duration = Duration::from_millis(700);

/// What it holds before anything runs.
struct Base {
    folder: Folder,
    lock: Lock,
    listener: TcpListener,
    door: Door,
}

impl Base {
    /// Takes the folder and the address.
    ///
    /// # Errors
    /// When the folder is in use or cannot be written, or the address cannot be had.
    async fn take(arguments: &UpArguments, dispatch: &Dispatch) -> anyhow::Result<Self> {
        // A start that fails leaves no folder behind, and no ledger in one that was there: the address comes before what is made. Where
        // the folder is there, who has it is asked first, for that is also who has the address.
        let (mut lock, listener) = match arguments.data_dir.exists() {
            true => (Lock::take(&arguments.data_dir)?, listen(arguments).await?),
            false => {
                let listener = listen(arguments).await?;
                (Lock::take(&arguments.data_dir)?, listener)
            }
        };
        let settings = arguments.folder_settings(dispatch);
        let folder = Folder::create(&arguments.data_dir, settings, &lock).await?;
        let door = Door {
            url: format!("http://{}", listener.local_addr()?),
            credential: Credential::draw().context("the system gives no random bytes")?,
            workers: arguments.target.is_given().then_some(parts::Workers {
                at_once: arguments.target.workers,
                batch: dispatch.batching.map_or(1, |batching| batching.size),
                most_in_flight: Some(arguments.most_in_flight()),
            }),
        };
        // On a full disk it runs all the same, and says so at /health: what is in the ledger must not wait for commands beside it.
        if let Err(error) = lock.say(&Holder::up(Some(door.clone()))) {
            let folder = arguments.data_dir.display();
            tracing::warn!(%error, "{folder}/up.lock cannot be written: commands with --local do not find this process");
        }
        Ok(Self {
            folder,
            lock,
            listener,
            door,
        })
    }

    /// DynamoDB, SQS and Step Functions behind its port, and what is shown there and by the console.
    fn services(
        &self,
        arguments: &UpArguments,
        dispatch: &Dispatch,
        (runs, recording): (&Arc<Runs>, &Arc<Recording>),
        trouble: channel::Receiver<Option<String>>,
    ) -> std::io::Result<(Services, Arc<Snapshots>)> {
        let services = Services {
            aws: self.folder.aws.clone(),
            for_clients: self.listener.local_addr()?.ip().is_loopback(),
            credential: self.door.credential.clone(),
        };
        let snapshots = console::snapshots(console::Shown {
            folder: self.folder.clone(),
            dispatch: dispatch.clone(),
            dir: arguments.data_dir.clone(),
            running: parts::Running {
                pid: std::process::id(),
                url: self.door.url.clone(),
                workers: self.door.workers,
            },
            runs: runs.clone(),
            recording: recording.clone(),
            trouble,
        });
        Ok((services, snapshots))
    }
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// When it cannot start: a setting that cannot work, a folder that is in use or cannot be written, an address that cannot be had.
pub async fn run(arguments: UpArguments, output: Output) -> anyhow::Result<ExitCode> {
    arguments.check()?;
    let dispatch = arguments.dispatch()?;
    let workers = workers(&arguments)?;
    raise_file_limit();
    let base = Base::take(&arguments, &dispatch).await?;
    let pages = arguments.console.listen().await?;
    let folder = &base.folder;
    let recording = Arc::new(Recording::default());
    let clock = folder.ledger.clock();
    let runs = Arc::new(Runs::of(&arguments.data_dir, clock, workers.is_some()));
    let pipeline = Pipeline::new(
        folder.clone(),
        dispatch.clone(),
        workers,
        (recording.clone(), runs.clone()),
    )?;
    let recovered = pipeline.recover(folder.mark_before).await;
    pipeline.bring_forward().await;
    // Before it says that a signal drains.
    let asked_to_stop = signals::requested();
    let ways_in = (base.door.url.as_str(), pages.as_ref());
    print::start(&arguments, &dispatch, ways_in, &recovered, &folder.ledger).await;

    let printer = (!pipeline.has_target()).then(|| collect_only::Printer::new(arguments.reading(), output));
    let (say_trouble, trouble) = channel::channel(None);
    let services = base.services(&arguments, &dispatch, (&runs, &recording), trouble.clone())?;
    let (state, recorder) = way_in(&arguments, &pipeline, (&recording, trouble), printer, services);
    let backlog = state.backlog.clone();
    let (say_stop, stop) = channel::channel(false);
    let who = (&arguments.console, arguments.token.clone());
    let looking = console::serve(pages, who, state.snapshots.clone(), stop.clone());
    let moving = pipeline.run(stop.clone());
    let serving = async {
        futures::join!(
            server::serve(base.listener, state, Limits::default(), stop.clone()),
            recorder.run()
        );
    };
    let watching = watch::Watch {
        ledger: &folder.ledger,
        recording: &recording,
        runs: &runs,
    };
    let stopping = stop_when(asked_to_stop, say_stop, pipeline.has_target());
    let work = async { futures::join!(stopping, moving, serving, looking) };
    let report = tokio::select! {
        biased;
        (_, report, (), ()) = work => report,
        // These never end.
        () = watching.tell() => None,
        () = watching.keep_health(&say_trouble) => None,
        () = backlog.keep_counting(&folder.ledger) => None,
        () = pipeline.expire() => None,
        () = runs.keep_writing(&arguments.data_dir) => None,
        () = signals::impatience() => {
            logging::say("stopped immediately: the next start puts back what was running");
            return Ok(ExitCode::from(signals::INTERRUPTED));
        }
    };
    // What waited in the queue, which ends with this process.
    pipeline.recover(folder.settings.token_mark).await;
    runs.write_last(&arguments.data_dir).await;
    print::end(&recording, report.as_ref(), &folder.ledger, output).await?;
    log_requests(folder);
    drop(base.lock);
    Ok(ExitCode::SUCCESS)
}

fn log_requests(folder: &Folder) {
    tracing::info!(
        flushes = folder.aws.syncs(),
        requests = folder.aws.requests(),
        "flushes of the ledger's log to the disk, and requests to the embedded AWS"
    );
}

/// Says that it drains when it is asked to stop. Without a target nothing runs that could be waited for.
async fn stop_when(
    asked_to_stop: impl Future<Output = ()>,
    say_stop: channel::Sender<bool>,
    has_target: bool,
) {
    asked_to_stop.await;
    let running = match has_target {
        true => format!(
            "running events get {} to finish; those that need longer are stopped and put back, and no attempt is used",
            time::span(WorkerSettings::new(target::this_process()).grace)
        ),
        false => "what is being recorded is finished, then this ends".to_owned(),
    };
    logging::say(&format!(
        "draining: {running}. Ctrl-C or SIGTERM again stops immediately, and nothing is lost"
    ));
    say_stop.send_replace(true);
}

/// Where events come in, and what records them.
fn way_in(
    arguments: &UpArguments,
    pipeline: &Pipeline,
    (recording, trouble): (&Arc<Recording>, channel::Receiver<Option<String>>),
    printer: Option<collect_only::Printer>,
    (services, snapshots): (Services, Arc<Snapshots>),
) -> (ServerState, Recorder) {
    let (intake, recorder) = Recorder::new(
        pipeline.ledger().clone(),
        arguments.reading(),
        pipeline.max_attempts(),
        pipeline.immediate(),
        recording.clone(),
        printer,
    );
    let backlog = Backlog::new(arguments.max_backlog, arguments.admission, recording.clone());
    let state = ServerState {
        intake,
        backlog: Arc::new(backlog),
        token: arguments.token.clone(),
        services,
        trouble,
        snapshots,
    };
    (state, recorder)
}

/// What works on events; nothing without a target.
fn workers(arguments: &UpArguments) -> anyhow::Result<Option<Workers>> {
    let target = arguments.target.target()?;
    let settings = worker_settings(arguments)?;
    Ok(target.map(|target| Workers {
        target,
        settings,
        most_in_flight: arguments.most_in_flight(),
    }))
}

fn worker_settings(arguments: &UpArguments) -> Result<WorkerSettings, clap::Error> {
    let settings = WorkerSettings {
        workers: arguments.target.workers as usize,
        lease: arguments.pace.lease,
        timeout: arguments.target.timeout,
        retry: arguments
            .pace
            .backoff
            .checked()
            .map_err(|error| values::usage(&error))?,
        look_every: Some(LOOK_AT_RUNS_EVERY),
        ..WorkerSettings::new(target::this_process())
    };
    settings.checked().map_err(|error| values::usage(&error))
}

async fn listen(arguments: &UpArguments) -> Result<TcpListener, UserError> {
    let address = arguments.listen;
    TcpListener::bind(address).await.map_err(|error| {
        UserError::new(format!("cannot listen on {address}"))
            .because(error)
            .hint("give an address of this machine and a port that is free with --listen (DAYBOOK_LISTEN); port 0 takes any")
    })
}

/// As many open files as the system allows, within reason; and a limit of their sizes is an error, not the end.
fn raise_file_limit() {
    signals::survive_file_size_limits();
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(FILES).min(FILES);
    if current.is_some_and(|current| current < wanted) {
        let limit = Rlimit {
            current: Some(wanted),
            maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files cannot be raised; connections may have to wait");
        }
    }
}
