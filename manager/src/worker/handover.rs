//! The way from a claim to a worker of the same process, without a queue: a row is claimed when there is a place for it.
//!
//! There is a place for each worker, and some more while runs are short: as many as ended within a tenth of a second, so that a row
//! that was claimed waits no longer than that. Long runs leave rows PENDING until a worker is free, because a row that waits here is
//! held: when the process ends, it counts as one that a worker died with.
//!
//! In batches there are as many places for each worker as it runs rows together. A row that is run by itself takes all of them: a hundred
//! such rows at four workers would wait for one another, and die together with the one that ends its process. What is claimed and has no
//! place is refused; how many there are of them ahead nobody knows, so that fewer are claimed at first afterwards.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_ledger::Clock;
use daybook_schema::{Row, Timestamp};
use tokio::sync::{Notify, mpsc};

use super::room::is_run_by_itself;
use crate::settings::Batching;

/// A row that is claimed waits about this long at most.
const WAIT: Duration = Duration::from_millis(100);

/// Where rows that this process has claimed are handed to its workers. Clones lead to the same workers.
#[derive(Clone)]
pub struct Handover(Arc<Shared>);

/// The workers' end of a [`Handover`].
#[derive(Debug)]
pub struct Handed {
    /// Rows that were handed over together.
    pub(super) rows: mpsc::UnboundedReceiver<Vec<(Row, Place)>>,
    pub(super) handover: Handover,
}

struct Shared {
    batching: Option<Batching>,
    /// Places of one worker.
    share: u32,
    /// Places of all workers.
    usual: u32,
    most: u32,
    clock: Clock,
    rows: mpsc::UnboundedSender<Vec<(Row, Place)>>,
    taken: Mutex<Taken>,
    freed: Notify,
}

/// The places that are taken, and how many were freed lately.
#[derive(Debug)]
struct Taken {
    places: u32,
    /// No more are given at once, since there was no room for rows that are run by themselves.
    at_once: u32,
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

/// The place of one row, or all of a worker's, until its run has ended.
#[derive(Debug)]
pub(super) struct Place {
    of: Handover,
    places: u32,
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handover({:?})", self.taken())
    }
}

impl Handover {
    /// To so many workers, and never more than `most` rows at once. With batches each worker runs rows together.
    pub fn new(workers: u32, most: u32, batching: Option<Batching>, clock: Clock) -> (Self, Handed) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (workers, most) = (workers.max(1), most.max(1));
        let share = (most / workers).clamp(1, batching.map_or(1, |batching| batching.size).max(1));
        let taken = Taken {
            places: 0,
            at_once: u32::MAX,
            closed: false,
            since: clock.now(),
            ended: 0,
            ended_before: 0,
        };
        let handover = Self(Arc::new(Shared {
            batching,
            share,
            usual: workers.saturating_mul(share).min(most),
            most,
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

    /// How rows are run together, if they are.
    pub(super) fn batching(&self) -> Option<Batching> {
        self.0.batching
    }

    /// How many places there are now.
    fn places(&self, taken: &mut Taken) -> u32 {
        let pace = taken.pace(self.0.clock.now());
        self.0.usual.saturating_add(pace).min(self.0.most)
    }

    /// At most so many places, none after the workers were told to stop.
    pub fn reserve(&self, wanted: u32) -> Places {
        let mut taken = self.taken();
        let free = match taken.closed {
            true => 0,
            false => self.places(&mut taken).saturating_sub(taken.places),
        };
        let count = wanted.min(free).min(taken.at_once);
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
        taken.places.saturating_add(self.0.share) <= self.0.usual || taken.places <= places / 2
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

    /// Hands rows on that this process has claimed; those that nobody takes any more, and those that are run by themselves where no
    /// worker is free for them, come back.
    pub(crate) fn give(&self, rows: Vec<Row>, places: &mut Places) -> Vec<Row> {
        let (mut given, mut refused) = (Vec::new(), Vec::new());
        let (by_themselves, company): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(is_run_by_itself);
        for row in company {
            match places.take() {
                Some(place) => given.push((row, place)),
                None => refused.push(row),
            }
        }
        let mut is_short = false;
        for row in by_themselves {
            match self.whole_share(places) {
                Some(place) => given.push((row, place)),
                None => {
                    is_short = true;
                    refused.push(row);
                }
            }
        }
        let count = u32::try_from(given.len()).unwrap_or(u32::MAX);
        if is_short {
            self.taken().at_once = count.max(1);
        } else if count > 0 {
            let mut taken = self.taken();
            taken.at_once = taken.at_once.saturating_mul(2);
        }
        if !given.is_empty()
            && let Err(mpsc::error::SendError(given)) = self.0.rows.send(given)
        {
            refused.extend(given.into_iter().map(|(row, _)| row));
        }
        refused
    }

    /// From now on there is no place for anything.
    pub(super) fn close(&self) {
        self.taken().closed = true;
    }

    /// All places of a worker, first of those that were reserved; if so many are free.
    fn whole_share(&self, reserved: &mut Places) -> Option<Place> {
        let share = self.0.share;
        let more = share.saturating_sub(reserved.count);
        let mut taken = self.taken();
        if more > 0 && taken.places.saturating_add(more) > self.places(&mut taken) {
            return None;
        }
        taken.places += more;
        reserved.count -= share - more;
        drop(taken);
        Some(Place {
            of: self.clone(),
            places: share,
        })
    }

    fn free(&self, count: u32, ended: u32) {
        let mut taken = self.taken();
        taken.places = taken.places.saturating_sub(count);
        taken.pace(self.0.clock.now());
        taken.ended = taken.ended.saturating_add(ended);
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
        let of = self.of.clone()?;
        self.count = self.count.checked_sub(1)?;
        Some(Place { of, places: 1 })
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if let (Some(handover), true) = (&self.of, self.count > 0) {
            handover.free(self.count, 0);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.free(self.places, 1);
    }
}
