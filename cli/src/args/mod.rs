//! What several verbs take as arguments, and the forms of single values.

pub mod filter;
pub mod listen;
pub mod log;
pub mod operator;
pub mod target;
pub mod values;
