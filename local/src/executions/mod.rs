//! Step Functions' Standard workflows, with a Rust function in place of the states language.
//!
//! What StartExecution promises about names holds here too. A definition is kept and never run: an execution
//! runs its state machine's [`Target`], or stays RUNNING until [`Executions::close`] or `StopExecution`.

mod error;
mod events;
mod runner;
mod state;
mod wire;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde_json::Value;

pub use error::ExecutionError;

use crate::{clock::Clock, ids::Ids, sqs::Sqs};
use runner::Tasks;
use state::{Execution, Millis, Started, State, StateMachine};

/// What an execution runs.
pub trait Target: Send + Sync {
    /// Does the work. The future is dropped when the execution is stopped; a panic fails the execution.
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome>;
}

/// What a [`Target`] is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedExecution {
    /// The execution's ARN.
    pub arn: String,
    /// Its state machine's ARN.
    pub state_machine_arn: String,
    /// Its name.
    pub name: String,
    /// Its input, JSON as the caller gave it.
    pub input: String,
    /// When it was started.
    pub started_at: DateTime<Utc>,
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are DescribeExecution's")]
pub enum Outcome {
    /// It did what it should.
    Succeeded { output: String },
    /// It reported an error.
    Failed { error: String, cause: String },
    /// It took longer than its definition allows.
    TimedOut { error: String, cause: String },
    /// Somebody stopped it.
    Aborted {
        error: Option<String>,
        cause: Option<String>,
    },
}

impl Outcome {
    /// The status that it leaves the execution in.
    pub fn status(&self) -> ExecutionStatus {
        match self {
            Self::Succeeded { .. } => ExecutionStatus::Succeeded,
            Self::Failed { .. } => ExecutionStatus::Failed,
            Self::TimedOut { .. } => ExecutionStatus::TimedOut,
            Self::Aborted { .. } => ExecutionStatus::Aborted,
        }
    }

    fn error_and_cause(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Succeeded { .. } => (None, None),
            Self::Failed { error, cause } | Self::TimedOut { error, cause } => (Some(error), Some(cause)),
            Self::Aborted { error, cause } => (error.as_deref(), cause.as_deref()),
        }
    }
}

/// An execution's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are AWS's own")]
pub enum ExecutionStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

impl ExecutionStatus {
    /// As it is on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// An execution as a checker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionView {
    /// Its ARN.
    pub arn: String,
    /// Its state machine's ARN.
    pub state_machine_arn: String,
    /// Its name.
    pub name: String,
    /// Its input.
    pub input: String,
    /// Its status.
    pub status: ExecutionStatus,
    /// When it was started.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub stopped_at: Option<DateTime<Utc>>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// How often its target was run: 1, or 0 where there is none.
    pub runs: u32,
}

/// Receives every status-change event, whole.
type StatusSink = Arc<dyn Fn(Value) + Send + Sync>;

/// The state machines and their executions. Clones share one state; when the last one is dropped, what runs is
/// stopped.
#[derive(Clone)]
pub struct Executions {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    targets: Mutex<BTreeMap<String, Arc<dyn Target>>>,
    sink: Mutex<Option<StatusSink>>,
    tasks: Tasks,
    clock: Clock,
    ids: Ids,
    region: String,
    account: String,
    sqs: Sqs,
}

