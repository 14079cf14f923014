//! Why an audit or a repair stops.

use daybook_ledger::LedgerError;

use super::inventory_error::InventoryError;
use super::s3_error::ListingError;

/// An audit or repair that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Without receipts "done" cannot be told from "never seen".
    #[error("receipts are off, so that nobody can tell what is done: an audit reports and repairs nothing")]
    ReceiptsOff,
    /// The checkpoint belongs to another audit.
    #[error("the checkpoint is of another bucket, prefix, time or inventory")]
    OtherAudit,
    /// The ledger or its receipts cannot be read.
    #[error("the ledger cannot be read")]
    Ledger(#[from] LedgerError),
    /// The bucket cannot be listed.
    #[error("the bucket cannot be listed")]
    Listing(#[from] ListingError),
    /// The inventory cannot be used, or read any further.
    #[error("the inventory cannot be audited")]
    Inventory(#[from] InventoryError),
}

impl AuditError {
    /// Whether it may be otherwise a moment later. A damaged file was had whole, and is what it is.
    pub(super) fn may_pass(&self) -> bool {
        !matches!(self, Self::Inventory(InventoryError::Damaged { .. }))
    }
}
