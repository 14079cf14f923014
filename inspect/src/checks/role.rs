//! What a queue is for, and what follows for its settings.

/// The fewest receives before a dead-letter queue takes a worker's message, or the end of an execution: a worker returns messages
/// while the ledger is down.
pub const RECEIVES: u64 = 10;

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Notifications of S3.
    Intake,
    /// Claimed events.
    Dispatch,
    /// Ends of executions.
    Completion,
}

impl Role {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Dispatch => "dispatch",
            Self::Completion => "completion",
        }
    }

    /// The flag and the variable that name it.
    pub fn flag(self) -> String {
        let name = self.name();
        format!("--{name}-queue-url (DAYBOOK_{}_QUEUE_URL)", name.to_uppercase())
    }

    /// After how many receives `daybook init` lets a dead-letter queue take a message. A notification is nowhere else, so the
    /// intake has the most that SQS allows; the others carry copies of what the ledger has.
    pub fn receives(self) -> u64 {
        match self {
            Self::Intake => 1000,
            Self::Dispatch => RECEIVES,
            Self::Completion => 100,
        }
    }

    /// For how many seconds `daybook init` lets it keep a message.
    pub fn retention_seconds(self) -> u64 {
        match self {
            Self::Intake => 864_000,
            Self::Dispatch => 345_600,
            Self::Completion => 1_123_200,
        }
    }

    /// What is lost with a message that is lost.
    pub(crate) fn loss(self) -> &'static str {
        match self {
            Self::Intake => "a notification that is lost here is an event that is never seen",
            Self::Dispatch => "the rows stay in the ledger, and the sweep sends them again",
            Self::Completion => "the rows wait for their leases, and the sweep finds the ends",
        }
    }
}
