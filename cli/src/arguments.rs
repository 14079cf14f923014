//! What can be asked for, and what becomes of a question that makes no sense.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::{
    attach::{AttachArguments, DetachArguments},
    audit::AuditArguments,
    demo::DemoArguments,
    dispatch::{PauseArguments, ResumeArguments, SetArguments},
    doctor::DoctorArguments,
    ingest::IngestArguments,
    init::InitArguments,
    list::ListArguments,
    manual::{CompletionsArguments, ManArguments},
    operate::{CompleteArguments, FailArguments, RedriveArguments, ReleaseArguments, RemoveArguments},
    redrive_queue::RedriveQueueArguments,
    replay::ReplayArguments,
    schedule::ScheduleArguments,
    settings,
    show::ShowArguments,
    status::StatusArguments,
    sweep::SweepArguments,
    up::UpArguments,
    why::WhyArguments,
    worker::WorkerArguments,
};

/// Exit code of a command line that makes no sense, as of most programs.
const USAGE: u8 = 2;

/// Daybook writes every S3 event into a ledger before anything else happens to it, hands out N events per
/// window and no more, and keeps each until it is processed.
#[derive(Debug, Parser)]
#[command(name = "daybook", version, max_term_width = 100)]
#[command(
    after_help = "New here? `daybook demo` shows all of it in about 15 seconds, with no AWS account.\n\
    Every flag can also be set by the environment variable beside it; a flag wins."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How the result is written to stdout: a table for people, or one JSON object for programs
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    #[arg(env = "DAYBOOK_OUTPUT", hide_env_values = true, help_heading = "Output")]
    pub output: Output,

    /// Tell more on stderr: -v what happens, -vv every step, -vvv the AWS clients too (or set RUST_LOG)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

/// The form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// The verbs. Without comments of their own here, they show the whole text of their arguments' comments in --help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(DemoArguments),
    Up(Box<UpArguments>),
    Ingest(Box<IngestArguments>),
    Status(Box<StatusArguments>),
    List(Box<ListArguments>),
    Show(Box<ShowArguments>),
    Why(Box<WhyArguments>),
    Doctor(Box<DoctorArguments>),
    Init(Box<InitArguments>),
    Attach(Box<AttachArguments>),
    Detach(Box<DetachArguments>),
    RedriveQueue(RedriveQueueArguments),
    Audit(Box<AuditArguments>),
    Redrive(Box<RedriveArguments>),
    Release(Box<ReleaseArguments>),
    Fail(Box<FailArguments>),
    Complete(Box<CompleteArguments>),
    Remove(Box<RemoveArguments>),
    Replay(Box<ReplayArguments>),
    Pause(Box<PauseArguments>),
    Resume(Box<ResumeArguments>),
    Set(Box<SetArguments>),
    Schedule(ScheduleArguments),
    Sweep(SweepArguments),
    Worker(WorkerArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

/// Prints help, or what is wrong with the command line.
pub fn refuse(error: &clap::Error) -> ExitCode {
    // A closed stdout or stderr leaves nobody to tell.
    let plain = error.to_string();
    match settings::redacted(&plain) {
        safe if safe == plain => drop(error.print()),
        // Without colours, and without a password.
        safe => eprint!("{safe}"),
    }
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if let Some(variable) = blamed_variable(error) {
        eprintln!("\n  hint: the value comes from the environment variable {variable}");
    }
    ExitCode::from(USAGE)
}

/// The environment variable that a refused value came from. clap names the flag only.
fn blamed_variable(error: &clap::Error) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let ContextValue::String(argument) = error.get(ContextKind::InvalidArg)? else {
        return None;
    };
    let flag = argument.split(' ').next()?;
    let given = |argument: String| argument == flag || argument.starts_with(&format!("{flag}="));
    if std::env::args().any(given) {
        return None;
    }
    let mut command = Cli::command();
    command.build();
    let verbs = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let mut arguments = command.get_arguments().chain(verbs);
    let variable = arguments
        .find(|known| known.to_string() == *argument)?
        .get_env()?;
    let is_set = std::env::var_os(variable).is_some();
    is_set.then(|| variable.to_string_lossy().into_owned())
}
