//! One flush to disk for many answers.
//!
//! Rule: **no answer is given before everything that it may rest on is on disk.** That holds for writes, for
//! refused writes ("it is already there" makes the caller acknowledge an event) and for reads (a receipt that is
//! read does the same): each may show what another request committed a moment ago. So every answer, once it is
//! made, waits for a flush that begins after that moment, if since the last flush began a write has ended, or one
//! is being applied; its commit can be read before it has come back. Otherwise the flush that runs, if any, is
//! enough, and without one nothing is dirty and the answer costs nothing.
//!
//! Who waits first while no flush runs makes one; all who come meanwhile share the next.
//!
//! A flush that failed is never tried again: the kernel may have dropped the pages or marked them clean, so the
//! next one would succeed and prove nothing. From then on there are only refusals, of reads too, because a read
//! shows what is in the page cache and cannot tell whether it is on disk.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The wait for the disk, shared by all requests to one log. Blocks its threads.
pub(crate) struct GroupCommit {
    /// Makes durable all that was committed before it was called.
    flush: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
    state: Mutex<State>,
    /// Signalled when a flush has ended, whichever way.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// Writes that have begun and not ended.
    applying: usize,
    /// Whether a write has ended since the last flush began.
    dirty: bool,
    /// Flushes that have begun. One runs at a time: `done`, or one more.
    begun: u64,
    /// Flushes that have succeeded.
    done: u64,
    failure: Option<FlushFailed>,
}

/// A flush has failed, now or earlier; what the operating system said.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub(crate) struct FlushFailed(Arc<io::Error>);

/// A write that is being applied. It counts as ended when this is dropped, also by a panic: it may have committed.
struct Applying<'a>(&'a GroupCommit);

impl Drop for Applying<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.applying -= 1;
        state.dirty = true;
    }
}

impl GroupCommit {
    pub(crate) fn new(flush: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self {
            flush: Box::new(flush),
            state: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    /// Runs `write`, and returns its answer when that and all it may rest on is on disk.
    ///
    /// # Errors
    /// When the flush failed: the write may be on disk or not. When an earlier one failed: `write` was not run.
    pub(crate) fn write<T>(&self, write: impl FnOnce() -> T) -> Result<T, FlushFailed> {
        let applying = {
            let mut state = self.state();
            state.refuse_after_failure()?;
            state.applying += 1;
            Applying(self)
        };
        let answer = write();
        drop(applying);
        self.wait_for_disk()?;
        Ok(answer)
    }

    /// Runs `read`, which writes nothing, and returns its answer when all it may rest on is on disk.
    ///
    /// # Errors
    /// When a flush failed, this one or an earlier one.
    pub(crate) fn read<T>(&self, read: impl FnOnce() -> T) -> Result<T, FlushFailed> {
        self.state().refuse_after_failure()?;
        let answer = read();
        self.wait_for_disk()?;
        Ok(answer)
    }

    /// How many flushes have succeeded.
    pub(crate) fn flushes(&self) -> u64 {
        self.state().done
    }

    /// Whether a flush has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.state().failure.is_some()
    }

    /// Returns when everything committed before this call is on disk.
    fn wait_for_disk(&self) -> Result<(), FlushFailed> {
        let mut state = self.state();
        let needed = state.begun + u64::from(state.dirty || state.applying > 0);
        while state.done < needed {
            state.refuse_after_failure()?;
            state = if state.begun > state.done {
                self.ended
                    .wait(state)
                    .expect("no code panics while it holds the state")
            } else {
                self.flush(state)
            };
        }
        Ok(())
    }

    /// Makes a flush, with the state unlocked so that others can write and queue up behind it.
    fn flush<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.begun += 1;
        state.dirty = false;
        drop(state);
        let outcome = (self.flush)();
        let mut state = self.state();
        match outcome {
            Ok(()) => state.done += 1,
            Err(error) => state.failure = Some(FlushFailed(Arc::new(error))),
        }
        self.ended.notify_all();
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds the state")
    }
}

