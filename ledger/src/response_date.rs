//! The `Date` of a response: the server's own clock.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use daybook_schema::Timestamp;

/// Keeps the `Date` of the last response of one call, to any AWS service. Attach one per call.
#[derive(Clone, Debug, Default)]
pub struct ResponseDate(Arc<Mutex<Option<Timestamp>>>);

impl ResponseDate {
    /// The date in whole seconds; none before the first response, and if that had no date that can be read.
    pub fn get(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for ResponseDate {
    fn name(&self) -> &'static str {
        "ResponseDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        let millis = date.and_then(|date| date.to_millis().ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = millis.and_then(Timestamp::from_unix_millis);
        Ok(())
    }
}
