//! What a failed call says about its write, and how it is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::error::ErrorMetadata;
use daybook_ledger::{AnswerWatch, Verdict, describe};

type Failed = SdkError<ErrorMetadata, ()>;

/// An error, and what is below it.
#[derive(Debug)]
struct Layer(&'static str, Option<Box<Layer>>);

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Layer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|below| below as _)
    }
}

fn layers(texts: &[&'static str]) -> Box<Layer> {
    let below = (texts.len() > 1).then(|| layers(&texts[1..]));
    Box::new(Layer(texts[0], below))
}

fn answered(code: Option<&str>, message: Option<&str>) -> Failed {
    let mut error = ErrorMetadata::builder();
    if let Some(code) = code {
        error = error.code(code);
    }
    if let Some(message) = message {
        error = error.message(message);
    }
    SdkError::service_error(error.build(), ())
}

#[test]
fn a_refusal_of_the_service_is_told_apart_from_a_throttle_and_from_no_answer() {
    let verdict = |error: &Failed| AnswerWatch::default().verdict(error);
    for (error, expected) in [
        (answered(Some("ThrottlingException"), None), Verdict::Throttled),
        (
            answered(Some("ProvisionedThroughputExceededException"), None),
            Verdict::Throttled,
        ),
        (answered(Some("ValidationException"), None), Verdict::Invalid),
        (answered(Some("AccessDeniedException"), None), Verdict::Refused),
        (answered(None, None), Verdict::Refused),
        (
            SdkError::construction_failure(layers(&["no key"])),
            Verdict::Refused,
        ),
        (SdkError::timeout_error(layers(&["timeout"])), Verdict::Unknown),
        (
            SdkError::dispatch_failure(ConnectorError::io(layers(&["reset"]))),
            Verdict::Unknown,
        ),
        (
            SdkError::response_error(layers(&["no JSON"]), ()),
            Verdict::Unknown,
        ),
    ] {
        assert_eq!(verdict(&error), expected, "{error:?}");
    }
}

#[test]
fn a_failed_call_is_told_in_one_line_with_its_cause_and_without_the_layers_between() {
    let dispatch = |error| SdkError::dispatch_failure(error);
    for (error, expected) in [
        (answered(Some("Denied"), Some("not you")), "Denied: not you"),
        (answered(Some("Denied"), None), "Denied"),
        (answered(None, Some("not you")), "not you"),
        (
            answered(None, None),
            "an error without a code, as no AWS service answers",
        ),
        (SdkError::timeout_error(layers(&["timeout"])), "no answer in time"),
        (
            SdkError::timeout_error(layers(&["after 3 seconds"])),
            "no answer in time: after 3 seconds",
        ),
        (
            dispatch(ConnectorError::timeout(layers(&["after 3 seconds"]))),
            "no answer in time: after 3 seconds",
        ),
        (
            dispatch(ConnectorError::io(layers(&["tcp connect error", "refused"]))),
            "no connection: refused",
        ),
        (
            dispatch(ConnectorError::io(layers(&[
                "no host: refused",
                "refused",
                "os error 111",
            ]))),
            "no connection: no host: refused: os error 111",
        ),
        (
            dispatch(ConnectorError::other(layers(&["no name"]), None)),
            "the request cannot be sent: no name",
        ),
        (
            SdkError::response_error(layers(&["no JSON"]), ()),
            "the answer cannot be read: no JSON",
        ),
        (
            SdkError::construction_failure(layers(&["no key"])),
            "the request cannot be made: no key",
        ),
    ] {
        assert_eq!(describe(&error), expected, "{error:?}");
    }
}
