//! Where to look, as flags and environment variables.

use std::io::ErrorKind as ErrorKindOfIo;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use daybook_inspect::wording::shell::quoted;
use daybook_ledger::TableName;
use daybook_local::LEDGER_FILE;

use crate::args::values;
use crate::deployment::folder;

/// A deployment on AWS: the stack that names its parts, or the parts one by one. A part that is given wins over the stack's.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Deployment")]
pub struct AwsArguments {
    /// CloudFormation stack of the deployment: its outputs name the tables, the queue and the state machine
    #[arg(long, value_name = "NAME", env = "DAYBOOK_STACK", hide_env_values = true)]
    pub stack: Option<String>,

    /// DynamoDB table that holds the open events
    #[arg(
        long,
        value_name = "NAME",
        env = "DAYBOOK_LEDGER_TABLE",
        hide_env_values = true
    )]
    pub ledger_table: Option<TableName>,

    /// DynamoDB table that holds the receipts of finished events; without it, receipts are off
    #[arg(
        long,
        value_name = "NAME",
        env = "DAYBOOK_RECEIPTS_TABLE",
        hide_env_values = true
    )]
    pub receipts_table: Option<TableName>,

    /// How long receipts are kept, such as 14d or 36h; 0 turns receipts off
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = values::time)]
    #[arg(env = "DAYBOOK_RECEIPTS_KEEP", hide_env_values = true)]
    pub receipts_keep: Duration,

    /// SQS queue between scheduler and processing; FIFO if its name ends in .fifo
    #[arg(long, value_name = "URL", value_parser = values::queue_url)]
    #[arg(env = "DAYBOOK_DISPATCH_QUEUE_URL", hide_env_values = true)]
    pub dispatch_queue_url: Option<String>,
}

/// The state machine, for the commands that have to do with one.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Deployment")]
pub struct MachineArguments {
    /// Step Functions state machine that processes events; leave it out where workers process them
    #[arg(long, value_name = "ARN", value_parser = values::state_machine_arn)]
    #[arg(env = "DAYBOOK_STATE_MACHINE_ARN", hide_env_values = true)]
    pub state_machine_arn: Option<String>,
}

/// A deployment, on this machine or on AWS.
#[derive(Clone, Debug)]
pub struct DeploymentArguments {
    /// Which.
    pub chosen: Chosen,
    /// Its parts on AWS, and how long receipts stay.
    pub aws: AwsArguments,
    /// Its state machine on AWS.
    pub machine: MachineArguments,
}

/// On this machine or on AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The folder of a `daybook up`.
    Local(PathBuf),
    /// The folder that `daybook up` takes by default: nothing names a deployment, and it is there.
    Usual(PathBuf),
    /// AWS, or what stands in for it.
    Aws,
}

/// The flags, before it is known which of them count.
#[derive(Args, Debug)]
#[command(next_help_heading = "Deployment")]
struct Given {
    /// Folder of a `daybook up` on this machine, running or not [default: daybook-data, if it is there and
    /// nothing names a deployment]
    #[arg(long, value_name = "DIR", env = "DAYBOOK_LOCAL", hide_env_values = true)]
    local: Option<PathBuf>,

    #[command(flatten)]
    aws: AwsArguments,

    #[command(flatten)]
    machine: MachineArguments,
}

impl DeploymentArguments {
    /// The flags that name the same deployment, as a shell takes them.
    pub fn flags(&self) -> String {
        let flag =
            |name: &str, value: Option<String>| value.map(|value| format!("--{name} {}", quoted(&value)));
        match (&self.chosen, &self.aws.stack) {
            (Chosen::Local(dir) | Chosen::Usual(dir), _) => {
                flag("local", Some(dir.display().to_string())).unwrap_or_default()
            }
            (Chosen::Aws, Some(stack)) => flag("stack", Some(stack.clone())).unwrap_or_default(),
            (Chosen::Aws, None) => {
                let flags = [
                    flag(
                        "ledger-table",
                        self.aws.ledger_table.as_ref().map(ToString::to_string),
                    ),
                    flag(
                        "receipts-table",
                        self.aws.receipts_table.as_ref().map(ToString::to_string),
                    ),
                    flag("dispatch-queue-url", self.aws.dispatch_queue_url.clone()),
                    flag("state-machine-arn", self.machine.state_machine_arn.clone()),
                ];
                let given: Vec<String> = flags.into_iter().flatten().collect();
                given.join(" ")
            }
        }
    }
}

