//! Every read and write of the ledger and receipts tables, and nothing else.
//!
//! Each step of a row is one function with one conditional write, which asks besides that no newer release wrote the row. What came of it is a value, per row: a lost race is
//! an outcome, not an error, and a write whose answer never came is `Unknown`, never "not applied".
//!
//! | step | function | write units |
//! |---|---|---|
//! | record, and claim in the same write | [`Ledger::record`], [`Ledger::insert`] | 2 (row 1, index 1) |
//! | claim | [`Ledger::claim`] | 3 (row 1, index 2) |
//! | claim into a batch | [`Ledger::claim`] with [`Hand::Batches`] | 3: token and batch are one value, and the row's version is 3 |
//! | leave a batch | [`Ledger::leave_batch`] | 3: PENDING, the attempt unused |
//! | fail many, or in a batch | [`Ledger::fail_many`] | 3 each, 25 in one request |
//! | take, extend, postpone | [`Ledger::take`], [`Ledger::extend`], [`Ledger::postpone`] | 3 each, by workers only |
//! | end the lease of a batch's row, by a person | [`Ledger::free_rows`] | 3 |
//! | redrive, free, fail by a person | [`Ledger::redrive_rows`], [`Ledger::free_rows`], [`Ledger::fail_rows`] | 3 each |
//! | complete | [`Ledger::complete`], [`Ledger::complete_many`] | 1 for the receipt, then 2 (row 1, index 1) |
//! | complete, remove by a person | [`Ledger::close_rows`], [`Ledger::remove`] | the same |
//!
//! Where many are completed at once, the receipt of an object that has one already costs 2.
//!
//! A step of a row that is in a batch asks for that batch besides, where it renews, fails or releases; a step of a single row asks for a
//! row of a version below 3, which is in none. Every step that leaves CLAIMED takes batch and version back in the same write. Only a
//! success asks for neither: an event that an execution's input names is done, whatever its row bears by then.

mod budget;
mod capacity;
mod cause;
mod claim;
mod claimed;
mod complete;
mod control;
mod deletion;
mod end_together;
mod error;
mod lease;
mod ledger;
mod lookup;
mod newer;
mod open_rows;
mod operator;
mod read;
mod receipts;
mod record;
mod response_date;
mod retry_policy;
mod settings;
mod settle;
mod statement;
mod time;
mod update;
mod version;
mod worker_lease;
mod write;
mod write_certainty;

pub use budget::{Asker, Control, Grant, GrantRequest, Pause, Refusal, SweepTurn, Window, decide};
pub use capacity::Consumed;
pub use cause::{Cause, CauseKind, chain, describe};
pub use claim::{Claim, Hand, Released};
pub use claimed::ClaimedFirst;
pub use complete::{Deleted, Success};
pub use control::INTAKE_BYTES;
pub use error::LedgerError;
pub use lease::{Lease, Moved};
pub use ledger::Ledger;
pub use lookup::Lookup;
pub use open_rows::{OpenRows, RowFilter};
pub use operator::{Person, Redriven, Removed};
pub use read::{Count, DueRows, IndexKey};
pub use record::{Claiming, NewRow, Prepared, Recorded};
pub use response_date::ResponseDate;
pub use retry_policy::RetryPolicy;
pub use settings::{InvalidTableName, ReceiptSettings, TableName, client_timeouts};
pub use settle::{Blame, Failed, FailedAttempt};
pub use time::{Clock, Deadline, Random, TokenMark};
pub use worker_lease::{Extended, Postponed, Taken};
pub use write_certainty::{AnswerWatch, Verdict};
