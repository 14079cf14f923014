//! The operations on one item.

mod get;
mod one;
mod writes;

pub(super) use get::get;
pub(crate) use one::{Action, Existing, ItemWrite, shows_old};
pub(super) use writes::{delete, put, update};
