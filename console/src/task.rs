//! Actions on rows that run in this process, whether a tab shows them or not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daybook_inspect::operate::action::Action;
use daybook_inspect::operate::apply::Tally;
use daybook_inspect::operate::canary::Trial;
use daybook_ledger::Clock;
use daybook_schema::Timestamp;
use tokio::sync::watch;

/// So many are kept, the newest of those that have ended.
const KEPT: usize = 50;

/// What a person asked for.
#[derive(Clone, Debug)]
pub struct Order {
    pub action: Action,
    /// What and which rows, in words.
    pub what: String,
    /// The deployment.
    pub place: String,
    pub by: String,
    pub why: String,
    /// The same on the command line.
    pub command: String,
    /// The query of the page that asks for the same again, where a filter says which rows.
    pub again: Option<String>,
}

/// How far it is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Rows read so far, while they are selected.
    pub read: usize,
    /// Rows that were selected, once that is known.
    pub selected: Option<usize>,
    /// Rows by the action's outcomes.
    pub outcomes: Vec<usize>,
    /// Rows that changed since they were selected or shown, and were left alone.
    pub refused: usize,
    /// Rows that this release cannot read.
    pub unreadable: usize,
    /// Rows of which it is not known for certain that it was done.
    pub failed: usize,
    /// Why, each cause once.
    pub failures: Vec<String>,
    /// What may go on although it was cancelled.
    pub notes: Vec<String>,
    /// The canaries in words.
    pub canaries: Option<String>,
    /// What it does now, or how it ended.
    pub says: String,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Progress {
    /// Rows that were changed.
    pub fn done(&self) -> usize {
        self.outcomes.iter().sum()
    }

    /// Rows that were gone through.
    pub fn through(&self) -> usize {
        self.done() + self.refused + self.failed + self.unreadable
    }

    /// Rows that are left as they were selected.
    pub fn left(&self) -> usize {
        self.selected.unwrap_or_default().saturating_sub(self.through())
    }

    /// As the tally says.
    pub fn count(&mut self, tally: &Tally) {
        self.outcomes.clone_from(&tally.outcomes);
        self.refused = tally.moved_on;
        self.unreadable = tally.unreadable();
        self.failed = tally.failed();
        self.failures = tally
            .failures()
            .iter()
            .map(|failure| failure.to_string())
            .collect();
    }

    /// As the canaries say.
    pub fn try_out(&mut self, trial: &Trial) {
        self.canaries = Some(trial.words());
    }
}

/// An action that runs, or has ended.
pub struct Task {
    pub id: String,
    pub order: Order,
    pub begun: Timestamp,
    pub clock: Clock,
    progress: Mutex<Progress>,
    stop: watch::Sender<bool>,
}

impl Task {
    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.lock().clone()
    }

    /// Changes what is known of it.
    pub fn tell(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks it to stop: requests in flight are finished first.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Ends when it is asked to stop, or the process is.
    pub fn stopped(&self, process: watch::Receiver<bool>) -> impl Future<Output = ()> + Send + use<> {
        let person = self.stop.subscribe();
        async {
            futures::future::select(Box::pin(said(person)), Box::pin(said(process))).await;
        }
    }
}

/// Ends when that is true; never where nobody can say so any more.
async fn said(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The actions of this process.
#[derive(Default)]
pub struct Tasks(Mutex<VecDeque<Arc<Task>>>);

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Task>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more; `None` where too many run.
    pub fn begin(&self, order: Order, clock: Clock) -> Option<Arc<Task>> {
        let now = clock.now();
        let mut tasks = self.lock();
        while tasks.len() >= KEPT {
            let oldest = tasks.iter().rposition(|task| task.progress().ended.is_some())?;
            tasks.remove(oldest);
        }
        let stamp: String = now
            .to_string()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect();
        let is_taken = |id: &String| tasks.iter().any(|task| task.id == *id);
        let id = (1..=KEPT + 1)
            .map(|n| format!("{stamp}-{n}"))
            .find(|id| !is_taken(id))?;
        let task = Arc::new(Task {
            id,
            order,
            begun: now,
            clock,
            progress: Mutex::default(),
            stop: watch::channel(false).0,
        });
        tasks.push_front(task.clone());
        Some(task)
    }

    /// That one.
    pub fn get(&self, id: &str) -> Option<Arc<Task>> {
        self.lock().iter().find(|task| task.id == id).cloned()
    }

    /// All of them, the newest first.
    pub fn all(&self) -> Vec<Arc<Task>> {
        self.lock().iter().cloned().collect()
    }
}
