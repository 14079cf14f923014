//! The file under the database engine: what must hold whatever the engine does.
//!
//! - Until an opening is accepted, nothing is written: writes are held back in memory, and thrown away when it is refused. So a file that
//!   is damaged, or something else, stays as it is.
//! - A page that is read again is what it was, or the read fails ([`Sums`]).
//! - After a read, write or flush that failed, nothing is read or written any more: what the operating system holds in memory may not be
//!   what is on the disk, and writing on would build on it.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};

use redb::{BackendError, StorageBackend};

use crate::store::sums::Sums;

/// What the engine reads and writes through; clones are one.
#[derive(Clone)]
pub(super) struct Guard(Arc<Inner>);

struct Inner {
    file: Box<dyn StorageBackend>,
    /// `None` once the opening is accepted.
    held: RwLock<Option<Held>>,
    sums: Sums,
    failure: OnceLock<Failure>,
    flushes: AtomicU64,
}

/// Writes that are held back, in their order.
struct Held {
    length: u64,
    steps: Vec<Step>,
}

enum Step {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Flush,
}

/// What failed first.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) what: Failed,
    pub(super) error: Arc<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    Read,
    Write,
    /// The disk is full, or the file may not grow: what was flushed is there, and what did not fit is not.
    Full,
    Flush,
}

impl Guard {
    /// Over `file`, whose writes are held back until [`accept`](Self::accept).
    pub(super) fn holding_back(file: impl StorageBackend) -> io::Result<Self> {
        let held = Held {
            length: file.len()?,
            steps: Vec::new(),
        };
        Ok(Self(Arc::new(Inner {
            file: Box::new(file),
            held: RwLock::new(Some(held)),
            sums: Sums::default(),
            failure: OnceLock::new(),
            flushes: AtomicU64::new(0),
        })))
    }

    /// Writes what was held back, in its order, flushed where the engine flushed it; from then on nothing is held back.
    pub(super) fn accept(&self) -> io::Result<()> {
        let mut held = self.0.held.write().expect("no code panics while it holds it");
        for step in held.take().into_iter().flat_map(|held| held.steps) {
            match step {
                Step::Write(offset, bytes) => self.written(self.0.file.write(offset, &bytes))?,
                Step::SetLength(length) => self.written(self.0.file.set_len(length))?,
                Step::Flush => self.noted(Failed::Flush, self.0.file.sync_data())?,
            }
        }
        Ok(())
    }

    /// What failed first, if anything has.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.0.failure.get()
    }

    /// Refuses everything from now on.
    pub(super) fn close_for_good(&self) {
        let error = Arc::new(io::Error::other("it was given up"));
        let what = Failed::Write;
        // What failed first stays.
        let _ = self.0.failure.set(Failure { what, error });
    }

    /// How many flushes there were since the opening was accepted.
    pub(super) fn flushes(&self) -> u64 {
        self.0.flushes.load(Ordering::Relaxed)
    }

    /// The file's length now, in bytes.
    pub(super) fn length(&self) -> io::Result<u64> {
        StorageBackend::len(self)
    }

    fn usable(&self) -> io::Result<()> {
        match self.failure() {
            Some(failure) => Err(io::Error::new(failure.error.kind(), failure.error.to_string())),
            None => Ok(()),
        }
    }

    fn written<T>(&self, outcome: io::Result<T>) -> io::Result<T> {
        let what = match &outcome {
            Err(error) if is_full(error) => Failed::Full,
            _ => Failed::Write,
        };
        self.noted(what, outcome)
    }

    fn noted<T>(&self, what: Failed, outcome: io::Result<T>) -> io::Result<T> {
        outcome.map_err(|error| {
            let error = Arc::new(error);
            let _ = self.0.failure.set(Failure {
                what,
                error: Arc::clone(&error),
            });
            io::Error::new(error.kind(), error.to_string())
        })
    }

    /// Holds `step` back, unless nothing is held back any more.
    fn hold(&self, step: impl FnOnce() -> Step) -> bool {
        let holding = self.0.held.read().expect("no code panics while it holds it");
        if holding.is_none() {
            return false;
        }
        drop(holding);
        let mut held = self.0.held.write().expect("no code panics while it holds it");
        match &mut *held {
            Some(held) => {
                held.hold(step());
                true
            }
            None => false,
        }
    }
}

/// Whether there is no room, which is not for good.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

impl Held {
    fn hold(&mut self, step: Step) {
        match &step {
            Step::Write(offset, bytes) => self.length = self.length.max(offset + bytes.len() as u64),
            Step::SetLength(length) => self.length = *length,
            Step::Flush => {}
        }
        self.steps.push(step);
    }

    fn read(&self, file: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset + out.len() as u64;
        if end > self.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let there = file.len()?.clamp(offset, end) - offset;
        let there = usize::try_from(there).map_err(io::Error::other)?;
        file.read(offset, &mut out[..there])?;
        out[there..].fill(0);
        for step in &self.steps {
            match step {
                Step::Write(at, bytes) => overlay(offset, out, *at, bytes),
                Step::SetLength(length) => {
                    let kept =
                        usize::try_from(length.clamp(&offset, &end) - offset).map_err(io::Error::other)?;
                    out[kept..].fill(0);
                }
                Step::Flush => {}
            }
        }
        Ok(())
    }
}

/// Copies the part of `bytes`, which begin at `at`, that lies in `out`, which begins at `offset`.
fn overlay(offset: u64, out: &mut [u8], at: u64, bytes: &[u8]) {
    let (end, until) = (offset + out.len() as u64, at + bytes.len() as u64);
    let (from, to) = (offset.max(at), end.min(until));
    if from < to {
        let within = |start: u64| (from - start) as usize..(to - start) as usize;
        out[within(offset)].copy_from_slice(&bytes[within(at)]);
    }
}

impl Debug for Guard {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl StorageBackend for Guard {
    fn len(&self) -> io::Result<u64> {
        self.usable()?;
        let held = self.0.held.read().expect("no code panics while it holds it");
        match &*held {
            Some(held) => Ok(held.length),
            None => self.noted(Failed::Read, self.0.file.len()),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.usable()?;
        let held = self.0.held.read().expect("no code panics while it holds it");
        let read = match &*held {
            Some(held) => held.read(&*self.0.file, offset, out),
            None => self.noted(Failed::Read, self.0.file.read(offset, out)),
        };
        read?;
        match self.0.sums.is_the_same(offset, out) {
            true => Ok(()),
            false => self.noted(
                Failed::Read,
                Err(io::Error::other(format!(
                    "what is at byte {offset} is not what was written there"
                ))),
            ),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.usable()?;
        self.0.sums.cut(length);
        match self.hold(|| Step::SetLength(length)) {
            true => Ok(()),
            false => self.written(self.0.file.set_len(length)),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.usable()?;
        if self.hold(|| Step::Flush) {
            return Ok(());
        }
        self.noted(Failed::Flush, self.0.file.sync_data())?;
        self.0.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.usable()?;
        self.0.sums.keep(offset, bytes);
        match self.hold(|| Step::Write(offset, bytes.to_vec())) {
            true => Ok(()),
            false => self.written(self.0.file.write(offset, bytes)),
        }
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}
