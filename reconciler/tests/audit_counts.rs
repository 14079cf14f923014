//! What an audit says of its course: rates, times and counts, each of them exactly.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use daybook_ledger::Consumed;
use daybook_reconciler::audit::{Class, Progress, RepairCounts, Repaired, Tally, Watermark};

fn progress(listed: u64, seconds: u64) -> Progress {
    Progress {
        listed,
        list_requests: 3,
        head_requests: 4,
        ledger: Consumed {
            requests: 13,
            ..Consumed::default()
        },
        inventory: None,
        elapsed: Duration::from_secs(seconds),
    }
}

#[test]
fn a_rate_is_of_the_objects_and_the_time_that_it_took_to_list_them() {
    assert_eq!(progress(500, 10).objects_per_second(), 50.0);
    assert_eq!(progress(3, 12).objects_per_second(), 0.25);
    assert_eq!(progress(0, 10).objects_per_second(), 0.0);
    assert_eq!(progress(5, 0).objects_per_second(), 0.0, "no time has passed");
}

#[test]
fn the_time_left_is_that_of_the_other_objects_at_the_same_rate() {
    let left = |listed, seconds, objects| progress(listed, seconds).time_left(objects);
    assert_eq!(left(500, 10, 2000), Some(Duration::from_secs(30)));
    assert_eq!(left(3, 12, 5), Some(Duration::from_secs(8)));
    assert_eq!(left(500, 10, 500), Some(Duration::ZERO));
    assert_eq!(
        left(500, 10, 400),
        Some(Duration::ZERO),
        "more than were thought to be there"
    );
    assert_eq!(left(0, 10, 400), None, "nobody knows");
    assert_eq!(left(5, 0, 400), None, "nobody knows yet");
}

#[test]
fn requests_of_all_kinds_are_told_per_thousand_objects() {
    assert_eq!(progress(4000, 10).requests_per_thousand(), 5.0);
    assert_eq!(progress(0, 10).requests_per_thousand(), 20_000.0);
}

/// Classes, each with how many objects are of it.
fn counted(classes: &[(Class, u64)]) -> Tally {
    let mut tally = Tally::default();
    for (class, count) in classes {
        for _ in 0..*count {
            tally.count(class, Some(3));
        }
    }
    tally
}

#[test]
fn what_is_done_taken_out_or_in_the_ledger_is_accounted_for_and_nothing_else_is() {
    let accounted = Tally {
        objects: 10,
        done: 2,
        removed: 3,
        open: 5,
        ..Tally::default()
    };
    assert!(accounted.is_complete());
    assert!(Tally::default().is_complete(), "of no objects");
    for (class, count) in [(Class::Done, 2), (Class::Removed, 3)] {
        assert!(counted(&[(class, count)]).is_complete());
    }
    let reason = Watermark::BeforeInstallation;
    for class in [
        Class::TooNew,
        Class::Missing,
        Class::Changed,
        Class::BeforeWatermark { reason },
    ] {
        let tally = counted(&[(Class::Done, 2), (Class::Removed, 3), (class.clone(), 1)]);
        assert_eq!((tally.objects, tally.bytes), (6, 18));
        assert!(!tally.is_complete(), "{class:?}");
    }
}

#[test]
fn each_outcome_of_a_repair_is_counted_by_itself() {
    let cause = "no".to_owned();
    let outcomes = [
        Repaired::Recorded,
        Repaired::AlreadyThere,
        Repaired::Covered,
        Repaired::Changed,
        Repaired::Gone,
        Repaired::Otherwise(Class::Done),
        Repaired::NotSafe { cause },
    ];
    let mut counts = RepairCounts::default();
    for (position, outcome) in outcomes.iter().enumerate() {
        for _ in 0..=position {
            counts.count(outcome);
        }
    }
    let expected = RepairCounts {
        recorded: 1,
        already_there: 2,
        covered: 3,
        changed: 4,
        gone: 5,
        otherwise: 6,
        not_safe: 7,
    };
    assert_eq!(counts, expected);
}
