//! What can be asked for.

use clap::Args;
use daybook_schema::Status;

use crate::args::operator::ByArguments;
use crate::args::{filter, operator, values};
use crate::commands::operate::bulk::selection::SelectionArguments;
use crate::deployment::DeploymentArguments;
use crate::ui::confirm::ConfirmArguments;

/// What the five share.
#[derive(Args, Debug)]
pub struct BulkArguments {
    #[command(flatten)]
    pub(super) selection: SelectionArguments,

    #[command(flatten)]
    pub(super) by: ByArguments,

    #[command(flatten)]
    pub(super) confirm: ConfirmArguments,

    /// Show how many events it would change, and a few of them; change nothing
    #[arg(short = 'n', long, help_heading = "Asking")]
    pub(super) dry_run: bool,

    #[command(flatten)]
    pub(super) deployment: DeploymentArguments,
}

/// Give parked events another round of attempts, due now
///
/// A parked notification that could not be read is read again: if this release can, its events are recorded and it is gone.
/// While dispatch is paused the events wait, and stderr says so.
///
/// It shows how many there are and a few of them, and asks. Ctrl-C stops after what is under way; the same command again
/// goes on with the rest, and never gives an event two rounds. Row and `daybook show` keep who and why, beside the last error.
///
/// With --output json: {"verb", "where", "selected", "sample", "dry_run", "outcomes": {"redriven", "read_again",
/// "still_unreadable"}, "moved_on", "passed_over", "unreadable", "failed", "interrupted", "by", "why", "paused",
/// "failures"}. moved_on changed while the command ran, passed_over are named events that are not parked: both are left alone.
#[derive(Args, Debug)]
pub struct RedriveArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// How many more attempts each event gets
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::at_least_one)]
    #[arg(help_heading = "Attempts")]
    pub(super) attempts: u32,

    /// Why, as the row keeps it
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: Option<String>,
}

/// Put claimed events back at once, their attempts unused, when you know that nothing runs for them
///
/// Without it they come back by themselves when their leases end. With Step Functions an execution may still run: then
/// nothing runs twice, because the same attempt has the same execution name, and the event is done when it ends. A worker that
/// still runs is not stopped, and the event would run once more beside it.
///
/// An event whose lease was made longer since it was selected is left alone: somebody does work on it.
///
/// With --output json: as `daybook redrive`, with outcomes {"released"}.
#[derive(Args, Debug)]
pub struct ReleaseArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// Why, as the row keeps it
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: Option<String>,
}

/// Say that the attempts of claimed events failed
///
/// Each is tried again after the usual delay, or parked when no attempt is left, with the reason as its last error. What runs
/// is not stopped: if it succeeds after all, the event is done.
///
/// With --output json: as `daybook redrive`, with outcomes {"retried", "parked"}.
#[derive(Args, Debug)]
pub struct FailArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// Why; it becomes the last error of the events
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: String,
}

/// Say that open events are done, though no target said so
///
/// Each gets a receipt with who and why, as a processed event does, and its row is deleted. Later notifications of the same
/// upload are recognised as done. What runs is not stopped.
///
/// With --output json: as `daybook redrive`, with outcomes {"completed"}.
#[derive(Args, Debug)]
pub struct CompleteArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// Only events of that status: pending, claimed or parked
    #[arg(long, value_name = "STATUS", value_parser = filter::status, help_heading = "Rows")]
    pub(super) status: Option<Status>,

    /// Why, as the receipts keep it
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: String,
}

/// Take open events out of the ledger for good, not processed
///
/// Each gets a receipt with who and why, and its row is deleted; an unreadable notification has no object and leaves no receipt.
/// An event whose message is queued may still run once. `daybook replay` brings an object back.
///
/// With --output json: as `daybook redrive`, with outcomes {"removed"}.
#[derive(Args, Debug)]
pub struct RemoveArguments {
    #[command(flatten)]
    pub(super) bulk: BulkArguments,

    /// Only events of that status: pending, claimed or parked
    #[arg(long, value_name = "STATUS", value_parser = filter::status, help_heading = "Rows")]
    pub(super) status: Option<Status>,

    /// Why, as the receipts keep it
    #[arg(long, value_name = "TEXT", value_parser = operator::words, help_heading = "Record")]
    pub(super) why: String,
}
