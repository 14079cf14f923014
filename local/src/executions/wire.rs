//! Step Functions' JSON protocol.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ExecutionError;
use super::execution::{ExecutionStatus, Outcome};
use super::handle::{Executions, Start};
use super::state::{StateMachine, check_name, seconds};
use crate::answer::Answer;

/// The largest page of a list.
const MAX_PAGE: usize = 1_000;

/// The page of those who do not say.
const USUAL_PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateStateMachine {
    name: String,
    definition: String,
    role_arn: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByStateMachine {
    state_machine_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByExecution {
    execution_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StopExecution {
    execution_arn: String,
    error: Option<String>,
    cause: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListStateMachines {
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListExecutions {
    state_machine_arn: String,
    status_filter: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

enum Refusal {
    Executions(ExecutionError),
    Unreadable(String),
}

fn run<Request: DeserializeOwned, Response: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Request) -> Result<Response, ExecutionError>,
) -> Result<Value, Refusal> {
    let request = serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let missing = text
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split_once('`'));
        match missing {
            Some((field, _)) => Refusal::Executions(null_member(field)),
            None => Refusal::Unreadable(text),
        }
    })?;
    let response = operation(request).map_err(Refusal::Executions)?;
    serde_json::to_value(&response).map_err(|error| Refusal::Unreadable(error.to_string()))
}

fn null_member(field: &str) -> ExecutionError {
    ExecutionError::ValidationException(format!(
        "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member must not be null"
    ))
}

fn page_size(asked: Option<usize>) -> Result<usize, ExecutionError> {
    match asked {
        None | Some(0) => Ok(USUAL_PAGE),
        Some(count) if count <= MAX_PAGE => Ok(count),
        Some(count) => Err(ExecutionError::ValidationException(format!(
            "1 validation error detected: Value '{count}' at 'maxResults' failed to satisfy constraint: Member must have \
             value less than or equal to {MAX_PAGE}"
        ))),
    }
}

impl ExecutionStatus {
    fn parse(text: &str) -> Result<Self, ExecutionError> {
        let all = [
            Self::Running,
            Self::Succeeded,
            Self::Failed,
            Self::TimedOut,
            Self::Aborted,
        ];
        all.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            ExecutionError::ValidationException(format!(
                "1 validation error detected: Value '{text}' at 'statusFilter' failed to satisfy constraint: Member must \
                 satisfy enum value set: [SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING]"
            ))
        })
    }
}

impl Executions {
    pub(crate) fn answer(&self, operation: &str, body: &[u8]) -> Answer {
        let result = match operation {
            "StartExecution" => run(body, |request: Start| {
                let (arn, started_at) = self.start(request)?;
                Ok(json!({"executionArn": arn, "startDate": seconds(started_at)}))
            }),
            "DescribeExecution" => run(body, |request| self.describe_execution(&request)),
            "ListExecutions" => run(body, |request| self.list_executions(request)),
            "StopExecution" => run(body, |request| self.stop_execution(request)),
            "CreateStateMachine" => run(body, |request| self.create_request(request)),
            "DescribeStateMachine" => run(body, |request| self.describe_state_machine(&request)),
            "ListStateMachines" => run(body, |request| self.list_state_machines(request)),
            "DeleteStateMachine" => run(body, |request: ByStateMachine| {
                self.inner.state().machines.remove(&request.state_machine_arn);
                Ok(json!({}))
            }),
            _ => return Answer::unknown_operation(&format!("AWSStepFunctions.{operation}")),
        };
        match result {
            Ok(body) => Answer::ok(&body),
            Err(Refusal::Executions(error)) => error.answer(),
            Err(Refusal::Unreadable(message)) => Answer::serialization(&message),
        }
    }

    fn describe_execution(&self, request: &ByExecution) -> Result<Value, ExecutionError> {
        let state = self.inner.state();
        let index = state.index(&request.execution_arn, self.inner.now())?;
        let execution = &state.executions[index];
        if execution.is_express() {
            return Err(ExecutionError::InvalidArn(request.execution_arn.clone()));
        }
        let mut shown = execution.summary();
        shown["input"] = json!(execution.input);
        shown["inputDetails"] = json!({"included": true});
        if let Some(trace_header) = &execution.trace_header {
            shown["traceHeader"] = json!(trace_header);
        }
        let outcome = execution.outcome.as_ref();
        if let Some(Outcome::Succeeded { output }) = outcome {
            shown["output"] = json!(output);
            shown["outputDetails"] = json!({"included": true});
        }
        let (error, cause) = outcome.map_or((None, None), Outcome::error_and_cause);
        for (name, value) in [("error", error), ("cause", cause)] {
            if let Some(value) = value {
                shown[name] = json!(value);
            }
        }
        Ok(shown)
    }

