//! Step Functions' errors.

use crate::answer::Answer;

/// An error of Step Functions.
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html#API_StartExecution_Errors>
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are AWS's own; the text is its subject")]
pub enum ExecutionError {
    #[error("Execution Already Exists: '{0}'")]
    ExecutionAlreadyExists(String),
    #[error("Execution Does Not Exist: '{0}'")]
    ExecutionDoesNotExist(String),
    #[error("State Machine Does Not Exist: '{0}'")]
    StateMachineDoesNotExist(String),
    #[error("This operation is not supported by this type of state machine: '{0}'")]
    StateMachineTypeNotSupported(String),
    #[error("State Machine Already Exists: '{0}'")]
    StateMachineAlreadyExists(String),
    #[error("Invalid State Machine Execution Input: '{0}'")]
    InvalidExecutionInput(String),
    #[error("Invalid Name: '{0}'")]
    InvalidName(String),
    #[error("Invalid Arn: '{0}'")]
    InvalidArn(String),
    #[error("Invalid State Machine Definition: '{0}'")]
    InvalidDefinition(String),
    #[error("Invalid Token: '{0}'")]
    InvalidToken(String),
    #[error("{0}")]
    ValidationException(String),
}

impl ExecutionError {
    /// The name that clients match on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ExecutionAlreadyExists(_) => "ExecutionAlreadyExists",
            Self::ExecutionDoesNotExist(_) => "ExecutionDoesNotExist",
            Self::StateMachineDoesNotExist(_) => "StateMachineDoesNotExist",
            Self::StateMachineTypeNotSupported(_) => "StateMachineTypeNotSupported",
            Self::StateMachineAlreadyExists(_) => "StateMachineAlreadyExists",
            Self::InvalidExecutionInput(_) => "InvalidExecutionInput",
            Self::InvalidName(_) => "InvalidName",
            Self::InvalidArn(_) => "InvalidArn",
            Self::InvalidDefinition(_) => "InvalidDefinition",
            Self::InvalidToken(_) => "InvalidToken",
            Self::ValidationException(_) => "ValidationException",
        }
    }

    pub(super) fn answer(&self) -> Answer {
        let namespace = match self {
            Self::ValidationException(_) => "com.amazon.coral.validate",
            _ => "com.amazonaws.swf.service.v2.model",
        };
        Answer::error(400, &format!("{namespace}#{}", self.code()), &self.to_string())
    }
}
