//! What goes into one call of the target, and how much.

use daybook_schema::{ExecutionInput, LONGEST_BATCH_INPUT, Row};

/// What a batch's input holds besides its events: `{"batch":"…","events":[]}`, in bytes.
const AROUND: usize = 64;

/// The room that is left in one call: events, and bytes of its input as a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    is_empty: bool,
    events: usize,
    bytes: usize,
}

impl Room {
    /// For at most so many events, and at most [`LONGEST_BATCH_INPUT`].
    pub(super) fn new(most: u32) -> Self {
        Self {
            is_empty: true,
            events: usize::try_from(most).unwrap_or(usize::MAX),
            bytes: LONGEST_BATCH_INPUT - AROUND,
        }
    }

    /// Whether an event of so many bytes goes into it, which it does then. The first one always does.
    pub(super) fn admits(&mut self, bytes: usize) -> bool {
        let fits = self.events > 0 && bytes <= self.bytes;
        if !fits && !self.is_empty {
            return false;
        }
        self.is_empty = false;
        self.events = self.events.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }

    /// Whether no further event can go into it.
    pub(super) fn is_full(&self) -> bool {
        self.events == 0
    }
}

/// Whether the row goes into no company: it failed together with others, or a process ended with it.
pub(super) fn is_run_by_itself(row: &Row) -> bool {
    row.alone || row.deaths > 0
}

/// What an event takes of a batch's input, its comma included, in bytes.
pub(super) fn bytes_of(event: &ExecutionInput) -> usize {
    event.to_json().len() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_so_many_events_and_bytes_and_always_one() {
        let mut room = Room::new(3);
        assert_eq!(
            [1, 1, 1, 1].map(|bytes| room.admits(bytes)),
            [true, true, true, false]
        );
        let mut room = Room::new(100);
        let half = LONGEST_BATCH_INPUT / 2;
        assert_eq!(
            [half, half, 100].map(|bytes| room.admits(bytes)),
            [true, false, true]
        );
        let mut room = Room::new(100);
        assert!(room.admits(LONGEST_BATCH_INPUT + 1) && !room.admits(1));
    }
}
