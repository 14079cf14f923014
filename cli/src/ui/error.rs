//! Errors as people read them: what happened, why, what to do. Printed once, here.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// An error with advice.
#[derive(Debug)]
pub struct UserError {
    what: String,
    cause: Option<anyhow::Error>,
    hint: Option<String>,
}

impl UserError {
    /// That happened.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cause: None,
            hint: None,
        }
    }

    /// For this reason.
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// And this may help.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What may help.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// And this may help, if anything is known to.
    pub fn hint_if_any(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for UserError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| {
            let cause: &(dyn std::error::Error + 'static) = cause.as_ref();
            cause
        })
    }
}

/// Failures one below the other, as an error shows them.
pub fn listed<T: fmt::Display>(failures: &[T]) -> anyhow::Error {
    let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
    anyhow::anyhow!(lines.join("\n  caused by: "))
}

/// Prints the error, its causes and the advice; the exit code.
pub fn print(error: &anyhow::Error) -> ExitCode {
    let mut text = format!("error: {error}\n");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  caused by: {cause}\n"));
    }
    if let Some(hint) = error
        .downcast_ref::<UserError>()
        .and_then(|error| error.hint.as_ref())
    {
        text.push_str(&format!("  hint: {hint}\n"));
    }
    // A closed stderr leaves nobody to tell, and the exit code says it.
    let _ = std::io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}
