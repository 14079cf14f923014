//! What a terminal and a page both show of a deployment, without either: rows and the history of events, where all events stand,
//! why an object is not processed, and whether the parts of the deployment are as they should be.
//!
//! Everything here only looks. It is handed a [`parts::Parts`] or single clients, answers with types that derive `Serialize`, and
//! keeps what could not be found out with its reason. Which flag names a part, and what to do when one does not answer, is the
//! caller's to say.
//!
//! **Texts of strangers.** Keys, errors, notes and names are raw in the fields of rows, events and receipts. The sentences of a
//! verdict ([`why::verdict::facts::Verdict`]) and of a pause have them escaped for a terminal ([`wording::text::escaped`]): a page
//! escapes them once more for HTML. A finding ([`checks::finding::Item`]) is raw but for the names of buckets and the words of a
//! pause: its printer escapes it.

pub mod aws;
pub mod checks;
pub mod lookup;
pub mod object_ref;
pub mod parts;
pub mod rate;
pub mod status;
pub mod views;
pub mod why;
pub mod wording;
