//! Step Functions: starting executions, and asking what became of one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_sfn::Client;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::ExecutionStatus;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use daybook_ledger::{Cause, Clock, Deadline, Lookup, describe};
use daybook_schema::{EventId, ExecutionInput, RunName, Timestamp};

use crate::delivery::NO_ANSWER;

/// Executions per page of ListExecutions (Step Functions API Reference).
const PAGE: i32 = 1000;

/// The state machine that events are processed by; Standard, or Express with what that lacks: names that protect from a second
/// start, and executions that can be asked for.
#[derive(Clone, Debug)]
pub struct Executions {
    client: Client,
    state_machine_arn: String,
    /// Whether it was said that it is an Express state machine, whose executions nobody can list.
    express_is_told: Arc<AtomicBool>,
}

/// What came of handing an attempt to its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Started {
    /// It runs: started now, or already running under this name with this very input.
    Running,
    /// It runs, or will: an Express execution, an invocation, a message that is reported on. No name protects from a second start, and
    /// nobody can ask for it.
    Untracked,
    /// The target has it, and nothing else is waited for: the event is done. By what, for its receipt.
    Done(String),
    /// The name is taken by an execution that ended, or has another input.
    NameTaken,
    /// The target calls the name or input invalid, or too long: no attempt could ever succeed.
    Invalid(String),
    /// Not started: too many starts, or too many executions that run.
    Throttled(String),
    /// Not started, or perhaps not: denied, no such target, no answer. Only an execution's name protects from a second start.
    NotStarted(String),
}

/// What an execution is doing, by DescribeExecution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It runs.
    Running,
    /// It ended.
    Ended(Ended),
    /// Not known: no such execution, throttled, no answer.
    Unknown(Cause),
}

/// An execution as DescribeExecution shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: RunName,
    /// Its ARN.
    pub arn: String,
    /// Its status as Step Functions calls it, such as `RUNNING` or `TIMED_OUT`.
    pub status: String,
    /// When it started, if known.
    pub started_at: Option<Timestamp>,
    /// When it ended, if it did.
    pub ended_at: Option<Timestamp>,
    /// What it was given, if known.
    pub input: Option<String>,
    /// What it gave, if it succeeded and that is known.
    pub output: Option<String>,
    /// The error's name, where it failed with one.
    pub error: Option<String>,
    /// And its cause.
    pub cause: Option<String>,
}

/// An execution that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub name: RunName,
    /// Its ARN.
    pub arn: String,
    /// How it ended.
    pub status: EndedStatus,
    /// What it was given, if known.
    pub input: Option<String>,
    /// What it gave, if it succeeded and that is known.
    pub output: Option<String>,
    /// When it started, if known.
    pub started_at: Option<Timestamp>,
    /// Why it did not succeed, for people.
    pub why: String,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedStatus {
    /// The event is processed.
    Succeeded,
    /// The attempt failed: FAILED, TIMED_OUT or ABORTED.
    Failed,
}

/// The executions that run, as far as they were listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Those with names of Daybook's.
    pub names: BTreeSet<RunName>,
    /// Whether the list is complete.
    pub complete: bool,
    /// Why it is not, when a request failed.
    pub failure: Option<Cause>,
}

impl Running {
    /// None runs, and that is known.
    pub fn none() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }
}

impl Described {
    /// Whether it runs; one that was redriven by hand runs again.
    pub fn is_running(&self) -> bool {
        matches!(
            ExecutionStatus::from(self.status.as_str()),
            ExecutionStatus::Running | ExecutionStatus::PendingRedrive
        )
    }
}

impl Executions {
    /// Executions of that state machine.
    pub fn new(client: Client, state_machine_arn: impl Into<String>) -> Self {
        Self {
            client,
            state_machine_arn: state_machine_arn.into(),
            express_is_told: Arc::default(),
        }
    }

    /// The state machine's ARN.
    pub fn state_machine_arn(&self) -> &str {
        &self.state_machine_arn
    }

    /// Starts the execution of that input, under the name that belongs to it.
    pub async fn start(&self, input: &ExecutionInput, trace: Option<&str>) -> Started {
        self.start_as(input.name().into(), input.to_json(), trace).await
    }

