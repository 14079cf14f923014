//! What is printed of a command line that makes no sense.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::values;

/// Exit code of a command line that makes no sense, as of most programs.
const USAGE: u8 = 2;

/// Prints help, or what is wrong with the command line; `command` is the whole of it.
pub fn refuse(error: &clap::Error, command: clap::Command) -> ExitCode {
    // A closed stdout or stderr leaves nobody to tell.
    let plain = error.to_string();
    match values::redacted(&plain) {
        safe if safe == plain => drop(error.print()),
        // Without colours, and without a password.
        safe => eprint!("{safe}"),
    }
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if let Some(variable) = blamed_variable(error, command) {
        eprintln!("\n  hint: the value comes from the environment variable {variable}");
    }
    ExitCode::from(USAGE)
}

/// The environment variable that a refused value came from. clap names the flag only.
fn blamed_variable(error: &clap::Error, mut command: clap::Command) -> Option<String> {
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
    command.build();
    let verbs = command.get_subcommands().flat_map(clap::Command::get_arguments);
    let mut arguments = command.get_arguments().chain(verbs);
    let variable = arguments
        .find(|known| known.to_string() == *argument)?
        .get_env()?;
    let is_set = std::env::var_os(variable).is_some();
    is_set.then(|| variable.to_string_lossy().into_owned())
}
