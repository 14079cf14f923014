//! The audit: a bucket compared with the ledger and its receipts, and what is missing recorded.
//!
//! [`Audit`] reads only, page by page, in memory that does not grow with the bucket. [`Repairer`] records what an audit found
//! missing, after a look of its own. The bucket is listed, or known from an S3 Inventory ([`ManifestPlace`]).
//!
//! # What makes an audit true
//!
//! - Reads have an order: open rows, then the listing, then receipts. A completed event leaves its receipt before its row goes.
//! - What was modified within the grace before the open rows were read is too new, however long the audit takes: its row
//!   may have been written after they were read.
//! - Absence is proven by a consistent read. A receipt that cannot be read, a row of a newer release, a parked payload that
//!   seems to name the key: unknown, and never missing. Unknown objects are not repaired.
//! - Every version is an object of its own: an older version whose event was not processed is missing, too.
//!
//! - What has neither row nor receipt is missing only if its notification cannot wait in the intake any more ([`Intake`]); until
//!   then it may wait, and is not repaired.
//! - An inventory is of a while ago. What was modified since is outside; what is missing by it is looked at by a HEAD, and is
//!   `changed` if it was overwritten or deleted since. Rows are told as gone at its end, after a HEAD, too.
//!
//! # What an audit cannot know
//!
//! - A notification may arrive later than the grace: from S3, or because a dead-letter queue was redriven. An object whose
//!   notification arrives after the open rows were read is called missing though it is about to be open. A repair reads the rows once more, so that only what arrives between
//!   that and its write is recorded twice; a notification that arrives when the repaired object is done is covered by its
//!   receipt.
//! - AWS lists an upload in several parts by the time at which it began. One that took longer than the grace and has just ended
//!   looks like one whose notification is lost.
//! - Of two uploads of the same content to a key without versions in the same second, or of an upload in parts that began
//!   before an upload of the same content was done, a listing does not tell which is which: one receipt stands for both.
//! - Receipts that were kept for a shorter time than is configured now, or were off for a while, leave objects that look
//!   missing. Give the audit a `since`.

#[cfg(test)]
mod canned_s3;
mod classify;
mod completeness;
mod driver;
mod entry;
mod error;
mod head;
mod intake;
mod inventory;
mod inventory_error;
mod judge;
mod keys;
mod line;
mod listing;
mod manifest_place;
mod open;
mod outcome;
mod page;
mod payloads;
mod repair;
mod report;
mod run;
mod s3_error;
mod settings;
mod source;
mod statement_record;
mod versioning;

pub use classify::{Class, Cuts, Evidence, Judgement, OpenState, Unknown, Watermark, classify};
pub use completeness::{Statement, StatementLine, Tally};
pub use driver::{Driver, Limits, Step};
pub use entry::{Entry, KeyMarker, ListedObject, Marker, Page, RowMarker, UnreadableEntry};
pub use error::AuditError;
pub use head::{ObjectSeen, head_object};
pub use intake::{Intake, IntakeSeen, SETTLES};
pub use inventory::{InventoryProgress, InventorySummary};
pub use inventory_error::InventoryError;
pub use keys::{InvalidKeys, Keys};
pub use line::Line;
pub use listing::Listing;
pub use manifest_place::ManifestPlace;
pub use open::{OpenRow, OpenRows, OpenSummary};
pub use outcome::{AuditCounts, AuditOutcome, Repair, RepairCounts, Repaired, Repairs, Verdict};
pub use repair::Repairer;
pub use report::{Batch, Checkpoint, Finding, Progress};
pub use run::{Audit, Run};
pub use s3_error::ListingError;
pub use settings::{AuditSettings, Scope, Versions};
pub use statement_record::StatementRecord;
