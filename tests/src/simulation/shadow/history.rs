//! What the control item says of the last windows, against the grants that were written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Property, Shadow, WINDOW};

/// So many windows are kept.
const KEPT: usize = 120;

impl Shadow {
    /// Counts what the newest write granted, by what it made of the item that was as `before`.
    pub(super) fn granted_since(&mut self, before: (i64, u32, u32)) {
        let length = WINDOW.as_millis() as i64;
        let (window, granted, granted_before) = self.newest;
        let (of_newest, of_before) = match window - before.0 {
            0 => (before.1, before.2),
            ahead if ahead == length => (0, before.1),
            _ => (0, 0),
        };
        *self.windows.entry(window).or_default() += granted.saturating_sub(of_newest);
        *self.windows.entry(window - length).or_default() += granted_before.saturating_sub(of_before);
    }

    /// Each window is said to have granted what was granted in it. A restore makes the item forget, and nothing else does.
    pub(super) fn history(&mut self, values: &Value, now: i64) {
        let length = WINDOW.as_millis() as i64;
        let bytes = values[":history"]["B"].as_str().unwrap_or_default();
        let bytes = STANDARD.decode(bytes).unwrap_or_default();
        let head: Vec<u8> = [&[1][..], &self.newest.0.to_be_bytes(), &length.to_be_bytes()].concat();
        let Some(figures) = bytes.strip_prefix(&head[..]) else {
            let text = format!("the history of grants begins with {bytes:?}, and not with {head:?}");
            return self.violation(now, Property::Counts, text);
        };
        let mut wrong = Vec::new();
        let figures: Vec<u32> = figures
            .chunks(2)
            .map(|figure| {
                figure
                    .iter()
                    .fold(0, |figure, byte| figure << 8 | u32::from(*byte))
            })
            .collect();
        for (place, said) in (0i64..).zip(&figures) {
            let window = self.newest.0 - place * length;
            let granted = self.windows.get(&window).copied().unwrap_or(0);
            if *said != granted && !self.forgotten.contains(&window) {
                wrong.push(format!("{said} of the {granted} of window {window}"));
            }
        }
        // What is granted late for the window before the first one has no place in it.
        let first = self.windows.iter().find(|(_, granted)| **granted > 0);
        let all = first.map_or(0, |(first, _)| (self.newest.0 - first) / length + 1);
        if self.forgotten.is_empty() && (figures.len() as i64) < all.min(KEPT as i64) - 1 {
            wrong.push(format!("{} windows of {all}", figures.len()));
        }
        if !wrong.is_empty() {
            let text = format!("the history of grants says {}", wrong.join(", "));
            self.violation(now, Property::Counts, text);
        }
    }
}
