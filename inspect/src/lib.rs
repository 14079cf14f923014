//! What a terminal and a page both show of a deployment, without either: rows and the history of events, where all events stand,
//! why an object is not processed, and whether the parts of the deployment are as they should be; and what both do to rows at a
//! person's word ([`operate`]).
//!
//! Everything else here only looks. It is handed a [`parts::Parts`] or single clients, answers with types that derive `Serialize`, and
//! keeps what could not be found out with its reason. Which flag names a part, and what to do when one does not answer, is the
//! caller's to say.
//!
//! **Texts of strangers** (keys, errors, notes, names) are raw, in fields and in sentences alike: whoever shows a sentence escapes the
//! whole of it, for a terminal or for HTML.

pub mod activity;
pub mod audits;
pub mod aws;
pub mod checks;
pub mod errors;
pub mod limits;
pub mod lookup;
pub mod metrics;
pub mod object_ref;
pub mod operate;
pub mod parts;
pub mod rate;
pub mod status;
pub mod views;
pub mod why;
pub mod wording;
