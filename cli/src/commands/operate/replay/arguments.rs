//! What can be asked for.

use std::path::PathBuf;

use clap::Args;
use daybook_inspect::object_ref::ObjectText;
use daybook_inspect::operate::replay::nonce;
use daybook_schema::SourceName;
use daybook_schema::notification::KeyEncoding;

use crate::args::operator::ByArguments;
use crate::args::{operator, values};
use crate::deployment::DeploymentArguments;
use crate::ui::confirm::ConfirmArguments;

/// Run objects again on purpose, done or not
///
/// Each event becomes a new row with its own identity, made from the object and a nonce, so that neither a
/// receipt nor a finished execution holds it back.
///
/// s3://bucket/key replays the object's creation, with what a row or a receipt says of its newest upload; without
/// either, a note says so, and it is recorded all the same: S3 is not asked. --files replays raw notifications, in
/// any form that `daybook ingest` reads.
///
/// The same --nonce does nothing the second time, while the replay is open or its receipt is kept. For more than
/// one event it prompts for confirmation.
#[derive(Args, Debug)]
pub struct ReplayArguments {
    /// Objects as s3://bucket/key, with ?versionId=… for one version
    #[arg(
        value_name = "S3-URI",
        required_unless_present = "files",
        conflicts_with = "files"
    )]
    pub(super) objects: Vec<ObjectText>,

    /// Files of raw notifications; - is stdin, with --yes
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) files: Vec<PathBuf>,

    /// Name of this replay; random by default
    ///
    /// It distinguishes the replay from others, and is printed
    #[arg(long, value_name = "TEXT", value_parser = nonce)]
    pub(super) nonce: Option<String>,

    /// Name of the S3 that holds the objects
    ///
    /// It is the name that was given to ingest; aws by default
    #[arg(long, value_name = "NAME", env = "DAYBOOK_SOURCE", hide_env_values = true)]
    pub(super) source: Option<SourceName>,

    /// Form of keys in --files: encoded, plain or auto
    ///
    /// As `daybook ingest` takes it
    #[arg(
        long,
        value_name = "HOW",
        env = "DAYBOOK_KEY_ENCODING",
        hide_env_values = true
    )]
    pub(super) key_encoding: Option<KeyEncoding>,

    /// Failed attempts until it is parked
    ///
    /// An event with that many waits for a person; at least 1
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

    /// Change nothing; show how many events would be replayed
    #[arg(short = 'n', long, help_heading = "Confirmation")]
    pub(super) dry_run: bool,

    #[command(flatten)]
    pub(super) deployment: DeploymentArguments,
}
