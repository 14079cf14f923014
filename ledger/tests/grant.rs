//! The budget as a pure function: N per window, whatever the order of the runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_ledger::{Asker, Control, GrantRequest, Pause, Refusal, SweepTurn, Window, decide};
use daybook_schema::Timestamp;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);
const EPOCH_MILLIS: i64 = 1_795_219_200_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_millis(EPOCH_MILLIS + second * 1000).unwrap()
}

/// The window that begins so many minutes after the epoch.
fn window(minute: i64) -> Window {
    Window::at(at(minute * 60), MINUTE)
}

fn asks(minute: i64, wanted: u32) -> GrantRequest {
    GrantRequest {
        window: window(minute),
        per_window: 50,
        wanted,
        asker: Asker::Scheduler,
    }
}

fn redelivers(minute: i64, wanted: u32) -> GrantRequest {
    GrantRequest {
        asker: Asker::Sweep(SweepTurn::ONLY),
        ..asks(minute, wanted)
    }
}

/// Decides as the window begins, applies, and says what was granted.
fn grant(control: &mut Control, request: &GrantRequest) -> Result<u32, Refusal> {
    grant_at(request.window.start, control, request)
}

fn grant_at(now: Timestamp, control: &mut Control, request: &GrantRequest) -> Result<u32, Refusal> {
    let (next, granted) = decide(control, request, now)?;
    *control = next;
    Ok(granted)
}

#[test]
fn a_window_grants_what_is_wanted_until_n_is_spent() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, &asks(0, 30)), Ok(30));
    assert_eq!(grant(&mut control, &asks(0, 30)), Ok(20));
    assert_eq!(grant(&mut control, &asks(0, 30)), Err(Refusal::WindowFull));
    assert_eq!(grant(&mut control, &asks(1, 80)), Ok(50));
}

#[test]
fn a_late_run_spends_its_own_window_and_not_the_current_one() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, &asks(0, 10)), Ok(10));
    assert_eq!(grant(&mut control, &asks(1, 20)), Ok(20));
    assert_eq!(grant(&mut control, &asks(0, 50)), Ok(40));
    assert_eq!(grant(&mut control, &asks(0, 1)), Err(Refusal::WindowFull));
    assert_eq!(grant(&mut control, &asks(1, 50)), Ok(30));
}

#[test]
fn a_late_run_for_a_window_in_which_nothing_was_asked_has_all_of_it() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, &asks(5, 50)), Ok(50));
    assert_eq!(grant(&mut control, &asks(4, 60)), Ok(50));
    assert_eq!(grant(&mut control, &asks(4, 1)), Err(Refusal::WindowFull));
}

#[test]
fn a_run_two_windows_late_is_told_that_its_window_passed() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, &asks(0, 1)), Ok(1));
    assert_eq!(grant(&mut control, &asks(2, 1)), Ok(1));
    assert_eq!(grant(&mut control, &asks(0, 1)), Err(Refusal::WindowPassed));
}

#[test]
fn a_window_far_ahead_of_the_clock_is_refused_and_the_next_one_is_not() {
    let century = 100 * 365 * 24 * 60;
    let mut control = Control::default();
    for minute in [11, 60, century] {
        for request in [asks(minute, 5), redelivers(minute, 5), redelivers(minute, 0)] {
            assert_eq!(
                grant_at(at(0), &mut control, &request),
                Err(Refusal::WindowAhead),
                "{minute}"
            );
        }
    }
    assert_eq!(control, Control::default());
    assert_eq!(grant_at(at(0), &mut control, &asks(10, 5)), Ok(5));
    let hour = Duration::from_secs(3600);
    let hourly = |hours: i64| GrantRequest {
        window: Window::at(at(hours * 3600), hour),
        ..asks(0, 5)
    };
    let now = hourly(0).window.start;
    assert_eq!(
        grant_at(now, &mut Control::default(), &hourly(2)),
        Err(Refusal::WindowAhead)
    );
    assert_eq!(grant_at(now, &mut Control::default(), &hourly(1)), Ok(5));
}

