//! What the control item says of the last windows is what was granted in them, whoever asked, late or at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_ledger::{Asker, Control, GrantRequest, SweepTurn, Window, decide};
use daybook_schema::Timestamp;
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_795_219_200_000 + second * 1000).unwrap()
}

#[derive(Clone, Copy, Debug)]
struct Run {
    /// How many windows after the last run, by the clock.
    later: i64,
    /// For which window, seen from that clock.
    window: i64,
    wanted: u32,
    asker: u8,
}

fn run() -> impl Strategy<Value = Run> {
    (
        prop_oneof![6 => 0i64..3, 1 => 3i64..150],
        -1i64..=1,
        0u32..40,
        0u8..4,
    )
        .prop_map(|(later, window, wanted, asker)| Run {
            later,
            window,
            wanted,
            asker,
        })
}

fn request(run: Run, minute: i64) -> GrantRequest {
    GrantRequest {
        window: Window::at(at((minute + run.window) * 60), MINUTE),
        per_window: 20,
        wanted: run.wanted,
        asker: match run.asker {
            0 => Asker::Ingest,
            1 => Asker::Sweep(SweepTurn::ONLY),
            _ => Asker::Scheduler,
        },
    }
}

fn said(control: &Control, now: Timestamp) -> BTreeMap<Timestamp, Option<u16>> {
    let Some(windows) = control.granted_windows(now) else {
        return BTreeMap::new();
    };
    let mut start = windows.first;
    let mut said = BTreeMap::new();
    for granted in windows.granted {
        said.insert(start, granted);
        start = start.plus(windows.length);
    }
    said
}

proptest! {
    #[test]
    fn each_window_is_said_to_have_granted_what_it_granted(runs in prop::collection::vec(run(), 1..120)) {
        let mut control = Control::default();
        let mut granted: BTreeMap<Timestamp, u32> = BTreeMap::new();
        let mut minute = 0;
        for run in runs {
            minute += run.later;
            let (now, request) = (at(minute * 60), request(run, minute));
            if let Ok((next, got)) = decide(&control, &request, now) {
                // One that lost to it decided on the same item, and wrote nothing.
                let _ = decide(&control, &GrantRequest { wanted: 3, ..request }, now);
                control = next;
                *granted.entry(request.window.start).or_default() += got;
            }
            for (window, said) in said(&control, now) {
                prop_assert_eq!(said.map(u32::from), Some(granted.get(&window).copied().unwrap_or(0)));
            }
        }
    }

    #[test]
    fn with_clocks_that_jump_ahead_and_back_no_window_is_said_to_have_granted_more(
        runs in prop::collection::vec((run(), prop_oneof![4 => Just(0i64), 1 => -30i64..400]), 1..80),
    ) {
        let mut control = Control::default();
        let mut granted: BTreeMap<Timestamp, u32> = BTreeMap::new();
        let mut minute = 1000;
        for (run, ahead) in runs {
            minute += run.later;
            let (now, request) = (at((minute + ahead) * 60), request(run, minute + ahead));
            if let Ok((next, got)) = decide(&control, &request, now) {
                control = next;
                *granted.entry(request.window.start).or_default() += got;
            }
            for (window, said) in said(&control, at(minute * 60)) {
                let granted = granted.get(&window).copied().unwrap_or(0);
                prop_assert!(said.map_or(0, u32::from) <= granted, "{said:?} of {granted} in {window}");
            }
        }
    }
}

#[test]
fn a_paused_or_refused_run_changes_nothing_and_the_windows_go_on_as_zeros() {
    let run = Run {
        later: 0,
        window: 0,
        wanted: 30,
        asker: 3,
    };
    let (control, granted) = decide(&Control::default(), &request(run, 0), at(0)).unwrap();
    assert_eq!(granted, 20);
    assert!(decide(&control, &request(run, 0), at(1)).is_err());
    let windows = control.granted_windows(at(185)).unwrap();
    assert_eq!(windows.granted, [20, 0, 0, 0].map(Some));
    assert_eq!((windows.first, windows.length), (at(0), MINUTE));
}
