//! The way from a claim to a worker of the same process, without a queue: a row is claimed when there is a place for it.
//!
//! There is a place for each worker, and some more while runs are short: as many as ended within a tenth of a second, so that a row
//! that was claimed waits no longer than that. Long runs leave rows PENDING until a worker is free, because a row that waits here is
//! held: when the process ends, it counts as one that a worker died with.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_ledger::Clock;
use daybook_schema::{Row, Timestamp};
use tokio::sync::{Notify, mpsc};

/// A row that is claimed waits about this long at most.
const WAIT: Duration = Duration::from_millis(100);

/// Where rows that this process has claimed are handed to its workers. Clones lead to the same workers.
#[derive(Clone)]
pub struct Handover(Arc<Shared>);

/// The workers' end of a [`Handover`].
#[derive(Debug)]
pub struct Handed {
    pub(super) rows: mpsc::UnboundedReceiver<(Row, Place)>,
    pub(super) handover: Handover,
}

struct Shared {
    workers: u32,
    most: u32,
    clock: Clock,
    rows: mpsc::UnboundedSender<(Row, Place)>,
    taken: Mutex<Taken>,
    freed: Notify,
}

/// The places that are taken, and how many were freed lately.
#[derive(Debug)]
struct Taken {
    places: u32,
    /// No row is taken any more.
    closed: bool,
    /// The tenth of a second that is counted now, and what ended in it and in the one before.
    since: Timestamp,
    ended: u32,
    ended_before: u32,
}

impl Taken {
    /// How many runs end in [`WAIT`], as far as that is known.
    fn pace(&mut self, now: Timestamp) -> u32 {
        let passed = now.since(self.since);
        if passed >= WAIT || now < self.since {
            let follows = now >= self.since && passed < 2 * WAIT;
            self.ended_before = if follows { self.ended } else { 0 };
            self.ended = 0;
            self.since = now;
        }
        self.ended.max(self.ended_before)
    }
}

/// Places for rows that are about to be claimed; those that are not used are free again when this is dropped.
#[derive(Debug)]
pub struct Places {
    count: u32,
    /// None where there is room for all.
    of: Option<Handover>,
}

/// The place of one row, until its run has ended.
#[derive(Debug)]
pub(super) struct Place(Handover);

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handover({:?})", self.taken())
    }
}

impl Handover {
    /// To so many workers, and never more than `most` rows at once.
    pub fn new(workers: u32, most: u32, clock: Clock) -> (Self, Handed) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let taken = Taken {
            places: 0,
            closed: false,
            since: clock.now(),
            ended: 0,
            ended_before: 0,
        };
        let handover = Self(Arc::new(Shared {
            workers,
            most: most.max(1),
            clock,
            rows: sender,
            taken: Mutex::new(taken),
            freed: Notify::new(),
        }));
        let handed = Handed {
            rows: receiver,
            handover: handover.clone(),
        };
        (handover, handed)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many places there are now.
    fn places(&self, taken: &mut Taken) -> u32 {
        let pace = taken.pace(self.0.clock.now());
        self.0.workers.saturating_add(pace).min(self.0.most)
    }

    /// At most so many places, none after the workers were told to stop.
    pub fn reserve(&self, wanted: u32) -> Places {
        let mut taken = self.taken();
        let free = match taken.closed {
            true => 0,
            false => self.places(&mut taken).saturating_sub(taken.places),
        };
        let count = wanted.min(free);
        taken.places += count;
        Places {
            count,
            of: Some(self.clone()),
        }
    }

    /// Whether it is worth while to look for rows: a worker has nothing to do, or half of the places are free. To look for each row
    /// alone would cost a look through the index each.
    fn has_room(&self) -> bool {
        let mut taken = self.taken();
        let places = self.places(&mut taken);
        taken.places < self.0.workers.min(places) || taken.places <= places / 2
    }

    /// Returns when there is room for more than a few rows, or for one that a worker waits for.
    pub async fn room(&self) {
        loop {
            let mut freed = std::pin::pin!(self.0.freed.notified());
            freed.as_mut().enable();
            if self.has_room() {
                return;
            }
            freed.await;
        }
    }

    /// Hands rows on that this process has claimed; those that nobody takes any more come back.
    pub(crate) fn give(&self, rows: Vec<Row>, places: &mut Places) -> Vec<Row> {
        let mut refused = Vec::new();
        for row in rows {
            match places.take() {
                Some(place) => {
                    if let Err(mpsc::error::SendError((row, _))) = self.0.rows.send((row, place)) {
                        refused.push(row);
                    }
                }
                None => refused.push(row),
            }
        }
        refused
    }

    /// From now on there is no place for anything.
    pub(super) fn close(&self) {
        self.taken().closed = true;
    }

    fn free(&self, count: u32, ended: bool) {
        let mut taken = self.taken();
        taken.places = taken.places.saturating_sub(count);
        taken.pace(self.0.clock.now());
        taken.ended += if ended { count } else { 0 };
        drop(taken);
        self.0.freed.notify_one();
    }
}

impl Places {
    /// As many as are wanted.
    pub(crate) fn unbounded(count: u32) -> Self {
        Self { count, of: None }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// So many of them by themselves; the others stay.
    pub fn split(&mut self, count: u32) -> Self {
        let count = count.min(self.count);
        self.count -= count;
        Self {
            count,
            of: self.of.clone(),
        }
    }

    /// These besides.
    pub fn add(&mut self, mut other: Self) {
        self.count += std::mem::take(&mut other.count);
    }

    fn take(&mut self) -> Option<Place> {
        let handover = self.of.clone()?;
        self.count = self.count.checked_sub(1)?;
        Some(Place(handover))
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let (Some(handover), true) = (&self.of, self.count > 0) {
            handover.free(self.count, false);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.free(1, true);
    }
}
