//! Answers to requests that are not served.

use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// When a sender that is told to come again should do so, in seconds.
const COME_AGAIN: &str = "1";

/// Why a request is not served.
pub(super) struct Refusal {
    /// The answer's status.
    pub(super) status: StatusCode,
    /// The answer's `error`.
    pub(super) error: String,
    headers: Vec<(HeaderName, &'static str)>,
}

impl Refusal {
    /// With that status and error.
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            error: error.into(),
            headers: Vec::new(),
        }
    }

    /// With one more header.
    pub(super) fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Not now; nothing was recorded, or not all.
    pub(super) fn come_again(status: StatusCode, error: impl Into<String>) -> Self {
        Self::new(status, error).with(header::RETRY_AFTER, COME_AGAIN)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(json!({ "error": self.error }))).into_response();
        for (name, value) in self.headers {
            response
                .headers_mut()
                .insert(name, header::HeaderValue::from_static(value));
        }
        response
    }
}
