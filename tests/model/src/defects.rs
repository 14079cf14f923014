//! Planted defects: rules taken away one at a time, to show that the checks see it.

use clap::ValueEnum;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Defect {
    /// Ingest acknowledges a notification before its event is recorded.
    AcknowledgeBeforeRecord,
    /// Ingest ignores that one insert of a batch failed.
    IgnoredFailure,
    /// Completion deletes the row before it writes the receipt.
    DeleteBeforeReceipt,
    /// A claim has no condition but the id.
    UnconditionalClaim,
    /// A claim asks for PENDING, but not for due_at as the index showed it.
    ClaimWithoutDueAt,
    /// Whoever finds a row CLAIMED after a lost answer takes it for its own.
    NoTokenCheck,
    /// Whoever finds its token in a row takes it for claimed, whatever its status.
    TokenWithoutStatus,
    /// A send whose answer is lost counts as not sent, and its row is released.
    UnknownIsNotSent,
    /// ExecutionAlreadyExists counts as success.
    AlreadyExistsIsDone,
    /// Execution names are random.
    RandomNames,
    /// A failure is written without asking for the attempt.
    FailWithoutAttempt,
    /// A failure that is replayed for an event recorded again uses an attempt.
    ReplayCosts,
    /// The budget is written without a condition.
    GrantWithoutCondition,
    /// A grant of a clock that was far ahead is kept.
    FutureGrantKept,
    /// The scheduler leaves nothing to a sweep that is owed something.
    SchedulerLeavesNothing,
    /// The sweep leaves nothing to a scheduler that wants something.
    SweepLeavesNothing,
    /// A scheduler that finds the window spent leaves no word of it, so that the next sweep does not know of it.
    RefusalForgotten,
    /// The sweep redelivers without asking the budget.
    SweepWithoutBudget,
    /// The sweep looks at rows whose leases are not over.
    SweepWithoutLease,
    /// The sweep renews and moves leases, but never redelivers.
    SweepNeverRedelivers,
    /// A redelivery counts as an attempt.
    RedeliveryIsAnAttempt,
    /// A receipt takes the place of any other.
    ReceiptsOverwritten,
    /// A receipt covers all uploads of its key, newer ones too.
    ReceiptCoversNewer,
    /// The receipt of a removal covers older uploads, as one of a success does.
    RemovalCoversOlder,
    /// A redrive leaves max_attempts as it was, so that a failure parks at once.
    RedriveWithoutRound,
    /// A cancel stops the execution before it parks the row.
    CancelStopsFirst,
    /// A cancel parks the row whatever became of it since it was seen.
    CancelUnseen,
    /// A claim does not ask whether a newer release wrote the row.
    ClaimOfNewer,
    /// A deletion does not ask whether a newer release wrote the row.
    DeletionOfNewer,
    /// Rows of a newer release are not passed over: the budget is asked for them, too.
    NewerNotPassedOver,
    /// Ingest inserts a row as CLAIMED that it has no grant for.
    ClaimedWithoutGrant,
    /// A notification that was received before asks for a grant once more.
    ReceivedBeforeAsks,
    /// Ingest sends the message of a row that was there already.
    AlreadyThereIsSent,
    /// Ingest gives back what it was granted for a row that was there already, by a write without a condition.
    GrantGivenBack,
    /// Ingest takes a send whose answer is lost for one that was refused, and releases the row.
    UnknownIsReleased,
}

impl Defect {
    /// The configuration that shows it.
    pub fn shown_in(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeRecord
            | Self::DeleteBeforeReceipt
            | Self::UnconditionalClaim
            | Self::ClaimWithoutDueAt
            | Self::NoTokenCheck
            | Self::AlreadyExistsIsDone
            | Self::RandomNames
            | Self::GrantWithoutCondition
            | Self::SweepWithoutBudget
            | Self::SweepWithoutLease
            | Self::SweepNeverRedelivers
            | Self::RedeliveryIsAnAttempt => "quiet",
            Self::IgnoredFailure | Self::TokenWithoutStatus | Self::UnknownIsNotSent => "schedulers",
            Self::FailWithoutAttempt => "attempts",
            Self::ReceiptsOverwritten | Self::ReceiptCoversNewer => "uploads",
            Self::ReplayCosts | Self::RemovalCoversOlder => "removal",
            Self::RedriveWithoutRound => "redrive",
            Self::CancelStopsFirst | Self::CancelUnseen => "cancelled",
            Self::ClaimOfNewer | Self::DeletionOfNewer | Self::NewerNotPassedOver => "releases",
            Self::ClaimedWithoutGrant => "at-once",
            Self::ReceivedBeforeAsks
            | Self::AlreadyThereIsSent
            | Self::GrantGivenBack
            | Self::UnknownIsReleased => "immediate",
            Self::FutureGrantKept => "clocks",
            Self::SchedulerLeavesNothing | Self::SweepLeavesNothing | Self::RefusalForgotten => "turns",
        }
    }
}