#[test]
fn a_grant_of_a_clock_that_was_years_ahead_costs_one_window() {
    let mut control = Control::default();
    let years = 3 * 365 * 24 * 60;
    assert_eq!(grant(&mut control, &asks(0, 50)), Ok(50));
    // Its own clock says so.
    assert_eq!(grant(&mut control, &asks(years, 7)), Ok(7));
    assert_eq!(grant(&mut control, &redelivers(years, 90)), Ok(43));
    assert_eq!(control.owed, 47);
    // Nobody knows any more what was granted in this window and in the one before.
    assert_eq!(grant(&mut control, &asks(1, 5)), Ok(0), "written all the same");
    assert_eq!(control.window, Some(window(1).start));
    assert_eq!(
        (control.owed, control.owed_at, control.redelivered_at),
        (0, None, None)
    );
    for minute in [0, 1] {
        assert_eq!(grant(&mut control, &asks(minute, 5)), Err(Refusal::WindowFull));
    }
    assert_eq!(grant(&mut control, &asks(2, 80)), Ok(50));
    assert_eq!(grant(&mut control, &asks(3, 80)), Ok(50));
}

#[test]
fn a_late_run_after_a_clock_that_was_ahead_leaves_the_current_window_spent() {
    let wanted = [
        asks(4, 5),
        redelivers(4, 5),
        asks(5, 5),
        redelivers(5, 5),
        asks(6, 5),
    ];
    for (wanted, window_millis) in wanted
        .iter()
        .flat_map(|wanted| [(wanted, 60_000), (wanted, 3_600_000)])
    {
        let mut control = Control {
            window: Some(at(1_000_000)),
            window_millis,
            granted: 3,
            ..Control::default()
        };
        let now = at(5 * 60 + 59);
        assert_eq!(grant_at(now, &mut control, wanted), Ok(0));
        for minute in [4, 5] {
            let more = grant_at(now, &mut control, &asks(minute, 5));
            assert!(
                matches!(more, Ok(0) | Err(_)),
                "{wanted:?}, then {minute}: {more:?}"
            );
        }
        assert_eq!(grant_at(at(7 * 60), &mut control, &asks(7, 50)), Ok(50));
    }
}

#[test]
fn what_one_clock_granted_no_clock_forgets_that_is_ten_minutes_behind() {
    let mut control = Control::default();
    assert_eq!(grant_at(at(0), &mut control, &asks(10, 50)), Ok(50));
    assert_eq!(
        grant_at(at(-600), &mut control, &asks(-10, 50)),
        Err(Refusal::WindowPassed)
    );
    assert_eq!(
        grant_at(at(0), &mut control, &asks(10, 1)),
        Err(Refusal::WindowFull)
    );
}

#[test]
fn windows_of_another_length_do_not_share_a_late_budget() {
    let half = Duration::from_secs(30);
    for begins in [60, 90] {
        let mut control = Control::default();
        let shorter = GrantRequest {
            window: Window::at(at(begins), half),
            ..asks(0, 10)
        };
        assert_eq!(grant(&mut control, &shorter), Ok(10));
        assert_eq!(grant(&mut control, &asks(0, 10)), Err(Refusal::WindowPassed));
    }
}

#[test]
fn a_pause_refuses_everybody_until_it_ends() {
    let mut control = Control {
        paused_at: Some(at(-60)),
        paused_until: Some(at(60)),
        paused_by: Some("kim".into()),
        paused_why: Some("the target is down".into()),
        ..Control::default()
    };
    let pause = Pause {
        until: Some(at(60)),
        by: "kim".into(),
        why: "the target is down".into(),
    };
    for request in [asks(0, 5), redelivers(0, 5), asks(0, 0)] {
        assert_eq!(
            decide(&control, &request, at(59)),
            Err(Refusal::Paused(pause.clone()))
        );
    }
    assert_eq!(
        decide(&control, &asks(0, 5), at(60)).map(|(_, granted)| granted),
        Ok(5)
    );
    control.paused_until = None;
    assert!(matches!(
        decide(&control, &asks(0, 5), at(1_000_000)),
        Err(Refusal::Paused(_))
    ));
}

#[test]
fn nothing_wanted_is_nothing_written() {
    assert_eq!(
        decide(&Control::default(), &asks(0, 0), at(0)),
        Err(Refusal::NothingWanted)
    );
    assert_eq!(
        decide(&Control::default(), &redelivers(0, 0), at(0)),
        Err(Refusal::NothingWanted)
    );
}

