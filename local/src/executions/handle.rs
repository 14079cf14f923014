//! The handle of the state machines and their executions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;

use super::error::ExecutionError;
use super::events;
use super::execution::{ExecutionStatus, ExecutionView, Outcome, Target};
use super::state::{self, Execution, Millis, Started, State, StateMachine};
use super::tasks::Tasks;
use crate::clock::Clock;
use crate::ids::Ids;
use crate::sqs::Sqs;

/// Receives every status-change event, whole.
type StatusSink = Arc<dyn Fn(Value) + Send + Sync>;

/// The state machines and their executions. Clones share one state; when the last one is dropped, what runs is
/// stopped.
#[derive(Clone)]
pub struct Executions {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) state: Mutex<State>,
    pub(super) targets: Mutex<BTreeMap<String, Arc<dyn Target>>>,
    pub(super) sink: Mutex<Option<StatusSink>>,
    pub(super) tasks: Tasks,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) sqs: Sqs,
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

    pub(super) fn create(&self, name: &str, express: bool) -> String {
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
    pub(super) fn start(&self, start: Start) -> Result<(String, Millis), ExecutionError> {
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
pub(super) struct Start {
    pub(super) state_machine_arn: String,
    pub(super) name: Option<String>,
    pub(super) input: Option<String>,
    pub(super) trace_header: Option<String>,
}

impl Inner {
    pub(super) fn now(&self) -> Millis {
        (self.clock)().timestamp_millis()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds the executions")
    }

    pub(super) fn machine_arn(&self, name: &str) -> String {
        format!(
            "arn:aws:states:{}:{}:stateMachine:{name}",
            self.region, self.account
        )
    }

    /// Ends an execution that runs, and publishes it. Returns when it ended, now or before.
    pub(super) fn close(&self, index: usize, outcome: Outcome) -> Millis {
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

    pub(super) fn publish(&self, execution: &Execution) {
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