impl State {
    fn refuse_after_failure(&self) -> Result<(), FlushFailed> {
        self.failure.clone().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// A disk whose flushes end when the test says so, and as it says.
    struct Disk {
        began: mpsc::Receiver<()>,
        end: mpsc::Sender<io::Result<()>>,
    }

    impl Disk {
        fn new() -> (Self, GroupCommit) {
            let (begin, began) = mpsc::channel();
            let (end, ended) = mpsc::channel();
            let ended = Mutex::new(ended);
            let commit = GroupCommit::new(move || {
                begin.send(()).expect("the test runs");
                ended
                    .lock()
                    .expect("one at a time")
                    .recv()
                    .expect("the test runs")
            });
            (Self { began, end }, commit)
        }

        fn wait_for_flush(&self) {
            self.began.recv().expect("a flush begins");
        }

        fn end_flush(&self) {
            self.end.send(Ok(())).expect("a flush runs");
        }

        fn fail_flush(&self) {
            let error = io::Error::other("the disk is gone");
            self.end.send(Err(error)).expect("a flush runs");
        }
    }

    fn wait_until(condition: impl Fn() -> bool) {
        while !condition() {
            thread::yield_now();
        }
    }

    #[test]
    fn all_writes_that_end_during_a_flush_share_the_next() {
        let (disk, commit) = Disk::new();
        let applied = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| commit.write(|| ()).expect("flushed"));
            disk.wait_for_flush();
            for _ in 0..200 {
                scope.spawn(|| {
                    commit
                        .write(|| applied.fetch_add(1, Ordering::SeqCst))
                        .expect("flushed")
                });
            }
            wait_until(|| applied.load(Ordering::SeqCst) == 200 && commit.state().applying == 0);
            disk.end_flush();
            disk.wait_for_flush();
            disk.end_flush();
        });
        assert_eq!(commit.flushes(), 2);
    }

    #[test]
    fn a_flush_does_not_serve_what_was_written_after_it_began() {
        let (disk, commit) = Disk::new();
        thread::scope(|scope| {
            let first = scope.spawn(|| commit.write(|| ()));
            disk.wait_for_flush();
            let second = scope.spawn(|| commit.write(|| ()));
            wait_until(|| commit.state().dirty);
            disk.end_flush();
            first.join().expect("no panic").expect("flushed");
            disk.wait_for_flush();
            assert!(!second.is_finished());
            disk.end_flush();
            second.join().expect("no panic").expect("flushed");
        });
        assert_eq!(commit.flushes(), 2);
    }

    #[test]
    fn a_read_waits_for_the_flush_that_runs_and_makes_none_of_its_own() {
        let (disk, commit) = Disk::new();
        assert_eq!(commit.read(|| 7).expect("clean"), 7);
        thread::scope(|scope| {
            scope.spawn(|| commit.write(|| ()).expect("flushed"));
            disk.wait_for_flush();
            let (read, reading) = mpsc::channel();
            let reader = scope.spawn(|| commit.read(move || read.send(())));
            reading.recv().expect("it reads");
            assert!(!reader.is_finished());
            disk.end_flush();
            reader.join().expect("no panic").expect("flushed").expect("sent");
        });
        commit.read(|| ()).expect("clean again");
        assert_eq!(commit.flushes(), 1);
    }

    #[test]
    fn a_read_during_a_write_may_show_it_and_waits_for_a_flush() {
        let (disk, commit) = Disk::new();
        let (return_from_write, returning) = mpsc::channel::<()>();
        thread::scope(|scope| {
            // It has committed, and its thread has not come back with the answer.
            scope.spawn(|| commit.write(move || returning.recv()).expect("flushed"));
            wait_until(|| commit.state().applying == 1);
            let reader = scope.spawn(|| commit.read(|| ()));
            disk.wait_for_flush();
            assert!(!reader.is_finished());
            disk.end_flush();
            reader.join().expect("no panic").expect("flushed");
            return_from_write.send(()).expect("it waits");
            disk.wait_for_flush();
            disk.end_flush();
        });
    }

    #[test]
    fn a_write_that_panics_may_have_committed() {
        let (disk, commit) = Disk::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| commit.write(|| panic!("on purpose"))));
        assert!(outcome.is_err());
        disk.end_flush();
        commit.read(|| ()).expect("flushed");
        assert_eq!(commit.flushes(), 1);
    }

    #[test]
    fn a_failed_flush_fails_all_who_wait_and_all_who_come_and_is_not_tried_again() {
        let (disk, commit) = Disk::new();
        thread::scope(|scope| {
            let first = scope.spawn(|| commit.write(|| ()));
            disk.wait_for_flush();
            let second = scope.spawn(|| commit.write(|| ()));
            wait_until(|| commit.state().dirty);
            disk.fail_flush();
            for waiting in [first, second] {
                let failure = waiting.join().expect("no panic").expect_err("refused");
                assert_eq!(failure.to_string(), "the disk is gone");
            }
        });
        commit.write(|| panic!("not run")).expect_err("refused");
        commit.read(|| panic!("not run")).expect_err("refused");
        assert!(disk.began.try_recv().is_err());
        assert_eq!(commit.flushes(), 0);
    }
}
