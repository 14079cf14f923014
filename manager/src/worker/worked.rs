//! What came of one event that a worker was given.

use daybook_ledger::Failed;
use daybook_schema::Timestamp;

/// What came of one event of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worked {
    /// The target succeeded, and the row is gone.
    Completed,
    /// The attempt failed.
    Failed(Failed),
    /// The target said "later": PENDING until then, no attempt used.
    Later(Timestamp),
    /// The message had nothing to say of it any more.
    Dropped,
    /// Nothing was run, or its end could not be reported: the message comes again.
    Returned(String),
    /// The row is not ours any more: the run was stopped, and nothing was reported.
    LeaseLost(String),
    /// PENDING again, no attempt used: the worker shut down, or could not run it together with others.
    Stopped,
}
