//! Why an invocation fails.

use std::fmt;

use daybook_ledger::{LedgerError, chain};
use lambda_runtime::Diagnostic;

/// An invocation that fails: Lambda counts it as an error, and a queue delivers the whole batch again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    kind: &'static str,
    message: String,
}

impl Failure {
    /// A failure of that kind, such as `LedgerUnavailable`.
    pub fn new(kind: &'static str, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::new("LedgerUnavailable", chain(&error))
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self {
            error_type: failure.kind.to_owned(),
            error_message: failure.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_by_kind_and_message() {
        let failure = Failure::new("InvalidEvent", "the batch has no Records");
        assert_eq!(failure.to_string(), "InvalidEvent: the batch has no Records");
    }
}
