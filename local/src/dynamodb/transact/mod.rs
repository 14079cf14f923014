//! Transactions: all of their writes, or none.

mod get;
mod write;

pub(crate) use get::{check_count, get};
pub(crate) use write::{Member, made_once, run, token, write};
