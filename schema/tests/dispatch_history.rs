//! The history of grants: what is stored is read back, and what it says of a window is what was granted in it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_schema::dispatch_history::{KEPT_WINDOWS, MOST_OF_A_WINDOW, readable};
use daybook_schema::{DispatchHistory, GrantedWindows, Timestamp, TwoWindows};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

const MILLIS: u64 = 60_000;

fn start(window: i64) -> Timestamp {
    Timestamp::from_unix_millis((29_000_000 + window) * 60_000).unwrap()
}

fn item(window: i64, granted: u32, granted_before: u32) -> TwoWindows {
    TwoWindows {
        newest: start(window),
        millis: MILLIS,
        granted,
        granted_before,
    }
}

/// The control item, and what was granted in it, window by window.
#[derive(Default)]
struct Item {
    two: Option<TwoWindows>,
    newest: i64,
    history: Option<DispatchHistory>,
    granted: BTreeMap<i64, u32>,
}

impl Item {
    /// A grant for that window, or for the one before the newest, by a release that keeps the history or by one that does not.
    fn grant(&mut self, window: i64, granted: u32, keeps: bool) {
        let newest = match self.two {
            Some(_) => self.newest.max(window),
            None => window,
        };
        if window < newest - 1 {
            return;
        }
        *self.granted.entry(window).or_default() += granted;
        let of = |window: i64| self.granted.get(&window).copied().unwrap_or(0);
        let written = item(newest, of(newest), of(newest - 1));
        if keeps {
            self.history = Some(DispatchHistory::after(self.history.as_ref(), self.two, written));
        }
        (self.two, self.newest) = (Some(written), newest);
    }

    fn windows(&self) -> Option<GrantedWindows> {
        self.history.as_ref()?.windows(self.two?, start(self.newest))
    }

    /// What it says of each window, and what was granted in it.
    fn compared(&self) -> Vec<(Option<u32>, u32)> {
        let Some(windows) = self.windows() else {
            return Vec::new();
        };
        let oldest = self.newest + 1 - windows.granted.len() as i64;
        assert_eq!(windows.first, start(oldest));
        let pair = |(said, window): (&Option<u16>, i64)| {
            (
                said.map(u32::from),
                self.granted.get(&window).copied().unwrap_or(0),
            )
        };
        windows.granted.iter().zip(oldest..).map(pair).collect()
    }
}

fn grants() -> impl Strategy<Value = Vec<(i64, u32, bool)>> {
    let step = prop_oneof![5 => -1i64..3, 1 => 3i64..200];
    prop::collection::vec((step, 0u32..60, prop::bool::weighted(0.8)), 1..200)
}

proptest! {
    #[test]
    fn what_is_stored_is_read_back(newest in 0i64..1_000_000, figures in prop::collection::vec(prop::option::of(0..=MOST_OF_A_WINDOW), 1..=KEPT_WINDOWS)) {
        let mut bytes = vec![1];
        bytes.extend(start(newest).unix_millis().to_be_bytes());
        bytes.extend(MILLIS.to_be_bytes());
        bytes.extend(figures.iter().flat_map(|figure| figure.unwrap_or(u16::MAX).to_be_bytes()));
        let history = DispatchHistory::decode(&bytes).unwrap();
        prop_assert_eq!(history.encode(), bytes);
    }

    #[test]
    fn whatever_is_read_has_one_form_and_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Some(history) = DispatchHistory::decode(&bytes) {
            prop_assert_eq!(history.encode(), bytes);
            let _ = history.windows(item(0, 1, 1), start(1));
        }
    }

    #[test]
    fn what_it_says_of_a_window_is_what_was_granted_in_it(grants in grants()) {
        let mut item = Item::default();
        let first = 1000;
        let mut window = first;
        for (step, granted, _) in grants {
            window = (window + step).max(first);
            item.grant(window, granted, true);
            let compared = item.compared();
            let since_first = (item.newest - first + 1).min(KEPT_WINDOWS as i64);
            prop_assert!(compared.len() as i64 <= since_first);
            for (said, granted) in compared {
                prop_assert_eq!(said, Some(granted));
            }
        }
    }

    #[test]
    fn beside_a_release_that_keeps_none_it_never_says_more_than_was_granted(grants in grants()) {
        let mut item = Item::default();
        let mut window = 1000;
        for (step, granted, keeps) in grants {
            window += step;
            item.grant(window, granted, keeps);
            for (said, granted) in item.compared() {
                prop_assert!(said.unwrap_or(0) <= granted, "{said:?} of {granted}");
            }
        }
    }

    #[test]
    fn what_fits_is_the_newest_and_no_longer_than_the_room(windows in 1i64..200, room in 0usize..400) {
        let mut item = Item::default();
        for window in 0..windows {
            item.grant(window, 7, true);
        }
        let all = item.history.unwrap();
        match all.clone().within(room) {
            Some(some) => {
                prop_assert!(some.encode().len() <= room);
                prop_assert_eq!(&all.encode()[..some.encode().len()], &some.encode()[..]);
            }
            None => prop_assert!(room < 19),
        }
    }
}

