//! What a ValidationException says.

use std::fmt::{self, Display};

/// The message of a ValidationException.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(String);

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// What AWS says of parameters: the reason behind its standing words.
    pub(crate) fn parameter(reason: impl Display) -> Self {
        Self(format!("One or more parameter values were invalid: {reason}"))
    }

    pub(crate) fn into_message(self) -> String {
        self.0
    }
}

impl Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}