    /// Starts an execution of that name with that input.
    pub(crate) async fn start_as(&self, name: RunName, input: String, trace: Option<&str>) -> Started {
        let answer = self
            .client
            .start_execution()
            .state_machine_arn(&self.state_machine_arn)
            .name(name.to_string())
            .input(input)
            .set_trace_header(trace.map(str::to_owned))
            .send()
            .await;
        let error = match answer {
            Ok(started) if is_express(&started.execution_arn) => return Started::Untracked,
            Ok(_) => return Started::Running,
            Err(error) => error,
        };
        match error.code() {
            Some("ExecutionAlreadyExists") => Started::NameTaken,
            Some("InvalidExecutionInput" | "InvalidName") => Started::Invalid(describe(&error).into()),
            // Errors of StartExecution, and the common error of all actions (Step Functions API Reference).
            Some("ThrottlingException" | "ExecutionLimitExceeded") => {
                Started::Throttled(describe(&error).into())
            }
            _ => Started::NotStarted(describe(&error).into()),
        }
    }

    /// What became of the execution of that name.
    pub async fn observe(&self, name: impl Into<RunName>) -> Observed {
        let name = name.into();
        match self.describe(name).await {
            Lookup::Found(described) => observed(*described),
            Lookup::Absent => {
                Observed::Unknown(format!("DescribeExecution {name}: ExecutionDoesNotExist").into())
            }
            Lookup::Unknown(cause) => Observed::Unknown(cause),
        }
    }

    /// The execution of that name, for people.
    pub async fn describe(&self, name: impl Into<RunName>) -> Lookup<Described> {
        let name = name.into();
        let Some(arn) = execution_arn(&self.state_machine_arn, name) else {
            return Lookup::Unknown(format!("{} is not a state machine ARN", self.state_machine_arn).into());
        };
        match self.client.describe_execution().execution_arn(&arn).send().await {
            Ok(answer) => Lookup::Found(Box::new(described(name, arn, answer))),
            Err(error) if error.code() == Some("ExecutionDoesNotExist") => Lookup::Absent,
            Err(error) => Lookup::Unknown(describe(&error).of(format_args!("DescribeExecution {name}"))),
        }
    }

    /// Stops that execution, whose end is ABORTED then. One that is not there, or has ended, is stopped.
    ///
    /// # Errors
    /// When it may still run: its ARN, as far as it is known, and why.
    pub async fn stop(&self, name: impl Into<RunName>, cause: &str) -> Result<(), (String, Cause)> {
        let Some(arn) = execution_arn(&self.state_machine_arn, name.into()) else {
            let cause = format!("{} is not a state machine ARN", self.state_machine_arn);
            return Err((self.state_machine_arn.clone(), cause.into()));
        };
        let stop = self
            .client
            .stop_execution()
            .execution_arn(&arn)
            .error("Cancelled")
            .cause(cause);
        match stop.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(refused) if refused.is_execution_does_not_exist() => Ok(()),
                _ => Err((arn, describe(&error))),
            },
        }
    }

    /// The executions that run now, newest first, at most that many pages of 1,000. Of an Express state machine none is known
    /// to run: its executions cannot be listed, and last five minutes at most, which a lease must exceed.
    pub async fn running(&self, pages: usize) -> Running {
        let mut running = Running::default();
        let mut token = None;
        for _ in 0..pages {
            token = self.list_page(token, None, &mut running).await;
            if token.is_none() {
                break;
            }
        }
        running
    }

    /// The same of those events and of batches only, so that a long list takes no more memory than they do, and until that deadline. What was
    /// listed by then counts.
    pub async fn running_among(
        &self,
        events: &BTreeSet<EventId>,
        pages: usize,
        clock: &Clock,
        deadline: Deadline,
    ) -> Running {
        let mut running = Running::default();
        let mut token = None;
        for _ in 0..pages {
            let page = self.list_page(token, Some(events), &mut running);
            token = match deadline.bound(clock, page).await {
                Some(token) => token,
                None => {
                    running.failure = Some(NO_ANSWER.of("ListExecutions"));
                    break;
                }
            };
            if token.is_none() {
                break;
            }
        }
        running
    }

    /// Lists one page; the token of the next one. Without one the list has come to its end, which `running` then says, or failed.
    async fn list_page(
        &self,
        token: Option<String>,
        events: Option<&BTreeSet<EventId>>,
        running: &mut Running,
    ) -> Option<String> {
        let page = self
            .client
            .list_executions()
            .state_machine_arn(&self.state_machine_arn)
            .status_filter(ExecutionStatus::Running)
            .max_results(PAGE)
            .set_next_token(token)
            .send()
            .await;
        let page = match page {
            Ok(page) => page,
            Err(error) if error.code() == Some("StateMachineTypeNotSupported") => {
                self.tell_express();
                running.complete = true;
                return None;
            }
            Err(error) => {
                running.failure = Some(list_failure(&error));
                return None;
            }
        };
        let names = page
            .executions()
            .iter()
            .filter_map(|one| one.name().parse::<RunName>().ok());
        // Which events a batch has, its name does not say.
        let is_among = |name: &RunName| match (events, name) {
            (Some(events), RunName::Single(name)) => events.contains(&name.id),
            (None, _) | (_, RunName::Batch(_)) => true,
        };
        running.names.extend(names.filter(is_among));
        running.complete = page.next_token.is_none();
        page.next_token
    }

    /// Once per process.
    fn tell_express(&self) {
        if !self.express_is_told.swap(true, Ordering::Relaxed) {
            tracing::info!(
                sfn.state_machine_arn = %self.state_machine_arn,
                "an Express state machine: none of its executions is known to run, and a row whose lease is over is sent again"
            );
        }
    }
}

