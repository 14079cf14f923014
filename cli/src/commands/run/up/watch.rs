//! What a person at the terminal, and whoever asks for /health, is told while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_inspect::activity::slots::Ends;
use daybook_inspect::wording::dispatch;
use daybook_ledger::{Control, INTAKE_BYTES, Ledger, Pause, chain};
use daybook_schema::Timestamp;
use tokio::sync::watch;

use crate::commands::run::up::counters::{Recording, open};
use crate::commands::run::up::runs::Runs;
use crate::ui::{escape, logging};

/// Between two lines of progress, if there was any.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Between two looks at the ledger's health.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// So many looks without a new row are followed by one that writes.
const LOOKS_BEFORE_A_WRITE: u32 = 5;

/// What is watched.
pub struct Watch<'a> {
    /// The ledger.
    pub ledger: &'a Ledger,
    /// What came in.
    pub recording: &'a Arc<Recording>,
    /// What came out.
    pub runs: &'a Runs,
}

/// What people set while it runs, as it was told last.
#[derive(Default)]
struct SetByPeople {
    paused: Option<Pause>,
    per_window: Option<u32>,
}

impl SetByPeople {
    /// What changed, in words.
    fn changed(&mut self, control: &Control, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        let paused = control.pause(now);
        if paused != self.paused {
            lines.push(match &paused {
                Some(pause) => format!("dispatch is paused {}", dispatch::paused(pause)),
                None => "dispatch is resumed".to_owned(),
            });
            self.paused = paused;
        }
        if control.per_window != self.per_window {
            lines.push(dispatch::per_window_words(control));
            self.per_window = control.per_window;
        }
        lines
    }
}

/// The counters at one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    recorded: u64,
    known: u64,
    ends: Ends,
}

impl Watch<'_> {
    pub fn counts(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            recorded: get(&self.recording.recorded),
            known: get(&self.recording.known),
            ends: self.runs.total(),
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
                (now.ends.done - before.ends.done, "done"),
                (now.ends.failed - before.ends.failed, "failed"),
                (now.ends.put_off - before.ends.put_off, "put off"),
            ];
            let parts: Vec<String> = parts
                .into_iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, what)| format!("{n} {what}"))
                .collect();
            logging::say(&format!("{time}Z  {}; {open}", parts.join(", ")));
            before = now;
        }
    }

    /// The open rows in words.
    async fn open(&self) -> Option<String> {
        open(self.ledger).await.ok()
    }

    /// Keeps `trouble` true to whether the ledger takes what comes in, for ever, and says when that changes. While rows are written
    /// it does; otherwise a write is tried now and then, since a disk that is full can still be read. Says too when people pause or
    /// resume dispatch, or set N.
    pub async fn keep_health(&self, trouble: &watch::Sender<Option<String>>) {
        let written = || self.recording.recorded.load(Ordering::Relaxed);
        let refused = || self.recording.refused.load(Ordering::Relaxed);
        let (mut before, mut refused_before, mut quiet) = (written(), refused(), 0);
        let mut set = SetByPeople::default();
        loop {
            let (recorded, turned_away) = (written(), refused());
            let must_write = trouble.borrow().is_some() || turned_away != refused_before;
            quiet = if recorded == before { quiet + 1 } else { 0 };
            (before, refused_before) = (recorded, turned_away);
            let looked = match self.ledger.control().await {
                Ok(control) => {
                    for line in set.changed(&control, self.ledger.clock().now()) {
                        tracing::warn!("{}", escape::escaped(&line));
                    }
                    Ok(())
                }
                Err(error) => Err(format!("the ledger does not answer: {}", chain(&error))),
            };
            let looked = match must_write || quiet >= LOOKS_BEFORE_A_WRITE {
                true => {
                    quiet = 0;
                    // A file that has no room for what came in may have room for less.
                    let bytes = if must_write { INTAKE_BYTES } else { 0 };
                    let tried = self.ledger.try_write(bytes).await;
                    tried.map_err(|error| format!("the ledger takes no writes: {}", chain(&error)))
                }
                false => looked,
            };
            let now = looked.err();
            trouble.send_if_modified(|before| {
                match (&*before, &now) {
                    (None, Some(trouble)) => {
                        tracing::warn!("{trouble}: what comes in is answered 503, and nothing that was acknowledged is lost");
                    }
                    (Some(_), None) => tracing::warn!("the ledger takes writes again"),
                    _ => {}
                }
                let changed = *before != now;
                before.clone_from(&now);
                changed
            });
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
