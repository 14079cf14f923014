//! How scheduler and sweep share N over many windows: neither starves beside the other, and nothing is kept free for nobody.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_ledger::{Asker, Control, GrantRequest, SweepTurn, Window, decide};
use daybook_schema::Timestamp;
use proptest::prelude::*;

const EPOCH_MILLIS: i64 = 1_795_219_200_000;
const MINUTE: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_millis(EPOCH_MILLIS + second * 1000).unwrap()
}

/// A ledger's budget with a standing backlog and lost rows, and what each had of each window.
struct Shares {
    control: Control,
    n: u32,
    length: Duration,
    lost: u32,
    scheduled: BTreeMap<i64, u32>,
    redelivered: BTreeMap<i64, u32>,
}

impl Shares {
    fn new(n: u32, lost: u32) -> Self {
        Self {
            control: Control::default(),
            n,
            length: MINUTE,
            lost,
            scheduled: BTreeMap::new(),
            redelivered: BTreeMap::new(),
        }
    }

    /// Asks at that second, by a clock that is so much ahead; how many of those wanted are granted.
    fn ask(&mut self, second: i64, ahead: i64, wanted: u32, sweep: Option<SweepTurn>) -> u32 {
        let now = at(second + ahead);
        let window = Window::at(now, self.length);
        let request = GrantRequest {
            window,
            per_window: self.n,
            wanted,
            asker: sweep.map_or(Asker::Scheduler, Asker::Sweep),
        };
        let Ok((next, granted)) = decide(&self.control, &request, now) else {
            return 0;
        };
        self.control = next;
        let number =
            (window.start.unix_millis() - EPOCH_MILLIS) / i64::try_from(self.length.as_millis()).unwrap();
        let shares = match sweep {
            Some(_) => &mut self.redelivered,
            None => &mut self.scheduled,
        };
        *shares.entry(number).or_default() += granted;
        granted
    }

    fn schedule(&mut self, second: i64) -> u32 {
        self.ask(second, 0, self.n, None)
    }

    fn sweep(&mut self, second: i64, turn: SweepTurn) -> u32 {
        let granted = self.ask(second, 0, self.lost, Some(turn));
        self.lost -= granted;
        granted
    }

    fn in_window(&self, window: i64) -> (u32, u32) {
        let of = |shares: &BTreeMap<i64, u32>| shares.get(&window).copied().unwrap_or(0);
        (of(&self.scheduled), of(&self.redelivered))
    }

    /// The fewest that were sent in ten windows in a row.
    fn least_in_ten(&self, windows: i64) -> u32 {
        let sent = |window| self.in_window(window).0 + self.in_window(window).1;
        let ten = |first: i64| (first..first + 10).map(sent).sum::<u32>();
        (0..=windows - 10).map(ten).min().unwrap()
    }

    /// A run of the sweep may stay for so many windows; it takes its turns at that second of each.
    fn minute(&mut self, minute: i64, every: i64, stay: i64, sweep_at: i64) {
        let turn = minute % every;
        let sweeps = turn < stay;
        let turn = SweepTurn {
            first: turn == 0,
            stays: turn + 1 < stay,
        };
        if sweeps && sweep_at < 1 {
            self.sweep(minute * 60, turn);
        }
        self.schedule(minute * 60 + 1);
        if sweeps && sweep_at >= 1 {
            self.sweep(minute * 60 + sweep_at, turn);
        }
    }
}

/// The sweep's function runs every five minutes and may take four.
#[test]
fn a_thousand_lost_rows_are_sent_within_sixty_windows_and_hardly_anything_of_n_is_lost() {
    for (sweep_at, n) in [(30, 50), (0, 50), (59, 50), (30, 51), (0, 51)] {
        let mut shares = Shares::new(n, 1000);
        // The sweep comes upon a scheduler that has been at it for long.
        for minute in -5..0 {
            shares.schedule(minute * 60 + 1);
        }
        for minute in 0..80 {
            shares.minute(minute, 5, 4, sweep_at);
            let (scheduled, redelivered) = shares.in_window(minute);
            assert!(scheduled + redelivered <= n);
            assert!(
                scheduled * 2 >= n,
                "the scheduler had {scheduled} in window {minute}, {sweep_at}"
            );
            assert!(
                minute < 59 || shares.lost == 0,
                "{} left, {sweep_at}",
                shares.lost
            );
        }
        let least = shares.least_in_ten(80);
        assert!(least * 100 >= n * 10 * 95, "{least} in ten windows, {sweep_at}");
    }
}

