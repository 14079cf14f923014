//! What an AWS JSON endpoint answers, whichever service it is.

use serde_json::{Value, json};

/// AWS JSON 1.0, the protocol of all three services.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// An answer as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: Vec<u8>,
    /// The error's name without its namespace (`QueueDoesNotExist`), where the answer is an error.
    pub error_code: Option<String>,
    /// Always `application/x-amz-json-1.0`.
    pub content_type: &'static str,
    /// What AWS puts beside them: `x-amzn-requestid`, and for SQS errors `x-amzn-query-error`.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(crate) fn ok(body: &Value) -> Self {
        Self::json(200, body.to_string().into_bytes())
    }

    /// With that body.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            error_code: None,
            content_type: CONTENT_TYPE,
            headers: Vec::new(),
        }
    }

    /// An error of the given full type, such as `com.amazonaws.sqs#QueueDoesNotExist`.
    pub(crate) fn error(status: u16, error_type: &str, message: &str) -> Self {
        let body = json!({"__type": error_type, "message": message})
            .to_string()
            .into_bytes();
        let code = error_type.rsplit('#').next().unwrap_or(error_type);
        Self {
            error_code: Some(code.to_owned()),
            ..Self::json(status, body)
        }
    }

    /// The refusal of an `X-Amz-Target` that is not served.
    pub fn unknown_operation(target: &str) -> Self {
        let message = format!("Daybook's embedded AWS does not know the operation '{target}'");
        Self::error(
            400,
            "com.amazon.coral.service#UnknownOperationException",
            &message,
        )
    }

    pub(crate) fn serialization(message: &str) -> Self {
        Self::error(400, "com.amazon.coral.service#SerializationException", message)
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}