#[test]
fn windows_that_another_release_granted_in_are_not_known_and_those_without_a_grant_are_zeros() {
    let mut item = Item::default();
    for (window, granted, keeps) in [
        (0, 5, true),
        (1, 6, true),
        (2, 7, true),
        (4, 8, false),
        (6, 9, true),
        (9, 1, true),
    ] {
        item.grant(window, granted, keeps);
    }
    // What the other release granted in windows 1 and 2 beside what is known, and in 3 and 4.
    let unknown = [None; 4];
    let known = [0, 9, 0, 0, 1].map(Some);
    let windows = item.windows().unwrap();
    assert_eq!(windows.granted, [&[Some(5)][..], &unknown, &known].concat());
    assert_eq!(windows.first, start(0));
    assert_eq!(windows.length, Duration::from_secs(60));
}

#[test]
fn the_windows_since_the_last_grant_are_zeros_and_the_oldest_go_first() {
    let mut grants = Item::default();
    grants.grant(0, 5, true);
    let history = grants.history.unwrap();
    let at = |window| history.windows(grants.two.unwrap(), start(window)).unwrap();
    assert_eq!(at(-3).granted, [Some(5)], "a clock that is behind");
    assert_eq!(at(2).granted, [5, 0, 0].map(Some));
    let day = at(1440);
    assert_eq!(day.granted, [Some(0); KEPT_WINDOWS]);
    assert_eq!(day.first, start(1441 - KEPT_WINDOWS as i64));
}

#[test]
fn a_window_of_a_clock_that_was_ahead_is_taken_back_with_what_is_not_known() {
    let mut history = None;
    let mut seen = None;
    // N of 50 counts as spent in the two windows in which the far one is taken back.
    for written in [
        item(1, 5, 0),
        item(2, 6, 5),
        item(40, 9, 0),
        item(3, 50, 50),
        item(4, 7, 50),
    ] {
        history = Some(DispatchHistory::after(history.as_ref(), seen, written));
        seen = Some(written);
    }
    let windows = history.unwrap().windows(seen.unwrap(), start(4)).unwrap();
    assert_eq!(windows.granted, [Some(5), None, None, Some(7)]);
}

#[test]
fn windows_of_another_length_begin_a_new_history() {
    let first = DispatchHistory::after(None, None, item(2, 6, 5));
    let halves = |newest, granted| TwoWindows {
        newest,
        millis: MILLIS / 2,
        granted,
        granted_before: 0,
    };
    let later = halves(start(3), 4);
    let history = DispatchHistory::after(Some(&first), Some(item(2, 6, 5)), later);
    assert_eq!(history.windows(later, start(3)).unwrap().granted, [Some(4)]);
    // Both windows begin at once: what is granted in the longer one counts in the shorter.
    let same = halves(start(2), 9);
    let history = DispatchHistory::after(Some(&first), Some(item(2, 6, 5)), same);
    assert_eq!(history.windows(same, start(2)), None);
    // As a release that keeps none left it.
    assert_eq!(first.windows(later, start(3)), None);
}

#[test]
fn a_figure_too_large_for_two_bytes_says_that_many_at_least() {
    for granted in [65_533, 65_534, 65_535, u32::MAX] {
        let written = item(0, granted, 0);
        let history = DispatchHistory::after(None, None, written);
        let read = DispatchHistory::decode(&history.encode()).unwrap();
        let said = read.windows(written, start(0)).unwrap().granted[0].unwrap();
        assert_eq!(u32::from(said), granted.min(u32::from(MOST_OF_A_WINDOW)));
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Stored {
    #[serde(default, deserialize_with = "readable")]
    history: Option<DispatchHistory>,
    granted: u32,
}

#[test]
fn an_item_is_read_whatever_is_in_the_place_of_its_history() {
    let history = DispatchHistory::after(None, None, item(2, 6, 5));
    let whole = Stored {
        history: Some(history.clone()),
        granted: 6,
    };
    let stored: serde_dynamo::Item = serde_dynamo::to_item(&whole).unwrap();
    let bytes = serde_dynamo::AttributeValue::B(history.encode());
    assert_eq!(stored.get("history"), Some(&bytes));
    assert_eq!(
        serde_dynamo::from_item::<_, Stored>(stored.clone()).unwrap(),
        whole
    );

    use serde_dynamo::AttributeValue as Value;
    let strange = [
        None,
        Some(Value::Null(true)),
        Some(Value::Bool(true)),
        Some(Value::N("-7".to_owned())),
        Some(Value::N("7.5".to_owned())),
        Some(Value::S("text".to_owned())),
        Some(Value::B(Vec::new())),
        Some(Value::B(vec![2; 19])),
        Some(Value::L(vec![Value::N("1".to_owned())])),
        Some(Value::M(std::collections::HashMap::from([(
            "a".to_owned(),
            Value::Null(true),
        )]))),
        Some(Value::Ss(vec!["a".to_owned()])),
    ];
    for strange in strange {
        let mut item = std::collections::HashMap::from([("granted".to_owned(), Value::N("6".to_owned()))]);
        item.extend(strange.clone().map(|value| ("history".to_owned(), value)));
        let read: Stored = serde_dynamo::from_item(serde_dynamo::Item::from(item)).unwrap();
        assert_eq!((read.history, read.granted), (None, 6), "{strange:?}");
    }
}
