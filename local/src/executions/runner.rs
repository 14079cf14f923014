//! Executions that run a target, each as a task of its own.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::execution::{Outcome, StartedExecution};
use super::handle::Executions;
use super::state::{Execution, date};

impl Executions {
    /// Runs the target of the execution's state machine, if it has one.
    pub(super) fn run(&self, index: usize, execution: &Execution) {
        let targets = self
            .inner
            .targets
            .lock()
            .expect("no code panics while it holds the targets");
        let Some(target) = targets.get(&execution.state_machine_arn).cloned() else {
            return;
        };
        drop(targets);
        let Ok(runtime) = Handle::try_current() else {
            self.inner
                .close(index, failed("there is no tokio runtime to run the target on"));
            return;
        };
        let started = StartedExecution {
            arn: execution.arn.clone(),
            state_machine_arn: execution.state_machine_arn.clone(),
            name: execution.name.clone(),
            input: execution.input.clone(),
            started_at: date(execution.started_at),
        };
        self.inner.state().executions[index].runs += 1;
        // Weak, because the task must not keep alive what is to stop it.
        let inner = std::sync::Arc::downgrade(&self.inner);
        let work = async move {
            let run = AssertUnwindSafe(async move { target.run(started).await }).catch_unwind();
            let outcome = run.await.unwrap_or_else(|_| failed("the target panicked"));
            if let Some(inner) = inner.upgrade() {
                inner.close(index, outcome);
                inner.tasks.take(index);
            }
        };
        // Held over the spawn, so that a task which ends at once finds its own entry to remove.
        let mut running = self
            .inner
            .tasks
            .running
            .lock()
            .expect("no code panics while it holds the tasks");
        running.insert(index, spawn(&runtime, work));
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "an execution outlives the request that starts it"
)]
fn spawn(runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    runtime.spawn(work).abort_handle()
}

fn failed(cause: &str) -> Outcome {
    Outcome::Failed {
        error: "States.Runtime".to_owned(),
        cause: cause.to_owned(),
    }
}
