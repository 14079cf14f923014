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
    if let Some(hint) = aws_only(error) {
        eprintln!("\n  hint: {hint}");
    }
    let words = given_words();
    if let (ErrorKind::UnknownArgument, Some((flag, value))) = (error.kind(), negative_value(&words)) {
        eprintln!("\n  hint: {value} is below zero, which {flag} does not take");
    }
    if let Some(variable) = blamed_variable(error, command) {
        eprintln!("\n  hint: the value comes from the environment variable {variable}");
    }
    ExitCode::from(USAGE)
}

/// Advice where a verb that is for AWS only was given a folder.
fn aws_only(error: &clap::Error) -> Option<&'static str> {
    let is_local = error.get(ContextKind::InvalidArg) == Some(&ContextValue::String("--local".to_owned()));
    let is_unknown = error.kind() == ErrorKind::UnknownArgument;
    (is_unknown && is_local)
        .then_some("this verb is for AWS only: `daybook up` runs everything that a folder needs")
}

/// A flag of the command line, and the value below zero that clap took for another flag.
fn negative_value(words: &[String]) -> Option<(&String, &String)> {
    let is_negative = |word: &str| {
        let number = word.strip_prefix('-').unwrap_or_default();
        number.starts_with(|c: char| c.is_ascii_digit())
            && number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
    };
    let mut pairs = words.windows(2);
    let pair = pairs.find(|pair| pair[0].starts_with("--") && is_negative(&pair[1]))?;
    Some((&pair[0], &pair[1]))
}

fn given_words() -> Vec<String> {
    let words = std::env::args_os();
    words.map(|word| word.to_string_lossy().into_owned()).collect()
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
    if given_words().into_iter().any(given) {
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

#[cfg(test)]
mod tests {
    use super::negative_value;

    #[test]
    fn a_value_below_zero_is_told_from_a_flag() {
        let of = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            negative_value(&words).map(|(flag, value)| format!("{flag} {value}"))
        };
        assert_eq!(
            of("daybook pause --until -2h --why x").as_deref(),
            Some("--until -2h")
        );
        assert_eq!(of("daybook x --n -0.5").as_deref(), Some("--n -0.5"));
        for line in [
            "daybook redrive --all -n",
            "daybook x --why - --all",
            "daybook x -2h",
            "daybook x --n --2",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
