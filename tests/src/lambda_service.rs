//! Lambda's Invoke as it answers asynchronous invocations, and the records that a function's destinations get.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// The function that tests invoke.
pub const TARGET_FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:work";

/// What happens to an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invoking {
    /// Lambda queues it and says so.
    Taken,
    /// Lambda queues it, and the connection breaks before the answer.
    TakenUnanswered,
    /// The connection breaks before Lambda has it.
    Cut,
    /// The account or the function has no room.
    Throttled,
    /// Lambda fails inside.
    Failing,
    /// The event is too long.
    TooLong,
    /// The caller may not.
    Denied,
}

/// An invocation that Lambda has queued.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The function's ARN, as it was asked for.
    pub function: String,
    /// What it is given.
    pub payload: Value,
    /// The X-Ray header.
    pub trace: Option<String>,
}

impl Invocation {
    /// What a destination gets about it ("Capturing records of Lambda asynchronous invocations", Lambda Developer Guide), with that
    /// condition and those members beside.
    pub fn record(&self, condition: &str, response: Value) -> String {
        let mut record = json!({
            "version": "1.0",
            "timestamp": "2026-11-21T00:00:00.000Z",
            "requestContext": {
                "requestId": "0f2b7a5c-1111-4222-8333-944445555666",
                "functionArn": format!("{}:$LATEST", self.function),
                "condition": condition,
                "approximateInvokeCount": 1,
            },
            "requestPayload": self.payload,
        });
        for (name, value) in response.as_object().unwrap() {
            record[name] = value.clone();
        }
        record.to_string()
    }

    /// The record of a run that returned that.
    pub fn returned(&self, payload: Value) -> String {
        let context = json!({"statusCode": 200, "executedVersion": "$LATEST"});
        self.record(
            "Success",
            json!({"responseContext": context, "responsePayload": payload}),
        )
    }

    /// The record of a run that raised that error.
    pub fn raised(&self, kind: &str, message: &str) -> String {
        let context = json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"});
        let payload = json!({"errorMessage": message, "errorType": kind, "stackTrace": []});
        self.record(
            "RetriesExhausted",
            json!({"responseContext": context, "responsePayload": payload}),
        )
    }
}

/// Lambda. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct LambdaService(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    fates: VecDeque<Invoking>,
    requests: usize,
    invocations: Vec<Invocation>,
}

impl LambdaService {
    /// The fates of the next invocations; those after them are taken.
    pub fn next(&self, fates: impl IntoIterator<Item = Invoking>) {
        self.0.lock().unwrap().fates.extend(fates);
    }

    /// What was queued so far.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.0.lock().unwrap().invocations.clone()
    }

    /// How many requests there were.
    pub fn requests(&self) -> usize {
        self.0.lock().unwrap().requests
    }

    /// The SDK's HTTP client, in process.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Answers a request for that path with these headers: status, the error's name, body. None where the connection breaks.
    pub fn answer<'a>(
        &self,
        path: &str,
        header: impl Fn(&str) -> Option<&'a str>,
        body: &[u8],
    ) -> Option<(u16, &'static str, Vec<u8>)> {
        let path = percent_encoding::percent_decode_str(path).decode_utf8().unwrap();
        let function = path.strip_prefix("/2015-03-31/functions/").unwrap();
        let function = function.strip_suffix("/invocations").unwrap();
        assert_eq!(header("x-amz-invocation-type"), Some("Event"));
        let mut state = self.0.lock().unwrap();
        state.requests += 1;
        let fate = state.fates.pop_front().unwrap_or(Invoking::Taken);
        if matches!(fate, Invoking::Taken | Invoking::TakenUnanswered) {
            state.invocations.push(Invocation {
                function: function.to_owned(),
                payload: serde_json::from_slice(body).unwrap(),
                trace: header("x-amzn-trace-id").map(str::to_owned),
            });
        }
        let refused = |status, error, words: &str| {
            let body = json!({"Type": "User", "Message": words}).to_string();
            Some((status, error, body.into_bytes()))
        };
        match fate {
            Invoking::Taken => Some((202, "", Vec::new())),
            Invoking::TakenUnanswered | Invoking::Cut => None,
            Invoking::Throttled => refused(429, "TooManyRequestsException", "Rate Exceeded."),
            Invoking::Failing => refused(500, "ServiceException", "An error occurred."),
            Invoking::TooLong => refused(
                413,
                "RequestTooLargeException",
                "1048577 byte payload is too large",
            ),
            Invoking::Denied => refused(
                403,
                "AccessDeniedException",
                "the role is not authorized to perform: lambda:InvokeFunction",
            ),
        }
    }
}

impl HttpClient for LambdaService {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for LambdaService {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = self.clone();
        HttpConnectorFuture::new(async move {
            let uri: http::Uri = request.uri().parse().unwrap();
            let body = request.body().bytes().unwrap_or_default();
            let answer = service.answer(uri.path(), |name| request.headers().get(name), body);
            let Some((status, error, body)) = answer else {
                return Err(ConnectorError::io("the connection broke".into()));
            };
            let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
            if !error.is_empty() {
                response.headers_mut().insert("x-amzn-errortype", error);
            }
            Ok(response)
        })
    }
}
