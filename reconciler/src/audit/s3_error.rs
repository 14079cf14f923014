//! A request to S3 about a bucket that failed.

/// The bucket could not be listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} on bucket {bucket}: {cause}")]
pub struct ListingError {
    pub(super) operation: &'static str,
    pub(super) bucket: String,
    pub(super) cause: String,
}
