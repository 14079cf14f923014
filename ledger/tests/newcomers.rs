//! What ingest is granted for events that are not in the ledger yet: it waits behind a backlog, leaves what the sweep is owed, and
//! shares N with all others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_ledger::{Asker, Control, GrantRequest, Refusal, SweepTurn, Window, decide};
use daybook_schema::Timestamp;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const EPOCH_MILLIS: i64 = 1_795_219_200_000;
const N: u32 = 50;

const SWEEP: Asker = Asker::Sweep(SweepTurn::ONLY);

/// The window that begins so many minutes after the epoch.
fn window(minute: i64) -> Window {
    let start = Timestamp::from_unix_millis(EPOCH_MILLIS + minute * 60_000).unwrap();
    Window::at(start, MINUTE)
}

/// Decides as that window begins, applies, and says what was granted.
fn grant(control: &mut Control, asker: Asker, minute: i64, wanted: u32, n: u32) -> Result<u32, Refusal> {
    let request = GrantRequest {
        window: window(minute),
        per_window: n,
        wanted,
        asker,
    };
    let (next, granted) = decide(control, &request, request.window.start)?;
    *control = next;
    Ok(granted)
}

#[test]
fn newcomers_and_ticks_share_n() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, Asker::Ingest, 0, 30, N), Ok(30));
    assert_eq!(grant(&mut control, Asker::Scheduler, 0, 30, N), Ok(20));
    assert_eq!(
        grant(&mut control, Asker::Ingest, 0, 1, N),
        Err(Refusal::WindowFull)
    );
    assert_eq!(grant(&mut control, Asker::Scheduler, 1, 30, N), Ok(30));
    assert_eq!(grant(&mut control, Asker::Ingest, 1, 30, N), Ok(20));
}

#[test]
fn newcomers_wait_while_a_note_of_a_backlog_is_at_most_ten_windows_old() {
    let noted = Control {
        backlog_at: Some(window(0).start),
        ..Control::default()
    };
    // A clock that is behind the tick's heeds its note as well; a note of one that was far ahead is none.
    for minute in -10..=10 {
        assert_eq!(
            grant(&mut noted.clone(), Asker::Ingest, minute, 5, N),
            Err(Refusal::Backlog),
            "{minute}"
        );
    }
    for minute in [-11, 11] {
        assert_eq!(
            grant(&mut noted.clone(), Asker::Ingest, minute, 5, N),
            Ok(5),
            "{minute}"
        );
    }
    for asker in [Asker::Scheduler, SWEEP] {
        assert_eq!(grant(&mut noted.clone(), asker, 1, 5, N), Ok(5), "{asker:?}");
    }
}

#[test]
fn newcomers_leave_what_the_sweep_is_owed() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, SWEEP, 0, 90, N), Ok(50));
    assert_eq!(
        grant(&mut control, Asker::Ingest, 1, 80, N),
        Ok(25),
        "half of it is owed"
    );
    assert_eq!(
        grant(&mut control, Asker::Ingest, 1, 80, N),
        Err(Refusal::WindowFull)
    );
    assert_eq!(grant(&mut control, SWEEP, 1, 40, N), Ok(25));
}

#[test]
fn with_an_n_of_one_newcomers_and_the_sweep_take_turns() {
    for sweep_first in [true, false] {
        let mut control = Control::default();
        let mut granted = [0, 0];
        for minute in 0..20 {
            let mut run = |asker: Asker| {
                let place = usize::from(asker == SWEEP);
                granted[place] += grant(&mut control, asker, minute, 5, 1).unwrap_or(0);
            };
            match sweep_first {
                true => [SWEEP, Asker::Ingest].map(&mut run),
                false => [Asker::Ingest, SWEEP].map(&mut run),
            };
        }
        // Newcomers leave no word that they come, so a sweep that is first in every window has each: they become rows, and a
        // tick asks for those.
        let expected = if sweep_first { [0, 20] } else { [10, 10] };
        assert_eq!(granted, expected, "the sweep first: {sweep_first}");
    }
}

#[test]
fn newcomers_do_not_pass_for_a_scheduler_that_wants_something() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, Asker::Ingest, 0, 5, N), Ok(5));
    assert_eq!(control.scheduled_at, None);
    // Half of the next window would be kept for it.
    assert_eq!(grant(&mut control, SWEEP, 1, 90, N), Ok(50));
}

#[test]
fn a_pause_refuses_newcomers() {
    let mut control = Control {
        paused_at: Some(window(-1).start),
        ..Control::default()
    };
    assert!(matches!(
        grant(&mut control, Asker::Ingest, 0, 5, N),
        Err(Refusal::Paused(_))
    ));
}

fn asker() -> impl Strategy<Value = Asker> {
    prop_oneof![Just(Asker::Ingest), Just(Asker::Scheduler), Just(SWEEP)]
}

proptest! {
    #[test]
    fn never_more_than_n_is_granted_in_a_window_to_all_together(
        requests in prop::collection::vec((asker(), 0i64..5, 0u32..80), 1..60), n in 0u32..70
    ) {
        let mut control = Control::default();
        let mut granted_in: BTreeMap<i64, u32> = BTreeMap::new();
        for (asker, minute, wanted) in requests {
            if let Ok(granted) = grant(&mut control, asker, minute, wanted, n) {
                prop_assert!(granted <= wanted);
                prop_assert!(granted > 0 || asker != Asker::Ingest, "nothing is written for a newcomer that gets nothing");
                *granted_in.entry(minute).or_default() += granted;
            }
        }
        for (minute, granted) in granted_in {
            prop_assert!(granted <= n, "{granted} of {n} in {minute}");
        }
    }
}
