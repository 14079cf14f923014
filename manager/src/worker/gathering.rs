//! Rows that wait for a worker of this process, and which of them go into one call of the target.

use std::collections::VecDeque;
use std::time::Duration;

use daybook_schema::{EventId, ExecutionInput, Row};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::handover::Place;
use super::job::Mine;
use super::room::{Room, bytes_of, is_run_by_itself};
use crate::settings::Batching;

/// A row whose turn has come, with what ends when its run does.
pub(super) struct Turn<'a> {
    pub(super) row: Row,
    pub(super) _mark: Mine<'a>,
    pub(super) _place: Place,
}

/// Where the rows of one call come together.
pub(super) type Together<'a> = mpsc::UnboundedSender<Turn<'a>>;

/// Rows that wait, the oldest first.
pub(super) struct Gathering<'a> {
    most: u32,
    window: Duration,
    waiting: VecDeque<Waiting<'a>>,
}

struct Waiting<'a> {
    id: EventId,
    by_itself: bool,
    /// What it takes of a batch's input.
    bytes: usize,
    /// When it has waited long enough for company.
    ripe_at: Instant,
    call: oneshot::Sender<Together<'a>>,
}

impl<'a> Gathering<'a> {
    /// Each row by itself, without batches.
    pub(super) fn new(batching: Option<Batching>) -> Self {
        Self {
            most: batching.map_or(1, |batching| batching.size),
            window: batching.map_or(Duration::ZERO, |batching| batching.window),
            waiting: VecDeque::new(),
        }
    }

    /// Adds a row, which is held elsewhere; it is called by what is received here.
    pub(super) fn add(&mut self, row: &Row) -> oneshot::Receiver<Together<'a>> {
        let (call, called) = oneshot::channel();
        let event = row.event().map(|event| ExecutionInput::new(event, row.attempt));
        self.waiting.push_back(Waiting {
            id: row.id,
            by_itself: is_run_by_itself(row),
            bytes: event.as_ref().map_or(0, bytes_of),
            ripe_at: Instant::now() + self.window,
            call,
        });
        called
    }

    /// Takes a row off that waits no more.
    pub(super) fn remove(&mut self, id: EventId) {
        self.waiting.retain(|waiting| waiting.id != id);
    }

    /// Calls the rows of the next run, if any have waited long enough or are enough; they come by what is received here.
    pub(super) fn call(&mut self) -> Option<mpsc::UnboundedReceiver<Turn<'a>>> {
        let called = self.next()?;
        let (together, turns) = mpsc::unbounded_channel();
        for waiting in called {
            // A row that was lost meanwhile does not hear it.
            let _ = waiting.call.send(together.clone());
        }
        Some(turns)
    }

    /// The next run's rows. Those that are run by themselves wait for nobody.
    fn next(&mut self) -> Option<Vec<Waiting<'a>>> {
        let by_itself = self.waiting.iter().position(|waiting| waiting.by_itself);
        let chosen = match by_itself {
            Some(0) => vec![0],
            _ => self.company().or(by_itself.map(|position| vec![position]))?,
        };
        // From the end, so that the positions before stay.
        let chosen = chosen.into_iter().rev();
        let mut called: Vec<_> = chosen
            .filter_map(|position| self.waiting.remove(position))
            .collect();
        called.reverse();
        Some(called)
    }

    /// Where the rows stand that may be run together now, the oldest first.
    fn company(&self) -> Option<Vec<usize>> {
        let mut room = Room::new(self.most);
        let mut chosen = Vec::new();
        let mut is_full = false;
        for (position, waiting) in self.waiting.iter().enumerate() {
            if waiting.by_itself {
                continue;
            }
            if !room.admits(waiting.bytes) {
                is_full = true;
                break;
            }
            chosen.push(position);
        }
        let oldest = self.waiting.get(*chosen.first()?)?;
        let may_go = is_full || room.is_full() || oldest.ripe_at <= Instant::now();
        may_go.then_some(chosen)
    }

    /// Returns when the oldest has waited long enough.
    pub(super) async fn patience(&self) {
        match self.waiting.front() {
            Some(oldest) => tokio::time::sleep_until(oldest.ripe_at).await,
            None => std::future::pending().await,
        }
    }
}
