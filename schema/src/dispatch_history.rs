//! How much was granted in each of the last windows, as the control item keeps it: two bytes for a window.

use std::time::Duration;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::time::Timestamp;

/// So many windows are kept.
pub const KEPT_WINDOWS: usize = 120;

/// The largest figure of a window: it stands for that many and for more.
pub const MOST_OF_A_WINDOW: u16 = u16::MAX - 1;

/// A window of which it is not known what was granted in it.
const UNKNOWN: u16 = u16::MAX;

/// The first byte: what follows is the start of the newest window and the length of all of them, both in milliseconds and eight bytes
/// long, and a figure of two bytes for each window, the newest first; all big-endian.
const FORM: u8 = 1;

/// The bytes before the figures.
const HEAD: usize = 1 + 8 + 8;

/// What was granted in each of the last windows, up to the newest one in which anything was. A figure is never more than was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchHistory {
    newest: Timestamp,
    millis: u64,
    /// By window, the newest first; at least one, at most [`KEPT_WINDOWS`].
    granted: Vec<Option<u16>>,
}

/// The two windows whose budgets the control item keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoWindows {
    /// The start of the newer one.
    pub newest: Timestamp,
    /// Their length in milliseconds.
    pub millis: u64,
    /// What was granted in the newer one.
    pub granted: u32,
    /// What was granted in the one right before it.
    pub granted_before: u32,
}

/// Windows one after the other, and what was granted in each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedWindows {
    /// The start of the first one.
    pub first: Timestamp,
    /// The length of each.
    pub length: Duration,
    /// What was granted in each, the oldest first; `None` where it is not known. [`MOST_OF_A_WINDOW`] stands for more too.
    pub granted: Vec<Option<u16>>,
}

impl DispatchHistory {
    /// What the history becomes when an item that was `seen` like that is `written` like this. Windows in between are those without a
    /// grant. A grant of a release that keeps no history, and a window that is taken back because its clock was ahead, leave windows of
    /// which nothing is known. Windows of another length begin a new history.
    pub fn after(history: Option<&Self>, seen: Option<TwoWindows>, written: TwoWindows) -> Self {
        let is_new = seen.is_none_or(|seen| seen.newest < written.newest);
        let carried = history
            .zip(seen.filter(|seen| seen.millis == written.millis))
            .and_then(|(history, seen)| history.caught_up(seen))
            .and_then(|history| history.moved_to(written.newest));
        let mut next = carried.unwrap_or_else(|| Self {
            newest: written.newest,
            millis: written.millis,
            granted: vec![is_new.then_some(0)],
        });
        next.agree_with(written);
        next
    }

    /// The windows up to the one that `now` lies in, or to the newest one if that is later, from the first that is known; `seen` is what the
    /// item says beside this history. `None` where nothing is known.
    pub fn windows(&self, seen: TwoWindows, now: Timestamp) -> Option<GrantedWindows> {
        let length = Duration::from_millis(self.millis);
        let history = self.caught_up(seen)?;
        let current = now.window_start(length).max(history.newest);
        let mut history = history.moved_to(current)?;
        let first_known = history.granted.iter().rposition(Option::is_some)?;
        history.granted.truncate(first_known + 1);
        history.granted.reverse();
        let before = self.millis.saturating_mul(first_known as u64);
        Some(GrantedWindows {
            first: current.minus(Duration::from_millis(before)),
            length,
            granted: history.granted,
        })
    }