/// The flags that only a deployment on AWS has.
const OF_AWS: [&str; 5] = [
    "stack",
    "ledger_table",
    "receipts_table",
    "dispatch_queue_url",
    "state_machine_arn",
];

impl Args for DeploymentArguments {
    fn augment_args(command: Command) -> Command {
        Given::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Given::augment_args_for_update(command)
    }
}

/// By hand, because a flag wins over a variable, even over one that names another kind of place: clap's `conflicts_with`
/// takes both for given.
impl FromArgMatches for DeploymentArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = Given::from_arg_matches(matches)?;
        let on_command_line =
            |argument: &&str| matches.value_source(argument) == Some(ValueSource::CommandLine);
        let aws_flag = OF_AWS.iter().copied().find(|argument| on_command_line(argument));
        let local_flag = on_command_line(&"local");
        let names_aws = given.aws.stack.is_some() || given.aws.ledger_table.is_some();
        let chosen = match (given.local, aws_flag) {
            (Some(_), Some(flag)) if local_flag => return Err(both(flag)),
            (Some(dir), _) if local_flag => Chosen::Local(dir),
            (_, Some(_)) => Chosen::Aws,
            (Some(_), None) if names_aws => return Err(both_in_environment(&given.aws)),
            (Some(dir), None) => Chosen::Local(dir),
            (None, None) if names_aws => Chosen::Aws,
            (None, None) => match usual_dir() {
                // A part of a deployment on AWS is named, and not which.
                Some(dir) if OF_AWS.iter().all(|argument| !matches.contains_id(argument)) => {
                    Chosen::Usual(dir)
                }
                _ => return Err(nowhere()),
            },
        };
        if chosen == Chosen::Aws && !names_aws {
            return Err(nowhere());
        }
        Ok(Self {
            chosen,
            aws: given.aws,
            machine: given.machine,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The folder that `daybook up` takes by default, if it has a ledger, or if that cannot be found out.
fn usual_dir() -> Option<PathBuf> {
    let named = std::env::var_os(folder::DIR_VARIABLE).filter(|dir| !dir.is_empty());
    let dir = named.map_or_else(|| PathBuf::from(folder::USUAL_DIR), PathBuf::from);
    match std::fs::symlink_metadata(dir.join(LEDGER_FILE)) {
        Err(error) if error.kind() == ErrorKindOfIo::NotFound => {
            // One of an earlier build is refused by its name, not overlooked.
            daybook_local::look(&dir).is_err().then_some(dir)
        }
        Ok(_) | Err(_) => Some(dir),
    }
}

fn both(argument: &str) -> clap::Error {
    let flag = argument.replace('_', "-");
    clap::Error::raw(
        ErrorKind::ArgumentConflict,
        format!("--local names a folder of this machine, and --{flag} a deployment on AWS: use one of them"),
    )
}

fn both_in_environment(aws: &AwsArguments) -> clap::Error {
    let other = match aws.stack {
        Some(_) => "DAYBOOK_STACK",
        None => "DAYBOOK_LEDGER_TABLE",
    };
    clap::Error::raw(
        ErrorKind::ArgumentConflict,
        format!(
            "DAYBOOK_LOCAL and {other} are both set, and each names a deployment\n\n  \
             hint: unset one of them, or choose with --local, --stack or --ledger-table: a flag wins"
        ),
    )
}

fn nowhere() -> clap::Error {
    clap::Error::raw(
        ErrorKind::MissingRequiredArgument,
        "no deployment is named; name it with one of these:\n  \
         --local DIR          the folder of a `daybook up` (DAYBOOK_LOCAL)\n  \
         --stack NAME         a CloudFormation stack (DAYBOOK_STACK)\n  \
         --ledger-table NAME  the ledger's DynamoDB table (DAYBOOK_LEDGER_TABLE)\n\n  \
         hint: without one of them, daybook-data in the working directory is used, if\n  \
         `daybook up` has made a ledger there\n",
    )
}

/// A part that a command cannot do without and that nothing names.
pub fn missing(what: &str, flag: &str) -> clap::Error {
    let variable = format!("DAYBOOK_{}", flag.replace('-', "_").to_uppercase());
    clap::Error::raw(
        ErrorKind::MissingRequiredArgument,
        format!(
            "{what} is not given\n\n  \
             hint: name it with --{flag} ({variable}), or the stack whose outputs name it with --stack (DAYBOOK_STACK)\n"
        ),
    )
}
