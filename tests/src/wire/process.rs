//! Processes: what makes requests, lives, and dies at one of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

tokio::task_local! {
    static CURRENT: Process;
}

/// One run of a function, as the wire sees it. Clones are one process.
#[derive(Clone, Debug)]
pub struct Process {
    /// What runs: `schedule`, `sweep` …
    pub name: &'static str,
    /// Which one, from 0.
    pub number: u64,
    /// The window that it runs for, in milliseconds since 1970, if it runs for one.
    pub window: Option<i64>,
    death: Arc<Death>,
}

#[derive(Debug, Default)]
struct Death {
    is_dead: AtomicBool,
    notify: Notify,
}

impl Process {
    /// A process that has not begun.
    pub fn new(name: &'static str, number: u64, window: Option<i64>) -> Self {
        Self {
            name,
            number,
            window,
            death: Arc::default(),
        }
    }

    /// Whose request it is that the wire has before it.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Ends it here: [`Process::run`] drops what it runs, and no further request of it leaves.
    pub(super) fn kill(&self) {
        self.death.is_dead.store(true, Ordering::Relaxed);
        self.death.notify.notify_one();
    }

    pub(super) fn is_dead(&self) -> bool {
        self.death.is_dead.load(Ordering::Relaxed)
    }

    /// Runs until it ends or the process is killed; `None` then.
    pub async fn run<T>(self, work: impl Future<Output = T>) -> Option<T> {
        let death = self.death.clone();
        tokio::select! {
            biased;
            () = death.notify.notified() => None,
            done = CURRENT.scope(self, work) => Some(done),
        }
    }
}
