//! Rows, receipts and what becomes of them, looked up for several verbs.

pub mod history;
pub mod json_files;
pub mod next_step;
pub mod row_table;
pub mod rows;
