//! What was granted in the last windows, as a chart, and as a table for those who do not see it.

use std::fmt::Write;
use std::time::Duration;

use daybook_inspect::wording::time;
use daybook_schema::Timestamp;
use daybook_schema::dispatch_history::{KEPT_WINDOWS, MOST_OF_A_WINDOW};
use serde::Deserialize;

use crate::text;

/// What `daybook status --output json` says of them.
#[derive(Deserialize)]
pub struct Windows {
    first: Timestamp,
    seconds: f64,
    granted: Vec<Option<u16>>,
    per_window: Option<u32>,
}

/// How wide a window is drawn, with the space after it.
const WIDTH: usize = 8;

/// How high the scale is drawn, and what lies above it.
const HEIGHT: u64 = 96;
const ABOVE: u64 = 4;

/// The chart, in units of its view box, and what it says in words and as a table.
pub struct Chart {
    pub width: usize,
    pub height: u64,
    /// The path of the bars.
    pub bars: String,
    /// The path of the windows of which nothing is known.
    pub unknown: String,
    /// Where N is, from above.
    pub limit: Option<u64>,
    pub says: String,
    pub from: String,
    pub to: String,
    pub runs: Vec<Run>,
}

/// Windows one after the other that granted the same.
pub struct Run {
    pub from: String,
    pub windows: String,
    pub granted: String,
}

impl Windows {
    fn length(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds).unwrap_or_default()
    }

    /// The start of the window in that place.
    fn start(&self, place: usize) -> Timestamp {
        let windows = u32::try_from(place).unwrap_or(u32::MAX);
        self.first.plus(self.length().saturating_mul(windows))
    }

    /// Where the chart begins: so many windows before the first of these.
    fn left(&self, windows: usize) -> Timestamp {
        let windows = u32::try_from(windows).unwrap_or(u32::MAX);
        self.first.minus(self.length().saturating_mul(windows))
    }

    /// The largest figure that is drawn: N, or what was granted while N was larger.
    fn top(&self) -> u64 {
        let granted = self.granted.iter().flatten().map(|granted| u64::from(*granted));
        let n = self.per_window.map(u64::from);
        granted.chain(n).max().unwrap_or(0).max(1)
    }

    /// N, as far as it is known.
    pub fn per_window(&self) -> Option<u32> {
        self.per_window
    }

    /// The chart of them.
    pub fn chart(&self) -> Chart {
        let top = self.top();
        let scaled = |figure: u64| (figure * HEIGHT).div_ceil(top);
        // The newest is at the right, however many there are.
        let first_place = KEPT_WINDOWS.saturating_sub(self.granted.len());
        let (mut bars, mut unknown) = (String::new(), String::new());
        for (place, granted) in (first_place..).zip(&self.granted) {
            let (path, height) = match granted {
                Some(0) => continue,
                Some(granted) => (&mut bars, scaled(u64::from(*granted))),
                None => (&mut unknown, HEIGHT),
            };
            let (x, y, width) = (place * WIDTH, ABOVE + HEIGHT - height, WIDTH - 2);
            let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
        }
        Chart {
            width: KEPT_WINDOWS * WIDTH,
            height: ABOVE + HEIGHT,
            bars,
            unknown,
            limit: self.per_window.map(|n| ABOVE + HEIGHT - scaled(n.into())),
            says: self.words(),
            from: self.left(first_place).to_string(),
            to: self.start(self.granted.len()).to_string(),
            runs: self.runs(),
        }
    }

    fn words(&self) -> String {
        let (count, length) = (self.granted.len(), time::span(self.length()));
        let known = self.granted.iter().flatten().map(|granted| u64::from(*granted));
        let is_exact = !self
            .granted
            .iter()
            .any(|granted| granted.is_none_or(|n| n == MOST_OF_A_WINDOW));
        let windows = match count {
            1 => format!("the newest window of {length}"),
            _ => format!("the last {count} windows of {length}"),
        };
        let n = self.per_window.map_or_else(
            || "N is not known here".to_owned(),
            |n| format!("N is {}", text::count(n.into(), true)),
        );
        format!("{} granted in {windows}; {n}", text::count(known.sum(), is_exact))
    }

    fn runs(&self) -> Vec<Run> {
        let mut place = 0;
        let runs = self.granted.chunk_by(|one, next| one == next);
        runs.map(|run| {
            let from = self.start(place).to_string();
            place += run.len();
            let granted = run.first().copied().flatten();
            Run {
                from,
                windows: text::count(run.len() as u64, true),
                granted: granted.map_or_else(
                    || "not known".to_owned(),
                    |granted| text::count(granted.into(), granted < MOST_OF_A_WINDOW),
                ),
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(granted: Vec<Option<u16>>, per_window: Option<u32>) -> Windows {
        Windows {
            first: Timestamp::from_unix_millis(1_795_219_200_000).unwrap(),
            seconds: 60.0,
            granted,
            per_window,
        }
    }

    #[test]
    fn bars_end_at_the_right_and_are_as_high_as_their_part_of_n() {
        let chart = windows(vec![Some(50), Some(0), None, Some(25)], Some(50)).chart();
        assert_eq!((chart.width, chart.height, chart.limit), (960, 100, Some(4)));
        assert_eq!(chart.bars, "M928 4h6v96h-6zM952 52h6v48h-6z");
        assert_eq!(chart.unknown, "M944 4h6v96h-6z");
        assert_eq!(
            chart.says,
            "at least 75 granted in the last 4 windows of 1m; N is 50"
        );
        assert_eq!(chart.from, "2026-11-20T22:04:00.000Z");
        assert_eq!(chart.to, "2026-11-21T00:04:00.000Z");
    }

    #[test]
    fn what_was_granted_while_n_was_larger_fits_and_the_least_is_seen() {
        let chart = windows(vec![Some(1), Some(5000)], Some(50)).chart();
        assert_eq!(chart.limit, Some(99));
        assert_eq!(chart.bars, "M944 99h6v1h-6zM952 4h6v96h-6z");
        let chart = windows(vec![Some(0)], None).chart();
        assert_eq!((chart.limit, chart.bars.as_str()), (None, ""));
        assert_eq!(
            chart.says,
            "0 granted in the newest window of 1m; N is not known here"
        );
        let none = windows(vec![Some(0)], Some(0)).chart();
        assert_eq!(none.limit, Some(100));
    }

    #[test]
    fn the_table_has_windows_that_granted_the_same_together() {
        let chart = windows(vec![None, None, Some(0), Some(7), Some(7), Some(65_534)], None).chart();
        let rows: Vec<(&str, &str, &str)> = chart
            .runs
            .iter()
            .map(|run| (run.from.as_str(), run.windows.as_str(), run.granted.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                ("2026-11-21T00:00:00.000Z", "2", "not known"),
                ("2026-11-21T00:02:00.000Z", "1", "0"),
                ("2026-11-21T00:03:00.000Z", "2", "7"),
                ("2026-11-21T00:05:00.000Z", "1", "at least 65,534"),
            ]
        );
    }
}