fn date(millis: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

impl Executions {
    pub(crate) fn new(clock: Clock, ids: Ids, region: &str, account: &str, sqs: Sqs) -> Self {
        let inner = Inner {
            state: Mutex::default(),
            targets: Mutex::default(),
            sink: Mutex::default(),
            tasks: Tasks::default(),
            clock,
            ids,
            region: region.to_owned(),
            account: account.to_owned(),
            sqs,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Creates a Standard state machine, or finds the one of this name. Returns its ARN.
    pub fn create_state_machine(&self, name: &str) -> String {
        self.create(name, false)
    }

    /// Creates an Express state machine, or finds the one of this name. Returns its ARN. A second start under a name runs once more,
    /// no status event tells of an end, and none of its executions can be listed or described.
    pub fn create_express_state_machine(&self, name: &str) -> String {
        self.create(name, true)
    }

    fn create(&self, name: &str, express: bool) -> String {
        let arn = self.inner.machine_arn(name);
        let machine = StateMachine {
            name: name.to_owned(),
            definition: r#"{"StartAt":"Target","States":{"Target":{"Type":"Pass","End":true}}}"#.to_owned(),
            role_arn: format!("arn:aws:iam::{}:role/daybook-local", self.inner.account),
            created_at: self.inner.now(),
            express,
            names: BTreeMap::new(),
            executions: Vec::new(),
        };
        self.inner.state().machines.entry(arn.clone()).or_insert(machine);
        arn
    }

    /// What this state machine's executions run from now on.
    pub fn set_target(&self, arn: &str, target: Arc<dyn Target>) {
        let mut targets = self
            .inner
            .targets
            .lock()
            .expect("no code panics while it holds the targets");
        targets.insert(arn.to_owned(), target);
    }

    /// Who gets every status-change event as EventBridge would deliver it, RUNNING ones included. Replaces the
    /// sink before it. The sink is called on the thread that changed the status and may call back in.
    pub fn set_status_sink(&self, sink: Arc<dyn Fn(Value) + Send + Sync>) {
        *self
            .inner
            .sink
            .lock()
            .expect("no code panics while it holds the sink") = Some(sink);
    }

    /// As a rule with an SQS queue as its target does: each event is one message. Like Daybook's deployed rule
    /// it matches the terminal statuses only. Replaces the sink before it.
    pub fn status_events_to_queue(&self, url: &str) {
        let (sqs, url) = (self.inner.sqs.clone(), url.to_owned());
        self.set_status_sink(Arc::new(move |event| {
            if event["detail"]["status"] == ExecutionStatus::Running.as_str() {
                return;
            }
            if let Err(error) = sqs.send(&url, &event.to_string()) {
                tracing::warn!(queue.url = url, %error, "status event not delivered");
            }
        }));
    }

    /// Ends a running execution; its target, if it still runs, is stopped.
    ///
    /// # Errors
    /// When there is no such execution. One that is closed already keeps its outcome.
    pub fn close(&self, arn: &str, outcome: Outcome) -> Result<(), ExecutionError> {
        let index = self.inner.state().index(arn, self.inner.now())?;
        self.inner.close(index, outcome);
        self.inner.tasks.abort(index);
        Ok(())
    }

    /// Every execution ever started, oldest first, those past their 90 days too.
    pub fn all(&self) -> Vec<ExecutionView> {
        self.inner
            .state()
            .executions
            .iter()
            .map(Execution::view)
            .collect()
    }

    /// Starts an execution as `StartExecution` does. Returns its ARN and when it started.
    fn start(&self, start: Start) -> Result<(String, Millis), ExecutionError> {
        let inner = &self.inner;
        let name = start.name.unwrap_or_else(|| inner.ids.uuid().to_string());
        state::check_name(&name)?;
        let input = start.input.unwrap_or_else(|| "{}".to_owned());
        let machine_arn = start.state_machine_arn;
        let (machine, express) = {
            let mut state = inner.state();
            let machine = state.machine(&machine_arn)?;
            (machine.name.clone(), machine.express)
        };
        state::check_input(&input)?;
        let named = match express {
            true => format!("express:{machine}:{name}:{}", inner.ids.uuid()),
            false => format!("execution:{machine}:{name}"),
        };
        let execution = Execution {
            arn: format!("arn:aws:states:{}:{}:{named}", inner.region, inner.account),
            state_machine_arn: machine_arn,
            name,
            input,
            trace_header: start.trace_header,
            started_at: inner.now(),
            stopped_at: None,
            outcome: None,
            runs: 0,
        };
        let mut state = inner.state();
        let started = state.start(execution)?;
        let (Started::New(index) | Started::Running(index)) = started;
        let execution = state.executions[index].clone();
        drop(state);
        if let Started::New(index) = started {
            inner.publish(&execution);
            self.run(index, &execution);
        }
        Ok((execution.arn, execution.started_at))
    }
}

/// `StartExecution`'s request.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    state_machine_arn: String,
    name: Option<String>,
    input: Option<String>,
    trace_header: Option<String>,
}

impl Execution {
    fn view(&self) -> ExecutionView {
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
}

impl Inner {
    fn now(&self) -> Millis {
        (self.clock)().timestamp_millis()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds the executions")
    }

    fn machine_arn(&self, name: &str) -> String {
        format!(
            "arn:aws:states:{}:{}:stateMachine:{name}",
            self.region, self.account
        )
    }

    /// Ends an execution that runs, and publishes it. Returns when it ended, now or before.
    fn close(&self, index: usize, outcome: Outcome) -> Millis {
        let now = self.now();
        let mut state = self.state();
        let execution = &mut state.executions[index];
        // The first outcome counts: a target that ends as it is stopped does not overwrite ABORTED.
        if let Some(stopped_at) = execution.stopped_at {
            return stopped_at;
        }
        execution.stopped_at = Some(now);
        execution.outcome = Some(outcome);
        let execution = execution.clone();
        drop(state);
        self.publish(&execution);
        now
    }

    fn publish(&self, execution: &Execution) {
        if execution.is_express() {
            return;
        }
        let sink = self
            .sink
            .lock()
            .expect("no code panics while it holds the sink")
            .clone();
        if let Some(sink) = sink {
            let id = self.ids.uuid().to_string();
            sink(events::status_change(execution, id, &self.region, &self.account));
        }
    }
}
