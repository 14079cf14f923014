//! The control item and its budget, as `ledger/src/control.rs` decides it.

/// For how many windows the scheduler leaves room for the sweep. 10 in the ledger: shorter here, so that it ends within the bounds.
const OWED_WINDOWS: u8 = 1;

/// How many windows ahead of the clock one may be granted: one, or what clocks may differ (10 minutes in the ledger).
const AHEAD: u8 = 1;

/// And a grant so much further ahead is forgotten.
const SKEW: u8 = 1;

/// The control item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Control {
    /// The newest window in which anything was granted.
    pub window: Option<u8>,
    /// What was granted in it.
    pub granted: u8,
    /// What was granted in the window right before it.
    pub granted_before: u8,
    /// Redeliveries for which the sweep found no budget.
    pub owed: u8,
    /// The window of that sweep.
    pub owed_at: Option<u8>,
    /// The window in which the last sweep was granted anything; none if it found no budget.
    pub redelivered_at: Option<u8>,
    /// A person paused dispatch.
    pub paused: bool,
}

/// What a run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The window that it runs for.
    pub window: u8,
    /// N.
    pub per_window: u8,
    /// 1, or 0 from a sweep that found nothing.
    pub wanted: u8,
    /// From the sweep.
    pub redelivery: bool,
    /// The window that the ledger's clock is in, where this runs.
    pub now: u8,
}

impl Control {
    /// As it counts for that window: a grant of a clock that was far ahead is forgotten, and what it has overwritten counts as spent.
    fn in_time(&self, request: &Request) -> Self {
        let latest = request.now.saturating_add(AHEAD).saturating_add(SKEW);
        match self.window {
            Some(newest) if newest > latest => Self {
                window: Some(request.now.max(request.window)),
                granted: request.per_window,
                granted_before: request.per_window,
                owed: 0,
                owed_at: None,
                redelivered_at: None,
                paused: self.paused,
            },
            _ => *self,
        }
    }
}

/// What the control item becomes and how many are granted; `None` when nothing is written. With `kept`, a grant of a clock that was
/// far ahead is kept (planted).
pub fn decide(stored: &Control, request: &Request, kept: bool) -> Option<(Control, u8)> {
    // Paused, or a window that is ahead.
    if stored.paused || request.window > request.now.saturating_add(AHEAD) {
        return None;
    }
    let control = &match kept {
        true => *stored,
        false => stored.in_time(request),
    };
    let mut next = *control;
    let spent = match control.window {
        Some(newest) if newest == request.window => &mut next.granted,
        Some(newest) if newest > request.window => {
            if request.window + 1 != newest {
                return None;
            }
            &mut next.granted_before
        }
        newest => {
            let follows = newest.is_some_and(|newest| newest + 1 == request.window);
            next.granted_before = if follows { control.granted } else { 0 };
            next.granted = 0;
            next.window = Some(request.window);
            &mut next.granted
        }
    };
    let owed = match control.owed_at {
        Some(since) if request.window <= since + OWED_WINDOWS => control.owed,
        _ => 0,
    };
    // An N of 1 has no half: the two take turns.
    let one = request.per_window == 1;
    let reserved = match (request.redelivery, control.redelivered_at) {
        (true, Some(last)) if one && last + 1 == request.window => 1,
        (true, _) => 0,
        (false, Some(_)) if one => 0,
        (false, _) => owed.min(request.per_window.div_ceil(2)),
    };
    let left = request.per_window.saturating_sub(reserved).saturating_sub(*spent);
    let granted = request.wanted.min(left);
    let untouched = *spent == 0;
    *spent += granted;
    if request.redelivery {
        next.redelivered_at = match (granted, request.wanted) {
            (1.., _) => Some(request.window),
            (0, 0) => control.redelivered_at,
            (0, _) => control
                .redelivered_at
                .filter(|last| untouched || *last == request.window),
        };
        next.owed = request.wanted - granted;
        next.owed_at = Some(request.window).filter(|_| next.owed > 0);
    }
    let owes_as_stored = (next.owed, next.owed_at) == (stored.owed, stored.owed_at);
    match granted {
        0 if owes_as_stored && (request.wanted == 0 || control == stored) => None,
        _ => Some((next, granted)),
    }
}
