//! What an AWS call's end says about the world.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{SdkError, ServiceError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Whether a failed write was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Certainly not applied, and the cause may pass: a throttle.
    Throttled,
    /// Certainly not applied: the request as a whole is not valid.
    Invalid,
    /// Certainly not applied: the service refused it.
    Refused,
    /// Perhaps applied: no answer came, or an internal error.
    Unknown,
}

/// Counts the tries of one call that got no answer.
///
/// The SDK retries inside a call. When the first try timed out (and may have been applied) and the second was throttled, the
/// call ends with the throttle, which alone would look like "certainly not applied". Attach one watch per call.
#[derive(Clone, Debug, Default)]
pub struct AnswerWatch(Arc<AtomicI64>);

impl AnswerWatch {
    /// Whether a try of the call got no answer, and so may have been applied.
    pub fn is_in_doubt(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    /// What the failed call says about the write.
    pub fn verdict<E: ProvideErrorMetadata>(&self, error: &SdkError<E, HttpResponse>) -> Verdict {
        if self.is_in_doubt() {
            return Verdict::Unknown;
        }
        match error {
            SdkError::ConstructionFailure(_) => Verdict::Refused,
            // Done, and told in words that nobody can read: the SDK calls that an error of the service.
            SdkError::ServiceError(service) if service.raw().status().is_success() => Verdict::Unknown,
            SdkError::ServiceError(service) if is_throttle(service.err().code()) => Verdict::Throttled,
            SdkError::ServiceError(service) if service.err().code() == Some("ValidationException") => {
                Verdict::Invalid
            }
            SdkError::ServiceError(_) => Verdict::Refused,
            // Even when nothing seems to have been in flight: "not sent" cannot be told from "sent and not answered".
            _ => Verdict::Unknown,
        }
    }
}

fn is_throttle(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "ThrottlingException"
                | "ThrottledException"
                | "ThrottlingError"
                | "Throttling"
                | "RequestThrottled"
                | "RequestLimitExceeded"
                | "ProvisionedThroughputExceededException"
                | "ProvisionedThroughputExceeded"
                | "OverLimit"
        )
    )
}

impl Intercept for AnswerWatch {
    fn name(&self) -> &'static str {
        "AnswerWatch"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A 5xx is no answer to "was it applied?".
        if context.response().status().as_u16() < 500 {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The cause of a failed AWS call in one line, for people: the service's code and message, or why there is none ("no connection",
/// "no answer in time", "the answer could not be parsed"). Never the request: it bears credentials and signatures.
pub fn describe<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let what = match error {
        SdkError::ServiceError(service) => return refusal(service),
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no answer in time",
        SdkError::DispatchFailure(failure) if failure.is_io() => "no connection",
        SdkError::DispatchFailure(_) => "the request cannot be sent",
        SdkError::ResponseError(_) => "the answer could not be parsed",
        SdkError::ConstructionFailure(_) => "the request cannot be made",
        _ => "no answer",
    };
    with_causes(what, error)
}

/// What a service answered. An answer of success that the SDK cannot parse comes as an error of the service without code and
/// message, and so does the error page of something that is no AWS service.
fn refusal<E>(service: &ServiceError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let (error, status) = (service.err(), service.raw().status());
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(message)) => message.to_owned(),
        (None, None) if status.is_success() => with_causes("the answer could not be parsed", error),
        (None, None) => {
            let what = format!(
                "an error without a code, as no AWS service answers (HTTP status {})",
                status.as_u16()
            );
            with_causes(&what, error)
        }
    }
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
