//! What can be asked for.

use std::path::PathBuf;

use clap::Args;
use daybook_schema::SourceName;
use daybook_schema::notification::KeyEncoding;

use crate::args::object_ref::ObjectText;
use crate::args::operator::ByArguments;
use crate::args::{operator, values};
use crate::deployment::DeploymentArguments;
use crate::ui::confirm::ConfirmArguments;

/// Run objects again on purpose, done or not
///
/// Each event becomes a new row with an identity of its own, made from the object and a nonce, so that neither a receipt nor
/// an execution that has ended holds it back. The input of the execution has the nonce as replay.
///
/// s3://bucket/key replays the object's creation, with what an open row or a receipt says of its newest upload; where there
/// is neither, its size and etag are unknown to the event. --files replays every event of raw notifications as it was notified,
/// in any form that `daybook ingest` reads.
///
/// The same command with the same --nonce does nothing twice, as long as the replay is open or its receipt is kept. More than one
/// event is asked about.
///
/// With --output json: {"verb", "where", "nonce", "selected" (null if not counted before), "sample": [{"event", "known_from"}],
/// "dry_run", "recorded", "already_there", "done_before", "unreadable", "test_events", "not_safe", "interrupted", "failures"}.
#[derive(Args, Debug)]
pub struct ReplayArguments {
    /// Objects as s3://bucket/key, with ?versionId=… for one version
    #[arg(
        value_name = "S3-URI",
        required_unless_present = "files",
        conflicts_with = "files"
    )]
    pub(super) objects: Vec<ObjectText>,

    /// Files with raw notifications; - is stdin, and needs --yes
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) files: Vec<PathBuf>,

    /// What makes this replay another one than the last; random unless given, and told
    #[arg(long, value_name = "TEXT", value_parser = nonce)]
    pub(super) nonce: Option<String>,

    /// Which S3 the objects are in, as it is called at ingest; aws unless given
    #[arg(long, value_name = "NAME", env = "DAYBOOK_SOURCE", hide_env_values = true)]
    pub(super) source: Option<SourceName>,

    /// How the source sends keys in the notifications of --files: auto (by the server that the notification names), encoded or
    /// plain [default: as the folder's `daybook up` has it, auto on AWS]
    #[arg(
        long,
        value_name = "HOW",
        env = "DAYBOOK_KEY_ENCODING",
        hide_env_values = true
    )]
    pub(super) key_encoding: Option<KeyEncoding>,

    /// After how many failed attempts an event waits for a person; at least 1
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::at_least_one)]
    #[arg(env = "DAYBOOK_MAX_ATTEMPTS", hide_env_values = true)]
    pub(super) max_attempts: u32,

    /// Why, as the rows keep it
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: Option<String>,

    #[command(flatten)]
    pub(super) by: ByArguments,

    #[command(flatten)]
    pub(super) confirm: ConfirmArguments,

    /// Show how many events it would replay, and a few of them; change nothing
    #[arg(short = 'n', long, help_heading = "Asking")]
    pub(super) dry_run: bool,

    #[command(flatten)]
    pub(super) deployment: DeploymentArguments,
}

fn nonce(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@/".contains(c);
    match (1..=64).contains(&text.len()) && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("1 to 64 letters, digits or -_.:@/ are needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_short_and_plain() {
        for good in ["ticket-4711", "2026-11-21T01:02:03Z", "a"] {
            assert_eq!(nonce(good), Ok(good.to_owned()));
        }
        for bad in ["", "two words", "ä", &"x".repeat(65)] {
            assert!(nonce(bad).is_err(), "{bad}");
        }
    }
}
