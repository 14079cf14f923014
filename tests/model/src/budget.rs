//! The control item and its budget, as `ledger/src/control.rs` decides it.

/// For how many more windows the scheduler leaves room for a sweep that is late. 2 in the ledger: shorter here, so that it ends
/// within the bounds.
const LATE_WINDOWS: u8 = 1;

/// For how many windows the sweep leaves room for a scheduler that wanted something. 3 in the ledger; an N of 1 needs 2.
const WANTED_WINDOWS: u8 = 2;

/// How many windows ahead of the clock one may be granted: one, or what clocks may differ (10 minutes in the ledger).
const AHEAD: u8 = 1;

/// And a grant so much further ahead is forgotten.
const SKEW: u8 = 1;

/// For how many windows ingest asks for nothing after a tick that left due rows behind. 10 in the ledger: no fewer than lie between
/// two ticks.
const NOTE_WINDOWS: u8 = 2;

/// A rule of the budget that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A grant of a clock that was far ahead is kept.
    FutureGrantKept,
    /// The scheduler leaves nothing to a sweep that is owed something.
    SchedulerLeavesNothing,
    /// The sweep leaves nothing to a scheduler that wants something.
    SweepLeavesNothing,
    /// A scheduler that finds the window spent leaves no word of it.
    RefusalForgotten,
    /// Ingest leaves nothing to a sweep that is owed something.
    IngestLeavesNothing,
    /// Ingest leaves the sweep its half, and not what the sweep leaves to a scheduler of the other one.
    IngestLeavesOneHalf,
    /// The note of a backlog counts in its own window and in the one after it.
    NoteForOneWindow,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Asker {
    /// A tick, for rows that are due.
    Scheduler,
    /// The sweep, for redeliveries.
    Sweep,
    /// Ingest, for events that it has not recorded yet.
    Ingest,
}

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
    /// The note of a backlog: the newest window whose tick left due rows behind.
    pub backlog: Option<u8>,
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
    /// Whose it is.
    pub asker: Asker,
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
                backlog: self.backlog,
                paused: self.paused,
                ..Self::default()
            },
            _ => *self,
        }
    }
}

impl Control {
    /// Whether ingest leaves that window alone: dispatch is paused, or a tick has left due rows behind not long ago.
    pub fn is_closed(&self, window: u8, flaw: Option<Flaw>) -> bool {
        let windows = match flaw {
            Some(Flaw::NoteForOneWindow) => 1,
            _ => NOTE_WINDOWS,
        };
        self.paused || self.backlog.is_some_and(|noted| window <= noted + windows)
    }

    /// What that run leaves of N to the other kind of run, where that one is due in the window and has not come yet.
    fn reserved(&self, request: &Request, flaw: Option<Flaw>) -> u8 {
        let (window, n) = (request.window, request.per_window);
        let within = |since: Option<u8>, windows: u8| {
            since.is_some_and(|since| since <= window && window <= since + windows)
        };
        // An N of 1 has no half: the two take turns.
        let was_the_sweeps = n == 1 && self.redelivered_at.is_some_and(|last| last + 1 == window);
        let has_come = self.scheduled_at.is_some_and(|at| at >= window);
        let scheduler_is_due = !has_come && within(self.scheduled_at, WANTED_WINDOWS);
        match request.asker {
            Asker::Sweep if flaw == Some(Flaw::SweepLeavesNothing) => 0,
            Asker::Sweep => match (scheduler_is_due, n) {
                (false, _) => 0,
                (true, 1) => u8::from(was_the_sweeps),
                (true, _) => n - n / 2,
            },
            Asker::Scheduler if flaw == Some(Flaw::SchedulerLeavesNothing) => 0,
            // Left in more than one window, the one would be all of a scheduler's beside a sweep that does not come.
            Asker::Scheduler => match (
                within(self.sweep_due_at, if n == 1 { 0 } else { LATE_WINDOWS }),
                n,
            ) {
                (false, _) => 0,
                (true, 1) => self.owed.min(u8::from(!was_the_sweeps)),
                (true, _) => self.owed.min(n / 2),
            },
            Asker::Ingest if flaw == Some(Flaw::IngestLeavesNothing) => 0,
            Asker::Ingest if !within(self.sweep_due_at, LATE_WINDOWS) || self.owed == 0 => 0,
            Asker::Ingest if flaw == Some(Flaw::IngestLeavesOneHalf) => self.owed.min(n / 2).max(1),
            // And the half that the sweep leaves to a scheduler: ingest cannot know whether one will have asked by then, and it
            // would be the sweep that went without.
            Asker::Ingest => n - n / 2 + self.owed.min(n / 2),
        }
    }

    /// Notes what became of a run's request, beside the grant itself.
    fn note(&mut self, request: &Request, granted: u8, (free, reserved): (u8, u8)) {
        let turn = Some(request.window);
        match request.asker {
            Asker::Sweep => {
                self.redelivered_at = self.redelivered_at.max(turn.filter(|_| granted > 0));
                self.owed = request.wanted - granted;
                self.sweep_due_at = Some(request.window + 1).filter(|_| self.owed > 0);
            }
            Asker::Scheduler => {
                self.scheduled_at = self.scheduled_at.max(turn);
                // The one of this window is the sweep's, whether or not it comes for it; unless it needs it no more.
                match (request.per_window, granted) {
                    (1, 0) if free > 0 && reserved > 0 => self.redelivered_at = self.redelivered_at.max(turn),
                    (1, 1) => self.redelivered_at = self.redelivered_at.filter(|at| Some(*at) != turn),
                    _ => {}
                }
            }
            Asker::Ingest => {}
        }
    }
}

/// What the control item becomes and how many are granted; `None` when nothing is written.
pub fn decide(stored: &Control, request: &Request, flaw: Option<Flaw>) -> Option<(Control, u8)> {
    // Paused, or a window that is ahead.
    if stored.paused || request.window > request.now.saturating_add(AHEAD) {
        return None;
    }
    let newcomer = request.asker == Asker::Ingest;
    if newcomer && stored.is_closed(request.window, flaw) {
        return None;
    }
    let control = &match flaw {
        Some(Flaw::FutureGrantKept) => *stored,
        _ => stored.in_time(request),
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
    let reserved = control.reserved(request, flaw);
    let free = request.per_window.saturating_sub(*spent);
    let granted = request.wanted.min(free.saturating_sub(reserved));
    *spent += granted;
    if newcomer && granted == 0 {
        return None;
    }
    if granted > 0 || flaw != Some(Flaw::RefusalForgotten) || request.asker == Asker::Sweep {
        next.note(request, granted, (free, reserved));
    }
    let news = |control: &Control| (control.owed, control.sweep_due_at, control.scheduled_at);
    match granted {
        0 if request.wanted == 0 && next.owed == stored.owed => None,
        0 if news(&next) == news(stored) && control == stored => None,
        _ => Some((next, granted)),
    }
}
