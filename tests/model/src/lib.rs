//! A model of the row protocol, to be read beside docs/model.md and the design: plain data ([`world`]), one function per step with the
//! conditions that the ledger writes ([`rows`], [`budget`], [`receipts`]), and processes that may stop between any two awaits
//! ([`steps`]). All states within [`bounds`] are visited; [`checks`] says what must hold in each; [`defects`] shows that it can fail.

pub mod batch;
pub mod bounds;
pub mod budget;
pub mod checks;
pub mod crew;
pub mod defects;
pub mod dispatch;
mod ingest;
pub mod newcomers;
mod operator;
pub mod protocol;
pub mod receipts;
pub mod rows;
pub mod search;
pub mod settle_many;
pub mod steps;
pub mod untold;
mod words;
pub mod worker;
pub mod world;
