//! How long what waits needs at least.

use std::time::Duration;

use daybook_ledger::{Control, Count};

/// N and its window, as far as they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// N.
    pub per_window: Option<u32>,
    /// The window's length.
    pub window: Option<Duration>,
}

impl Rate {
    /// What was set while running wins, then what is given, then what the deployment says, then the newest window.
    pub fn of(control: Option<&Control>, given: Self, said: Self) -> Self {
        let set = control.and_then(|control| control.per_window);
        let seen = control
            .map(|control| Duration::from_millis(control.window_millis))
            .filter(|window| !window.is_zero());
        Self {
            per_window: set.or(given.per_window).or(said.per_window),
            window: given.window.or(said.window).or(seen),
        }
    }

    /// How long it takes at least until so many rows are sent: N per window allows no more. Workers, retries and new events may
    /// make it longer. `None` where N or the window is not known.
    pub fn drain(self, waiting: Count) -> Option<Duration> {
        let n = u64::from(self.per_window?).max(1);
        let windows = waiting.rows.div_ceil(n);
        let window = self.window?;
        Some(window.saturating_mul(u32::try_from(windows).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn count(rows: u64) -> Count {
        Count { rows, exact: true }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_waits_needs_as_many_windows_as_n_fits_into_it() {
        let rate = Rate {
            per_window: Some(50),
            window: Some(MINUTE),
        };
        assert_eq!(rate.drain(count(0)), Some(Duration::ZERO));
        assert_eq!(rate.drain(count(1)), Some(MINUTE));
        assert_eq!(rate.drain(count(50)), Some(MINUTE));
        assert_eq!(rate.drain(count(101)), Some(MINUTE * 3));
        let unknown = Rate {
            per_window: None,
            ..rate
        };
        assert_eq!(unknown.drain(count(1)), None);
    }

    #[test]
    fn n_as_set_while_running_wins_and_the_newest_window_is_the_last_resort() {
        let control = Control {
            per_window: Some(7),
            window_millis: 1000,
            ..Control::default()
        };
        let given = Rate {
            per_window: Some(50),
            window: Some(MINUTE),
        };
        let rate = Rate::of(Some(&control), given, Rate::default());
        assert_eq!((rate.per_window, rate.window), (Some(7), Some(MINUTE)));
        let rate = Rate::of(Some(&control), Rate::default(), Rate::default());
        assert_eq!(
            (rate.per_window, rate.window),
            (Some(7), Some(Duration::from_secs(1)))
        );
        let rate = Rate::of(Some(&Control::default()), Rate::default(), given);
        assert_eq!(rate, given);
        assert_eq!(Rate::of(None, Rate::default(), Rate::default()), Rate::default());
    }
}
