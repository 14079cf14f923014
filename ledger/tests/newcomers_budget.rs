//! What ingest is granted: less than the scheduler where the sweep is owed something, and nothing while rows wait.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_ledger::{Asker, Control, GrantRequest, Refusal, SweepTurn, Window, decide};
use daybook_schema::Timestamp;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    Timestamp::from_unix_millis(start.unix_millis() + second * 1000).unwrap()
}

/// Asks at that second for so many of an N of `n`.
fn ask(control: &mut Control, second: i64, n: u32, wanted: u32, asker: Asker) -> Result<u32, Refusal> {
    let now = at(second);
    let request = GrantRequest {
        window: Window::at(now, MINUTE),
        per_window: n,
        wanted,
        asker,
    };
    let (next, granted) = decide(control, &request, now)?;
    *control = next;
    Ok(granted)
}

/// Newcomers that come first in each minute, then a tick, then a sweep that wants five: what each had in eight minutes.
fn eight_minutes(n: u32, newcomers: u32) -> [u32; 3] {
    let mut control = Control::default();
    let mut had = [0; 3];
    for minute in 0..8 {
        let asks = [
            (5, newcomers, Asker::Ingest),
            (20, 5, Asker::Scheduler),
            (40, 5, Asker::Sweep(SweepTurn::ONLY)),
        ];
        for (position, (second, wanted, asker)) in asks.into_iter().enumerate() {
            had[position] += ask(&mut control, minute * 60 + second, n, wanted, asker).unwrap_or(0);
        }
    }
    had
}

#[test]
fn without_a_backlog_newcomers_have_what_is_left_of_n() {
    let mut control = Control::default();
    assert_eq!(ask(&mut control, 0, 10, 4, Asker::Ingest), Ok(4));
    assert_eq!(ask(&mut control, 1, 10, 4, Asker::Ingest), Ok(4));
    assert_eq!(ask(&mut control, 2, 10, 4, Asker::Ingest), Ok(2));
    let before = control.clone();
    assert_eq!(
        ask(&mut control, 3, 10, 4, Asker::Ingest),
        Err(Refusal::WindowFull)
    );
    assert_eq!(control, before, "a refusal leaves no word");
    assert_eq!(control.scheduled_at, None, "it is no turn of the scheduler's");
    assert_eq!(
        ask(&mut control, 4, 10, 0, Asker::Ingest),
        Err(Refusal::NothingWanted)
    );
    assert_eq!(ask(&mut control, 60, 10, 4, Asker::Ingest), Ok(4));
}

/// The sweep leaves half of N to the scheduler: were ingest left that half, the sweep would have none of it.
#[test]
fn neither_the_sweep_nor_the_scheduler_starves_beside_newcomers() {
    for n in [1, 2, 3, 5, 10] {
        let [_, scheduled, swept] = eight_minutes(n, 1000);
        assert!(swept > 0, "N of {n}: the sweep had {swept}");
        if n > 1 {
            assert!(scheduled > 0, "N of {n}: the scheduler had {scheduled}");
        }
    }
    let [newcomers, ..] = eight_minutes(100, 1000);
    assert!(newcomers > 0);
}

#[test]
fn a_sweep_that_does_not_come_keeps_newcomers_for_two_windows_more() {
    for n in [1, 10] {
        let mut control = Control::default();
        assert_eq!(ask(&mut control, 0, n, n, Asker::Scheduler), Ok(n));
        let sweep = Asker::Sweep(SweepTurn::ONLY);
        assert_eq!(ask(&mut control, 1, n, n, sweep), Ok(0), "it is owed {n}");
        for minute in 1..=3 {
            assert_eq!(
                ask(&mut control, minute * 60, n, n, Asker::Ingest),
                Err(Refusal::WindowFull),
                "N of {n}, minute {minute}"
            );
        }
        assert_eq!(ask(&mut control, 4 * 60, n, n, Asker::Ingest), Ok(n));
    }
}

#[test]
fn a_note_of_a_backlog_holds_for_ten_windows_and_one_of_the_far_future_not_at_all() {
    let noted = |second| Control {
        backlog_at: Some(at(second)),
        ..Control::default()
    };
    let asks = |noted_at, second| ask(&mut noted(noted_at), second, 10, 4, Asker::Ingest);
    assert_eq!(asks(0, 0), Err(Refusal::Backlog));
    assert_eq!(asks(0, 600), Err(Refusal::Backlog));
    assert_eq!(asks(0, 601), Ok(4));
    // Clocks may differ by ten minutes.
    assert_eq!(asks(600, 0), Err(Refusal::Backlog));
    assert_eq!(asks(601, 0), Ok(4));
    // It is nothing to the others.
    assert_eq!(ask(&mut noted(0), 0, 10, 4, Asker::Scheduler), Ok(4));
}

#[test]
fn a_pause_refuses_newcomers() {
    let mut control = Control {
        paused_at: Some(at(-1)),
        ..Control::default()
    };
    let refused = ask(&mut control, 0, 10, 4, Asker::Ingest);
    assert!(matches!(refused, Err(Refusal::Paused(_))), "{refused:?}");
}

fn asker() -> impl Strategy<Value = Asker> {
    let sweep = Asker::Sweep(SweepTurn::ONLY);
    prop_oneof![Just(Asker::Ingest), Just(Asker::Scheduler), Just(sweep)]
}

proptest! {
    #[test]
    fn never_more_than_n_is_granted_in_a_window_to_all_together(
        asks in prop::collection::vec((asker(), 0i64..5, 0u32..80), 1..60), n in 0u32..70
    ) {
        let mut control = Control::default();
        let mut granted_in: BTreeMap<i64, u32> = BTreeMap::new();
        for (asker, minute, wanted) in asks {
            if let Ok(granted) = ask(&mut control, minute * 60, n, wanted, asker) {
                prop_assert!(granted <= wanted);
                prop_assert!(granted > 0 || asker != Asker::Ingest, "a write for nothing");
                *granted_in.entry(minute).or_default() += granted;
            }
        }
        for (minute, granted) in granted_in {
            prop_assert!(granted <= n, "{granted} of {n} in {minute}");
        }
    }
}
