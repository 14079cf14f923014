//! What an AWS call's end says about the world.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
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
