//! The verbs. A new one is a line in [`Command`], one in [`PURPOSES`] and one in [`Command::run`]; what it does is a
//! file in `commands`.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands;
use crate::commands::audit::arguments::AuditArguments;
use crate::commands::console::ConsoleArguments;
use crate::commands::demo::DemoArguments;
use crate::commands::inspect::doctor::DoctorArguments;
use crate::commands::inspect::errors::ErrorsArguments;
use crate::commands::inspect::list::ListArguments;
use crate::commands::inspect::show::ShowArguments;
use crate::commands::inspect::status::StatusArguments;
use crate::commands::inspect::why::arguments::WhyArguments;
use crate::commands::operate::bulk::{
    CancelArguments, CompleteArguments, FailArguments, RedriveArguments, ReleaseArguments, RemoveArguments,
};
use crate::commands::operate::pause::{PauseArguments, ResumeArguments, SetArguments};
use crate::commands::operate::redrive_queue::RedriveQueueArguments;
use crate::commands::operate::replay::ReplayArguments;
use crate::commands::run::ingest::IngestArguments;
use crate::commands::run::relay::RelayArguments;
use crate::commands::run::schedule::ScheduleArguments;
use crate::commands::run::sweep::SweepArguments;
use crate::commands::run::up::UpArguments;
use crate::commands::run::worker::WorkerArguments;
use crate::commands::setup::attach::{AttachArguments, DetachArguments};
use crate::commands::setup::init::InitArguments;
use crate::commands::setup::manual::{CompletionsArguments, ManArguments};
use crate::reference;
use crate::short_help;
use crate::short_help::Detail;
use crate::ui::escape;
use crate::ui::logging::LogFormat;
use crate::ui::output::Output;

/// Daybook writes every S3 event to a ledger before anything else happens to it, dispatches at most N events
/// per window, and keeps each event until it is processed.
#[derive(Debug, Parser)]
#[command(name = "daybook", version, max_term_width = 100)]
#[command(
    after_help = "An event is pending until a window has room (N events per window), claimed while\n\
    it is queued or runs, under a lease, and parked when its attempts have failed,\n\
    until it is redriven. When it is done, a receipt takes the place of its row.\n\n\
    `daybook help VERB` explains a verb and its flags. Most flags can be set by a\n\
    variable, too; the flag wins. New here? `daybook demo` shows everything in about\n\
    15 seconds, without an AWS account."
)]
pub struct Cli {
    /// Verb to run.
    #[command(subcommand)]
    pub command: Command,

    /// Form of the result
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    #[arg(env = "DAYBOOK_OUTPUT", hide_env_values = true, help_heading = "Output")]
    pub output: Output,

    /// Log more: -v, -vv each step, -vvv AWS (or RUST_LOG)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

/// What the verbs are for, in the order of `daybook --help`. A verb that is missing here fails a test.
const PURPOSES: [(&str, &[&str]); 4] = [
    (
        "Look",
        &[
            "status", "list", "errors", "show", "why", "doctor", "audit", "console",
        ],
    ),
    (
        "Operate",
        &[
            "pause",
            "resume",
            "set",
            "redrive",
            "release",
            "fail",
            "cancel",
            "complete",
            "remove",
            "replay",
            "redrive-queue",
        ],
    ),
    (
        "Run",
        &["demo", "up", "ingest", "schedule", "sweep", "worker", "relay"],
    ),
    ("Set up", &["init", "attach", "detach", "completions", "man"]),
];

/// The whole command line, as it is read and helps. `daybook --help` lists its verbs by purpose.
pub fn whole(detail: Detail) -> clap::Command {
    let command = manual();
    let verbs = verbs_by_purpose(&command);
    short_help::with_help(takes_negative_numbers(command), detail).help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{verbs}{{options}}{{after-help}}"
    ))
}

/// The same, where a number that is below zero is the value of its flag: that it is refused is said of the flag.
fn takes_negative_numbers(mut command: clap::Command) -> clap::Command {
    let is_number = |argument: &clap::Arg| {
        let names = argument.get_value_names().unwrap_or_default();
        !argument.is_positional() && names.iter().any(|name| name == "N")
    };
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    for verb in verbs {
        command = command.mut_subcommand(verb, |verb| {
            verb.mut_args(|argument| match is_number(&argument) {
                true => argument.allow_negative_numbers(true),
                false => argument,
            })
        });
    }
    command
}

/// The same with all that there is to say of each verb, the fields of its JSON included: for the manual and completions.
fn manual() -> clap::Command {
    reference::described(Cli::command())
}

/// A line for each verb below the heading of its purpose. clap has no headings for subcommands.
fn verbs_by_purpose(command: &clap::Command) -> String {
    let (heading, verb) = (
        command.get_styles().get_header(),
        command.get_styles().get_literal(),
    );
    let mut text = String::new();
    for (purpose, names) in PURPOSES {
        text.push_str(&format!("{heading}{purpose}:{heading:#}\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {verb}{name:13}{verb:#}  {about}\n"));
        }
        text.push('\n');
    }
    text + &format!("{heading}Options:{heading:#}\n")
}

