//! Times, counts, names and the dispatch in words.

pub mod dispatch;
pub mod escape;
pub mod shell;
pub mod text;
pub mod time;
