//! A Lambda function as a target: each attempt is one asynchronous invocation.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_ledger::describe;

use crate::executions::Started;

/// The header that links an invocation to a trace.
const TRACE_HEADER: &str = "x-amzn-trace-id";

/// A function that is invoked asynchronously. Lambda queues the event, runs the function, and sends a record of how that ended to the
/// function's destinations, which are the completion queue.
#[derive(Clone, Debug)]
pub struct FunctionTarget {
    client: Client,
    arn: String,
}

impl FunctionTarget {
    /// The function of that ARN; with a version or an alias at its end, that one.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self {
            client,
            arn: arn.into(),
        }
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Has Lambda queue that event. A request without an answer may have been taken, and nothing tells: its message comes again, and the
    /// function may run twice.
    pub(crate) async fn invoke(&self, input: String, trace: Option<&str>) -> Started {
        let trace = trace.map(str::to_owned);
        let answer = self
            .client
            .invoke()
            .function_name(&self.arn)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(input))
            .customize()
            // The SDK would invoke once more what was perhaps taken.
            .config_override(aws_sdk_lambda::config::Builder::default().retry_config(RetryConfig::disabled()))
            .mutate_request(move |request| {
                if let Some(trace) = &trace {
                    // Whoever sent the notification wrote it: what is no header is left out.
                    request.headers_mut().try_insert(TRACE_HEADER, trace.clone()).ok();
                }
            })
            .send()
            .await;
        let error = match answer {
            Ok(_) => return Started::Untracked,
            Err(error) => error,
        };
        // Errors of Invoke (Lambda API Reference). The longest event of an asynchronous invocation has 1 MB.
        match error.code() {
            Some(
                "RequestTooLargeException"
                | "SerializedRequestEntityTooLargeException"
                | "InvalidRequestContentException",
            ) => Started::Invalid(describe(&error).into()),
            Some("TooManyRequestsException" | "ThrottlingException") => {
                Started::Throttled(describe(&error).into())
            }
            _ => Started::NotStarted(describe(&error).into()),
        }
    }
}