/// What was given on the command line.
///
/// # Errors
/// clap's, for invalid arguments, and where help is asked for.
pub fn given() -> Result<Cli, clap::Error> {
    let mut matches = whole(Detail::Full).try_get_matches().map_err(help_as_asked)?;
    if let Some((verb, matches)) = matches.subcommand() {
        note_swallowed_flags(verb, matches);
    }
    let verb = matches.subcommand_name().map(str::to_owned);
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| {
        let mut whole = whole(Detail::Full);
        whole.build();
        // Its usage, and its help: that one says which flags there are.
        match verb.and_then(|verb| whole.find_subcommand(verb).cloned()) {
            Some(mut verb) => error.format(&mut verb),
            None => error.format(&mut whole),
        }
    })
}

/// Of help, the short one where `-h` asked for it. clap's own long one takes three lines for a flag.
fn help_as_asked(error: clap::Error) -> clap::Error {
    let is_help = |error: &clap::Error| error.kind() == ErrorKind::DisplayHelp;
    if !is_help(&error) {
        return error;
    }
    match short_help::without_short_flag(whole(Detail::Full)).try_get_matches() {
        Err(long) if is_help(&long) => error,
        _ => whole(Detail::Brief).try_get_matches().err().unwrap_or(error),
    }
}

/// Says on stderr that flags of Daybook's own stand after `--exec`, and so go to the command.
fn note_swallowed_flags(verb: &str, matches: &ArgMatches) {
    let Ok(Some(words)) = matches.try_get_many::<String>("exec") else {
        return;
    };
    let words: Vec<&str> = words.map(String::as_str).collect();
    let whole = Cli::command();
    let own: Vec<String> = whole
        .find_subcommand(verb)
        .into_iter()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| Some(format!("--{}", argument.get_long()?)))
        .collect();
    for flag in swallowed(&words, &own) {
        eprintln!(
            "note: {flag} stands after --exec, so it goes to `{}`: if it is meant for Daybook, put it before --exec",
            escape::escaped(words[0])
        );
    }
}

/// Which words of a command are flags of Daybook's own. What a shell is given as one word is none.
fn swallowed<'a>(words: &[&'a str], own: &[String]) -> Vec<&'a str> {
    let flags = words
        .iter()
        .skip(1)
        .map(|word| word.split('=').next().unwrap_or(word));
    flags.filter(|flag| own.iter().any(|own| own == flag)).collect()
}

