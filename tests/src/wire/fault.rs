//! What can happen to a request.

use std::time::Duration;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered.
    None,
    /// The connection breaks before AWS has it.
    NotSent,
    /// AWS does it, and the answer never comes.
    AnswerLost,
    /// AWS refuses it for now.
    Throttled,
    /// AWS refuses it as a whole, as not valid.
    Invalid,
    /// Step Functions refuses the input of an execution.
    InvalidInput,
    /// AWS answers 500 and has not done it.
    ServerError,
    /// AWS answers 500 and has done it.
    ServerErrorAfter,
    /// AWS does it, and the answer takes that long.
    Slow(Duration),
    /// Neither done nor answered, and the connection stays open.
    Hang,
    /// Done, and the connection stays open without an answer.
    HangAfter,
    /// A query of an index answers as it would have a while ago. Nothing else is ever stale.
    Stale,
    /// AWS refuses the entries at these positions of a SendMessageBatch, or throttles these statements of a
    /// BatchExecuteStatement, and does the others.
    Partial(Vec<usize>),
    /// AWS fails inside at these positions of a SendMessageBatch or BatchExecuteStatement, after it has done them.
    PartialAfter(Vec<usize>),
    /// AWS fails inside at these positions of a BatchExecuteStatement and has not done them.
    PartialError(Vec<usize>),
    /// A BatchGetItem leaves the keys at these positions unprocessed.
    Unprocessed(Vec<usize>),
    /// The process that makes the request dies before it leaves.
    DiesBefore,
    /// The process that makes the request dies after AWS has done it.
    DiesAfter,
}

impl Fault {
    /// What traces and counts call it; empty for none.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None => "",
            Self::NotSent => "not_sent",
            Self::AnswerLost => "answer_lost",
            Self::Throttled => "throttled",
            Self::Invalid => "invalid",
            Self::InvalidInput => "invalid_input",
            Self::ServerError => "server_error",
            Self::ServerErrorAfter => "server_error_after",
            Self::Slow(_) => "slow",
            Self::Hang => "hang",
            Self::HangAfter => "hang_after",
            Self::Stale => "stale",
            Self::Partial(_) => "partial",
            Self::PartialAfter(_) => "partial_after",
            Self::PartialError(_) => "partial_error",
            Self::Unprocessed(_) => "unprocessed",
            Self::DiesBefore => "dies_before",
            Self::DiesAfter => "dies_after",
        }
    }

    /// Whether AWS sees nothing of the request.
    pub(super) fn is_before(&self) -> bool {
        matches!(self, Self::NotSent | Self::Hang | Self::DiesBefore)
    }
}
