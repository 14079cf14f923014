//! What Lambda tells of asynchronous invocations: the records that a function's destinations get.

use std::collections::BTreeSet;

use daybook_schema::{BatchInput, BatchName, ExecutionInput, ItemFailures, RunName};
use serde::Deserialize;
use serde::de::{Error, IgnoredAny};
use serde_json::value::RawValue;

use crate::executions::{Ended, EndedStatus, why};

/// A record, as far as it matters ("Capturing records of Lambda asynchronous invocations", Lambda Developer Guide).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    request_context: RequestContext,
    /// What the function was given: the input of Daybook's.
    #[serde(borrow)]
    request_payload: &'a RawValue,
    #[serde(default)]
    response_context: Option<ResponseContext>,
    /// What the function returned, or its error. Absent where it never ran.
    #[serde(borrow, default)]
    response_payload: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext {
    request_id: String,
    function_arn: String,
    /// `Success`, `RetriesExhausted` or `EventAgeExceeded`.
    condition: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    #[serde(default)]
    function_error: Option<String>,
}

/// What Lambda puts into the payload of a function that failed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Failure {
    error_type: Option<String>,
    error_message: Option<String>,
}

/// How the invocation ended that a message records; none where it records none.
pub(crate) fn ended_invocation(body: &str) -> Option<Result<Ended, serde_json::Error>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[allow(dead_code, reason = "that they are there is what counts")]
    struct Form {
        request_context: IgnoredAny,
        request_payload: IgnoredAny,
    }
    serde_json::from_str::<Form>(body).ok()?;
    Some(serde_json::from_str::<Record<'_>>(body).and_then(Record::ended))
}

impl Record<'_> {
    fn ended(self) -> Result<Ended, serde_json::Error> {
        let name = self.name()?;
        let context = &self.request_context;
        let function_error = self
            .response_context
            .as_ref()
            .and_then(|response| response.function_error.as_deref());
        let output = self.response_payload.map_or("null", RawValue::get);
        let (status, why) = match (context.condition.as_str(), function_error) {
            ("Success", None) => match self.lists_itself(name, output) {
                None => (EndedStatus::Succeeded, String::new()),
                Some(why) => (EndedStatus::Failed, why),
            },
            (condition, error) => (EndedStatus::Failed, failure(condition, error, output)),
        };
        Ok(Ended {
            name,
            arn: format!("{} {}", context.function_arn, context.request_id),
            status,
            input: Some(self.request_payload.get().to_owned()),
            output: Some(output.to_owned()),
            started_at: None,
            why,
        })
    }

    /// What the function was given, as the names that settle it.
    fn name(&self) -> Result<RunName, serde_json::Error> {
        let input = self.request_payload.get();
        if let Ok(input) = serde_json::from_str::<ExecutionInput>(input) {
            return Ok(input.name().into());
        }
        let batch: BatchInput = serde_json::from_str(input).map_err(|error| {
            serde_json::Error::custom(format!(
                "its requestPayload is not an input of Daybook's: {error}"
            ))
        })?;
        let batch = batch.batch;
        Ok(BatchName { batch, alone: None }.into())
    }

    /// Why a single event has failed although its function succeeded, if it says so in the way of a batch.
    fn lists_itself(&self, name: RunName, output: &str) -> Option<String> {
        let RunName::Single(name) = name else {
            return None;
        };
        match ItemFailures::read(output, &BTreeSet::from([name.id])) {
            ItemFailures::Listed(failed) if failed.is_empty() => None,
            ItemFailures::Listed(_) => Some("the function's answer lists it in batchItemFailures".to_owned()),
            ItemFailures::Malformed(malformed) => Some(malformed),
        }
    }
}

