//! Why an object is not processed: what is observed, and the one answer that follows.

pub mod observe;
pub mod output;
pub mod verdict;
