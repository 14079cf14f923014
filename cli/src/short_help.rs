//! Help that fits a screen: a line or two for each flag, a deployment's flags at the end, a line each. What it leaves out (the values'
//! meanings, the fields of JSON) is in the manual's pages and in `docs/reference.md`.

use clap::builder::Resettable;
use clap::{Arg, ArgAction, Command};

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
const MORE: &str = "Most flags have a variable, such as DAYBOOK_PER_WINDOW. The pages that\n\
                    `daybook man DIR` writes name each, and the fields of JSON.";

/// The same command with short help, for `-h` and `--help` alike.
pub fn short(command: Command) -> Command {
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    verbs
        .into_iter()
        .fold(command.mut_args(short_argument), |command, verb| {
            command.mut_subcommand(verb, short_verb)
        })
}

fn short_verb(verb: Command) -> Command {
    let about = verb.get_long_about().or_else(|| verb.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let examples = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
    let after = format!("{}{}\n\n{MORE}", deployment(&verb), examples.trim_end());
    // In a heading of its own it would take three lines.
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    verb.disable_help_flag(true)
        .arg(help.help("Print help").help_heading("Output"))
        .about(about)
        .long_about(Resettable::Reset)
        .after_help(after)
        .after_long_help(Resettable::Reset)
        .mut_args(short_argument)
}

fn short_argument(argument: Arg) -> Arg {
    let argument = without_usual_variable(argument.long_help(Resettable::Reset));
    let is_listed = |(flag, _): &(&str, &str)| argument.get_long() == name(flag);
    if argument.get_help_heading() == Some(DEPLOYMENT) && FLAGS.iter().any(is_listed) {
        return argument.hide(true);
    }
    let values = argument.get_possible_values();
    if argument.is_hide_possible_values_set() || values.iter().all(|value| value.get_help().is_none()) {
        return argument;
    }
    // Without what each means, they fit the line.
    let names: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let help = format!("{help} [{}]", names.join(", "));
    argument.hide_possible_values(true).help(help)
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

/// The flags of a deployment that the verb takes.
fn deployment(verb: &Command) -> String {
    let takes = |flag: &str| {
        let mut arguments = verb.get_arguments();
        arguments.any(|argument| {
            argument.get_long() == name(flag) && argument.get_help_heading() == Some(DEPLOYMENT)
        })
    };
    let lines: String = FLAGS
        .iter()
        .filter(|(flag, _)| takes(flag))
        .map(|(flag, meaning)| format!("  {flag:26}  {meaning}\n"))
        .collect();
    match lines.is_empty() {
        true => lines,
        false => format!("{DEPLOYMENT}:\n{lines}\n"),
    }
}
