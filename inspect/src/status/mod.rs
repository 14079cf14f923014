//! How many events stand where, and whether anything moves.

pub mod observe;
pub mod output;