/// Nobody stays: what a sweep is owed is left to it where it comes again, and only there.
#[test]
fn room_is_left_only_in_the_windows_in_which_a_sweep_comes() {
    for every in [1, 2, 3, 5, 7, 15, 60] {
        for sweep_at in [0, 30] {
            let mut shares = Shares::new(50, 100_000);
            for minute in -5..0 {
                shares.schedule(minute * 60 + 1);
            }
            for minute in 0..200 {
                shares.minute(minute, every, 1, sweep_at);
                let (scheduled, redelivered) = shares.in_window(minute);
                assert!(scheduled >= 25, "{scheduled} in window {minute}, every {every}");
                // The second run at the latest has shown how far they are apart.
                if minute % every == 0 && minute >= 2 * every {
                    assert_eq!(redelivered, 25, "in window {minute}, every {every}");
                }
            }
            assert!(shares.least_in_ten(200) >= 475, "every {every}");
        }
    }
}

#[test]
fn what_a_sweep_leaves_is_the_schedulers_who_comes_later() {
    let mut shares = Shares::new(50, 1000);
    shares.schedule(0);
    shares.sweep(30, SweepTurn::ONLY);
    assert_eq!(shares.schedule(60), 25);
    // Of what was lost much has come back by itself meanwhile.
    shares.lost = 7;
    assert_eq!(shares.sweep(90, SweepTurn::ONLY), 7);
    assert_eq!(shares.schedule(100), 18);
    assert_eq!(shares.schedule(120), 50);
}

#[test]
fn what_a_scheduler_leaves_is_the_sweeps_who_comes_later() {
    let mut shares = Shares::new(50, 1000);
    for minute in 0..10 {
        assert_eq!(shares.ask(minute * 60, 0, 5, None), 5);
        assert_eq!(shares.sweep(minute * 60 + 30, SweepTurn::ONLY), 45);
    }
}

#[test]
fn a_sweep_that_comes_no_more_costs_three_halves_at_most() {
    for (every, stay) in [(1, 1), (5, 1), (5, 4), (60, 1)] {
        let mut shares = Shares::new(50, 100_000);
        for minute in 0..200 {
            shares.minute(minute, every, stay, 30);
        }
        let sent: u32 = (200..300).map(|minute| shares.schedule(minute * 60)).sum();
        assert!(sent >= 100 * 50 - 75, "{sent} with a sweep every {every}");
    }
    // One that said that it stays, and died.
    let mut shares = Shares::new(50, 1000);
    shares.schedule(0);
    let stays = SweepTurn {
        first: true,
        stays: true,
    };
    shares.sweep(30, stays);
    let sent: u32 = (1..100).map(|minute| shares.schedule(minute * 60)).sum();
    assert!(sent >= 99 * 50 - 75, "{sent}");
}

#[test]
fn a_scheduler_that_comes_no_more_and_one_that_never_came_do_not_limit_the_sweep() {
    for n in [1, 2, 50] {
        let mut shares = Shares::new(n, 100_000);
        assert!((0..10).all(|minute| shares.sweep(minute * 60, SweepTurn::ONLY) == n));
        (10..20).for_each(|minute| shares.minute(minute, 1, 1, 0));
        let had: Vec<u32> = (20..30)
            .map(|minute| shares.sweep(minute * 60, SweepTurn::ONLY))
            .collect();
        assert!(had[3..].iter().all(|had| *had == n), "{had:?} of {n}");
    }
}

/// It found the window spent by the sweep once, and its half from then on.
#[test]
fn a_scheduler_that_had_nothing_to_do_for_long_starves_in_one_window_at_most() {
    for n in [1, 2, 50, 51] {
        let mut shares = Shares::new(n, 100_000);
        for minute in 0..20 {
            shares.sweep(minute * 60, SweepTurn::ONLY);
        }
        let had: Vec<u32> = (20..30)
            .map(|minute| {
                shares.minute(minute, 1, 1, 0);
                shares.in_window(minute).0
            })
            .collect();
        assert_eq!(had[0], 0);
        match n {
            1 => assert_eq!(had.iter().sum::<u32>(), 5, "{had:?}"),
            _ => assert!(had[1..].iter().all(|had| had * 2 >= n), "{had:?} of {n}"),
        }
    }
}

/// Windows of an hour, and a sweep every five minutes that cannot stay for the next one.
#[test]
fn of_long_windows_every_one_has_a_sweep() {
    let mut shares = Shares::new(50, 1000);
    shares.length = Duration::from_secs(3600);
    for minute in 0..24 * 60 {
        if minute % 60 == 0 {
            shares.schedule(minute * 60);
        }
        if minute % 5 == 0 {
            shares.sweep(minute * 60 + 1, SweepTurn::ONLY);
        }
    }
    assert_eq!(shares.in_window(0), (50, 0));
    assert!((1..24).all(|hour| shares.in_window(hour) == (25, 25)));
}

#[test]
fn a_tick_that_comes_a_minute_late_has_its_half_still() {
    let mut shares = Shares::new(50, 100_000);
    for minute in -5..0 {
        shares.schedule(minute * 60 + 1);
    }
    for minute in 0..60 {
        shares.sweep(minute * 60, SweepTurn::ONLY);
        // The tick of the window before.
        let granted = shares.ask(minute * 60 + 30, -60, 50, None);
        assert!(minute == 0 || granted >= 25, "{granted} in window {}", minute - 1);
    }
}

