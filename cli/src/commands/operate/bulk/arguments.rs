//! What can be asked for.

use std::time::Duration;

use clap::Args;
use daybook_schema::Status;

use crate::args::operator::ByArguments;
use crate::args::{filter, operator, values};
use crate::commands::operate::bulk::selection::SelectionArguments;
use crate::deployment::DeploymentArguments;
use crate::ui::confirm::ConfirmArguments;

/// What the six share.
#[derive(Args, Debug)]
pub struct BulkArguments {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,

    #[command(flatten)]
    pub(super) by: ByArguments,

    #[command(flatten)]
    pub(super) confirm: ConfirmArguments,

    /// Change nothing; show how many events would change
    #[arg(short = 'n', long, help_heading = "Confirmation")]
    pub(super) dry_run: bool,

    #[command(flatten)]
    pub(super) deployment: DeploymentArguments,
}

/// Give parked events another round of attempts, due now
///
/// The backoff does not begin again: the wait after a failure is that of its attempt, all rounds counted. A
/// notification that could not be read is read again, and its events are recorded if this release can read it.
///
/// Ctrl-C stops after the requests in flight; the same command resumes with the rest, and never resets an
/// event's attempts twice. --canary 5 redrives five events first, waits for their outcomes, and redrives the
/// others, or stops with exit code 1. `daybook show` says who did it, and why.
#[derive(Args, Debug)]
pub struct RedriveArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// How many more [default: as many as a new event has]
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    #[arg(help_heading = "Attempts")]
    pub(super) attempts: Option<u32>,

    /// Redrive N first, up to 100; the rest if all succeed
    #[arg(long, value_name = "N", value_parser = values::whole::<u8>(1, 100), help_heading = "Attempts")]
    pub(super) canary: Option<u8>,

    /// How long to wait for their outcomes
    #[arg(long, value_name = "TIME", value_parser = values::time, default_value = "10m", requires = "canary")]
    #[arg(help_heading = "Attempts")]
    pub(super) canary_wait: Duration,

    /// Why, as the row keeps it
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: Option<String>,
}

/// Return claimed events to pending, using no attempt
///
/// For claimed events for which you know that nothing runs; otherwise they come back by themselves when their
/// leases end. With Step Functions an execution may still be running: then nothing runs twice, because the
/// same attempt has the same execution name, and the event is done when it ends. `daybook up` stops what it
/// runs for the event within a second; a worker elsewhere finds out when it extends its lease next, and until
/// then the event may run beside it.
///
/// If the event is in a batch, only its lease ends: the next sweep sends it again with its batch, in the same
/// attempt, and if the batch's execution has the event, nothing runs twice. Put back, it would run in the next
/// batch as well, under another name.
///
/// An event whose lease was extended after it was selected is left alone: something is working on it.
#[derive(Args, Debug)]
pub struct ReleaseArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// Why, as the row keeps it
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: Option<String>,
}

/// Mark claimed attempts as failed
///
/// Each event is retried after the folder's backoff (on AWS, after 30 seconds, doubling to an hour), or parked
/// when no attempt is left, with the reason as its last error. `daybook up` stops what it runs for the event
/// within a second; what runs elsewhere is not stopped at once, and if it succeeds after all, the event is done.
#[derive(Args, Debug)]
pub struct FailArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// Why; becomes the last error of the events
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: String,
}

/// Stop what runs for claimed events, and park them
///
/// Each event is parked with the reason as its last error, whatever attempts it has left, and stays there until
/// `daybook redrive` gives it another round or `daybook remove` removes it. What runs for it is stopped:
///
/// `daybook up` ends its command or drops its request within a second; the attempt counts as used. A worker
/// elsewhere stops when it extends its lease next, after a third of the lease at most. An execution of the
/// state machine is stopped if these credentials may (states:StopExecution); stderr says which may still run. The
/// execution of a batch goes on, because other events are in it. What cannot be stopped and succeeds after all
/// completes its event. An event that is still queued on AWS may be started by its message once.
#[derive(Args, Debug)]
pub struct CancelArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// Why; becomes the last error of the events
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: String,
}

/// Mark open events as done, without running them
///
/// Each event gets a receipt with who and why, like a processed event, and its row is deleted. Later
/// notifications of the same upload are recognised as done. `daybook up` stops what it runs for the event
/// within a second; what runs elsewhere is not stopped. An unreadable notification has no object to be done, and
/// is left as it is: `daybook remove` deletes it.
#[derive(Args, Debug)]
pub struct CompleteArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// Only of this status: pending, claimed or parked
    #[arg(long, value_name = "STATUS", value_parser = filter::status, help_heading = "Rows")]
    pub(super) status: Option<Status>,

    /// Why, as the receipts keep it
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: String,
}

/// Remove open events for good, unprocessed
///
/// Each event gets a receipt with who and why, and its row is deleted; an unreadable notification has no
/// object and leaves no receipt. `daybook up` stops what it runs for the event within a second; on AWS an event
/// whose message is queued may still run once. `daybook replay` brings an object back.
#[derive(Args, Debug)]
pub struct RemoveArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// Only of this status: pending, claimed or parked
    #[arg(long, value_name = "STATUS", value_parser = filter::status, help_heading = "Rows")]
    pub(super) status: Option<Status>,

    /// Why, as the receipts keep it
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: String,
}