fn failure(condition: &str, function_error: Option<&str>, output: &str) -> String {
    let told: Failure = serde_json::from_str(output).unwrap_or_default();
    let kind = told.error_type.as_deref().or(function_error);
    let what = match condition {
        "EventAgeExceeded" => "EventAgeExceeded: Lambda kept it for the function's maximum event age",
        condition => condition,
    };
    why(what, kind, told.error_message.as_deref())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11";
    const BATCH: &str = "0b8f7a529c5e4a068d6c0d6f1a3e9a11";

    fn input() -> Value {
        json!({"id": ID, "attempt": 2, "source": "aws", "bucket": "b", "key": "k", "kind": "created", "event_name": "ObjectCreated:Put"})
    }

    /// As in AWS's documentation, but for the payloads.
    fn record(condition: &str, request: &Value, response: Value) -> String {
        let mut record = json!({
            "version": "1.0",
            "timestamp": "2026-11-21T10:15:00.000Z",
            "requestContext": {
                "requestId": "r", "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:work:$LATEST",
                "condition": condition, "approximateInvokeCount": 1
            },
            "requestPayload": request,
        });
        for (name, value) in response.as_object().expect("members") {
            record[name] = value.clone();
        }
        record.to_string()
    }

    fn ended(body: &str) -> Ended {
        ended_invocation(body).expect("a record").expect("a readable one")
    }

    #[test]
    fn a_success_is_one_unless_the_answer_lists_the_event() {
        let answered = |payload: Value| {
            let response = json!({"responseContext": {"statusCode": 200, "executedVersion": "$LATEST"}, "responsePayload": payload});
            ended(&record("Success", &input(), response))
        };
        for payload in [json!(null), json!("text"), json!({"batchItemFailures": []})] {
            let ended = answered(payload);
            assert_eq!(ended.status, EndedStatus::Succeeded);
            assert_eq!(ended.name.to_string(), format!("{ID}-2"));
            assert_eq!(
                ended.arn,
                "arn:aws:lambda:us-east-1:123456789012:function:work:$LATEST r"
            );
        }
        let listed = answered(json!({"batchItemFailures": [{"itemIdentifier": ID}]}));
        assert_eq!(
            (listed.status, listed.why.as_str()),
            (
                EndedStatus::Failed,
                "the function's answer lists it in batchItemFailures"
            )
        );
        let stranger = answered(json!({"batchItemFailures": [{"itemIdentifier": "who"}]}));
        assert_eq!(stranger.status, EndedStatus::Failed);
        // A record of a function that returned nothing may leave its payload out.
        assert_eq!(
            ended(&record("Success", &input(), json!({}))).status,
            EndedStatus::Succeeded
        );
    }

    #[test]
    fn a_failure_says_why() {
        let unhandled =
            json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"});
        for (condition, response, why) in [
            (
                "RetriesExhausted",
                json!({"responseContext": unhandled, "responsePayload": {"errorMessage": "no", "errorType": "ValueError", "stackTrace": []}}),
                "RetriesExhausted: ValueError: no",
            ),
            (
                "RetriesExhausted",
                json!({"responseContext": unhandled, "responsePayload": {"errorMessage": "Task timed out after 3.00 seconds"}}),
                "RetriesExhausted: Unhandled: Task timed out after 3.00 seconds",
            ),
            (
                "EventAgeExceeded",
                json!({}),
                "EventAgeExceeded: Lambda kept it for the function's maximum event age",
            ),
            (
                "Success",
                json!({"responseContext": unhandled}),
                "Success: Unhandled",
            ),
            ("SomethingNew", json!({"responsePayload": 5}), "SomethingNew"),
        ] {
            let ended = ended(&record(condition, &input(), response));
            assert_eq!((ended.status, ended.why.as_str()), (EndedStatus::Failed, why));
        }
    }

    #[test]
    fn a_batch_is_named_by_its_input() {
        let batch = json!({"batch": BATCH, "events": [input()]});
        let ended = ended(&record(
            "Success",
            &batch,
            json!({"responsePayload": {"batchItemFailures": []}}),
        ));
        assert_eq!(ended.name.to_string(), format!("b-{BATCH}"));
        assert_eq!(ended.output.as_deref(), Some(r#"{"batchItemFailures":[]}"#));
    }

    #[test]
    fn what_was_not_given_by_daybook_is_an_error_and_other_messages_are_no_records() {
        let foreign = record("Success", &json!({"Records": []}), json!({}));
        let error = ended_invocation(&foreign)
            .expect("a record")
            .expect_err("foreign");
        assert!(error.to_string().contains("not an input of Daybook's"), "{error}");
        for other in [
            "",
            "{}",
            "[]",
            r#"{"source": "daybook.report"}"#,
            r#"{"requestContext": {}}"#,
        ] {
            assert!(ended_invocation(other).is_none(), "{other}");
        }
    }
}
