//! What a person at the terminal, and whoever asks for /health, is told while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_ledger::Ledger;
use tokio::sync::watch;

use crate::commands::run::up::counters::{Answers, Recording, open};

/// Between two lines of progress, if there was any.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Between two looks at the ledger's health.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is watched.
pub struct Watch<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// What came in.
    pub recording: &'a Arc<Recording>,
    /// What came out.
    pub answers: &'a Arc<Answers>,
}

/// The counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    recorded: u64,
    known: u64,
    success: u64,
    failed: u64,
    later: u64,
}

impl Watch<'_> {
    pub fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            recorded: get(&self.recording.recorded),
            known: get(&self.recording.known),
            success: get(&self.answers.success),
            failed: get(&self.answers.failed),
            later: get(&self.answers.later),
        }
    }

    /// Writes a line to stderr whenever something happened, for ever.
    pub async fn tell(&self) {
        let mut before = self.counts();
        loop {
            tokio::time::sleep(TELL_EVERY).await;
            let now = self.counts();
            if now == before {
                continue;
            }
            let open = match self.open().await {
                Some(open) => open,
                None => "the ledger does not answer".to_owned(),
            };
            let time = self.ledger.clock().now().to_string();
            let time = time.get(11..19).unwrap_or_default();
            let parts = [
                (now.recorded - before.recorded, "recorded"),
                (now.known - before.known, "known before"),
                (now.success - before.success, "done"),
                (now.failed - before.failed, "runs failed"),
                (now.later - before.later, "put off"),
            ];
            let parts: Vec<String> = parts
                .into_iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, what)| format!("{n} {what}"))
                .collect();
            eprintln!("{time}Z  {}; {open}", parts.join(", "));
            before = now;
        }
    }

    /// The open rows in words.
    async fn open(&self) -> Option<String> {
        open(self.ledger).await.ok()
    }

    /// Keeps `trouble` true to whether the ledger answers, for ever.
    pub async fn keep_health(&self, trouble: &watch::Sender<Option<String>>) {
        loop {
            let now = match self.ledger.control().await {
                Ok(_) => None,
                Err(error) => Some(format!("the ledger does not answer: {error}")),
            };
            trouble.send_if_modified(|before| {
                let changed = *before != now;
                *before = now;
                changed
            });
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