    fn list_executions(&self, request: ListExecutions) -> Result<Value, ExecutionError> {
        let count = page_size(request.max_results)?;
        let status = request
            .status_filter
            .as_deref()
            .map(ExecutionStatus::parse)
            .transpose()?;
        let before = match request.next_token {
            None => usize::MAX,
            Some(token) => token.parse().map_err(|_| ExecutionError::InvalidToken(token))?,
        };
        let now = self.inner.now();
        let mut state = self.inner.state();
        let (page, more) = state.page(&request.state_machine_arn, status, before, count, now)?;
        let executions: Vec<Value> = page
            .iter()
            .map(|index| state.executions[*index].summary())
            .collect();
        let mut shown = json!({"executions": executions});
        if let Some(last) = page.last().filter(|_| more) {
            shown["nextToken"] = json!(last.to_string());
        }
        Ok(shown)
    }

    fn stop_execution(&self, request: StopExecution) -> Result<Value, ExecutionError> {
        let index = self
            .inner
            .state()
            .index(&request.execution_arn, self.inner.now())?;
        let outcome = Outcome::Aborted {
            error: request.error,
            cause: request.cause,
        };
        let stopped_at = self.inner.close(index, outcome);
        self.inner.tasks.abort(index);
        Ok(json!({"stopDate": seconds(stopped_at)}))
    }

    fn create_request(&self, request: CreateStateMachine) -> Result<Value, ExecutionError> {
        check_name(&request.name)?;
        if request.kind.as_deref().is_some_and(|kind| kind != "STANDARD") {
            let message = "Daybook's embedded AWS has Standard workflows only".to_owned();
            return Err(ExecutionError::ValidationException(message));
        }
        let definition: Value = serde_json::from_str(&request.definition)
            .map_err(|error| ExecutionError::InvalidDefinition(error.to_string()))?;
        if definition["StartAt"]
            .as_str()
            .is_none_or(|start| definition["States"].get(start).is_none())
        {
            let message = "StartAt must name one of States".to_owned();
            return Err(ExecutionError::InvalidDefinition(message));
        }
        let arn = self.inner.machine_arn(&request.name);
        let mut state = self.inner.state();
        let machine = state.machines.entry(arn.clone()).or_insert_with(|| StateMachine {
            name: request.name,
            definition: request.definition.clone(),
            role_arn: request.role_arn.clone(),
            created_at: self.inner.now(),
            express: false,
            names: std::collections::BTreeMap::new(),
            executions: Vec::new(),
        });
        // The same once more is the same machine, whatever its role; another definition is refused.
        // https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
        if machine.definition != request.definition {
            return Err(ExecutionError::StateMachineAlreadyExists(arn));
        }
        Ok(json!({"stateMachineArn": arn, "creationDate": seconds(machine.created_at)}))
    }

    fn describe_state_machine(&self, request: &ByStateMachine) -> Result<Value, ExecutionError> {
        let mut state = self.inner.state();
        let machine = state.machine(&request.state_machine_arn)?;
        Ok(json!({
            "stateMachineArn": request.state_machine_arn,
            "name": machine.name,
            "status": "ACTIVE",
            "definition": machine.definition,
            "roleArn": machine.role_arn,
            "type": if machine.express { "EXPRESS" } else { "STANDARD" },
            "creationDate": seconds(machine.created_at),
        }))
    }

    fn list_state_machines(&self, request: ListStateMachines) -> Result<Value, ExecutionError> {
        let count = page_size(request.max_results)?;
        let after = request.next_token.unwrap_or_default();
        let state = self.inner.state();
        let mut later = state.machines.iter().filter(|(arn, _)| **arn > after);
        let mut last = None;
        let machines: Vec<Value> = later
            .by_ref()
            .take(count)
            .map(|(arn, machine)| {
                last = Some(arn.clone());
                let created_at = seconds(machine.created_at);
                json!({"stateMachineArn": arn, "name": machine.name, "type": "STANDARD", "creationDate": created_at})
            })
            .collect();
        let more = later.next().is_some();
        let mut shown = json!({"stateMachines": machines});
        if let Some(last) = last.filter(|_| more) {
            shown["nextToken"] = json!(last);
        }
        Ok(shown)
    }
}