    /// As much of it as so many bytes hold, the newest windows; `None` where that is not even one.
    #[must_use]
    pub fn within(mut self, bytes: usize) -> Option<Self> {
        let windows = bytes.checked_sub(HEAD)? / 2;
        self.granted.truncate(windows);
        (windows > 0).then_some(self)
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + 2 * self.granted.len());
        bytes.push(FORM);
        bytes.extend(self.newest.unix_millis().to_be_bytes());
        bytes.extend(self.millis.to_be_bytes());
        for granted in &self.granted {
            bytes.extend(granted.unwrap_or(UNKNOWN).to_be_bytes());
        }
        bytes
    }

    /// What is stored; `None` for anything that this release does not write.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (form, rest) = bytes.split_first()?;
        let (newest, rest) = rest.split_first_chunk()?;
        let (millis, rest) = rest.split_first_chunk()?;
        let (figures, odd) = rest.as_chunks();
        let granted: Vec<Option<u16>> = figures
            .iter()
            .map(|figure| Some(u16::from_be_bytes(*figure)).filter(|granted| *granted != UNKNOWN))
            .collect();
        let millis = u64::from_be_bytes(*millis);
        let is_valid =
            *form == FORM && odd.is_empty() && millis > 0 && (1..=KEPT_WINDOWS).contains(&granted.len());
        is_valid.then_some(Self {
            newest: Timestamp::from_unix_millis(i64::from_be_bytes(*newest))?,
            millis,
            granted,
        })
    }

    /// Up to the newest window of that item. Where a release that keeps no history granted since, what it granted in these windows is
    /// not known, and it may have granted more in the two before.
    fn caught_up(&self, seen: TwoWindows) -> Option<Self> {
        if self.millis != seen.millis || self.newest > seen.newest {
            return None;
        }
        let mut history = self.clone();
        if self.newest == seen.newest {
            history.agree_with(seen);
            return Some(history);
        }
        history.forget_two();
        history.followed_by(None, seen.newest)
    }

    /// With that one as the newest window. If it is an earlier one, the later ones were of a clock that was ahead, and what was granted in
    /// the two that count as spent is not known.
    fn moved_to(mut self, newest: Timestamp) -> Option<Self> {
        if newest >= self.newest {
            return self.followed_by(Some(0), newest);
        }
        let ahead = self.windows_between(newest, self.newest)?;
        self.granted.drain(..ahead.min(self.granted.len()));
        self.newest = newest;
        self.forget_two();
        (!self.granted.is_empty()).then_some(self)
    }

    /// Followed by windows up to that one, each with that figure.
    fn followed_by(mut self, figure: Option<u16>, newest: Timestamp) -> Option<Self> {
        let windows = self.windows_between(self.newest, newest)?;
        let mut granted = vec![figure; windows];
        granted.append(&mut self.granted);
        granted.truncate(KEPT_WINDOWS);
        Some(Self {
            newest,
            granted,
            ..self
        })
    }

    /// How many windows there are from one to the other, and no more than are kept; `None` where one of them is not the start of a window.
    fn windows_between(&self, from: Timestamp, to: Timestamp) -> Option<usize> {
        let between = u64::try_from(to.unix_millis().checked_sub(from.unix_millis())?).ok()?;
        let windows = between.checked_div(self.millis)?;
        (between % self.millis == 0)
            .then(|| usize::try_from(windows).unwrap_or(KEPT_WINDOWS).min(KEPT_WINDOWS))
    }

    fn forget_two(&mut self) {
        self.granted
            .iter_mut()
            .take(2)
            .for_each(|granted| *granted = None);
    }

    /// The item says it of these two windows; what is not known of them stays so.
    fn agree_with(&mut self, item: TwoWindows) {
        let figures = [item.granted, item.granted_before];
        for (granted, figure) in self.granted.iter_mut().zip(figures) {
            let figure = u16::try_from(figure).unwrap_or(MOST_OF_A_WINDOW);
            *granted = granted.map(|_| figure.min(MOST_OF_A_WINDOW));
        }
    }
}

impl Serialize for DispatchHistory {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.encode())
    }
}

/// For `deserialize_with`: the history, or `None` for whatever else is there. What cannot be read is begun anew, and keeps nobody from
/// reading the item.
///
/// # Errors
/// Those of the deserializer.
pub fn readable<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DispatchHistory>, D::Error> {
    from.deserialize_any(Readable)
}

struct Readable;

impl<'de> Visitor<'de> for Readable {
    type Value = Option<DispatchHistory>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(DispatchHistory::decode(bytes))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        readable(from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}
