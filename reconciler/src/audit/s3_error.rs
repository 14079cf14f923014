//! A request to S3 about a bucket that failed.

use daybook_ledger::Cause;

/// The bucket could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} on bucket {bucket}: {cause}")]
pub struct ListingError {
    pub(super) operation: &'static str,
    pub(super) bucket: String,
    pub(super) cause: Cause,
}

impl ListingError {
    /// Why, as S3 or the client said.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}
