//! A command as the target: one process per event or batch, no shell.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use daybook_schema::ItemFailures;
use futures::future::{BoxFuture, maybe_done};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};

use super::environment;
use super::failures::FailuresFile;
use super::group::Group;
use super::tail::Tail;
use super::target::{Run, RunInput, Target, TargetAnswer};
use super::target_log::TargetLog;

/// EX_TEMPFAIL (sysexits.h): "later".
const LATER: i32 = 75;

/// How long the pipes of a command that has ended are read: a process that left its group may hold them open for ever.
const TIME_TO_DRAIN: Duration = Duration::from_secs(1);

/// Runs a command for each event, or for each batch. Needs a tokio runtime with its I/O and time drivers, on a Unix.
///
/// The object is in the environment: `DAYBOOK_BUCKET`, `DAYBOOK_KEY` (decoded, as it is in the bucket), `DAYBOOK_VERSION_ID`,
/// `DAYBOOK_ETAG`, `DAYBOOK_SIZE` (bytes), `DAYBOOK_EVENT` (such as `ObjectCreated:Put`), `DAYBOOK_KIND` (such as `created`),
/// `DAYBOOK_EVENT_TIME`, `DAYBOOK_SEQUENCER`, `DAYBOOK_SOURCE`, `DAYBOOK_REGION`, `DAYBOOK_ID` and `DAYBOOK_ATTEMPT`; what the
/// event does not have is not set. The same is on stdin as JSON, as an execution's input. `_X_AMZN_TRACE_ID` is the X-Ray header.
/// A value with a NUL cannot be in the environment: that run fails and says so.
///
/// Exit status 0 is success, 75 (EX_TEMPFAIL) is "later", anything else a failure with the end of what was written to stderr
/// (or else to stdout), at most 2 KB. The command leads a process group of its own, and nothing of the group outlives it: what it
/// leaves running when it ends is killed, and so is all of it when the run is dropped. Asked to stop, the group gets SIGTERM, and
/// SIGKILL after a grace. A process that leaves the group (setsid) is out of reach.
///
/// Of a batch each event is a line of JSON on stdin, in the same form, sorted by id; `DAYBOOK_BATCH` is its id, and the variables of a
/// single event are not set. `DAYBOOK_FAILURES` names an empty file: a command that succeeds may list there which events have failed, one
/// id on a line, or as the JSON `{"batchItemFailures":[{"itemIdentifier":"<id>"}]}`. A list that cannot be read, is longer than 256 KB or
/// names an event that was not given fails all of them. The file and its folder are removed when the command has ended.
#[derive(Clone, Debug)]
pub struct CommandTarget {
    program: OsString,
    arguments: Vec<OsString>,
    kill_grace: Duration,
    log: Option<Arc<TargetLog>>,
}

impl CommandTarget {
    /// That program, looked up in PATH, with exactly those arguments. 5 seconds lie between SIGTERM and SIGKILL.
    pub fn new(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            kill_grace: Duration::from_secs(5),
            log: None,
        }
    }

    /// The same, and what commands write to stdout and stderr is kept there.
    pub fn with_log(self, log: Option<Arc<TargetLog>>) -> Self {
        Self { log, ..self }
    }

    /// The same with that long between SIGTERM and SIGKILL; it should be shorter than
    /// [`WorkerSettings::stopping`](super::WorkerSettings::stopping), after which a run is dropped.
    pub fn with_kill_grace(self, kill_grace: Duration) -> Self {
        Self { kill_grace, ..self }
    }

    async fn execute(&self, run: Run) -> TargetAnswer {
        let trace = run.trace.as_deref();
        let variables = match &run.input {
            RunInput::Single(event) => environment::of(event, trace),
            RunInput::Batch(batch) => Ok(environment::of_batch(batch.batch, trace)),
        };
        let variables = match variables {
            Ok(variables) => variables,
            Err(why) => return TargetAnswer::Failed { why },
        };
        let failures = match &run.input {
            RunInput::Single(_) => None,
            RunInput::Batch(_) => match FailuresFile::new() {
                Ok(failures) => Some(failures),
                // No failure of the events: the disk is full, or cannot be written.
                Err(error) => {
                    let why = format!("the file for DAYBOOK_FAILURES cannot be made: {error}");
                    return TargetAnswer::Later { after: None, why };
                }
            },
        };
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(failures) = &failures {
            command.env(environment::FAILURES, failures.path());
        }
        match Group::spawn(&mut command) {
            Ok(group) => self.watch(group, run, failures).await,
            Err(error) => not_started(&self.program, &error),
        }
    }

    /// Feeds and reads the command until it ends or is to stop; nothing of it runs when this returns.
    async fn watch(&self, mut group: Group, mut run: Run, failures: Option<FailuresFile>) -> TargetAnswer {
        let (mut stdout, mut stderr) = (Tail::default(), Tail::default());
        let kept = self.log.as_ref().and_then(|log| log.begin(&run.input));
        let child = group.child();
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let status = {
            let pipes = async {
                futures::join!(
                    feed(input, stdin_of(&run.input)),
                    stdout.read(output, kept.as_ref()),
                    stderr.read(errors, kept.as_ref())
                )
            };
            let mut pipes = Box::pin(maybe_done(pipes));
            // The command's own end counts, not that of its pipes: they may outlive it, and it may close them.
            tokio::select! {
                biased;
                () = group.leader_ended() => {}
                () = run.stop.requested() => {
                    group.terminate();
                    let ended = async { futures::join!(group.leader_ended(), pipes.as_mut()) };
                    let _ = tokio::time::timeout(self.kill_grace, ended).await;
                }
                () = async { pipes.as_mut().await; std::future::pending().await } => {}
            }
            let status = group.end().await;
            // What it wrote last is still in the pipes.
            let _ = tokio::time::timeout(TIME_TO_DRAIN, pipes.as_mut()).await;
            status
        };
        if let (Some(kept), Ok(status)) = (&kept, &status) {
            kept.line(format_args!("{status}"));
        }
        match status {
            Ok(status) => {
                let failures = failures.map(|failures| failures.read(&run.input.ids()));
                answer(status, failures, &stdout, &stderr)
            }
            Err(error) => TargetAnswer::Failed {
                why: format!("the command's exit status is not known: {error}"),
            },
        }
    }
}

