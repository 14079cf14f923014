//! Reads of many items.

mod batch_get;
mod key_condition;
mod page;
mod pages;
mod query;
mod scan;

pub(super) use batch_get::batch_get;
pub(crate) use key_condition::part;
pub(crate) use page::Source;
pub(crate) use pages::limit;
pub(super) use query::query;
pub(super) use scan::scan;
