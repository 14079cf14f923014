//! What only a folder of this machine has: writes that its disk takes, and a target in the same process.

use daybook_ledger::Cause;
use daybook_schema::Timestamp;

use crate::activity::slots::Ends;
use crate::activity::{Activity, Stretch};
use crate::checks::check::Check;
use crate::checks::finding::Item;
use crate::wording::{text, time};

/// Whether the ledger of a folder took a write that was tried, as intake would.
pub fn writes(tried: Result<(), Cause>) -> Item {
    match tried {
        Ok(()) => Item::ok(&Check::Writes, "the ledger takes them"),
        Err(cause) => Item::problem(
            &Check::Writes,
            format!("the ledger takes no writes: {}", cause.words()),
            "is the folder's disk full or gone, or does `ulimit -f` bound its file? Make room; `daybook up` goes on by itself, or says that it must be restarted. \
             Senders get 503 until then, and nothing that was acknowledged is lost",
        ),
    }
}

/// Whether a folder's target takes events: as far as its outage goes back, or by what ended in the last minute, or in the newest minute in
/// which anything did. `None` where nothing ended lately, or it does.
pub fn target(activity: &Activity, now: Timestamp) -> Option<Item> {
    let says_later = "it cannot be reached, or says later";
    let times = |ends: Ends| text::many(ends.put_off, "time");
    let minute = activity.lately(now, Stretch::Minute).ends;
    let newest = activity.newest(now).unwrap_or_default();
    let took = |ends: Ends| ends.done + ends.failed;
    let finding = match activity.outage(now) {
        Some(since) => format!(
            "it has put off every event since {}: {says_later}",
            time::at(since, now)
        ),
        None if minute.put_off > took(minute) => format!(
            "in the last minute it put events off {}, and worked on {}: {says_later}",
            times(minute),
            took(minute)
        ),
        None if newest.put_off > 0 && took(newest) == 0 => {
            let times = times(newest);
            format!("it put events off {times} and worked on none when it was last asked: {says_later}")
        }
        None => return None,
    };
    Some(Item::warning(
        &Check::Target,
        finding,
        "`daybook why` and the log of `daybook up` have its answer. No attempt is used, and events are sent again by themselves once it is there",
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        let begin = Timestamp::from_unix_millis(1_800_000_000_000).unwrap();
        begin.plus(Duration::from_secs(seconds))
    }

    /// Of a target that took so many and put off so many, at these seconds.
    fn activity(ends: &[(u64, u64, u64)]) -> Activity {
        let mut activity = Activity::begin(7, at(0), None);
        for (seconds, done, put_off) in ends {
            let ends = Ends {
                done: *done,
                put_off: *put_off,
                ..Ends::default()
            };
            activity.count(at(*seconds), ends);
        }
        activity
    }

    fn said_of(activity: &Activity) -> Option<String> {
        target(activity, at(100)).map(|item| item.finding)
    }

    /// What is said of it at 100 s.
    fn said(ends: &[(u64, u64, u64)]) -> Option<String> {
        said_of(&activity(ends))
    }

    #[test]
    fn a_target_that_takes_nothing_or_little_is_said_to_from_the_minute_in_which_it_begins() {
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[(10, 5, 0), (95, 90, 10)]), None);
        // In the same minute it took many.
        let outage = said(&[(70, 500, 0), (80, 0, 30), (99, 0, 30)]).unwrap();
        assert!(
            outage.starts_with("it has put off every event since "),
            "{outage}"
        );
        let little = said(&[(70, 88, 0), (80, 0, 456), (95, 1, 0)]).unwrap();
        assert!(
            little.starts_with("in the last minute it put events off 456 times, and worked on 89"),
            "{little}"
        );
        // Another process has not asked it yet.
        let before = activity(&[(10, 0, 30)]).written(at(20), true);
        let newest = said_of(&Activity::begin(8, at(90), Some(before))).unwrap();
        assert!(
            newest.starts_with("it put events off 30 times and worked on none"),
            "{newest}"
        );
    }
}
