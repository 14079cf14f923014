//! Rows, receipts and what becomes of them.

pub mod batch;
pub mod filter;
pub mod history;
pub mod list;
pub mod next_step;
pub mod output;
pub mod rows;
pub mod run;