/// The verbs. Without comments of their own here, they show the whole text of their arguments' comments in --help.
#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(DemoArguments),
    Up(Box<UpArguments>),
    Ingest(Box<IngestArguments>),
    Status(Box<StatusArguments>),
    List(Box<ListArguments>),
    Errors(Box<ErrorsArguments>),
    Show(Box<ShowArguments>),
    Why(Box<WhyArguments>),
    Doctor(Box<DoctorArguments>),
    Init(Box<InitArguments>),
    Attach(Box<AttachArguments>),
    Detach(Box<DetachArguments>),
    RedriveQueue(RedriveQueueArguments),
    Audit(Box<AuditArguments>),
    Console(Box<ConsoleArguments>),
    Redrive(Box<RedriveArguments>),
    Release(Box<ReleaseArguments>),
    Fail(Box<FailArguments>),
    Cancel(Box<CancelArguments>),
    Complete(Box<CompleteArguments>),
    Remove(Box<RemoveArguments>),
    Replay(Box<ReplayArguments>),
    Pause(Box<PauseArguments>),
    Resume(Box<ResumeArguments>),
    Set(Box<SetArguments>),
    Schedule(ScheduleArguments),
    Sweep(SweepArguments),
    Worker(WorkerArguments),
    Relay(RelayArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

impl Command {
    /// Whether it shows what fails on the screen itself, so that the log need not.
    pub fn shows_its_failures(&self) -> bool {
        matches!(self, Self::Demo(_))
    }

    /// The form of its log.
    pub fn log_format(&self) -> LogFormat {
        match self {
            Self::Up(arguments) => arguments.log.log_format,
            Self::Worker(arguments) => arguments.log.log_format,
            Self::Ingest(arguments) => arguments.log.log_format,
            Self::Schedule(arguments) => arguments.repeat.log.log_format,
            Self::Sweep(arguments) => arguments.repeat.log.log_format,
            _ => LogFormat::Text,
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// Whatever ends it before it has a result; the error says what to do.
    pub async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Self::Demo(arguments) => commands::demo::run(arguments, output).await,
            Self::Status(arguments) => commands::inspect::status::run(*arguments, output).await,
            Self::List(arguments) => commands::inspect::list::run(*arguments, output).await,
            Self::Errors(arguments) => commands::inspect::errors::run(*arguments, output).await,
            Self::Show(arguments) => commands::inspect::show::run(*arguments, output).await,
            Self::Why(arguments) => commands::inspect::why::run(*arguments, output).await,
            Self::Doctor(arguments) => commands::inspect::doctor::run(*arguments, output).await,
            Self::Init(arguments) => commands::setup::init::run(*arguments, output).await,
            Self::Attach(arguments) => commands::setup::attach::attach(*arguments, output).await,
            Self::Detach(arguments) => commands::setup::attach::detach(*arguments, output).await,
            Self::RedriveQueue(arguments) => commands::operate::redrive_queue::run(arguments, output).await,
            Self::Audit(arguments) => commands::audit::run(*arguments, output).await,
            Self::Console(arguments) => commands::console::run(*arguments, output).await,
            Self::Redrive(arguments) => commands::operate::bulk::redrive(*arguments, output).await,
            Self::Release(arguments) => commands::operate::bulk::release(*arguments, output).await,
            Self::Fail(arguments) => commands::operate::bulk::fail(*arguments, output).await,
            Self::Cancel(arguments) => commands::operate::bulk::cancel(*arguments, output).await,
            Self::Complete(arguments) => commands::operate::bulk::complete(*arguments, output).await,
            Self::Remove(arguments) => commands::operate::bulk::remove(*arguments, output).await,
            Self::Replay(arguments) => commands::operate::replay::run(*arguments, output).await,
            Self::Pause(arguments) => commands::operate::pause::pause(*arguments, output).await,
            Self::Resume(arguments) => commands::operate::pause::resume(*arguments, output).await,
            Self::Set(arguments) => commands::operate::pause::set(*arguments, output).await,
            Self::Schedule(arguments) => commands::run::schedule::run(arguments, output).await,
            Self::Sweep(arguments) => commands::run::sweep::run(arguments, output).await,
            Self::Ingest(arguments) => commands::run::ingest::run(*arguments, output).await,
            Self::Up(arguments) => commands::run::up::run(*arguments, output).await,
            Self::Worker(arguments) => commands::run::worker::run(arguments, output).await,
            Self::Relay(arguments) => commands::run::relay::run(arguments, output).await,
            Self::Completions(arguments) => {
                commands::setup::manual::completions(&arguments, manual(), output)
            }
            Self::Man(arguments) => commands::setup::manual::man(&arguments, manual(), output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples;

    #[test]
    fn every_verb_has_one_purpose_and_one_line_of_80_columns() {
        let command = Cli::command();
        let mut listed: Vec<&str> = PURPOSES.iter().flat_map(|(_, names)| *names).copied().collect();
        listed.sort_unstable();
        let mut verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        verbs.sort_unstable();
        assert_eq!(listed, verbs);
        for verb in command.get_subcommands() {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty(), "{} says nothing of itself", verb.get_name());
            assert!(about.chars().count() <= 63, "{}: {about}", verb.get_name());
        }
    }

    #[test]
    fn flags_after_exec_are_found_and_a_shells_script_is_none() {
        let own = ["--workers".to_owned(), "--lease".to_owned()];
        let of = |words: &[&str]| swallowed(words, &own).join(" ");
        assert_eq!(of(&["true", "--workers", "3", "--lease=2s"]), "--workers --lease");
        assert_eq!(of(&["sh", "-c", "run --workers 3", "--other"]), "");
        assert_eq!(of(&["--workers"]), "", "the command itself");
    }

    #[test]
    fn a_number_below_zero_is_refused_with_the_name_of_its_flag() {
        let said = whole(Detail::Full).try_get_matches_from(["daybook", "list", "--limit", "-1"]);
        let said = said.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains("invalid value '-1' for '--limit <N>'"), "{said}");
    }

    #[test]
    fn every_flag_is_in_both_helps_of_its_verb() {
        for detail in [Detail::Brief, Detail::Full] {
            let mut command = whole(detail);
            command.build();
            for verb in command.get_subcommands_mut() {
                let help = verb.render_long_help().to_string();
                for flag in verb.get_arguments().filter_map(clap::Arg::get_long) {
                    assert!(help.contains(&format!("--{flag}")), "{flag}: {help}");
                }
            }
        }
    }

    #[test]
    fn every_verb_has_an_example_that_can_be_typed_as_it_stands() {
        for command in Cli::command().get_subcommands() {
            let verb = command.get_name();
            let examples = examples::of(verb);
            assert!(!examples.is_empty(), "{verb} has no example");
            let text = examples::text(verb);
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            // Whoever copies a line that is too long for a screen copies all of it.
            let copied = text.replace(" \\\n      ", " ");
            let takes_a_stack = command
                .get_arguments()
                .any(|argument| argument.get_id() == "stack");
            for (line, _) in examples {
                let words = line
                    .split('\'')
                    .enumerate()
                    .flat_map(|(number, part)| match number % 2 {
                        0 => part.split_whitespace().collect(),
                        _ => vec![part],
                    });
                let refused = Cli::try_parse_from(words).err().map(|error| error.to_string());
                assert_eq!(refused, None, "{line}");
                assert!(line.starts_with(&format!("daybook {verb}")), "{line}");
                assert!(
                    copied.lines().any(|copied| copied.trim_start().starts_with(line)),
                    "{line}: {text}"
                );
                let names_one = ["--stack ", "--local "].iter().any(|flag| line.contains(flag));
                assert!(names_one || !takes_a_stack, "{line} names no deployment");
            }
        }
    }
}
