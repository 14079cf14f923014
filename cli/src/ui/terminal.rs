//! What the terminal can do.

use std::io::{self, IsTerminal};

use daybook_schema::Timestamp;

/// Whether bars can be drawn on stderr: it is a terminal that moves its cursor. On `TERM=dumb` lines are printed instead.
pub fn draws_on_stderr() -> bool {
    io::stderr().is_terminal() && !is_dumb()
}

/// A text that takes the place of the last one on stdout; elsewhere than on a terminal it comes below it, with its time.
pub fn in_place(text: &str, now: Timestamp) -> String {
    match io::stdout().is_terminal() && !is_dumb() {
        // To the top left, and nothing below it.
        true => format!("\u{1b}[H\u{1b}[2J{now}\n\n{text}"),
        false => format!("{now}\n{text}\n"),
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}
