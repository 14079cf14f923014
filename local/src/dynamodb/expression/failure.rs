//! Where a grammar stopped, and why.

use winnow::error::ParserError;
use winnow::stream::Stream;

use crate::dynamodb::expression::token::{Token, Tokens};

/// What a grammar's parser gives.
pub(crate) type Parsed<T> = Result<T, Failure>;

/// Why a source does not follow its grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How many words were left, the offending one first.
    left: usize,
    /// AWS's words for it, where it is more than a syntax error. No other reading is tried then.
    reason: Option<String>,
}

impl Failure {
    pub(crate) fn because(reason: impl Into<String>) -> Self {
        Self {
            left: 0,
            reason: Some(reason.into()),
        }
    }

    pub(crate) fn at(tokens: &Tokens<'_>) -> Self {
        Self {
            left: tokens.eof_offset(),
            reason: None,
        }
    }

    /// As AWS words it: the offending word, and that with its neighbours.
    pub(crate) fn into_message(self, source: &str, tokens: &[Token<'_>]) -> String {
        if let Some(reason) = self.reason {
            return reason;
        }
        let at = tokens.len().saturating_sub(self.left);
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let Some(offending) = tokens.get(at) else {
            let near = before.map_or(source, |last| &source[last.start..last.end]);
            return format!("Syntax error; token: \"<EOF>\", near: \"{near}\"");
        };
        let after = tokens.get(at + 1).unwrap_or(offending);
        format!(
            "Syntax error; token: \"{}\", near: \"{}\"",
            &source[offending.start..offending.end],
            &source[before.unwrap_or(offending).start..after.end]
        )
    }
}

impl ParserError<Tokens<'_>> for Failure {
    type Inner = Self;

    fn from_input(tokens: &Tokens<'_>) -> Self {
        Self::at(tokens)
    }

    /// The reading that went further says more.
    fn or(self, other: Self) -> Self {
        match self.reason.is_some() || self.left < other.left {
            true => self,
            false => other,
        }
    }

    fn is_backtrack(&self) -> bool {
        self.reason.is_none()
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}
