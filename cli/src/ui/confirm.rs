//! Asking before something is changed.

use std::io::{IsTerminal, Write};

use clap::Args;

use crate::ui::error::UserError;

/// The flag of every command that asks.
#[derive(Args, Clone, Copy, Debug)]
pub struct ConfirmArguments {
    /// Do it without prompting; required when not interactive
    #[arg(short = 'y', long, help_heading = "Confirmation")]
    pub yes: bool,
}

impl ConfirmArguments {
    /// Asks on stderr, unless `--yes` was given. `Ok` is a yes; a no has changed nothing, and so has a missing terminal.
    ///
    /// # Errors
    /// When the answer is no, or there is nobody to ask.
    pub fn ask(self, question: &str) -> Result<(), UserError> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(
                UserError::new("nothing was changed: there is no terminal to ask on")
                    .hint("review what it would do, then pass --yes to do it"),
            );
        }
        eprint!("{question} [y/N] ");
        let mut answer = String::new();
        let read = std::io::stderr()
            .flush()
            .and_then(|()| std::io::stdin().read_line(&mut answer));
        match read {
            Ok(_) if is_yes(&answer) => Ok(()),
            Ok(_) => Err(UserError::new("nothing was changed: the answer was no")),
            Err(error) => {
                Err(UserError::new("nothing was changed: the answer could not be read").because(error))
            }
        }
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for yes in ["y", "Y\n", "yes\r\n", " YES "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n", "no", "yy", "j", "ye s"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }
}
