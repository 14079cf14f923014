//! What is wrong with an inventory.

use daybook_ledger::Cause;

/// An inventory that cannot be audited, or no further than it was. Nothing of a file that it names was judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// The manifest or a file cannot be had.
    #[error("{what} cannot be read: {cause}")]
    Unreadable {
        /// Which.
        what: String,
        /// Why.
        cause: Cause,
    },
    /// What was given as the manifest is something else.
    #[error("{what} is no manifest of an S3 Inventory: {cause}")]
    NotAManifest {
        /// The manifest.
        what: String,
        /// Why not.
        cause: String,
    },
    /// Something is not what its checksum says.
    #[error("{what} is damaged: {cause}")]
    Damaged {
        /// The manifest or a file.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
    /// It lists another bucket.
    #[error("{what} lists bucket {listed}, and bucket {audited} is to be audited")]
    OtherBucket {
        /// The manifest.
        what: String,
        /// Whose inventory it is.
        listed: String,
        /// Which bucket is audited.
        audited: String,
    },
    /// Its format is not read.
    #[error("{what} is of an inventory in {format}, which is not read: have it made as CSV or Parquet")]
    Format {
        /// The manifest.
        what: String,
        /// The format by the manifest's name for it.
        format: String,
    },
    /// It lacks a field that is needed.
    #[error("{what} is of an inventory without {column}, {why}")]
    Column {
        /// The manifest, or a file.
        what: String,
        /// The field by its name in the inventory's configuration.
        column: &'static str,
        /// What it is needed for, and what to do.
        why: &'static str,
    },
    /// The bucket has versions, and the inventory does not list them.
    #[error(
        "{what} is of an inventory of current versions, which has no version ids, and bucket {bucket} has versions: rows and \
         receipts bear version ids, so that everything would look missing. Have it made with all versions"
    )]
    CurrentOnly {
        /// The manifest.
        what: String,
        /// The bucket.
        bucket: String,
    },
}
