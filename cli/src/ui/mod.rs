//! What a person or a program reads: text, tables, times, JSON, errors, logs.

pub mod confirm;
pub mod dispatch;
pub mod error;
pub mod json;
pub mod logging;
pub mod output;
pub mod table;
pub mod text;
pub mod time;
pub mod usage;
