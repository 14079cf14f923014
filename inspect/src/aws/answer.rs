//! What a service answers to a question: something, that there is none, or nothing that helps.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use daybook_ledger::{Cause, describe};

use crate::aws::trouble::Trouble;

/// What a service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// That.
    Known(T),
    /// There is no such thing.
    Absent,
    /// Nothing that helps.
    Unknown(Refusal),
}

/// Why a service says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The IAM action that is needed.
    pub action: &'static str,
    /// What was said.
    pub cause: Cause,
}

impl<T> Answer<T> {
    /// From what the SDK says.
    pub fn of<E>(answer: Result<T, SdkError<E>>, action: &'static str) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let cause = match answer {
            Ok(value) => return Self::Known(value),
            Err(error) => describe(&error),
        };
        match Trouble::of(&cause) {
            Trouble::Absent => Self::Absent,
            _ => Self::Unknown(Refusal { action, cause }),
        }
    }

    /// The answer in another form.
    pub fn map<U>(self, what: impl FnOnce(T) -> U) -> Answer<U> {
        self.and_then(|value| Answer::Known(what(value)))
    }

    /// What follows from the answer.
    pub fn and_then<U>(self, what: impl FnOnce(T) -> Answer<U>) -> Answer<U> {
        match self {
            Self::Known(value) => what(value),
            Self::Absent => Answer::Absent,
            Self::Unknown(refusal) => Answer::Unknown(refusal),
        }
    }

    /// The answer, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }
}

impl<T> From<Option<T>> for Answer<T> {
    fn from(part: Option<T>) -> Self {
        part.map_or(Self::Absent, Self::Known)
    }
}
