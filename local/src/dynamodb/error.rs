//! Why a request is refused, in AWS's codes and words.

use serde::Serialize;

use crate::answer::Answer;
use crate::dynamodb::value::{Invalid, Item};
use crate::store::StoreError;

/// AWS's name of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Validation,
    Serialization,
    ResourceNotFound,
    ResourceInUse,
    ConditionalCheckFailed,
    DuplicateItem,
    TransactionCanceled,
    IdempotentParameterMismatch,
}

impl Code {
    fn error_type(self) -> &'static str {
        match self {
            Self::Validation => "com.amazon.coral.validate#ValidationException",
            Self::Serialization => "com.amazon.coral.service#SerializationException",
            Self::ResourceNotFound => "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException",
            Self::ResourceInUse => "com.amazonaws.dynamodb.v20120810#ResourceInUseException",
            Self::ConditionalCheckFailed => {
                "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"
            }
            Self::DuplicateItem => "com.amazonaws.dynamodb.v20120810#DuplicateItemException",
            Self::TransactionCanceled => "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            Self::IdempotentParameterMismatch => {
                "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException"
            }
        }
    }

    /// As it is called in the answer to a batch or a transaction, for one of its members.
    pub(crate) fn of_member(self) -> &'static str {
        match self {
            Self::Validation | Self::Serialization => "ValidationError",
            Self::ResourceNotFound => "ResourceNotFound",
            Self::ResourceInUse => "ResourceInUse",
            Self::ConditionalCheckFailed => "ConditionalCheckFailed",
            Self::DuplicateItem => "DuplicateItem",
            Self::TransactionCanceled => "TransactionConflict",
            Self::IdempotentParameterMismatch => "IdempotentParameterMismatch",
        }
    }
}

/// A request, or one member of a batch, is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The item that the condition was false for.
    pub(crate) item: Option<Item>,
    /// What became of each member of a cancelled transaction.
    pub(crate) reasons: Vec<Reason>,
}

/// What became of one member of a cancelled transaction; `None` is its code where nothing was wrong with it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Reason {
    pub(crate) code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) item: Option<Item>,
}

impl Reason {
    pub(crate) fn none() -> Self {
        Self {
            code: "None",
            message: None,
            item: None,
        }
    }

    pub(crate) fn of(refusal: Refusal) -> Self {
        Self {
            code: refusal.code.of_member(),
            message: Some(refusal.message),
            item: refusal.item,
        }
    }
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            item: None,
            reasons: Vec::new(),
        }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::Validation, message)
    }

    /// The condition was false for `item`.
    pub(crate) fn condition_failed(item: Option<Item>) -> Self {
        Self {
            item,
            ..Self::new(Code::ConditionalCheckFailed, "The conditional request failed")
        }
    }

    /// Shows the item that the condition was false for only where the request asks for it.
    pub(crate) fn showing(mut self, shown: bool) -> Self {
        if !shown {
            self.item = None;
        }
        self
    }

    pub(crate) fn canceled(reasons: Vec<Reason>) -> Self {
        let codes: Vec<&str> = reasons.iter().map(|reason| reason.code).collect();
        let message = format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        );
        Self {
            reasons,
            ..Self::new(Code::TransactionCanceled, message)
        }
    }

    pub(crate) fn answer(&self) -> Answer {
        #[derive(Serialize)]
        struct Body<'a> {
            #[serde(rename = "__type")]
            error_type: &'static str,
            // AWS writes the one or the other.
            #[serde(rename = "message", skip_serializing_if = "Option::is_none")]
            message: Option<&'a str>,
            #[serde(rename = "Message", skip_serializing_if = "Option::is_none")]
            capital_message: Option<&'a str>,
            #[serde(rename = "Item", skip_serializing_if = "Option::is_none")]
            item: Option<&'a Item>,
            #[serde(rename = "CancellationReasons", skip_serializing_if = "Option::is_none")]
            reasons: Option<&'a [Reason]>,
        }
        let error_type = self.code.error_type();
        let capital = matches!(self.code, Code::TransactionCanceled | Code::Serialization);
        let body = serde_json::to_vec(&Body {
            error_type,
            message: (!capital).then_some(&self.message),
            capital_message: capital.then_some(&self.message),
            item: self.item.as_ref(),
            reasons: (!self.reasons.is_empty()).then_some(&self.reasons),
        });
        Answer {
            error_code: error_type.rsplit('#').next().map(str::to_owned),
            ..Answer::json(400, body.unwrap_or_default())
        }
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Self::validation(invalid.into_message())
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Refused(invalid.into())
    }
}

/// Why an operation did not come to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    /// Not one member of a batch is refused, but all of it.
    Batch(Refusal),
    /// Nobody knows what the store holds.
    Store(StoreError),
}

impl Failure {
    pub(crate) fn into_message(self) -> String {
        match self {
            Self::Refused(refusal) | Self::Batch(refusal) => refusal.message,
            Self::Store(error) => error.to_string(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// As the store takes it: a refusal is an outcome like any other, and only the store's own failure is one.
pub(crate) fn settled<T>(outcome: Result<T, Failure>) -> Result<Result<T, Refusal>, StoreError> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Refused(refusal) | Failure::Batch(refusal)) => Ok(Err(refusal)),
        Err(Failure::Store(error)) => Err(error),
    }
}

/// The answer when it is not known what became of a request.
pub(crate) fn internal_error(message: &str) -> Answer {
    Answer::error(
        500,
        "com.amazonaws.dynamodb.v20120810#InternalServerError",
        message,
    )
}
