//! What an attempt is handed to: a state machine, a Lambda function, or a queue.
//!
//! | target | its end is known by | a second start |
//! |---|---|---|
//! | state machine, Standard | status event, description, list | refused by name for 90 days |
//! | state machine, Express | its own report | runs again |
//! | Lambda function, asynchronous | the records of its destinations | runs again |
//! | queue | sent is done, or a report of its consumer | is sent again; a FIFO queue drops it for five minutes |

mod function;
mod outbox;
mod queue;

use std::time::Duration;

use daybook_ledger::Lookup;
use daybook_schema::{BatchInput, BatchName, ExecutionInput, RunName};

use crate::executions::{Described, Executions, Observed, Started};
use crate::queue::DispatchQueue;
use crate::rate_limiter::Pace;

pub use function::FunctionTarget;
use outbox::Message;
pub use queue::{QueueCompletion, QueueTarget};

/// An Express execution is over after five minutes ("Service quotas", Step Functions Developer Guide), and has another one here to
/// tell its end: a lease that a counted start writes is no shorter.
const EXPRESS_LEASE: Duration = Duration::from_secs(6 * 60);

/// What an attempt is handed to. A deployment has one.
#[derive(Clone, Debug)]
pub enum AttemptTarget {
    /// An execution is started for it.
    StateMachine(Executions),
    /// A function is invoked for it, asynchronously.
    Function(FunctionTarget),
    /// A message is sent for it.
    Queue(QueueTarget),
}

impl From<Executions> for AttemptTarget {
    fn from(executions: Executions) -> Self {
        Self::StateMachine(executions)
    }
}

impl From<FunctionTarget> for AttemptTarget {
    fn from(function: FunctionTarget) -> Self {
        Self::Function(function)
    }
}

impl From<QueueTarget> for AttemptTarget {
    fn from(queue: QueueTarget) -> Self {
        Self::Queue(queue)
    }
}

impl AttemptTarget {
    /// Hands over one attempt of one event, in its turn.
    pub(crate) async fn start(&self, input: &ExecutionInput, trace: Option<&str>, pace: &Pace) -> Started {
        match self {
            Self::StateMachine(executions) => {
                pace.turn().await;
                executions.start(input, trace).await
            }
            Self::Function(function) => {
                pace.turn().await;
                function.invoke(input.to_json(), trace).await
            }
            // In the turns of all that it is sent with.
            Self::Queue(queue) => {
                let message = Message {
                    name: input.name().into(),
                    group: input.event().order_id().to_string(),
                    body: input.to_json(),
                    trace: trace.map(str::to_owned),
                };
                queue.send(message, pace).await
            }
        }
    }

    /// Hands over a batch, in its turn.
    pub(crate) async fn start_batch(
        &self,
        name: BatchName,
        input: &BatchInput,
        trace: Option<&str>,
        pace: &Pace,
    ) -> Started {
        match self {
            Self::StateMachine(executions) => {
                pace.turn().await;
                executions.start_as(name.into(), input.to_json(), trace).await
            }
            Self::Function(function) => {
                pace.turn().await;
                function.invoke(input.to_json(), trace).await
            }
            Self::Queue(queue) => {
                let message = Message {
                    name: name.into(),
                    // A batch has many objects, and no order with any of them.
                    group: name.batch.to_string(),
                    body: input.to_json(),
                    trace: trace.map(str::to_owned),
                };
                queue.send(message, pace).await
            }
        }
    }

    /// The executions, of a state machine.
    pub fn executions(&self) -> Option<&Executions> {
        match self {
            Self::StateMachine(executions) => Some(executions),
            Self::Function(_) | Self::Queue(_) => None,
        }
    }

    /// The queue in which messages wait for a consumer that reports; the sweep must not take them for lost.
    pub fn waiting(&self) -> Option<DispatchQueue> {
        match self {
            Self::Queue(queue) if queue.completion() == QueueCompletion::Reported => Some(queue.as_queue()),
            _ => None,
        }
    }

    /// What became of what was started under that name.
    pub(crate) async fn observe(&self, name: RunName) -> Observed {
        match self.executions() {
            Some(executions) => executions.observe(name).await,
            None => Observed::Unknown(self.nobody_knows(name).into()),
        }
    }

    /// The same, described.
    pub(crate) async fn describe(&self, name: RunName) -> Lookup<Described> {
        match self.executions() {
            Some(executions) => executions.describe(name).await,
            None => Lookup::Unknown(self.nobody_knows(name).into()),
        }
    }

    fn nobody_knows(&self, name: RunName) -> String {
        format!("{} {name}: what became of it cannot be asked", self.request())
    }

    /// Whether a name may protect from a second start. Of an Express state machine that is known only once it has started something.
    pub(crate) fn may_have_names(&self) -> bool {
        self.executions().is_some()
    }

    /// What the request is called that hands an attempt over.
    pub(crate) fn request(&self) -> &'static str {
        match self {
            Self::StateMachine(_) => "StartExecution",
            Self::Function(_) => "Invoke",
            Self::Queue(_) => "SendMessage",
        }
    }

    /// The shortest lease of a start that is counted, where the target has a limit of its own.
    pub(crate) fn least_lease(&self) -> Duration {
        match self {
            Self::StateMachine(_) => EXPRESS_LEASE,
            // Its timeout and maximum event age are the operator's to choose, and so is the lease.
            Self::Function(_) => Duration::ZERO,
            Self::Queue(queue) => queue.least_lease(),
        }
    }

    /// Why an attempt has failed after so many starts of which nobody reported an end.
    pub(crate) fn untold(&self, starts: u32) -> String {
        match self {
            Self::StateMachine(_) => format!(
                "UNTOLD: {starts} executions in a row ended without a report: the state machine's log says why (output above 256 KiB, \
                 over 5 minutes, no access to the completion queue)"
            ),
            Self::Function(_) => format!(
                "UNTOLD: {starts} invocations in a row ended without a record: are both of the function's destinations the completion \
                 queue, may its role send there, and is the lease longer than its maximum event age and its timeout together?"
            ),
            Self::Queue(_) => format!(
                "UNTOLD: {starts} messages in a row brought no report within the lease: does the target queue's consumer run, and does \
                 it report to the completion queue?"
            ),
        }
    }
}
