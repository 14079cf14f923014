//! Colour on stdout where it helps: not where it goes to a pipe or a file, on `TERM=dumb`, or with `NO_COLOR` (no-color.org).

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use clap::builder::styling::{AnsiColor, Style};

/// What a colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Somebody has to act.
    Bad,
    /// Worth a look.
    Warning,
}

/// Whether this process's stdout has colours.
fn is_on() -> bool {
    static IS_ON: OnceLock<bool> = OnceLock::new();
    *IS_ON.get_or_init(|| {
        let variable = |name| std::env::var(name).unwrap_or_default();
        decide(
            io::stdout().is_terminal(),
            &variable("NO_COLOR"),
            &variable("TERM"),
        )
    })
}

fn decide(is_terminal: bool, no_color: &str, term: &str) -> bool {
    is_terminal && no_color.is_empty() && !matches!(term, "" | "dumb")
}

/// The text in that tone, for stdout.
pub fn painted(text: &str, tone: Option<Tone>) -> String {
    match tone {
        Some(tone) if is_on() => in_tone(text, tone),
        _ => text.to_owned(),
    }
}

fn in_tone(text: &str, tone: Tone) -> String {
    let colour = match tone {
        Tone::Bad => AnsiColor::Red,
        Tone::Warning => AnsiColor::Yellow,
    };
    let style = Style::new().bold().fg_color(Some(colour.into()));
    format!("{style}{text}{style:#}")
}

/// A text whose lines are painted one by one.
pub fn painted_lines(text: &str, tone: impl Fn(&str) -> Option<Tone>) -> String {
    let line = |line: &str| painted(line, tone(line)) + "\n";
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_that_wants_colours_gets_them() {
        assert!(decide(true, "", "xterm-256color"));
        assert!(!decide(false, "", "xterm-256color"));
        assert!(!decide(true, "1", "xterm-256color"));
        assert!(!decide(true, "", "dumb"));
        assert!(!decide(true, "", ""));
        assert_eq!(in_tone("parked", Tone::Bad), "\u{1b}[1m\u{1b}[31mparked\u{1b}[0m");
        assert_eq!(painted("parked", None), "parked");
    }
}
