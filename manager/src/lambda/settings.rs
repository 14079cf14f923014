//! Settings of functions, by environment variables.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Command, Parser};
use daybook_ledger::{ReceiptSettings, TableName};
use daybook_schema::SourceName;
use daybook_schema::notification::{KeyEncoding, Reading};

use crate::arguments;

/// What every function has.
#[derive(Args, Clone, Debug)]
pub struct LedgerArguments {
    /// The CloudFormation stack: a dimension of all metrics
    #[arg(long, value_name = "NAME", env = "DAYBOOK_STACK", hide_env_values = true)]
    pub stack: String,

    /// The DynamoDB table that holds the open events
    #[arg(
        long,
        value_name = "NAME",
        env = "DAYBOOK_LEDGER_TABLE",
        hide_env_values = true
    )]
    pub ledger_table: TableName,

    /// The DynamoDB table that holds the receipts of what is done
    #[arg(
        long,
        value_name = "NAME",
        env = "DAYBOOK_RECEIPTS_TABLE",
        hide_env_values = true
    )]
    pub receipts_table: Option<TableName>,

    /// How long receipts stay, such as 14d or 36h; 0 turns receipts off
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = arguments::time)]
    #[arg(env = "DAYBOOK_RECEIPTS_KEEP", hide_env_values = true)]
    pub receipts_keep: std::time::Duration,
}

impl LedgerArguments {
    /// Where receipts go; `None` when they are off.
    ///
    /// # Errors
    /// When they are on and have no table: an audit would be told nothing, and nobody would know.
    pub fn receipts(&self) -> Result<Option<ReceiptSettings>, String> {
        match (&self.receipts_table, self.receipts_keep) {
            (_, keep) if keep.is_zero() => Ok(None),
            (Some(table), keep) => Ok(Some(ReceiptSettings {
                table: table.clone(),
                keep,
            })),
            (None, _) => Err(
                "DAYBOOK_RECEIPTS_TABLE is not set: it is needed unless DAYBOOK_RECEIPTS_KEEP is 0".into(),
            ),
        }
    }
}

/// Where events come from.
#[derive(Args, Clone, Debug)]
pub struct SourceArguments {
    /// A name for where the events come from
    #[arg(
        long,
        value_name = "NAME",
        default_value_t,
        env = "DAYBOOK_SOURCE",
        hide_env_values = true
    )]
    pub source: SourceName,
}

/// How the source's notifications are read.
#[derive(Args, Clone, Debug)]
pub struct ReadingArguments {
    /// Where they come from.
    #[command(flatten)]
    pub source: SourceArguments,

    /// How the source sends keys in notifications: auto (by the server that the notification names), encoded or plain
    #[arg(
        long,
        value_name = "HOW",
        default_value_t,
        env = "DAYBOOK_KEY_ENCODING",
        hide_env_values = true
    )]
    pub key_encoding: KeyEncoding,
}

impl ReadingArguments {
    /// How notifications are read.
    pub fn reading(self) -> Reading {
        Reading {
            source: self.source.source,
            keys: self.key_encoding,
        }
    }
}

/// The dispatch queue.
#[derive(Args, Clone, Debug)]
pub struct QueueArguments {
    /// The SQS queue between scheduler and invoker; FIFO if its name ends in .fifo
    #[arg(long, value_name = "URL", value_parser = arguments::queue_url)]
    #[arg(env = "DAYBOOK_DISPATCH_QUEUE_URL", hide_env_values = true)]
    pub dispatch_queue_url: String,
}

/// A variable that is set to something.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The settings that the environment gives.
///
/// # Errors
/// Names the variable, its value and what is allowed. After `--help` the process ends.
pub fn parse<S: Parser>() -> Result<S, String> {
    parse_from(std::env::args_os())
}

fn parse_from<S: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<S, String> {
    // A template passes an empty variable where a parameter was left empty.
    let mut command = S::command().mut_args(|argument| {
        match argument
            .get_env()
            .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()))
        {
            true => argument.env(Resettable::Reset),
            false => argument,
        }
    });
    command
        .try_get_matches_from_mut(arguments)
        .and_then(|matches| S::from_arg_matches(&matches))
        .map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
            _ => {
                // One that still knows the variables that are empty.
                let mut command = S::command();
                command.build();
                told(&command, &error)
            }
        })
}

/// Clap's error, in terms of variables: nobody gives a function flags.
fn told(command: &Command, error: &clap::Error) -> String {
    let variable_of = |shown: &str| {
        let argument = command
            .get_arguments()
            .find(|argument| argument.to_string() == shown)?;
        Some(argument.get_env()?.to_string_lossy().into_owned())
    };
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let missing = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(shown))) => {
            shown.iter().filter_map(|shown| variable_of(shown)).collect()
        }
        _ => Vec::new(),
    };
    match missing.as_slice() {
        [] => {}
        [one] => return format!("{one} is not set"),
        many => return format!("{} are not set", many.join(", ")),
    }
    let Some(name) = text(ContextKind::InvalidArg).and_then(|shown| variable_of(&shown)) else {
        return error.to_string().trim_end().to_owned();
    };
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let allowed = match (
        std::error::Error::source(error),
        error.get(ContextKind::ValidValue),
    ) {
        (Some(why), _) => why.to_string(),
        (None, Some(ContextValue::Strings(values))) => format!("{} is allowed", values.join(" or ")),
        _ => "that is no value for it".to_owned(),
    };
    format!("{name} is {:?}: {allowed}", arguments::redacted(&value))
}
