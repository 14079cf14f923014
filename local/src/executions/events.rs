//! The events that EventBridge would deliver for an execution.
//!
//! <https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::execution::{ExecutionStatus, Outcome};
use super::state::Execution;

/// Beyond this many bytes, escaped input and output together, the input is left out; an output beyond it alone
/// is left out too: 248 KiB.
const MAX_PAYLOAD_BYTES: usize = 248 * 1024;

/// The whole event for the status that the execution has now.
pub(super) fn status_change(execution: &Execution, id: String, region: &str, account: &str) -> Value {
    let output = match &execution.outcome {
        Some(Outcome::Succeeded { output }) => Some(output.as_str()),
        _ => None,
    };
    let (error, cause) = execution
        .outcome
        .as_ref()
        .map_or((None, None), Outcome::error_and_cause);
    let output_bytes = output.map_or(0, escaped_bytes);
    let with_input = escaped_bytes(&execution.input) + output_bytes <= MAX_PAYLOAD_BYTES;
    let with_output = output_bytes <= MAX_PAYLOAD_BYTES;
    let at = execution.stopped_at.unwrap_or(execution.started_at);
    let status = execution.status();
    let (redrive, reason) = match status {
        ExecutionStatus::Running | ExecutionStatus::Succeeded => (
            "NOT_REDRIVABLE",
            Some(format!("Execution is {} and cannot be redriven", status.as_str())),
        ),
        _ => ("REDRIVABLE", None),
    };
    json!({
        "version": "0",
        "id": id,
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": account,
        "time": time(at),
        "region": region,
        "resources": [execution.arn],
        "detail": {
            "executionArn": execution.arn,
            "stateMachineArn": execution.state_machine_arn,
            "stateMachineVersionArn": null,
            "stateMachineAliasArn": null,
            "name": execution.name,
            "status": status.as_str(),
            "startDate": execution.started_at,
            "stopDate": execution.stopped_at,
            "input": with_input.then_some(&execution.input),
            "output": output.filter(|_| with_output),
            "inputDetails": {"included": with_input},
            "outputDetails": output.map(|_| json!({"included": with_output})),
            "error": error,
            "cause": cause,
            "redriveCount": 0,
            "redriveDate": null,
            "redriveStatus": redrive,
            "redriveStatusReason": reason,
        },
    })
}

fn escaped_bytes(text: &str) -> usize {
    Value::from(text).to_string().len()
}

/// EventBridge's times have whole seconds.
fn time(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}
