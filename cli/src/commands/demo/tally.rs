//! What has happened so far, as the movers report it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use daybook_ledger::{Recorded, Window};
use daybook_schema::{EventId, Timestamp};

/// The movers' reports, added up.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// The counts.
#[derive(Debug, Default)]
pub struct Counts {
    /// Events that became rows.
    pub recorded: u32,
    /// Notifications of events that had a row, or a receipt, already.
    pub already_there: u32,
    /// Messages sent for the first time.
    pub sent: u32,
    /// Messages sent again by the sweep.
    pub redelivered: u32,
    /// Messages that were in the dispatch queue when it was lost, and that nobody had received.
    pub lost: u32,
    /// Events whose rows were parked.
    pub parked: u32,
    /// Events that are done.
    pub done: BTreeSet<EventId>,
    /// What went wrong on the way, and how often.
    pub failures: BTreeMap<String, u32>,
    windows: BTreeMap<Timestamp, u32>,
    first_window: Option<Timestamp>,
}

impl Counts {
    /// Events that were sent and are not done.
    pub fn in_flight(&self) -> u32 {
        self.sent.saturating_sub(self.done() + self.parked)
    }

    /// Events that no window has had room for yet.
    pub fn waiting(&self) -> u32 {
        self.recorded.saturating_sub(self.sent)
    }

    /// Messages that were lost and not sent again yet.
    pub fn gone(&self) -> u32 {
        self.lost.saturating_sub(self.redelivered)
    }

    /// What was sent in the window before that one.
    pub fn sent_before(&self, window: Window) -> u32 {
        let before = self.windows.range(..window.start).next_back();
        before.map_or(0, |(_, sent)| *sent)
    }

    /// Events that are done.
    pub fn done(&self) -> u32 {
        u32::try_from(self.done.len()).unwrap_or(u32::MAX)
    }

    /// What was sent in each window, from the first in which anything was to the last.
    pub fn windows(&self, every: Duration) -> Vec<u32> {
        let mut busy = self.windows.iter().filter(|(_, sent)| **sent > 0);
        let Some((first, _)) = busy.next() else {
            return Vec::new();
        };
        let last = busy.next_back().map_or(first, |(last, _)| last);
        let mut windows = Vec::new();
        let mut start = *first;
        while start <= *last {
            windows.push(self.windows.get(&start).copied().unwrap_or(0));
            start = start.plus(every);
        }
        windows
    }
}

impl Tally {
    /// The counts, to read.
    pub fn read(&self) -> MutexGuard<'_, Counts> {
        // A count is a number whatever panicked beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of recording one event.
    pub fn recorded(&self, outcome: &Recorded) {
        let mut counts = self.read();
        match outcome {
            Recorded::Recorded => counts.recorded += 1,
            Recorded::AlreadyThere | Recorded::Covered => counts.already_there += 1,
            Recorded::Rejected(_) | Recorded::Throttled(_) | Recorded::Unknown(_) => {}
        }
    }

    /// Messages were sent for the first time.
    pub fn sent(&self, window: Window, messages: u32) {
        let mut counts = self.read();
        counts.sent += messages;
        *counts.windows.entry(window.start).or_default() += messages;
    }

    /// Messages were sent again.
    pub fn redelivered(&self, window: Window, messages: u32) {
        let mut counts = self.read();
        counts.redelivered += messages;
        *counts.windows.entry(window.start).or_default() += messages;
    }

    /// The dispatch queue was lost with so many messages.
    pub fn lost(&self, messages: u32) {
        self.read().lost += messages;
    }

    /// An event is done.
    pub fn done(&self, id: EventId) {
        self.read().done.insert(id);
    }

    /// An event waits for a person.
    pub fn parked(&self) {
        self.read().parked += 1;
    }

    /// Something went wrong; whether for the first time.
    pub fn failure(&self, what: &str) -> bool {
        let mut counts = self.read();
        let times = counts.failures.entry(what.to_owned()).or_default();
        *times += 1;
        *times == 1
    }

    /// The window's number, counted from the first one that was asked for.
    pub fn number(&self, window: Window) -> u128 {
        let first = *self.read().first_window.get_or_insert(window.start);
        window.start.since(first).as_millis() / window.length.as_millis().max(1) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_windows_count_only_between_busy_ones() {
        let tally = Tally::default();
        let every = Duration::from_secs(2);
        let window = |n: i64| Window {
            start: Timestamp::from_unix_millis(n * 2000).unwrap(),
            length: every,
        };
        assert!(tally.read().windows(every).is_empty());
        tally.sent(window(5), 0);
        tally.sent(window(6), 50);
        tally.sent(window(9), 1);
        tally.redelivered(window(9), 2);
        tally.sent(window(10), 0);
        assert_eq!(tally.read().windows(every), [50, 0, 0, 3]);
        assert_eq!((tally.number(window(5)), tally.number(window(9))), (1, 5));
    }
}
