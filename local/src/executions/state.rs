//! State machines and executions: who is there, under which name, in which status.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::error::ExecutionError;
use super::execution::{ExecutionStatus, ExecutionView, Outcome};

/// Milliseconds since 1970.
pub(super) type Millis = i64;

/// A closed execution's history, and with it its name, is kept for 90 days.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html#service-limits-state-machine-executions>
const KEPT_MILLIS: Millis = 90 * 24 * 3_600_000;

/// The longest name, in characters.
const MAX_NAME: usize = 80;

/// The longest input, in bytes of UTF-8: 256 KiB.
pub(super) const MAX_INPUT_BYTES: usize = 262_144;

pub(super) fn date(millis: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

pub(super) struct StateMachine {
    pub(super) name: String,
    pub(super) definition: String,
    pub(super) role_arn: String,
    pub(super) created_at: Millis,
    /// Express: names protect from nothing, nobody can list its executions, and their ends are told to nobody.
    pub(super) express: bool,
    /// The newest execution of each name, by index.
    pub(super) names: BTreeMap<String, usize>,
    /// All its executions, oldest first.
    pub(super) executions: Vec<usize>,
}

#[derive(Clone)]
pub(super) struct Execution {
    pub(super) arn: String,
    pub(super) state_machine_arn: String,
    pub(super) name: String,
    pub(super) input: String,
    pub(super) trace_header: Option<String>,
    pub(super) started_at: Millis,
    pub(super) stopped_at: Option<Millis>,
    pub(super) outcome: Option<Outcome>,
    pub(super) runs: u32,
}

impl Execution {
    pub(super) fn view(&self) -> ExecutionView {
        ExecutionView {
            arn: self.arn.clone(),
            state_machine_arn: self.state_machine_arn.clone(),
            name: self.name.clone(),
            input: self.input.clone(),
            status: self.status(),
            started_at: date(self.started_at),
            stopped_at: self.stopped_at.map(date),
            outcome: self.outcome.clone(),
            runs: self.runs,
        }
    }

    pub(super) fn status(&self) -> ExecutionStatus {
        self.outcome
            .as_ref()
            .map_or(ExecutionStatus::Running, Outcome::status)
    }

    pub(super) fn is_express(&self) -> bool {
        self.arn.split(':').nth(5) == Some("express")
    }

    /// Whether AWS would have forgotten it.
    fn is_forgotten(&self, now: Millis) -> bool {
        self.stopped_at.is_some_and(|at| now - at >= KEPT_MILLIS)
    }

    /// As `ListExecutions` shows it; times are seconds with three decimals.
    pub(super) fn summary(&self) -> Value {
        let mut shown = json!({
            "executionArn": self.arn,
            "stateMachineArn": self.state_machine_arn,
            "name": self.name,
            "status": self.status().as_str(),
            "startDate": seconds(self.started_at),
            "redriveCount": 0,
        });
        if let Some(at) = self.stopped_at {
            shown["stopDate"] = json!(seconds(at));
        }
        shown
    }
}

pub(super) fn seconds(millis: Millis) -> f64 {
    millis as f64 / 1_000.0
}

/// All state machines, by ARN, and every execution ever started, oldest first.
#[derive(Default)]
pub(super) struct State {
    pub(super) machines: BTreeMap<String, StateMachine>,
    pub(super) executions: Vec<Execution>,
    by_arn: BTreeMap<String, usize>,
}

/// What a start came to.
pub(super) enum Started {
    /// A new execution, at this index.
    New(usize),
    /// The name and the input of one that runs.
    Running(usize),
}

impl State {
    pub(super) fn machine(&mut self, arn: &str) -> Result<&mut StateMachine, ExecutionError> {
        if !arn.starts_with("arn:aws:states:") {
            return Err(ExecutionError::InvalidArn(arn.to_owned()));
        }
        self.machines
            .get_mut(arn)
            .ok_or_else(|| ExecutionError::StateMachineDoesNotExist(arn.to_owned()))
    }

    /// The execution of this ARN, unless it is past its 90 days.
    pub(super) fn index(&self, arn: &str, now: Millis) -> Result<usize, ExecutionError> {
        if !arn.starts_with("arn:aws:states:") {
            return Err(ExecutionError::InvalidArn(arn.to_owned()));
        }
        let index = self
            .by_arn
            .get(arn)
            .filter(|index| !self.executions[**index].is_forgotten(now));
        index
            .copied()
            .ok_or_else(|| ExecutionError::ExecutionDoesNotExist(arn.to_owned()))
    }

    /// Starts an execution, or finds the running one of the same name and input.
    /// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>
    pub(super) fn start(&mut self, execution: Execution) -> Result<Started, ExecutionError> {
        let now = execution.started_at;
        let machine_arn = execution.state_machine_arn.clone();
        let machine = self.machine(&machine_arn)?;
        let taken = machine.names.get(&execution.name).copied();
        let taken = taken.filter(|_| !machine.express);
        if let Some(index) = taken.filter(|index| !self.executions[*index].is_forgotten(now)) {
            let earlier = &self.executions[index];
            if earlier.outcome.is_none() && earlier.input == execution.input {
                return Ok(Started::Running(index));
            }
            return Err(ExecutionError::ExecutionAlreadyExists(earlier.arn.clone()));
        }
        let index = self.executions.len();
        self.by_arn.insert(execution.arn.clone(), index);
        let machine = self.machine(&machine_arn)?;
        machine.names.insert(execution.name.clone(), index);
        machine.executions.push(index);
        self.executions.push(execution);
        Ok(Started::New(index))
    }

    /// A page of a machine's executions, newest first, from below `before`; and whether there are more.
    pub(super) fn page(
        &mut self,
        machine_arn: &str,
        status: Option<ExecutionStatus>,
        before: usize,
        count: usize,
        now: Millis,
    ) -> Result<(Vec<usize>, bool), ExecutionError> {
        let machine = self.machine(machine_arn)?;
        if machine.express {
            return Err(ExecutionError::StateMachineTypeNotSupported(
                machine_arn.to_owned(),
            ));
        }
        let all = machine.executions.clone();
        let wanted = |index: &usize| {
            let execution = &self.executions[*index];
            *index < before
                && !execution.is_forgotten(now)
                && status.is_none_or(|status| execution.status() == status)
        };
        let mut page: Vec<usize> = all.into_iter().rev().filter(wanted).take(count + 1).collect();
        let more = page.len() > count;
        page.truncate(count);
        Ok((page, more))
    }
}

/// Names of state machines and executions.
/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html#API_StartExecution_RequestSyntax>
pub(super) fn check_name(name: &str) -> Result<(), ExecutionError> {
    let forbidden = |character: char| {
        character.is_whitespace()
            || character.is_control()
            || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(character)
            || matches!(character, '\u{FFFE}' | '\u{FFFF}')
    };
    if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(forbidden) {
        return Err(ExecutionError::InvalidName(name.to_owned()));
    }
    Ok(())
}

/// Inputs are JSON of at most 262,144 bytes.
pub(super) fn check_input(input: &str) -> Result<(), ExecutionError> {
    if input.len() > MAX_INPUT_BYTES {
        let message = format!("the input has {} bytes, more than {MAX_INPUT_BYTES}", input.len());
        return Err(ExecutionError::InvalidExecutionInput(message));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(input)
        .map(|_| ())
        .map_err(|error| ExecutionError::InvalidExecutionInput(error.to_string()))
}
