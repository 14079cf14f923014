//! What the workers of this process do and did: counted as it happens, and written beside the ledger, outside of its commits.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_inspect::activity::slots::Ends;
use daybook_inspect::activity::{Activity, Running};
use daybook_ledger::{Clock, Failed};
use daybook_manager::worker::{RunObserver, Worked};
use daybook_schema::{Row, Timestamp};

use crate::deployment::activity;

/// Between two writes, if anything changed.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// The runs of this process.
#[derive(Debug)]
pub struct Runs {
    clock: Clock,
    /// Whether there can be any: without a target what the last process wrote stays.
    are_kept: bool,
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    activity: Activity,
    /// Since this process began.
    total: Ends,
    /// Whether anything happened since the last write.
    is_new: bool,
}

impl Runs {
    /// None yet; what the last process of the folder counted is taken over. Without a target there are none, and nothing is written.
    pub fn of(dir: &Path, clock: &Clock, has_target: bool) -> Self {
        Self {
            clock: clock.clone(),
            are_kept: has_target,
            counted: Mutex::new(Counted {
                activity: Activity::begin(std::process::id(), clock.now(), activity::read(dir)),
                total: Ends::default(),
                is_new: true,
            }),
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What ended since this process began.
    pub fn total(&self) -> Ends {
        self.counted().total
    }

    /// Writes it beside the ledger every second in which anything happened, for ever.
    pub async fn keep_writing(&self, dir: &Path) {
        let mut failed = false;
        loop {
            tokio::time::sleep(WRITE_EVERY).await;
            let is_new = std::mem::take(&mut self.counted().is_new);
            if !is_new && !failed {
                continue;
            }
            failed = !self.write(dir, false).await;
        }
    }

    /// Writes it as what it is at the end of the process.
    pub async fn write_last(&self, dir: &Path) {
        self.write(dir, true).await;
    }

    async fn write(&self, dir: &Path, is_end: bool) -> bool {
        if !self.are_kept {
            return true;
        }
        let written = self.counted().activity.written(self.clock.now(), is_end);
        let dir = dir.to_owned();
        let done = tokio::task::spawn_blocking(move || activity::write(&dir, &written)).await;
        match done {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::debug!(%error, "what was done lately is not written beside the ledger");
                false
            }
            Err(_) => false,
        }
    }
}

impl RunObserver for Runs {
    fn began(&self, rows: &[Row], now: Timestamp) {
        let mut counted = self.counted();
        counted.is_new = true;
        for row in rows {
            let running = Running {
                attempt: row.attempt,
                since: now,
            };
            counted.activity.running.insert(row.id, running);
        }
    }

    fn ended(&self, row: &Row, worked: &Worked, began: Timestamp, now: Timestamp) {
        let mut counted = self.counted();
        counted.is_new = true;
        counted.activity.running.remove(&row.id);
        let mut ends = Ends {
            millis: u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX),
            ..Ends::default()
        };
        match worked {
            Worked::Completed => ends.done = 1,
            Worked::Failed(Failed::Retry(_) | Failed::Parked) => ends.failed = 1,
            Worked::Later(_) => ends.put_off = 1,
            Worked::Failed(Failed::Stale)
            | Worked::Dropped
            | Worked::Returned(_)
            | Worked::LeaseLost(_)
            | Worked::Stopped => return,
        }
        counted.activity.count(now, ends);
        counted.total = counted.total.plus(ends);
    }
}
