//! PartiQL: one statement, a batch of them, and a transaction of them.

mod batch;
mod one;
mod select;
mod single;
mod transaction;

pub(super) use batch::batch;
pub(super) use single::execute;
pub(super) use transaction::transaction;
