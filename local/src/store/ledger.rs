//! The file as looks and the writer share it, what went wrong with it, and the changes that wait.

use std::path::{Path, PathBuf};
use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::oneshot;

use crate::store::error::StoreError;
use crate::store::folder::Opened;
use crate::store::guard::{Failed, Failure};
use crate::store::maps::{Change, Look};
use crate::store::rows::Snapshot;

/// The file, as looks and the writer share it.
pub(super) struct Ledger {
    /// Its name, for messages.
    path: PathBuf,
    /// Locked for writing where the engine must be alone: while it makes the file smaller, and while it is opened anew. `None` when that
    /// failed.
    opened: RwLock<Option<Opened>>,
    /// Why nothing is answered any more.
    failed: OnceLock<StoreError>,
    /// Flushes through earlier openings of this process.
    flushes_before: std::sync::atomic::AtomicU64,
}

/// What went wrong.
pub(super) enum Trouble {
    /// There is no room: what did not fit is refused, and what was acknowledged is there.
    Full(StoreError),
    /// Anything else: nothing is answered any more.
    Failed(StoreError),
}

/// A change that waits for the writer, and for whom.
pub(super) trait Job: Send {
    /// Makes the change. Called once.
    fn run(&mut self, change: &mut dyn Change) -> Result<(), StoreError>;

    /// Says what came of it: what the change returned, or why not.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

pub(super) struct Waiting<F, T> {
    change: Option<F>,
    returned: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Waiting<F, T> {
    pub(super) fn new(change: F, answer: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self {
            change: Some(change),
            returned: None,
            answer,
        }
    }
}

impl<F, T> Job for Waiting<F, T>
where
    F: FnOnce(&mut dyn Change) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn run(&mut self, change: &mut dyn Change) -> Result<(), StoreError> {
        if let Some(run) = self.change.take() {
            self.returned = Some(run(change)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { returned, answer, .. } = *self;
        let returned =
            outcome.and_then(|()| returned.ok_or_else(|| StoreError::new("the request was not run")));
        // Whoever has given up waiting does not hear it.
        let _ = answer.send(returned);
    }
}

impl Ledger {
    pub(super) fn new(path: &Path, opened: Opened) -> Self {
        Self {
            path: path.to_owned(),
            opened: RwLock::new(Some(opened)),
            failed: OnceLock::new(),
            flushes_before: Default::default(),
        }
    }

    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&dyn Look) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.usable()?;
        let opened = self.opened();
        let Some(opened) = &*opened else {
            return Err(self.closed());
        };
        let looked = Snapshot::new(&opened.database).and_then(|snapshot| look(&snapshot));
        looked.map_err(|error| match self.trouble(opened, error) {
            // Where it is full the writer is about to open it anew.
            Trouble::Full(error) | Trouble::Failed(error) => error,
        })
    }

    /// # Errors
    /// When something failed, now or earlier.
    pub(super) fn usable(&self) -> Result<(), StoreError> {
        self.failed.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    pub(super) fn opened(&self) -> RwLockReadGuard<'_, Option<Opened>> {
        // A panic in a look leaves it as it was.
        self.opened
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn opened_alone(&self) -> RwLockWriteGuard<'_, Option<Opened>> {
        self.opened
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What went wrong, and whether for good. If so, everything is refused from now on, and the file is left as it is.
    pub(super) fn trouble(&self, opened: &Opened, error: StoreError) -> Trouble {
        let (file, end) = (self.path.display(), "See to the disk, then restart");
        let what = match opened.guard.failure() {
            Some(Failure {
                what: Failed::Full,
                error,
            }) => {
                return Trouble::Full(StoreError::new(format!(
                    "{file} has no room for more: {error}. Nothing of this request was kept"
                )));
            }
            Some(Failure {
                what: Failed::Read,
                error,
            }) => format!("{file} could not be read: {error}. Nothing"),
            Some(Failure {
                what: Failed::Write,
                error,
            }) => {
                format!("{file} could not be written: {error}. What was written last may be lost, so nothing")
            }
            Some(Failure {
                what: Failed::Flush,
                error,
            }) => {
                format!(
                    "{file} could not be flushed to disk: {error}. What was written last may be lost, so nothing"
                )
            }
            None => format!("{file} cannot be used: {error}. Nothing"),
        };
        opened.guard.close_for_good();
        Trouble::Failed(self.fail(StoreError::new(format!(
            "{what} is read or written any more. {end}"
        ))))
    }

    /// Refuses everything from now on. Logged where it happens first, and not at the refusals that follow from it.
    pub(super) fn fail(&self, error: StoreError) -> StoreError {
        if self.failed.set(error.clone()).is_ok() {
            let file = self.path.display();
            tracing::error!(%file, %error, "the ledger failed: DynamoDB answers nothing until a restart");
        }
        self.usable().err().unwrap_or(error)
    }

    fn closed(&self) -> StoreError {
        StoreError::new(format!("{} is closed", self.path.display()))
    }

    pub(super) fn flushes(&self) -> u64 {
        let now = self.opened().as_ref().map_or(0, |opened| opened.guard.flushes());
        now + self.flushes_before.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Keeps the count of an opening that ends.
    pub(super) fn keep_count(&self, opened: &Opened) {
        self.flushes_before
            .fetch_add(opened.guard.flushes(), std::sync::atomic::Ordering::Relaxed);
    }
}