#[test]
fn n_as_set_while_running_takes_the_place_of_the_configured_one() {
    let mut control = Control {
        per_window: Some(3),
        ..Control::default()
    };
    assert_eq!(grant(&mut control, &asks(0, 10)), Ok(3));
    control.per_window = Some(0);
    assert_eq!(grant(&mut control, &asks(1, 10)), Err(Refusal::WindowFull));
    control.per_window = None;
    assert_eq!(grant(&mut control, &asks(1, 60)), Ok(50));
}

#[test]
fn lowering_n_below_what_was_granted_refuses_and_does_not_underflow() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, &asks(0, 40)), Ok(40));
    control.per_window = Some(10);
    assert_eq!(grant(&mut control, &asks(0, 40)), Err(Refusal::WindowFull));
}

#[test]
fn a_sweep_without_budget_is_owed_up_to_half_of_the_next_window() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, &asks(0, 50)), Ok(50));
    assert_eq!(
        grant(&mut control, &redelivers(0, 200)),
        Ok(0),
        "written all the same"
    );
    assert_eq!(control.owed, 200);
    assert_eq!(grant(&mut control, &asks(1, 50)), Ok(25));
    assert_eq!(grant(&mut control, &redelivers(1, 200)), Ok(25));
    assert_eq!(control.owed, 175);
    // The scheduler wanted something just before: its half is its own until it has come.
    assert_eq!(grant(&mut control, &redelivers(2, 150)), Ok(25));
    assert_eq!(grant(&mut control, &asks(2, 5)), Ok(5));
    assert_eq!(
        grant(&mut control, &redelivers(2, 125)),
        Ok(20),
        "and no more than it wants"
    );
    // It wants nothing any more: redeliveries may use whole windows.
    assert_eq!(grant(&mut control, &redelivers(6, 105)), Ok(50));
    assert_eq!(grant(&mut control, &redelivers(7, 55)), Ok(50));
}

#[test]
fn with_an_n_of_more_than_one_a_sweep_may_take_all_of_it_window_after_window() {
    let mut control = Control::default();
    for minute in 0..3 {
        assert_eq!(grant(&mut control, &redelivers(minute, 50)), Ok(50), "{minute}");
    }
}

#[test]
fn a_sweep_that_got_a_part_is_owed_the_rest_of_the_next_window() {
    let mut control = Control::default();
    assert_eq!(grant(&mut control, &redelivers(0, 90)), Ok(50));
    assert_eq!(grant(&mut control, &asks(1, 80)), Ok(25), "half of it is owed");
    assert_eq!(grant(&mut control, &redelivers(1, 40)), Ok(25));
}

/// What the scheduler and the sweep have after so many windows of N 1, both always wanting more.
fn with_n_of_one(windows: i64, sweep_every: i64, sweep_first: bool, copies: u32) -> (u32, u32) {
    let mut control = Control::default();
    let (mut sent, mut redelivered) = (0, 0);
    for minute in 0..windows {
        let sweeps = if minute % sweep_every == 0 { copies } else { 0 };
        let mut run = |redelivery: bool| {
            let request = GrantRequest {
                per_window: 1,
                asker: match redelivery {
                    true => Asker::Sweep(SweepTurn::ONLY),
                    false => Asker::Scheduler,
                },
                ..asks(minute, 5)
            };
            let granted = grant(&mut control, &request).unwrap_or(0);
            let so_far = if redelivery { &mut redelivered } else { &mut sent };
            *so_far += granted;
        };
        (0..sweeps).filter(|_| sweep_first).for_each(|_| run(true));
        run(false);
        (0..sweeps).filter(|_| !sweep_first).for_each(|_| run(true));
    }
    (sent, redelivered)
}

#[test]
fn with_an_n_of_one_scheduler_and_sweep_take_turns_whoever_comes_first() {
    for (sweep_first, copies) in [(true, 1), (false, 1), (true, 2), (false, 2)] {
        assert_eq!(
            with_n_of_one(20, 1, sweep_first, copies),
            (10, 10),
            "{sweep_first} {copies}"
        );
        for every in [2, 3, 5, 10] {
            let (sent, redelivered) = with_n_of_one(120, every, sweep_first, copies);
            let sweeps = 120 / u32::try_from(every).unwrap();
            assert!(
                sent >= 55,
                "{sent} of 120 with a sweep every {every}, {sweep_first}"
            );
            assert!(
                redelivered + 1 >= sweeps / 2,
                "{redelivered} of {sweeps}, {sweep_first}"
            );
        }
    }
}

