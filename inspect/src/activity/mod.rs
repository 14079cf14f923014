//! What a `daybook up` does and did lately: what runs now, and what was done and failed in the last minute, hour and day. `up` counts it and
//! keeps it beside the ledger; verbs read it there, and a page or a scrape of metrics in `up` reads it in memory.

pub mod completions;
pub mod output;
pub mod slots;

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_schema::{Attempt, EventId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::activity::slots::{Ends, Slots};

/// The stretches that are told, the shortest first.
pub const STRETCHES: [Stretch; 3] = [Stretch::Minute, Stretch::Hour, Stretch::Day];

/// How long the fine slots are, and how long they are kept.
const FINE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// The same of the coarse ones.
const COARSE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 3600));

/// A target that took events a moment ago may put off the next few without being down.
const OUTAGE_AFTER: Duration = Duration::from_secs(10);

/// A stretch of time that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// 60 seconds, to 5 seconds.
    Minute,
    /// 60 minutes, to the minute.
    Hour,
    /// 24 hours, to the minute.
    Day,
}

/// What runs of a worker's process ended with, by time, and what runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// The process that wrote it.
    pub pid: u32,
    /// When it was written.
    pub written_at: Timestamp,
    /// Since when ends are counted.
    since: Timestamp,
    /// The newest time at which ends may have been lost: a process was killed before it wrote them, or a clock was set back.
    lost: Option<Timestamp>,
    /// Whether the process wrote it at its end, and so lost nothing.
    is_whole: bool,
    /// When a run ended last.
    pub last_end: Option<Timestamp>,
    /// Since when the target has put off every event that it was given.
    #[serde(default)]
    puts_off_since: Option<Timestamp>,
    fine: Slots,
    coarse: Slots,
    /// What runs in the process.
    pub running: BTreeMap<EventId, Running>,
}

/// A run that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The event's attempt.
    pub attempt: Attempt,
    /// When the target was called.
    pub since: Timestamp,
}

/// What ended in a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lately {
    /// What ended in it.
    pub ends: Ends,
    /// Whether that is all; otherwise there were at least so many.
    pub is_exact: bool,
    /// Since when ends are counted, where that is later than the beginning of the stretch.
    pub since: Option<Timestamp>,
}

impl Stretch {
    /// Its length.
    pub fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 24 * 3600,
        })
    }

    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }
}

impl Activity {
    /// Of a process that begins now; `before` is what the last one wrote. What that one may not have written is lost.
    pub fn begin(pid: u32, now: Timestamp, before: Option<Self>) -> Self {
        let Some(before) = before else {
            return Self {
                pid,
                written_at: now,
                since: now,
                lost: None,
                is_whole: false,
                last_end: None,
                puts_off_since: None,
                fine: Slots::new(FINE.0, FINE.1),
                coarse: Slots::new(COARSE.0, COARSE.1),
                running: BTreeMap::new(),
            };
        };
        Self {
            pid,
            lost: match before.is_whole {
                true => before.lost,
                false => Some(now),
            },
            is_whole: false,
            // It may have another target.
            puts_off_since: None,
            running: BTreeMap::new(),
            ..before
        }
    }

    /// Counts runs that ended.
    pub fn count(&mut self, now: Timestamp, ends: Ends) {
        self.last_end = Some(now);
        self.puts_off_since = match (ends.done + ends.failed, ends.put_off) {
            (0, 0) => self.puts_off_since,
            (0, _) => self.puts_off_since.or(Some(now)),
            _ => None,
        };
        let fine = self.fine.add(now, ends);
        let coarse = self.coarse.add(now, ends);
        if fine || coarse {
            self.lost = Some(now);
        }
    }

    /// As it was read beside the ledger. What its process did since it wrote this is lost, unless that process `still_writes`, or wrote
    /// it at its end.
    pub fn as_read(self, still_writes: bool, now: Timestamp) -> Self {
        match still_writes || self.is_whole {
            true => self,
            false => Self {
                lost: Some(now),
                ..self
            },
        }
    }

    /// As it is written, now: at the end of its process, or in the middle.
    pub fn written(&self, now: Timestamp, is_end: bool) -> Self {
        Self {
            written_at: now,
            is_whole: is_end,
            ..self.clone()
        }
    }

    /// What ended in that stretch.
    pub fn lately(&self, now: Timestamp, stretch: Stretch) -> Lately {
        let slots = match stretch {
            Stretch::Minute => &self.fine,
            Stretch::Hour | Stretch::Day => &self.coarse,
        };
        let begin = now.minus(stretch.length());
        Lately {
            ends: slots.within(now, stretch.length()),
            is_exact: self.lost.is_none_or(|lost| lost < begin),
            since: Some(self.since).filter(|since| *since > begin),
        }
    }

    /// What ended in the newest minute in which anything did, of the last hour.
    pub fn newest(&self, now: Timestamp) -> Option<Ends> {
        self.coarse.newest(now, Stretch::Hour.length())
    }

