//! Help that fits a screen. `-h` has one line for each flag: the first paragraph of its text. `--help` has the second one, too, where the
//! verb has room for it, and a deployment's flags at the end, a line each. What both leave out (the values' meanings, the fields of JSON)
//! is in the manual's pages and in `docs/reference.md`.

use clap::builder::Resettable;
use clap::{Arg, ArgAction, Command};

/// How much a help says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What `-h` prints.
    Brief,
    /// What `--help` prints.
    Full,
}

/// Verbs with so many flags that each has one line in `--help`, too.
const LINE_FOR_EACH_FLAG: [&str; 5] = ["up", "worker", "schedule", "sweep", "doctor"];

/// The heading of the flags that name a deployment.
const DEPLOYMENT: &str = "Deployment";

/// What is said of them.
const FLAGS: [(&str, &str); 9] = [
    ("--local DIR", "folder of `up` [default: daybook-data, if there]"),
    (
        "--stack NAME",
        "CloudFormation stack, whose outputs name the rest",
    ),
    ("--ledger-table NAME", "DynamoDB table of open events"),
    (
        "--receipts-table NAME",
        "DynamoDB table of receipts; off if not given",
    ),
    (
        "--receipts-keep TIME",
        "how long receipts are kept [default: 14d]",
    ),
    ("--dispatch-queue-url URL", "SQS queue of claimed events"),
    (
        "--state-machine-arn ARN",
        "state machine; leave out if workers process events",
    ),
    ("--intake-queue-url URL", "SQS queue of S3's notifications"),
    (
        "--completion-queue-url URL",
        "SQS queue of execution status events",
    ),
];

/// Where the rest is.
const MORE: &str = "The pages that `daybook man DIR` writes say more of each flag, and name its\n\
                    variable (such as DAYBOOK_PER_WINDOW) and the fields of JSON.";

/// The same command with that help, whichever flag asks for it.
pub fn with_help(command: Command, detail: Detail) -> Command {
    let argument = |argument| short_argument(argument, detail);
    each_verb(command.mut_args(argument), |verb| short_verb(verb, detail))
}

/// The same command, where only `--help` asks for help on a verb.
pub fn without_short_flag(command: Command) -> Command {
    each_verb(command, |verb| {
        verb.mut_arg("help", |help| help.short(Resettable::Reset))
    })
}

fn each_verb(command: Command, change: impl Fn(Command) -> Command) -> Command {
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    verbs
        .into_iter()
        .fold(command, |command, verb| command.mut_subcommand(verb, &change))
}

fn short_verb(verb: Command, detail: Detail) -> Command {
    let name = verb.get_name();
    let long = verb.get_long_about().filter(|_| detail == Detail::Full);
    let about = long.or_else(|| verb.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
    let after = match detail {
        Detail::Brief => format!(
            "{}`daybook {name} --help` says more, with examples.",
            named_deployment(&verb)
        ),
        Detail::Full => format!("{}{}\n\n{MORE}", deployment(&verb), examples.trim_end()),
    };
    let of_flags = match LINE_FOR_EACH_FLAG.contains(&name) {
        true => Detail::Brief,
        false => detail,
    };
    // In a heading of its own it would take three lines.
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    verb.disable_help_flag(true)
        .arg(help.help("Print help; -h is short").help_heading("Output"))
        .about(about)
        .long_about(Resettable::Reset)
        .after_help(after)
        .after_long_help(Resettable::Reset)
        .mut_args(|argument| short_argument(argument, of_flags))
}

fn short_argument(argument: Arg, detail: Detail) -> Arg {
    let help = match detail {
        Detail::Brief => argument.get_help().map(ToString::to_string).unwrap_or_default(),
        Detail::Full => whole_text(&argument),
    };
    let argument = without_usual_variable(argument.long_help(Resettable::Reset));
    let is_listed = |(flag, _): &(&str, &str)| argument.get_long() == name(flag);
    if argument.get_help_heading() == Some(DEPLOYMENT) && FLAGS.iter().any(is_listed) {
        return argument.hide(true);
    }
    let values = argument.get_possible_values();
    let takes = argument.get_action().takes_values();
    if !takes || argument.is_hide_possible_values_set() || values.is_empty() {
        return argument.help(help);
    }
    // Without what each means, they fit the line.
    let names: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
    let help = format!("{help} [{}]", names.join(", "));
    argument.hide_possible_values(true).help(help)
}

/// All that there is to say of a flag, in one paragraph.
pub fn whole_text(argument: &Arg) -> String {
    let text = argument.get_long_help().or_else(|| argument.get_help());
    let text = text.map(ToString::to_string).unwrap_or_default();
    let paragraphs: Vec<&str> = text
        .split("\n\n")
        .map(|text| text.trim_end_matches('.'))
        .collect();
    paragraphs.join(". ")
}

/// A variable that is called as its flag needs no words.
fn without_usual_variable(argument: Arg) -> Arg {
    let flag = argument.get_long().unwrap_or_default();
    let usual = format!("DAYBOOK_{}", flag.replace('-', "_").to_uppercase());
    match argument.get_env().is_some_and(|variable| *variable == *usual) {
        true => argument.hide_env(true),
        false => argument,
    }
}

/// `stack`, of `--stack NAME`.
fn name(flag: &str) -> Option<&str> {
    flag.trim_start_matches("--").split(' ').next()
}

/// The flags of a deployment that the verb takes, and what is said of them.
fn taken(verb: &Command) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    FLAGS.iter().filter(move |(flag, _)| {
        let mut arguments = verb.get_arguments();
        arguments.any(|argument| {
            argument.get_long() == name(flag) && argument.get_help_heading() == Some(DEPLOYMENT)
        })
    })
}

/// A line for each flag of a deployment.
fn deployment(verb: &Command) -> String {
    let lines: String = taken(verb)
        .map(|(flag, meaning)| format!("  {flag:26}  {meaning}\n"))
        .collect();
    match lines.is_empty() {
        true => lines,
        false => format!("{DEPLOYMENT}:\n{lines}\n"),
    }
}

/// The names of a deployment's flags, in lines that fit 80 columns.
fn named_deployment(verb: &Command) -> String {
    let flags: Vec<String> = taken(verb)
        .filter_map(|(flag, _)| Some(format!("--{}", name(flag)?)))
        .collect();
    let lines: String = flags
        .chunks(4)
        .map(|flags| format!("  {}\n", flags.join(" ")))
        .collect();
    match lines.is_empty() {
        true => lines,
        false => format!("{DEPLOYMENT}:\n{lines}\n"),
    }
}
