//! The operations on one item.

mod delete;
mod get;
mod one;
mod put;
mod update;

pub(super) use delete::delete;
pub(super) use get::get;
pub(crate) use one::{Action, Existing, ItemWrite, shows_old};
pub(super) use put::put;
pub(super) use update::update;
