//! Counters by time, of a bounded stretch: the newest slots stay.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_schema::Timestamp;
use serde::{Deserialize, Serialize};

/// How the runs of events ended, and how long they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub struct Ends {
    /// Events that are done.
    pub done: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Events that the target put off.
    pub put_off: u64,
    /// How long these runs took together, each event of a batch as long as its batch, in milliseconds.
    pub millis: u64,
}

impl From<[u64; 4]> for Ends {
    fn from([done, failed, put_off, millis]: [u64; 4]) -> Self {
        Self {
            done,
            failed,
            put_off,
            millis,
        }
    }
}

impl From<Ends> for [u64; 4] {
    fn from(ends: Ends) -> Self {
        [ends.done, ends.failed, ends.put_off, ends.millis]
    }
}

impl Ends {
    /// How many runs of events ended.
    pub fn runs(self) -> u64 {
        self.done + self.failed + self.put_off
    }

    /// How long a run took on average; `None` where none ended.
    pub fn mean(self) -> Option<Duration> {
        self.millis.checked_div(self.runs()).map(Duration::from_millis)
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            done: self.done.saturating_add(other.done),
            failed: self.failed.saturating_add(other.failed),
            put_off: self.put_off.saturating_add(other.put_off),
            millis: self.millis.saturating_add(other.millis),
        }
    }
}

/// The ends of each slot of time, as many slots as fit. A slot without any takes no place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// The length of a slot, in milliseconds.
    length: u64,
    /// How many slots are kept.
    most: u64,
    /// By the number of the slot since the epoch.
    slots: BTreeMap<u64, Ends>,
}