    /// How many runs were done or failed per second of the last minute, after `since` and after the newest five seconds in which none was; `None`
    /// where that is not long enough to say.
    pub fn pace(&self, since: Timestamp, now: Timestamp) -> Option<f64> {
        self.fine.pace(since, now, Stretch::Minute.length())
    }

    /// Since when the target takes nothing, if it puts off all that it is given: for ten seconds, or it took nothing in the minute before
    /// either. One that says later now and then is none of these.
    pub fn outage(&self, now: Timestamp) -> Option<Timestamp> {
        let since = self.puts_off_since?;
        let took_none = || {
            let minute = self.lately(now, Stretch::Minute).ends;
            minute.done + minute.failed == 0
        };
        (now.since(since) >= OUTAGE_AFTER || took_none()).then_some(since)
    }

    /// How long a run takes on average, by the shortest stretch in which any ended.
    pub fn mean_run(&self, now: Timestamp) -> Option<Duration> {
        let mut means = STRETCHES
            .iter()
            .map(|stretch| self.lately(now, *stretch).ends.mean());
        means.find_map(|mean| mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_800_000_000_000)
            .unwrap()
            .plus(Duration::from_secs(seconds))
    }

    fn done(done: u64) -> Ends {
        Ends {
            done,
            millis: done * 1000,
            ..Ends::default()
        }
    }

    fn again(activity: &Activity, now: Timestamp, is_end: bool) -> Activity {
        let text = serde_json::to_string(&activity.written(now, is_end)).unwrap();
        Activity::begin(8, now, Some(serde_json::from_str(&text).unwrap()))
    }

    #[test]
    fn a_stretch_that_began_before_the_counting_says_since_when_it_is_known() {
        let mut activity = Activity::begin(7, at(0), None);
        activity.count(at(10), done(3));
        activity.count(at(100), done(2));
        let minute = activity.lately(at(100), Stretch::Minute);
        assert_eq!((minute.ends.done, minute.since), (2, None));
        let hour = activity.lately(at(100), Stretch::Hour);
        assert_eq!(
            (hour.ends.done, hour.since, hour.is_exact),
            (5, Some(at(0)), true)
        );
        assert_eq!(activity.lately(at(4000), Stretch::Hour).since, None);
    }

    #[test]
    fn a_restart_loses_nothing_after_a_good_end_and_a_kill_makes_the_counts_at_least() {
        let mut activity = Activity::begin(7, at(0), None);
        activity.count(at(10), done(3));
        let activity = again(&activity, at(20), true);
        let hour = activity.lately(at(30), Stretch::Hour);
        assert_eq!((hour.ends.done, hour.is_exact), (3, true));
        let killed = again(&activity, at(40), false);
        let hour = killed.lately(at(50), Stretch::Hour);
        assert_eq!((hour.ends.done, hour.is_exact), (3, false));
        assert!(killed.lately(at(101), Stretch::Minute).is_exact);
        assert!(!killed.lately(at(101), Stretch::Hour).is_exact);
    }

    #[test]
    fn what_a_process_did_since_it_wrote_is_counted_as_lost_unless_it_still_writes_or_ended_well() {
        let mut activity = Activity::begin(7, at(0), None);
        activity.count(at(10), done(3));
        let exact = |is_end, still_writes| {
            let read = activity.written(at(11), is_end).as_read(still_writes, at(20));
            read.lately(at(20), Stretch::Hour).is_exact
        };
        assert_eq!((exact(false, true), exact(true, false)), (true, true));
        assert!(!exact(false, false), "killed, or its disk is full");
    }

    #[test]
    fn a_target_that_puts_off_all_is_out_since_the_first_of_them_until_it_takes_one_or_another_process_begins()
     {
        let put_off = Ends {
            put_off: 1,
            ..Ends::default()
        };
        let mut activity = Activity::begin(7, at(0), None);
        assert_eq!(activity.outage(at(0)), None);
        activity.count(at(1), put_off);
        assert_eq!(activity.outage(at(1)), Some(at(1)), "it never took any");
        activity.count(at(20), done(1));
        assert_eq!(activity.outage(at(20)), None);
        activity.count(at(21), put_off);
        assert_eq!(activity.outage(at(30)), None, "it took one a moment ago");
        activity.count(at(30), put_off);
        assert_eq!(activity.outage(at(31)), Some(at(21)));
        let again = again(&activity, at(40), true);
        assert_eq!(again.outage(at(400)), None);
    }

    #[test]
    fn a_day_of_full_minutes_is_bounded_and_small() {
        let mut activity = Activity::begin(7, at(0), None);
        for minute in 0..5000 {
            activity.count(at(minute * 60), done(1_000_000));
        }
        let text = serde_json::to_string(&activity).unwrap();
        assert!(text.len() < 100_000, "{}", text.len());
        let day = activity.lately(at(4999 * 60), Stretch::Day);
        assert_eq!(day.ends.done, 1440 * 1_000_000);
        assert_eq!(activity.mean_run(at(4999 * 60)), Some(Duration::from_secs(1)));
    }
}