fn list_failure<E>(error: &SdkError<E, HttpResponse>) -> Cause
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    describe(error).of("ListExecutions")
}

/// `arn:aws:states:r:a:express:m:name:uuid`, beside `…:execution:m:name` (StartExecution, Step Functions API Reference).
fn is_express(execution_arn: &str) -> bool {
    execution_arn.split(':').nth(5) == Some("express")
}

/// `arn:aws:states:r:a:stateMachine:m` → `arn:aws:states:r:a:execution:m:name`.
fn execution_arn(state_machine_arn: &str, name: RunName) -> Option<String> {
    let (account, machine) = state_machine_arn.split_once(":stateMachine:")?;
    Some(format!("{account}:execution:{machine}:{name}"))
}

fn described(name: RunName, arn: String, answer: DescribeExecutionOutput) -> Described {
    let instant = |at: &aws_smithy_types::DateTime| at.to_millis().ok().and_then(Timestamp::from_unix_millis);
    Described {
        name,
        arn,
        status: answer.status.as_str().to_owned(),
        started_at: instant(&answer.start_date),
        ended_at: answer.stop_date.as_ref().and_then(instant),
        input: answer.input,
        output: answer.output,
        error: answer.error,
        cause: answer.cause,
    }
}

/// What is known of an execution by its description.
pub(crate) fn observed(described: Described) -> Observed {
    if described.is_running() {
        return Observed::Running;
    }
    let status = match ExecutionStatus::from(described.status.as_str()) {
        ExecutionStatus::Succeeded => EndedStatus::Succeeded,
        ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted => EndedStatus::Failed,
        other => {
            let name = described.name;
            return Observed::Unknown(format!("{name} has status {other}, which is not known here").into());
        }
    };
    Observed::Ended(Ended {
        status,
        why: why(
            &described.status,
            described.error.as_deref(),
            described.cause.as_deref(),
        ),
        name: described.name,
        arn: described.arn,
        input: described.input,
        output: described.output,
        started_at: described.started_at,
    })
}

/// One line for `last_error`.
pub(crate) fn why(status: &str, error: Option<&str>, cause: Option<&str>) -> String {
    let parts = [Some(status), error, cause];
    parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_arn_follows_from_the_state_machines() {
        let name: RunName = "0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11-3".parse().expect("a name");
        assert_eq!(
            execution_arn(
                "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:work",
                name
            )
            .as_deref(),
            Some(
                "arn:aws-cn:states:cn-north-1:123456789012:execution:work:0b8f7a52-9c5e-5a06-8d6c-0d6f1a3e9a11-3"
            )
        );
        assert_eq!(execution_arn("work", name), None);
    }

    #[test]
    fn an_express_execution_is_known_by_its_arn_and_not_by_its_state_machines_name() {
        for (arn, express) in [
            (
                "arn:aws:states:us-east-1:123456789012:express:work:e-1:4f0d",
                true,
            ),
            (
                "arn:aws:states:us-east-1:123456789012:execution:express:e-1",
                false,
            ),
            (
                "arn:aws:states:us-east-1:123456789012:execution:work:express",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(is_express(arn), express, "{arn}");
        }
    }
}
