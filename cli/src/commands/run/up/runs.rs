//! What the workers of this process do and did: counted as it happens, and written beside the ledger, outside of its commits.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_inspect::activity::completions::{Completion, Line};
use daybook_inspect::activity::slots::Ends;
use daybook_inspect::activity::{Activity, Running};
use daybook_ledger::{Clock, Failed};
use daybook_manager::worker::{RunObserver, Worked};
use daybook_schema::{Row, Timestamp};

use crate::deployment::{activity, completions};

/// Between two writes, if anything changed.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Completions that wait to be written, while the disk takes none.
const MOST_UNWRITTEN: usize = 20_000;

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
    /// What was completed since the last write, and what is said of the process.
    unwritten: Vec<Line>,
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
                unwritten: vec![Line::Start(clock.now())],
            }),
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs now, and what ended lately.
    pub fn activity(&self) -> Activity {
        self.counted().activity.clone()
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
        let now = self.clock.now();
        let (written, mut lines) = {
            let mut counted = self.counted();
            let lines = std::mem::take(&mut counted.unwritten);
            (counted.activity.written(now, is_end), lines)
        };
        if is_end {
            lines.push(Line::End(now));
        }
        let dir = dir.to_owned();
        let done = tokio::task::spawn_blocking(move || {
            let listed = match lines.is_empty() {
                true => Ok(()),
                false => completions::append(&dir, &lines, now),
            };
            let unwritten = if listed.is_err() { lines } else { Vec::new() };
            (activity::write(&dir, &written).and(listed), unwritten)
        });
        let Ok((done, unwritten)) = done.await else {
            return false;
        };
        self.counted().put_back(unwritten, now);
        if let Err(error) = &done {
            tracing::debug!(%error, "what was done lately is not written beside the ledger");
        }
        done.is_ok()
    }
}

impl Counted {
    /// Keeps for the next write what the last could not write, as much as there is room for.
    fn put_back(&mut self, mut lines: Vec<Line>, now: Timestamp) {
        if lines.is_empty() {
            return;
        }
        if lines.len() > MOST_UNWRITTEN {
            // How the process began and what is lost already stay known.
            lines.retain(|line| matches!(line, Line::Start(_)));
            lines.push(Line::Lost(now));
        }
        lines.append(&mut self.unwritten);
        self.unwritten = lines;
    }

    fn list(&mut self, row: &Row, millis: u64, now: Timestamp) {
        let Some(event) = row.object_event() else { return };
        self.unwritten.push(Line::Done(Completion {
            done_at: now,
            id: row.id,
            attempt: row.attempt,
            bucket: event.bucket.as_str().to_owned(),
            key: event.key.as_str().to_owned(),
            version_id: event.version_id.clone(),
            millis,
        }));
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

    fn ended(&self, row: &Row, worked: &Worked, took: Duration, now: Timestamp) {
        let mut counted = self.counted();
        counted.is_new = true;
        counted.activity.running.remove(&row.id);
        let mut ends = Ends {
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            ..Ends::default()
        };
        match worked {
            Worked::Completed => {
                ends.done = 1;
                if self.are_kept {
                    counted.list(row, ends.millis, now);
                }
            }
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