impl Slots {
    /// Of that length, for that long.
    pub fn new(length: Duration, kept: Duration) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1);
        Self {
            length: millis(length),
            // The first of a stretch is seldom whole.
            most: millis(kept).div_ceil(millis(length)) + 1,
            slots: BTreeMap::new(),
        }
    }

    fn slot(&self, at: Timestamp) -> u64 {
        u64::try_from(at.unix_millis()).unwrap_or(0) / self.length
    }

    /// Counts these at that time. Whether slots of a later time were dropped, which only a clock that was ahead can have filled.
    pub fn add(&mut self, now: Timestamp, ends: Ends) -> bool {
        let slot = self.slot(now);
        let later = self.slots.split_off(&(slot + 1));
        self.slots = self.slots.split_off(&(slot + 1).saturating_sub(self.most));
        let entry = self.slots.entry(slot).or_default();
        *entry = entry.plus(ends);
        !later.is_empty()
    }

    /// Those of the newest slot of that stretch in which anything ended.
    pub fn newest(&self, now: Timestamp, stretch: Duration) -> Option<Ends> {
        let (first, last) = (self.slot(now.minus(stretch)) + 1, self.slot(now));
        let mut newest = self.slots.range(..=last).rev();
        newest
            .find(|(_, ends)| ends.runs() > 0)
            .filter(|(slot, _)| **slot >= first)
            .map(|(_, ends)| *ends)
    }

    /// How many runs were done or failed per second lately: in the whole slots of that stretch that began after `since`, back to the newest in
    /// which none was, as in a pause. The slot after that one may have begun in the middle, and is left out. `None` where fewer than
    /// two are left.
    pub fn pace(&self, since: Timestamp, now: Timestamp, stretch: Duration) -> Option<f64> {
        let ended = |slot: u64| self.slots.get(&slot).map_or(0, |ends| ends.done + ends.failed);
        let before = self.slot(now.minus(stretch)).max(self.slot(since));
        let end = self.slot(now);
        let mut first = end;
        while first > before + 1 && ended(first - 1) > 0 {
            first -= 1;
        }
        if ended(first.saturating_sub(1)) == 0 {
            first += 1;
        }
        let whole = end.checked_sub(first).filter(|whole| *whole >= 2)?;
        let runs: u64 = (first..end).map(ended).sum();
        Some(runs as f64 / Duration::from_millis(whole * self.length).as_secs_f64())
    }

    /// All of that stretch up to now. What ended in the slot that the stretch begins in is not in it.
    pub fn within(&self, now: Timestamp, stretch: Duration) -> Ends {
        let first = self.slot(now.minus(stretch)) + 1;
        let last = self.slot(now);
        if first > last {
            return Ends::default();
        }
        self.slots
            .range(first..=last)
            .fold(Ends::default(), |sum, (_, ends)| sum.plus(*ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_800_000_000_000)
            .unwrap()
            .plus(SECOND * u32::try_from(seconds).unwrap())
    }

    fn done(done: u64) -> Ends {
        Ends {
            done,
            ..Ends::default()
        }
    }

    #[test]
    fn a_stretch_has_what_ended_in_it_and_only_the_newest_slots_stay() {
        let mut slots = Slots::new(SECOND * 5, SECOND * 60);
        for second in 0..200 {
            assert!(!slots.add(at(second), done(1)));
        }
        assert_eq!(slots.slots.len(), 13);
        assert_eq!(slots.within(at(199), SECOND * 60).done, 60);
        assert_eq!(slots.within(at(199), SECOND * 10).done, 10);
        assert_eq!(slots.newest(at(250), SECOND * 60), Some(done(5)));
        assert_eq!(slots.newest(at(300), SECOND * 60), None);
        // A minute later nothing is left of it.
        assert_eq!(slots.within(at(259), SECOND * 60), Ends::default());
        assert_eq!(slots.within(at(400), SECOND * 60), Ends::default());
    }

    #[test]
    fn the_pace_is_that_of_whole_slots_since_something_ended_all_the_time() {
        let mut slots = Slots::new(SECOND * 5, SECOND * 60);
        for second in 3..30 {
            slots.add(at(second), done(10));
        }
        let pace = |slots: &Slots, since, now| slots.pace(at(since), at(now), SECOND * 60);
        assert_eq!(pace(&slots, 0, 14), None, "one whole slot");
        assert_eq!(pace(&slots, 0, 15), Some(10.0));
        assert_eq!(pace(&slots, 0, 30), Some(10.0));
        assert_eq!(pace(&slots, 19, 30), Some(10.0), "in whole slots after it");
        assert_eq!(pace(&slots, 20, 30), None);
        assert_eq!(
            pace(&slots, 0, 35),
            None,
            "nothing ended in the last five seconds"
        );
        assert_eq!(pace(&slots, 70, 30), None, "a clock that was set back");
        // A pause of ten seconds.
        for second in 42..60 {
            slots.add(at(second), done(2));
        }
        assert_eq!(pace(&slots, 0, 54), None);
        assert_eq!(pace(&slots, 0, 60), Some(2.0));
        // All of a minute, the slot that it begins in included in none.
        for second in 60..180 {
            slots.add(at(second), done(1 + second / 120));
        }
        assert_eq!(pace(&slots, 0, 180), Some(2.0));
        assert_eq!(pace(&Slots::new(SECOND, SECOND * 60), 0, 60), None);
    }

    #[test]
    fn a_clock_that_was_ahead_fills_no_slots_for_ever() {
        let mut slots = Slots::new(SECOND * 5, SECOND * 60);
        slots.add(at(100_000), done(7));
        assert_eq!(slots.within(at(10), SECOND * 60), Ends::default());
        assert!(slots.add(at(10), done(1)));
        assert!(!slots.add(at(11), done(1)));
        assert_eq!(slots.within(at(11), SECOND * 60).done, 2);
    }

    #[test]
    fn what_is_stored_is_read_again_and_a_run_has_a_mean() {
        let mut slots = Slots::new(SECOND * 60, SECOND * 3600);
        let ends = Ends {
            done: 2,
            failed: 1,
            put_off: 1,
            millis: 10_000,
        };
        slots.add(at(0), ends);
        let text = serde_json::to_string(&slots).unwrap();
        assert_eq!(serde_json::from_str::<Slots>(&text).unwrap(), slots);
        assert_eq!(ends.mean(), Some(Duration::from_millis(2500)));
        assert_eq!(Ends::default().mean(), None);
    }
}
