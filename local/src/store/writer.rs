//! One commit, one flush for all changes that wait together.
//!
//! A change runs once, in a transaction with those that wait beside it, and is acknowledged when that is on disk. One that panics is
//! undone, row by row, and only it is refused: the others cannot run again. One whose look or put failed, or a panic within the engine,
//! fails the whole commit, and the store with it, for nobody knows what the engine holds then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::WriteTransaction;

use crate::error::LocalError;
use crate::store::error::StoreError;
use crate::store::folder::Opened;
use crate::store::ledger::{Job, Ledger, Trouble};
use crate::store::rows::{Changes, Written, engine};
use crate::store::shrink::Shrinking;

/// What came of each change of a batch.
type Outcomes = Vec<Result<(), StoreError>>;

/// Makes the changes, one batch at a time.
pub(super) struct Writer {
    ledger: Arc<Ledger>,
    open: Box<dyn Fn() -> Result<Opened, LocalError> + Send>,
    shrinking: Shrinking,
    /// Until when nothing is tried, since the disk was full; and what to say.
    full: Option<(Instant, StoreError)>,
}

/// A batch that was applied.
struct Applied {
    outcomes: Outcomes,
    written: Written,
    rows: u64,
}

impl Writer {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        open: impl Fn() -> Result<Opened, LocalError> + Send + 'static,
        shrinking: Shrinking,
    ) -> Self {
        Self {
            ledger,
            open: Box::new(open),
            shrinking,
            full: None,
        }
    }

    /// Makes the changes, commits, and answers all.
    pub(super) fn run(&mut self, mut batch: Vec<Box<dyn Job>>) {
        match self.commit(&mut batch) {
            Ok(applied) => {
                for (job, outcome) in batch.into_iter().zip(applied.outcomes) {
                    job.answer(outcome);
                }
                self.shrink(applied.written, applied.rows);
            }
            Err(error) => batch.into_iter().for_each(|job| job.answer(Err(error.clone()))),
        }
    }

    /// Closes the file, so that the next start has nothing to restore.
    pub(super) fn close(self) {
        drop(self.ledger.opened_alone().take());
    }

    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> Result<Applied, StoreError> {
        self.ledger.usable()?;
        self.still_full()?;
        let tried = {
            let opened = self.ledger.opened();
            let opened = opened
                .as_ref()
                .ok_or_else(|| StoreError::new("the ledger is closed"))?;
            let applied = guarded(|| apply(opened, batch));
            applied.map_err(|error| self.ledger.trouble(opened, error))
        };
        tried.map_err(|trouble| self.overcome(trouble))
    }

    /// What is left to say of it.
    fn overcome(&mut self, trouble: Trouble) -> StoreError {
        match trouble {
            Trouble::Full(error) => self.open_anew(error),
            Trouble::Failed(error) => error,
        }
    }

    /// The disk is full. The engine gives itself up over that, and the file is whole: it is opened anew.
    fn open_anew(&mut self, full: StoreError) -> StoreError {
        let began = now();
        let mut opened = self.ledger.opened_alone();
        if let Some(before) = opened.take() {
            self.ledger.keep_count(&before);
        }
        match (self.open)() {
            Ok(again) => *opened = Some(again),
            Err(error) => {
                let error = StoreError::new(format!("{full}; and then: {}", chain(&error)));
                return self.ledger.fail(error);
            }
        }
        // Reading it all takes a while where it is large, and meanwhile nobody can look.
        let ended = now();
        let pause = (ended - began) * 4;
        tracing::warn!(error = %full, "the ledger takes no more until there is room");
        self.full = Some((ended + pause.min(Duration::from_secs(60)), full.clone()));
        full
    }

    fn still_full(&mut self) -> Result<(), StoreError> {
        match &self.full {
            Some((until, full)) if now() < *until => Err(full.clone()),
            _ => {
                self.full = None;
                Ok(())
            }
        }
    }

    /// Makes the file smaller where little of it is used. Everybody else waits.
    fn shrink(&mut self, written: Written, rows: u64) {
        let length = {
            let opened = self.ledger.opened();
            let Some(opened) = &*opened else { return };
            opened.guard.length().unwrap_or_default()
        };
        if !self.shrinking.is_due(written, rows, length) {
            return;
        }
        let shrunk = {
            let mut opened = self.ledger.opened_alone();
            let Some(opened) = &mut *opened else { return };
            let shrunk = guarded(|| self.shrinking.shrink(&mut opened.database, length));
            shrunk.map_err(|error| self.ledger.trouble(opened, error))
        };
        if let Err(trouble) = shrunk {
            self.overcome(trouble);
        }
    }
}

/// What came of `work`; a panic in it is the engine's.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::new("the database engine panicked")))
}

/// Makes the changes in one transaction and commits it, if there is anything to commit.
fn apply(opened: &Opened, batch: &mut [Box<dyn Job>]) -> Result<Applied, StoreError> {
    let transaction = opened.database.begin_write().map_err(engine)?;
    let applied = apply_in(&transaction, batch)?;
    // What no change has written rests on commits that are on disk.
    if applied.written.put + applied.written.removed == 0 {
        transaction.abort().map_err(engine)?;
    } else {
        transaction.commit().map_err(engine)?;
    }
    Ok(applied)
}

fn apply_in(transaction: &WriteTransaction, batch: &mut [Box<dyn Job>]) -> Result<Applied, StoreError> {
    let mut changes = Changes::new(transaction)?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for job in batch {
        changes.begin();
        let ran = catch_unwind(AssertUnwindSafe(|| job.run(&mut changes)));
        outcomes.push(match ran {
            Ok(ran) => Ok(ran?),
            Err(_) if changes.panicked_inside() => {
                return Err(StoreError::new("the database engine panicked"));
            }
            Err(_) => {
                changes.undo()?;
                Err(StoreError::new(
                    "the request panicked, and nothing of it was kept",
                ))
            }
        });
    }
    Ok(Applied {
        outcomes,
        written: changes.written(),
        rows: changes.rows()?,
    })
}

#[allow(clippy::disallowed_methods, reason = "an edge: how long the disk has taken")]
fn now() -> Instant {
    Instant::now()
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
