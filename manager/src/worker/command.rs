//! A command as the target: one process per event or batch, no shell.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
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
use super::outage::Outage;
use super::tail::Tail;
use super::target::{Run, RunInput, Target, TargetAnswer};
use super::target_log::TargetLog;

/// EX_TEMPFAIL (sysexits.h): "later".
const LATER: i32 = 75;

/// How long the pipes of a command that has ended are read: a process that left its group may hold them open for ever.
const TIME_TO_DRAIN: Duration = Duration::from_secs(1);

/// Why a program cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum NotStartable {
    /// Its name is empty.
    #[error("the command's name is empty")]
    Empty,
    /// It has no slash in its name, and no folder of PATH has it.
    #[error("{0} is in no folder of PATH")]
    NotInPath(String),
    /// There is no such file.
    #[error("{} is not there", .0.display())]
    Absent(PathBuf),
    /// It is a folder.
    #[error("{} is a folder, not a command", .0.display())]
    Folder(PathBuf),
    /// This user may not execute it.
    #[error("{} may not be executed by this user (chmod +x?)", .0.display())]
    NotExecutable(PathBuf),
}

/// Runs a command for each event, or for each batch. Needs a tokio runtime with its I/O and time drivers, on a Unix.
///
/// The object is in the environment: `DAYBOOK_BUCKET`, `DAYBOOK_KEY` (decoded, as it is in the bucket), `DAYBOOK_VERSION_ID`,
/// `DAYBOOK_ETAG`, `DAYBOOK_SIZE` (bytes), `DAYBOOK_EVENT` (such as `ObjectCreated:Put`), `DAYBOOK_KIND` (such as `created`),
/// `DAYBOOK_EVENT_TIME`, `DAYBOOK_SEQUENCER`, `DAYBOOK_SOURCE`, `DAYBOOK_REGION`, `DAYBOOK_ID` and `DAYBOOK_ATTEMPT`; what the
/// event does not have is not set. A general event has `DAYBOOK_CE_ID`, `DAYBOOK_CE_SOURCE`, `DAYBOOK_CE_TYPE`, `DAYBOOK_CE_SUBJECT` and
/// `DAYBOOK_CE_PARTITIONKEY` in the place of what describes an object. The same is on stdin as JSON, with a general event's data, as an
/// execution's input. `_X_AMZN_TRACE_ID` is the X-Ray header.
/// A value with a NUL cannot be in the environment: that run fails and says so.
///
/// A command that cannot be started is "later", after as long as that has lasted, from 5 seconds to 10 minutes; only an environment that is
/// too large is a failure.
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
    outage: Outage,
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
            outage: Outage::default(),
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

    /// Whether the program can be started, as far as that can be known before: it is there, where PATH leads if its name has no slash, is a
    /// file, and may be executed.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self) -> Result<(), NotStartable> {
        can_start(&self.program, std::env::var_os("PATH").as_deref())
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
            Ok(group) => {
                self.outage.over(&run.input.ids());
                self.watch(group, run, failures).await
            }
            Err(error) => {
                let why = format!("{} could not be started: {error}", self.program.to_string_lossy());
                match is_of_event(&error) {
                    true => TargetAnswer::Failed { why },
                    false => self.outage.unreachable(why),
                }
            }
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

/// Looks a program up as it is looked up to be started.
fn can_start(program: &OsStr, path: Option<&OsStr>) -> Result<(), NotStartable> {
    if program.is_empty() {
        return Err(NotStartable::Empty);
    }
    if program.as_bytes().contains(&b'/') {
        return executable(Path::new(program));
    }
    // As execvp(3) does where there is no PATH.
    let path = path.unwrap_or_else(|| OsStr::new("/bin:/usr/bin"));
    let mut first = None;
    for folder in std::env::split_paths(path) {
        match executable(&folder.join(program)) {
            Ok(()) => return Ok(()),
            Err(NotStartable::Absent(_)) => {}
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or_else(|| NotStartable::NotInPath(program.to_string_lossy().into_owned())))
}

fn executable(file: &Path) -> Result<(), NotStartable> {
    match std::fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(NotStartable::NotExecutable(file.to_owned()))
        }
        Err(_) => Err(NotStartable::Absent(file.to_owned())),
        Ok(found) if found.is_dir() => Err(NotStartable::Folder(file.to_owned())),
        Ok(_) => rustix::fs::access(file, rustix::fs::Access::EXEC_OK)
            .map_err(|_| NotStartable::NotExecutable(file.to_owned())),
    }
}

/// What is wrong with a program is no failure of an event, and neither is a machine that is out of processes, memory or files. Only an
/// environment that is too large is.
fn is_of_event(error: &io::Error) -> bool {
    let too_large = rustix::io::Errno::TOOBIG.raw_os_error();
    error.kind() == io::ErrorKind::InvalidInput || error.raw_os_error() == Some(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_large_for_an_environment_is_a_failure_of_the_event() {
        use rustix::io::Errno;
        let of_event = |errno: Errno| is_of_event(&io::Error::from_raw_os_error(errno.raw_os_error()));
        assert!(of_event(Errno::TOOBIG));
        assert!(is_of_event(&io::ErrorKind::InvalidInput.into()));
        for errno in [
            Errno::NOENT,
            Errno::ACCESS,
            Errno::NOEXEC,
            Errno::ISDIR,
            Errno::AGAIN,
            Errno::NOMEM,
            Errno::MFILE,
            Errno::NFILE,
            Errno::TXTBSY,
        ] {
            assert!(!of_event(errno), "{errno}");
        }
    }

    #[test]
    fn what_cannot_be_started_is_found_as_it_would_be_started() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("folder")).unwrap();
        for (name, mode) in [("plain", 0o644), ("runs", 0o755)] {
            std::fs::write(path(name), "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(path(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        let check = |program: &OsStr, path: Option<&str>| {
            let path = path.map(OsString::from);
            can_start(program, path.as_deref()).map_err(|why| why.to_string())
        };
        let here = folder.path().to_str().unwrap();
        let two = format!("/nonexistent:{here}");
        assert_eq!(check(path("runs").as_os_str(), None), Ok(()));
        assert_eq!(check("runs".as_ref(), Some(&two)), Ok(()));
        assert_eq!(check("sh".as_ref(), None), Ok(()), "where no PATH is set");
        for (program, path, why) in [
            (path("absent").into_os_string(), None, "is not there"),
            (path("plain/x").into_os_string(), None, "is not there"),
            (path("plain").into_os_string(), None, "may not be executed"),
            (path("folder").into_os_string(), None, "is a folder"),
            ("absent".into(), Some(two.as_str()), "is in no folder of PATH"),
            ("plain".into(), Some(&two), "may not be executed"),
            ("folder".into(), Some(&two), "is a folder"),
            ("".into(), Some(&two), "is empty"),
        ] {
            let said = check(&program, path).unwrap_err();
            assert!(said.contains(why), "{program:?}: {said}");
        }
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