#[test]
fn clocks_that_differ_by_ninety_seconds_let_neither_starve() {
    for ahead in [-90, -45, 45, 90] {
        for every in [1, 5] {
            for stay in [1, 4_i64] {
                let mut shares = Shares::new(50, 100_000);
                for minute in 0..400 {
                    shares.schedule(minute * 60 + 1);
                    let turn = minute % every;
                    if turn < stay.min(every) {
                        let sweep = SweepTurn {
                            first: turn == 0,
                            stays: turn + 1 < stay.min(every),
                        };
                        let granted = shares.ask(minute * 60 + 40, ahead, shares.lost, Some(sweep));
                        shares.lost -= granted;
                    }
                }
                let sum = |shares: &BTreeMap<i64, u32>| shares.values().sum::<u32>();
                let (scheduled, redelivered) = (sum(&shares.scheduled), sum(&shares.redelivered));
                let case = format!("{ahead} s, every {every}, stays {stay}: {scheduled} and {redelivered}");
                assert!(scheduled >= 400 * 24, "{case}");
                let sweeps = 400 / u32::try_from(every).unwrap();
                assert!(redelivered >= sweeps * 20, "{case}");
                for window in -5..410 {
                    let (scheduled, redelivered) = shares.in_window(window);
                    assert!(scheduled + redelivered <= 50, "window {window}, {case}");
                }
            }
        }
    }
}

#[test]
fn an_item_of_an_older_release_reads_and_leaves_room_as_it_did() {
    let item = serde_json::json!({
        "id": "control", "window": "2026-11-21T00:00:00.000Z", "window_millis": 60000, "granted": 50,
        "granted_before": 50, "grant_token": "t", "owed": 7, "owed_at": "2026-11-21T00:00:00.000Z",
        "redelivered_at": null, "installed_at": "2026-11-01T00:00:00.000Z",
    });
    let old: Control = serde_json::from_value(item).unwrap();
    for (minute, expected) in [(1, 43), (10, 43), (11, 50)] {
        let mut shares = Shares::new(50, 0);
        shares.control = old.clone();
        assert_eq!(shares.schedule(minute * 60), expected, "window {minute}");
    }
    // While both releases run, a sweep of the older one leaves what it does not know as it was.
    let mut shares = Shares::new(50, 1000);
    shares.schedule(0);
    shares.sweep(30, SweepTurn::ONLY);
    shares.control.owed = 9;
    shares.control.owed_at = Some(at(120));
    assert_eq!(shares.schedule(180), 41);
}

#[test]
fn the_control_item_with_notes_of_usual_length_is_one_write_unit() {
    let when = Some(at(0));
    let full = Control {
        window: when,
        window_millis: u64::MAX,
        granted: u32::MAX,
        granted_before: u32::MAX,
        grant_token: Some("00000000-0000-5000-8000-000000000000".into()),
        owed: u32::MAX,
        owed_at: when,
        sweep_due_at: when,
        swept_at: when,
        sweep_millis: Some(u64::MAX),
        backlog_at: None,
        redelivered_at: when,
        scheduled_at: when,
        per_window: Some(u32::MAX),
        per_window_note: Some("n".repeat(160)),
        paused_at: when,
        paused_until: when,
        paused_by: Some("b".repeat(60)),
        paused_why: Some("w".repeat(160)),
        installed_at: when,
        // It takes what the others leave.
        history: None,
    };
    // As DynamoDB counts: names and values, a number at most 21 bytes; and the id.
    let item = serde_json::to_value(&full).unwrap();
    let value = |value: &serde_json::Value| value.as_str().map_or(21, str::len);
    let bytes: usize = item
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, is)| name.len() + value(is))
        .sum();
    assert!(bytes + "id".len() + "control".len() <= 1024, "{bytes} bytes");
}

proptest! {
    #[test]
    fn whatever_comes_when_the_scheduler_has_its_half_and_n_holds(
        n in 2u32..80,
        runs in prop::collection::vec((0i64..60, any::<bool>(), any::<bool>(), any::<bool>()), 30..31),
    ) {
        let mut shares = Shares::new(n, 1_000_000);
        shares.schedule(-60);
        for (minute, (second, sweeps, first, stays)) in runs.into_iter().enumerate() {
            let minute = i64::try_from(minute).unwrap();
            let turn = SweepTurn { first, stays };
            if sweeps {
                shares.sweep(minute * 60 + second, turn);
            }
            shares.schedule(minute * 60 + 59);
            if !sweeps {
                shares.sweep(minute * 60 + 59, turn);
            }
            let (scheduled, redelivered) = shares.in_window(minute);
            prop_assert!(scheduled + redelivered <= n);
            prop_assert!(scheduled * 2 >= n, "{scheduled} of {n} in window {minute}");
        }
    }
}
