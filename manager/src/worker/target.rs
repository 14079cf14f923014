//! What does the work: the one trait behind which a command, an HTTP endpoint or a test stands.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use daybook_schema::{BatchInput, EventId, ExecutionInput};
use futures::future::BoxFuture;
use tokio::sync::watch;

/// Processes one object, or the objects of a batch.
pub trait Target: fmt::Debug + Send + Sync {
    /// One run. It ends early when [`Run::stop`] asks for it, and its answer does not count then; a run that does not end within
    /// [`WorkerSettings::stopping`](super::WorkerSettings::stopping) is dropped. Dropping the future must leave nothing behind:
    /// no process, no task.
    fn run(&self, run: Run) -> BoxFuture<'_, TargetAnswer>;
}

/// What a target is given.
#[derive(Clone, Debug)]
pub struct Run {
    /// The events and their attempts, as a Step Functions execution would get them.
    pub input: RunInput,
    /// The X-Ray header, for linking.
    pub trace: Option<String>,
    /// When to end early: a timeout, a lost lease, a worker that shuts down.
    pub stop: Stop,
}

/// What one run is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunInput {
    /// One event at one attempt.
    Single(Box<ExecutionInput>),
    /// A batch, perhaps of one event.
    Batch(BatchInput),
}

impl RunInput {
    /// The events at their attempts, at least one.
    pub fn events(&self) -> &[ExecutionInput] {
        match self {
            Self::Single(event) => std::slice::from_ref(event),
            Self::Batch(batch) => &batch.events,
        }
    }

    /// The JSON text that an execution would get, byte-stable.
    pub fn to_json(&self) -> String {
        match self {
            Self::Single(event) => event.to_json(),
            Self::Batch(batch) => batch.to_json(),
        }
    }

    /// The ids of the events.
    pub(super) fn ids(&self) -> BTreeSet<EventId> {
        self.events().iter().map(|event| event.id).collect()
    }
}

impl From<ExecutionInput> for RunInput {
    fn from(event: ExecutionInput) -> Self {
        Self::Single(Box::new(event))
    }
}

/// What a target says of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetAnswer {
    /// Every object is processed.
    Success,
    /// Of a batch these events have failed, and every other one is processed.
    Listed {
        /// The ids of those that failed; all were in the run.
        failed: BTreeSet<EventId>,
        /// Why, for people, as in [`TargetAnswer::Failed`].
        why: String,
    },
    /// Not now: every event of the run comes again, and no attempt is used.
    Later {
        /// After how long; [`WorkerSettings::later`](super::WorkerSettings::later) where the target does not say.
        after: Option<Duration>,
        /// Why, for people.
        why: String,
    },
    /// The attempt failed; of a batch, that of every event.
    Failed {
        /// Why, for people: what happened, then what the target said of it. A row keeps 256 characters, of a longer text the
        /// start and the end.
        why: String,
    },
}

/// Asks runs to stop. Dropping it asks as well: then nobody waits for their answers any more.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Tells a run when to stop. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A signal and who gives it.
    pub fn pair() -> (Stopper, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Stop(receiver))
    }

    /// Returns once the run is to stop; at once when that was asked before. May be dropped and asked again.
    pub async fn requested(&mut self) {
        // An error says that the stopper is gone.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether that was asked.
    pub(super) fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl Stopper {
    /// Asks all runs that hold the signal to stop.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}
