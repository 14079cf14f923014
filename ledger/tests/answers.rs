//! What a failed call says about its write, and how it is told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::{ConnectorError, SdkError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_ledger::{AnswerWatch, CauseKind, Verdict, chain, describe};

type Failed = SdkError<ErrorMetadata, HttpResponse>;

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
    SdkError::service_error(error.build(), status(400))
}

fn status(status: u16) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::empty())
}

/// What the SDK makes of an answer that it cannot parse: an error of the service that says nothing by itself.
#[derive(Debug)]
struct Unparsed(Box<Layer>);

impl fmt::Display for Unparsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unhandled error")
    }
}

impl Error for Unparsed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

impl ProvideErrorMetadata for Unparsed {
    fn meta(&self) -> &ErrorMetadata {
        static NOTHING: std::sync::LazyLock<ErrorMetadata> =
            std::sync::LazyLock::new(|| ErrorMetadata::builder().build());
        &NOTHING
    }
}

fn unparsed(code: u16) -> SdkError<Unparsed, HttpResponse> {
    SdkError::service_error(Unparsed(layers(&["Error", "not a date"])), status(code))
}

#[test]
fn an_answer_that_cannot_be_parsed_is_called_that_and_may_have_been_of_a_write_that_was_done() {
    assert_eq!(
        describe(&unparsed(200)).words(),
        "the answer could not be parsed: not a date"
    );
    assert_eq!(
        describe(&unparsed(502)).words(),
        "an error without a code, as no AWS service answers (HTTP status 502): not a date"
    );
    assert_eq!(AnswerWatch::default().verdict(&unparsed(200)), Verdict::Unknown);
    assert_eq!(AnswerWatch::default().verdict(&unparsed(400)), Verdict::Refused);
}

#[test]
fn no_request_is_told() {
    let applied = "failed to apply endpoint `localhost:1` to request `Request { authorization: \"AWS4-HMAC-SHA256 secret\" }`";
    let failed: Failed =
        SdkError::dispatch_failure(ConnectorError::other(layers(&[applied, "no scheme"]), None));
    assert_eq!(
        describe(&failed).words(),
        "the request cannot be sent: failed to apply endpoint `localhost:1`: no scheme"
    );
}

#[test]
fn a_chain_has_every_cause_once() {
    let error = layers(&["the ledger cannot be read", "row x", "row x", "missing field"]);
    assert_eq!(chain(&*error), "the ledger cannot be read: row x: missing field");
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
            SdkError::response_error(layers(&["no JSON"]), status(200)),
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
            "an error without a code, as no AWS service answers (HTTP status 400)",
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
            SdkError::response_error(layers(&["no JSON"]), status(200)),
            "the answer could not be parsed: no JSON",
        ),
        (
            SdkError::construction_failure(layers(&["no key"])),
            "the request cannot be made: no key",
        ),
    ] {
        assert_eq!(describe(&error).words(), expected, "{error:?}");
    }
}

#[test]
fn a_failed_call_has_a_kind_that_its_words_do_not_change() {
    let dispatch = |error| SdkError::dispatch_failure(error);
    let service = |code: Option<&str>| CauseKind::Service {
        code: code.map(str::to_owned),
        status: 400,
    };
    for (error, expected) in [
        (
            answered(Some("Denied"), Some("no connection, cannot be read")),
            service(Some("Denied")),
        ),
        (answered(None, Some("AccessDenied")), service(None)),
        (answered(None, None), service(None)),
        (SdkError::timeout_error(layers(&["timeout"])), CauseKind::NoAnswer),
        (
            dispatch(ConnectorError::timeout(layers(&["no connection"]))),
            CauseKind::NoAnswer,
        ),
        (
            dispatch(ConnectorError::io(layers(&["no answer"]))),
            CauseKind::NoConnection,
        ),
        (
            dispatch(ConnectorError::other(layers(&["no answer"]), None)),
            CauseKind::NotSent,
        ),
        (
            SdkError::response_error(layers(&["no JSON"]), status(200)),
            CauseKind::NotParsed,
        ),
        (
            SdkError::construction_failure(layers(&["no key"])),
            CauseKind::NotSent,
        ),
    ] {
        let cause = describe(&error);
        assert_eq!(cause.kind(), &expected, "{error:?}");
        assert_eq!(cause.of("GetItem").kind(), &expected, "{error:?}");
    }
    assert_eq!(describe(&unparsed(200)).kind(), &CauseKind::NotParsed);
}
