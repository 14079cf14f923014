//! What a person or a program reads: tables, counts, JSON, errors, logs.

pub mod colour;
pub mod confirm;
pub mod count;
pub mod error;
pub mod escape;
pub mod logging;
pub mod output;
pub mod repeats;
pub mod row_table;
pub mod table;
pub mod terminal;
pub mod usage;