impl Target for CommandTarget {
    fn run(&self, run: Run) -> BoxFuture<'_, TargetAnswer> {
        Box::pin(self.execute(run))
    }
}

/// Writes all of stdin and closes it. A command need not read it, so that a closed pipe is no failure.
async fn feed(stdin: Option<ChildStdin>, input: String) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input.as_bytes()).await;
    }
}

/// One event as its JSON, a batch as a line of JSON for each.
fn stdin_of(input: &RunInput) -> String {
    match input {
        RunInput::Single(event) => event.to_json(),
        RunInput::Batch(batch) => batch.events.iter().map(|event| event.to_json() + "\n").collect(),
    }
}

fn answer(status: ExitStatus, failures: Option<ItemFailures>, stdout: &Tail, stderr: &Tail) -> TargetAnswer {
    let mut failed = None;
    let happened = match (status.code(), status.signal()) {
        (Some(0), _) => match failures {
            Some(ItemFailures::Listed(listed)) if !listed.is_empty() => {
                failed = Some(listed);
                "listed in DAYBOOK_FAILURES".to_owned()
            }
            Some(ItemFailures::Malformed(why)) => why,
            None | Some(ItemFailures::Listed(_)) => return TargetAnswer::Success,
        },
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    };
    let said = Some(stderr.text())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| stdout.text());
    let why = match said.is_empty() {
        true => happened,
        false => format!("{happened}: {said}"),
    };
    match (status.code(), failed) {
        (Some(LATER), _) => TargetAnswer::Later { after: None, why },
        (_, Some(failed)) => TargetAnswer::Listed { failed, why },
        (_, None) => TargetAnswer::Failed { why },
    }
}

/// A machine that is out of processes, memory or files is no failure of the event; a command that is not there is one.
fn not_started(program: &OsStr, error: &io::Error) -> TargetAnswer {
    use io::ErrorKind::{OutOfMemory, QuotaExceeded, ResourceBusy, WouldBlock};
    const TOO_MANY_FILES: [i32; 2] = [
        rustix::io::Errno::MFILE.raw_os_error(),
        rustix::io::Errno::NFILE.raw_os_error(),
    ];
    let why = format!("{} could not be started: {error}", program.to_string_lossy());
    let is_exhausted = matches!(
        error.kind(),
        WouldBlock | OutOfMemory | ResourceBusy | QuotaExceeded
    ) || error
        .raw_os_error()
        .is_some_and(|code| TOO_MANY_FILES.contains(&code));
    match is_exhausted {
        true => TargetAnswer::Later { after: None, why },
        false => TargetAnswer::Failed { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_out_of_something_is_no_failure_of_the_event() {
        let later = |error: io::Error| {
            matches!(
                not_started(OsStr::new("work"), &error),
                TargetAnswer::Later { .. }
            )
        };
        assert!(later(io::ErrorKind::WouldBlock.into()));
        assert!(later(io::ErrorKind::OutOfMemory.into()));
        assert!(later(io::Error::from_raw_os_error(
            rustix::io::Errno::MFILE.raw_os_error()
        )));
        assert!(later(io::Error::from_raw_os_error(
            rustix::io::Errno::NFILE.raw_os_error()
        )));
        assert!(!later(io::ErrorKind::NotFound.into()));
        assert!(!later(io::ErrorKind::PermissionDenied.into()));
    }

    #[test]
    fn the_time_between_the_two_signals_is_as_it_was_asked_for() {
        let target = CommandTarget::new("work", ["--all"]).with_kill_grace(Duration::from_secs(60));
        assert_eq!(
            (target.kill_grace, target.arguments.len()),
            (Duration::from_secs(60), 1)
        );
    }
}