#[test]
fn with_an_n_of_one_a_sweep_alone_is_never_stopped() {
    let mut control = Control::default();
    let mut redelivered = 0;
    for minute in 0..20 {
        let request = GrantRequest {
            per_window: 1,
            ..redelivers(minute, 30)
        };
        redelivered += grant(&mut control, &request).unwrap_or(0);
    }
    assert_eq!(redelivered, 20);
}

#[test]
fn a_sweep_that_needs_nothing_any_more_is_owed_nothing() {
    let mut control = Control {
        owed: 7,
        ..Control::default()
    };
    assert_eq!(grant(&mut control, &redelivers(0, 0)), Ok(0));
    assert_eq!(control.owed, 0);
    assert_eq!(grant(&mut control, &asks(0, 50)), Ok(50));
}

#[test]
fn a_sweep_of_an_older_release_that_comes_no_more_is_owed_nothing_after_ten_windows() {
    let owed = Control {
        owed: 7,
        owed_at: Some(at(0)),
        ..Control::default()
    };
    let only_one = |minute| GrantRequest {
        per_window: 1,
        ..asks(minute, 1)
    };
    assert_eq!(grant(&mut owed.clone(), &only_one(10)), Ok(0));
    assert_eq!(grant(&mut owed.clone(), &only_one(11)), Ok(1));
}

#[test]
fn the_first_grant_says_when_the_ledger_was_installed_and_no_later_one_changes_it() {
    let (first, _) = decide(&Control::default(), &asks(0, 1), at(3)).unwrap();
    assert_eq!(first.installed_at, Some(at(3)));
    let (second, _) = decide(&first, &asks(1, 1), at(63)).unwrap();
    assert_eq!(second.installed_at, Some(at(3)));
}

fn request() -> impl Strategy<Value = GrantRequest> {
    let turn = prop::option::of((any::<bool>(), any::<bool>()));
    (0i64..5, 0u32..80, turn).prop_map(|(minute, wanted, turn)| GrantRequest {
        asker: turn.map_or(Asker::Scheduler, |(first, stays)| {
            Asker::Sweep(SweepTurn { first, stays })
        }),
        ..asks(minute, wanted)
    })
}

proptest! {
    #[test]
    fn never_more_than_n_is_granted_in_a_window_whatever_the_order(
        requests in prop::collection::vec(request(), 1..60), n in 0u32..70
    ) {
        let mut control = Control::default();
        let mut granted_in: BTreeMap<Timestamp, u32> = BTreeMap::new();
        for request in requests {
            let request = GrantRequest { per_window: n, ..request };
            if let Ok(granted) = grant(&mut control, &request) {
                prop_assert!(granted <= request.wanted);
                *granted_in.entry(request.window.start).or_default() += granted;
            }
        }
        for (window, granted) in granted_in {
            prop_assert!(granted <= n, "{granted} of {n} in {window}");
        }
    }

    #[test]
    fn what_is_owed_keeps_the_scheduler_from_at_most_half_of_a_fresh_window(owed in 0u32..200, n in 1u32..70) {
        let mut control = Control { owed, owed_at: Some(at(0)), ..Control::default() };
        let request = GrantRequest { per_window: n, ..asks(0, 1000) };
        let granted = grant(&mut control, &request).unwrap_or(0);
        // The one of an N of 1 is the sweep's once.
        let share = if n == 1 { 1 } else { n / 2 };
        prop_assert!(n == 1 || granted * 2 >= n, "{granted} of {n}");
        prop_assert_eq!(granted + owed.min(share), n);
        prop_assert_eq!(control.owed, owed, "only the sweep changes what it is owed");
    }

    #[test]
    fn a_control_item_reads_back_the_same(minute in 0i64..9, wanted in 1u32..99, owed in 0u32..9) {
        let mut control = Control { owed, ..Control::default() };
        let _ = grant(&mut control, &asks(minute, wanted));
        let item: serde_dynamo::Item = serde_dynamo::to_item(&control).unwrap();
        prop_assert_eq!(serde_dynamo::from_item::<_, Control>(item).unwrap(), control);
    }
}
