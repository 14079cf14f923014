//! The control item and its budget, as `ledger/src/control.rs` decides it.

use crate::bounds::Rules;
use crate::defects::Defect;

/// For how many more windows the scheduler leaves room for a sweep that is late. 2 in the ledger: shorter here, so that it ends
/// within the bounds.
const LATE_WINDOWS: u8 = 1;

/// For how many windows the sweep leaves room for a scheduler that wanted something. 3 in the ledger; an N of 1 needs 2.
const WANTED_WINDOWS: u8 = 2;

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
    /// The window in which the sweep that is owed something comes again. Here it comes in every window; in the ledger it says
    /// so, or is expected as long after its last run as that came after the one before.
    pub sweep_due_at: Option<u8>,
    /// The newest window in which a sweep was granted anything, or with an N of 1 was left the one.
    pub redelivered_at: Option<u8>,
    /// The newest window in which a scheduler wanted something, whether or not it had it.
    pub scheduled_at: Option<u8>,
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
                paused: self.paused,
                ..Self::default()
            },
            _ => *self,
        }
    }
}

impl Control {
    /// What that run leaves of N to the other kind of run, where that one is due in the window and has not come yet.
    fn reserved(&self, request: &Request, rules: &Rules) -> u8 {
        let (window, n) = (request.window, request.per_window);
        let within = |since: Option<u8>, windows: u8| {
            since.is_some_and(|since| since <= window && window <= since + windows)
        };
        // An N of 1 has no half: the two take turns.
        let was_the_sweeps = n == 1 && self.redelivered_at.is_some_and(|last| last + 1 == window);
        match request.redelivery {
            true if rules.has(Defect::SweepLeavesNothing) => 0,
            true => {
                let has_come = self.scheduled_at.is_some_and(|at| at >= window);
                let is_due = !has_come && within(self.scheduled_at, WANTED_WINDOWS);
                match (is_due, n) {
                    (false, _) => 0,
                    (true, 1) => u8::from(was_the_sweeps),
                    (true, _) => n - n / 2,
                }
            }
            false if rules.has(Defect::SchedulerLeavesNothing) => 0,
            // Left in more than one window, the one would be all of a scheduler's beside a sweep that does not come.
            false => match (
                within(self.sweep_due_at, if n == 1 { 0 } else { LATE_WINDOWS }),
                n,
            ) {
                (false, _) => 0,
                (true, 1) => self.owed.min(u8::from(!was_the_sweeps)),
                (true, _) => self.owed.min(n / 2),
            },
        }
    }
}

/// What the control item becomes and how many are granted; `None` when nothing is written.
pub fn decide(stored: &Control, request: &Request, rules: &Rules) -> Option<(Control, u8)> {
    // Paused, or a window that is ahead.
    if stored.paused || request.window > request.now.saturating_add(AHEAD) {
        return None;
    }
    let control = &match rules.has(Defect::FutureGrantKept) {
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
    let reserved = control.reserved(request, rules);
    let free = request.per_window.saturating_sub(*spent);
    let granted = request.wanted.min(free.saturating_sub(reserved));
    *spent += granted;
    if request.redelivery {
        next.redelivered_at = next
            .redelivered_at
            .max(Some(request.window).filter(|_| granted > 0));
        next.owed = request.wanted - granted;
        next.sweep_due_at = Some(request.window + 1).filter(|_| next.owed > 0);
    } else if granted > 0 || !rules.has(Defect::RefusalForgotten) {
        next.scheduled_at = next.scheduled_at.max(Some(request.window));
        // The one of this window is the sweep's, whether or not it comes for it; unless it needs it no more.
        let turn = Some(request.window);
        match (request.per_window, granted) {
            (1, 0) if free > 0 && reserved > 0 => next.redelivered_at = next.redelivered_at.max(turn),
            (1, 1) => next.redelivered_at = next.redelivered_at.filter(|at| Some(*at) != turn),
            _ => {}
        }
    }
    let news = |control: &Control| (control.owed, control.sweep_due_at, control.scheduled_at);
    match granted {
        0 if request.wanted == 0 && next.owed == stored.owed => None,
        0 if news(&next) == news(stored) && control == stored => None,
        _ => Some((next, granted)),
    }
}
