//! What an audit says of its course: rates, times and counts, each of them exactly.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use daybook_ledger::Consumed;
use daybook_reconciler::audit::{
    AuditOutcome, Class, Progress, RepairCounts, Repaired, Tally, Verdict, Watermark,
};

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
        Class::MayWait,
        Class::Changed,
        Class::BeforeWatermark { reason },
    ] {
        let tally = counted(&[(Class::Done, 2), (Class::Removed, 3), (class.clone(), 1)]);
        assert_eq!((tally.objects, tally.bytes), (6, 18));
        assert!(!tally.is_complete(), "{class:?}");
    }
}

/// So many of each outcome: none as often as another.
fn repairs() -> RepairCounts {
    let not_safe = Repaired::NotSafe { cause: "no".into() };
    let outcomes = [
        Repaired::Recorded,
        Repaired::AlreadyThere,
        Repaired::Covered,
        Repaired::Removed,
        Repaired::Changed,
        Repaired::Gone,
        Repaired::MayWait,
        not_safe,
    ];
    let mut counts = RepairCounts::default();
    for (position, outcome) in outcomes.iter().enumerate() {
        for _ in 0..1 << position {
            counts.count(outcome);
        }
    }
    counts
}

#[test]
fn each_outcome_of_a_repair_is_counted_by_itself() {
    let expected = RepairCounts {
        recorded: 1,
        already_there: 2,
        covered: 4,
        removed: 8,
        changed: 16,
        gone: 32,
        may_wait: 64,
        not_safe: 128,
    };
    assert_eq!(repairs(), expected);
    assert_eq!(expected.accounted_for(), 15);
    assert_eq!(expected.settled(), 63);
    // A checkpoint of the release before has a count that is no more, and lacks another.
    let text =
        r#"{"recorded":3,"already_there":0,"covered":0,"changed":0,"gone":0,"otherwise":2,"not_safe":1}"#;
    let read: RepairCounts = serde_json::from_str(text).unwrap();
    assert_eq!((read.recorded, read.removed, read.not_safe), (3, 0, 1));
}

/// A finished audit of so many missing objects, with those repairs.
fn outcome(tally: &Tally, repair: Option<RepairCounts>) -> AuditOutcome<'_> {
    AuditOutcome {
        tally,
        gone: 0,
        unreadable: 0,
        repair,
        backfill: None,
        is_finished: true,
    }
}

#[test]
fn what_is_missing_is_left_until_a_repair_has_settled_it() {
    let tally = Tally {
        objects: 1000,
        missing: 1000,
        ..Tally::default()
    };
    assert_eq!(outcome(&tally, None).missing_left(), 1000);
    let repaired = outcome(&tally, Some(repairs()));
    assert_eq!((repaired.missing_left(), repaired.may_wait()), (1000 - 127, 64));
    assert_eq!(repaired.verdict(), Verdict::Missing);
}

#[test]
fn an_audit_is_complete_if_it_is_finished_and_every_object_accounted_for() {
    let tally = Tally {
        objects: 41,
        done: 2,
        removed: 3,
        open: 5,
        missing: 31,
        ..Tally::default()
    };
    let repair = RepairCounts {
        recorded: 7,
        already_there: 8,
        covered: 10,
        removed: 6,
        ..RepairCounts::default()
    };
    let complete = outcome(&tally, Some(repair));
    assert!(complete.is_complete());
    let unfinished = AuditOutcome {
        is_finished: false,
        ..complete
    };
    assert!(!unfinished.is_complete());
    let unreadable = AuditOutcome {
        unreadable: 1,
        ..complete
    };
    assert!(!unreadable.is_complete(), "an entry could not be read");
    let one_more = Tally { objects: 42, ..tally };
    assert!(!outcome(&one_more, Some(repair)).is_complete());
    // What a backfill records is in the ledger, too.
    let backfill = RepairCounts {
        recorded: 1,
        ..RepairCounts::default()
    };
    let backfilled = AuditOutcome {
        backfill: Some(backfill),
        ..outcome(&one_more, Some(repair))
    };
    assert!(backfilled.is_complete());
}

#[test]
fn the_verdict_is_missing_before_undetermined_and_accounted_only_without_both() {
    let missing = Tally {
        objects: 1,
        missing: 1,
        ..Tally::default()
    };
    let of_one = |count: fn(&mut RepairCounts)| {
        let mut counts = RepairCounts::default();
        count(&mut counts);
        outcome(&missing, Some(counts)).verdict()
    };
    assert_eq!(outcome(&missing, None).verdict(), Verdict::Missing);
    assert_eq!(of_one(|counts| counts.not_safe = 1), Verdict::Missing);
    let settling: [fn(&mut RepairCounts); 6] = [
        |counts| counts.recorded = 1,
        |counts| counts.already_there = 1,
        |counts| counts.covered = 1,
        |counts| counts.removed = 1,
        |counts| counts.changed = 1,
        |counts| counts.gone = 1,
    ];
    for count in settling {
        assert_eq!(of_one(count), Verdict::Accounted);
    }
    assert_eq!(of_one(|counts| counts.may_wait = 1), Verdict::Undetermined);
    let may_wait = Tally {
        objects: 1,
        may_wait: 1,
        ..Tally::default()
    };
    let waiting = outcome(&may_wait, None);
    assert_eq!(
        (waiting.missing_left(), waiting.is_complete(), waiting.verdict()),
        (0, false, Verdict::Undetermined)
    );
    let unknown = Tally {
        objects: 2,
        missing: 1,
        unknown: 1,
        ..Tally::default()
    };
    assert_eq!(outcome(&unknown, None).verdict(), Verdict::Missing);
    let without = Tally {
        missing: 0,
        ..unknown
    };
    assert_eq!(outcome(&without, None).verdict(), Verdict::Undetermined);
    let nothing = Tally::default();
    let unreadable = AuditOutcome {
        unreadable: 1,
        ..outcome(&nothing, None)
    };
    assert_eq!(unreadable.verdict(), Verdict::Undetermined);
    let not_backfilled = AuditOutcome {
        backfill: Some(RepairCounts {
            not_safe: 1,
            ..RepairCounts::default()
        }),
        ..outcome(&nothing, None)
    };
    assert_eq!(not_backfilled.verdict(), Verdict::Undetermined);
    assert_eq!(outcome(&nothing, None).verdict(), Verdict::Accounted);
    let verdicts = [Verdict::Accounted, Verdict::Undetermined, Verdict::Missing];
    assert_eq!(verdicts.map(Verdict::exit_code), [0, 1, 3]);
}
