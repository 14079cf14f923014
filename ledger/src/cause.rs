//! Why an AWS call failed: in words for people, and as a kind for whoever decides on it.

use std::borrow::Cow;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{SdkError, ServiceError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_schema::InvalidRow;
use serde::Serialize;

/// Why something failed. Displayed and serialized, it is its words, in one line. Decide on its [`CauseKind`]: any words can be
/// in a message, whose text a service, a key or a person chose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Cause {
    words: Cow<'static, str>,
    kind: CauseKind,
}

/// What kind of failure it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CauseKind {
    /// A service answered with an error.
    Service {
        /// Its code, such as `AccessDeniedException`. `None` for an answer to HEAD, which has no body, and for what is not an AWS
        /// service.
        code: Option<String>,
        /// The HTTP status.
        status: u16,
    },
    /// There was no connection.
    NoConnection,
    /// No answer came, or not before a deadline.
    NoAnswer,
    /// The request could not be sent, or not be made.
    NotSent,
    /// An answer came in a form that is not the service's.
    NotParsed,
    /// A stored item that this release cannot read.
    Unreadable,
    /// Anything else.
    #[default]
    Other,
}

impl Cause {
    /// A failure of that kind, in words.
    pub fn new(kind: CauseKind, words: impl Into<Cow<'static, str>>) -> Self {
        Self {
            words: words.into(),
            kind,
        }
    }

    /// No answer came before a deadline.
    pub const fn no_answer(words: &'static str) -> Self {
        Self {
            words: Cow::Borrowed(words),
            kind: CauseKind::NoAnswer,
        }
    }

    /// The same failure, with what failed before its words: `operation: words`.
    pub fn of(self, what: impl fmt::Display) -> Self {
        Self {
            words: format!("{what}: {}", self.words).into(),
            kind: self.kind,
        }
    }

    /// In words.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Its kind.
    pub fn kind(&self) -> &CauseKind {
        &self.kind
    }

    /// The code of a service's error, if it has one.
    pub fn code(&self) -> Option<&str> {
        match &self.kind {
            CauseKind::Service { code, .. } => code.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl From<String> for Cause {
    fn from(words: String) -> Self {
        Self::new(CauseKind::Other, words)
    }
}

impl From<&str> for Cause {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl From<InvalidRow> for Cause {
    fn from(row: InvalidRow) -> Self {
        Self::new(CauseKind::Unreadable, row.to_string())
    }
}

impl From<&Cause> for Cause {
    fn from(cause: &Cause) -> Self {
        cause.clone()
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.words.into_owned()
    }
}

#[cfg(feature = "json-schema")]
impl schemars::JsonSchema for Cause {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cause".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// The cause of a failed AWS call: the service's code and message, or why there is none ("no connection", "no answer in time",
/// "the answer could not be parsed"). Never the request: it bears credentials and signatures.
pub fn describe<E>(error: &SdkError<E, HttpResponse>) -> Cause
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (kind, what) = match error {
        SdkError::ServiceError(service) => return refusal(service),
        SdkError::TimeoutError(_) => (CauseKind::NoAnswer, "no answer in time"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            (CauseKind::NoAnswer, "no answer in time")
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => (CauseKind::NoConnection, "no connection"),
        SdkError::DispatchFailure(_) => (CauseKind::NotSent, "the request cannot be sent"),
        SdkError::ResponseError(_) => (CauseKind::NotParsed, "the answer could not be parsed"),
        SdkError::ConstructionFailure(_) => (CauseKind::NotSent, "the request cannot be made"),
        _ => (CauseKind::NoAnswer, "no answer"),
    };
    Cause::new(kind, with_causes(what, error))
}

/// What a service answered. An answer of success that the SDK cannot parse comes as an error of the service without code and
/// message, and so does the error page of something that is not an AWS service.
fn refusal<E>(service: &ServiceError<E, HttpResponse>) -> Cause
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (error, status) = (service.err(), service.raw().status());
    let words = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(message)) => message.to_owned(),
        (None, None) if status.is_success() => {
            let words = with_causes("the answer could not be parsed", error);
            return Cause::new(CauseKind::NotParsed, words);
        }
        (None, None) => {
            let what = format!(
                "an error without a code, as no AWS service answers (HTTP status {})",
                status.as_u16()
            );
            with_causes(&what, error)
        }
    };
    let kind = CauseKind::Service {
        code: error.code().map(str::to_owned),
        status: status.as_u16(),
    };
    Cause::new(kind, words)
}

/// An error and its causes, on one line. What says the same as the text before it is left out.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    with_causes(&error.to_string(), error)
}

/// A text and the causes below an error, without those that only name the layer which they passed through, without repetitions
/// and without requests.
fn with_causes(what: &str, error: &(dyn std::error::Error + 'static)) -> String {
    const LAYERS: [&str; 11] = [
        "dispatch failure",
        "io error",
        "timeout",
        "other",
        "unhandled error",
        "Error",
        "service error",
        "client error (Connect)",
        "client error (SendRequest)",
        "tcp connect error",
        "dns error",
    ];
    let mut text = what.to_owned();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let said = cause.to_string();
        // "failed to apply endpoint `…` to request `Request { … }`": with all of its headers.
        let said = said.split(" to request `").next().unwrap_or_default();
        let is_layer = LAYERS.contains(&said) || said.starts_with("Error { ");
        if !is_layer && !text.ends_with(said) {
            text = format!("{text}: {said}");
        }
    }
    text
}
