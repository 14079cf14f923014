//! The budget of each window as pure functions of the control item: who is granted how much of N.

use std::time::Duration;

use daybook_schema::{DispatchHistory, GrantedWindows, Timestamp, TwoWindows, dispatch_history};
use serde::{Deserialize, Serialize};

/// For how many more windows the scheduler leaves room for a sweep that is late: no longer, because one that does not come any
/// more must not take the scheduler's share down with it.
const LATE_WINDOWS: u32 = 2;

/// For how many windows room is left for a sweep of a release that did not write down when it comes again.
const OWED_WINDOWS: u32 = 10;

/// For how many windows the sweep leaves room for a scheduler that wanted something. More than one, because ticks come late, and
/// because clocks differ.
const WANTED_WINDOWS: u32 = 3;

/// For how many windows after a tick that left due rows behind newcomers wait their turn. One would be too few: with clocks a
/// window apart, or ticks in every second window, newcomers would take N before each tick, and the rows that were there first would
/// wait for ever.
const BACKLOG_WINDOWS: u32 = 10;

/// So much may the clocks of two functions differ.
const CLOCK_SKEW: Duration = Duration::from_secs(600);

/// The ledger's one item that is no row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Start of the newest window in which anything was granted.
    pub window: Option<Timestamp>,
    /// Its length in milliseconds.
    #[serde(default)]
    pub window_millis: u64,
    /// What was granted in it.
    #[serde(default)]
    pub granted: u32,
    /// What was granted in the window right before it.
    #[serde(default)]
    pub granted_before: u32,
    /// Who granted last.
    pub grant_token: Option<String>,
    /// Redeliveries for which the sweep found no budget. The scheduler leaves room for them where that sweep comes again.
    #[serde(default)]
    pub owed: u32,
    /// The window of the sweep that was owed.
    pub owed_at: Option<Timestamp>,
    /// The window in which that sweep comes again: it said so, or its runs came that far apart before, or nothing is known and
    /// it is the next one. An item that an older release wrote has none that is later than `owed_at`.
    pub sweep_due_at: Option<Timestamp>,
    /// The window in which the newest run of the sweep began, of those that asked for anything.
    pub swept_at: Option<Timestamp>,
    /// How far apart two runs of the sweep began, in milliseconds; none while that is not known.
    pub sweep_millis: Option<u64>,
    /// The newest window in which a sweep was granted anything, or with an N of 1 was left the one.
    pub redelivered_at: Option<Timestamp>,
    /// The newest window in which a scheduler wanted something, whether or not it was granted it.
    pub scheduled_at: Option<Timestamp>,
    /// When a tick that left due rows behind said so last; none when the last one left none. Ingest asks for nothing meanwhile.
    pub backlog_at: Option<Timestamp>,
    /// N as set while running; takes the place of the configured one.
    pub per_window: Option<u32>,
    /// When, by whom and why it was set.
    pub per_window_note: Option<String>,
    /// Since when dispatch is paused.
    pub paused_at: Option<Timestamp>,
    /// Until when; none is until resumed.
    pub paused_until: Option<Timestamp>,
    /// By whom.
    pub paused_by: Option<String>,
    /// Why.
    pub paused_why: Option<String>,
    /// When the ledger was made, or first used by a release that did not note that: the audit's watermark.
    pub installed_at: Option<Timestamp>,
    /// What was granted in the last windows; none where no release that keeps it granted anything yet.
    #[serde(default, deserialize_with = "dispatch_history::readable")]
    pub history: Option<DispatchHistory>,
}

impl Control {
    /// The pause in force at that time.
    pub fn pause(&self, now: Timestamp) -> Option<Pause> {
        self.paused_at?;
        if self.paused_until.is_some_and(|until| until <= now) {
            return None;
        }
        Some(Pause {
            until: self.paused_until,
            by: self.paused_by.clone().unwrap_or_default(),
            why: self.paused_why.clone().unwrap_or_default(),
        })
    }
}

impl Control {
    /// How much of that window's budget is spent, as far as it is known: 0 for a window that is not one of the two that are kept.
    pub fn granted_in(&self, window: Window) -> u32 {
        let is_before = |newest: Timestamp| {
            self.window_millis == millis(window.length) && window.following().start == newest
        };
        match self.window {
            Some(newest) if newest == window.start => self.granted,
            Some(newest) if is_before(newest) => self.granted_before,
            _ => 0,
        }
    }

    /// What was granted in each of the last windows, up to the current one; `None` where nothing is known of any.
    pub fn granted_windows(&self, now: Timestamp) -> Option<GrantedWindows> {
        self.history.as_ref()?.windows(self.two_windows()?, now)
    }

    fn two_windows(&self) -> Option<TwoWindows> {
        Some(TwoWindows {
            newest: self.window?,
            millis: self.window_millis,
            granted: self.granted,
            granted_before: self.granted_before,
        })
    }

    /// Whether it is written down already that a scheduler wanted something of that window, or of a later one.
    pub fn knows_of_scheduler(&self, window: Window) -> bool {
        self.scheduled_at >= Some(window.start)
    }

    /// Whether rows that are due wait for a tick, so that newcomers must not overtake them. A note of a clock that was far ahead
    /// does not count.
    fn has_backlog(&self, length: Duration, now: Timestamp) -> bool {
        self.backlog_at
            .is_some_and(|at| now <= at.plus(length * BACKLOG_WINDOWS) && at <= latest_start(length, now))
    }

    /// Whether a sweep that is owed something comes in that window, and has not come yet: once it has, it is due later.
    fn sweep_is_due(&self, window: Window, n: u32) -> bool {
        // An N of 1 is left in one window only: in more, a sweep that does not come would leave the scheduler none of them.
        let is_on_time = n == 1 || self.sweep_millis.is_none();
        self.sweep_comes(window, if is_on_time { 0 } else { LATE_WINDOWS })
    }

    /// Whether a sweep that is owed something comes in that window, or is so many windows late.
    fn sweep_comes(&self, window: Window, late: u32) -> bool {
        self.owed_at.is_some_and(|owed_at| match self.sweep_due_at {
            Some(due) if due > owed_at => window.is_within(due, late),
            _ => window.is_within(owed_at, OWED_WINDOWS),
        })
    }

    /// Whether a scheduler comes in that window that wants something, and has not come yet.
    fn scheduler_is_due(&self, window: Window) -> bool {
        let is_expected = |at: Timestamp| at < window.start && window.is_within(at, WANTED_WINDOWS);
        self.scheduled_at.is_some_and(is_expected)
    }

    /// What that run leaves of N to the other kind of run: its half, where that one is due in the window and has not come yet.
    /// Whoever comes second takes what is left. An N of 1 has no half: there the two take turns.
    fn reserved(&self, request: &GrantRequest, n: u32) -> u32 {
        let window = request.window;
        let was_the_sweeps = self
            .redelivered_at
            .is_some_and(|last| last.plus(window.length) == window.start);
        match (request.asker, n) {
            (Asker::Sweep(_), _) if !self.scheduler_is_due(window) => 0,
            (Asker::Sweep(_), 1) => u32::from(was_the_sweeps),
            (Asker::Sweep(_), _) => n - n / 2,
            // The sweep leaves half to the scheduler, so its own half is not enough: a newcomer would take what it left.
            (Asker::Ingest, _) if self.owed > 0 && self.sweep_comes(window, LATE_WINDOWS) => {
                n - n / 2 + self.owed.min(n / 2)
            }
            (Asker::Ingest, _) => 0,
            (Asker::Scheduler, _) if !self.sweep_is_due(window, n) => 0,
            (Asker::Scheduler, 1) => self.owed.min(u32::from(!was_the_sweeps)),
            (Asker::Scheduler, _) => self.owed.min(n / 2),
        }
    }

    /// Whether it says the same about what the sweep is owed, and when.
    fn owes_as(&self, other: &Self) -> bool {
        (self.owed, self.owed_at, self.sweep_due_at) == (other.owed, other.owed_at, other.sweep_due_at)
    }

    /// Notes how that sweep fared, and when it comes again.
    fn note_sweep(&mut self, window: Window, turn: SweepTurn, owed: u32, granted: u32) {
        if granted > 0 {
            self.redelivered_at = self.redelivered_at.max(Some(window.start));
        }
        // Another run of the same window says nothing about when the sweep comes again.
        if turn.first && self.swept_at < Some(window.start) {
            self.sweep_millis = self.swept_at.map(|before| self.interval(before, window));
            self.swept_at = Some(window.start);
        }
        let following = window.following().start;
        let due = match (turn.stays, self.swept_at, self.sweep_millis) {
            (false, Some(began), Some(interval)) => {
                following.max(began.plus(Duration::from_millis(interval)))
            }
            _ => following,
        };
        self.owed = owed;
        self.owed_at = Some(window.start).filter(|_| owed > 0);
        self.sweep_due_at = Some(due).filter(|_| owed > 0);
    }

    /// Notes that a scheduler wanted something of that window, what it was granted, and what it left to the sweep.
    fn note_schedule(&mut self, window: Window, n: u32, granted: u32, left: u32) {
        let turn = Some(window.start);
        self.scheduled_at = self.scheduled_at.max(turn);
        match (n, granted) {
            // The one of this window is the sweep's, whether or not it comes for it; unless it needs it no more.
            (1, 0) if left > 0 => self.redelivered_at = self.redelivered_at.max(turn),
            (1, 1) => self.redelivered_at = self.redelivered_at.filter(|_| self.redelivered_at != turn),
            _ => {}
        }
    }

    /// How far this run of the sweep began after the one before, in milliseconds. One that is little longer than the last one
    /// was late: its sweep is expected at the earlier time, and room is left for it until the later one.
    fn interval(&self, before: Timestamp, window: Window) -> u64 {
        let interval = millis(window.start.since(before));
        let late = millis(window.length * LATE_WINDOWS);
        self.sweep_millis
            .filter(|known| (*known..=known.saturating_add(late)).contains(&interval))
            .unwrap_or(interval)
    }

    /// As it counts for that window. A grant of a clock that was far ahead would make every window a passed one until its
    /// time has come: such a grant is forgotten. What it has overwritten is not known any more, so the current window and
    /// the one before count as spent: one window's budget is lost, and none is spent twice.
    fn in_time(&self, window: Window, n: u32, now: Timestamp) -> Self {
        let length = Duration::from_millis(self.window_millis).max(window.length);
        // A skew more than is granted: what one clock allowed, no other one forgets.
        let latest = latest_start(length, now).plus(CLOCK_SKEW);
        if self.window.is_none_or(|newest| newest <= latest) {
            return self.clone();
        }
        let current = Window::at(now, window.length).start;
        Self {
            window: Some(current.max(window.start)),
            window_millis: millis(window.length),
            granted: n,
            granted_before: n,
            owed: 0,
            owed_at: None,
            sweep_due_at: None,
            swept_at: None,
            sweep_millis: None,
            redelivered_at: None,
            scheduled_at: None,
            ..self.clone()
        }
    }
}

/// The latest start of a window that anything is granted in: one window ahead, or what clocks may differ.
fn latest_start(length: Duration, now: Timestamp) -> Timestamp {
    now.plus(length.max(CLOCK_SKEW))
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Why nothing is dispatched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Pause {
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Who paused.
    pub by: String,
    /// And why.
    pub why: String,
}

/// A stretch of time in which no more than N may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Window {
    /// Its start: the schedule's own time rounded down.
    #[serde(rename = "window_start")]
    pub start: Timestamp,
    /// Its length.
    #[serde(rename = "window_seconds", serialize_with = "as_seconds")]
    #[cfg_attr(feature = "json-schema", schemars(with = "f64"))]
    pub length: Duration,
}

/// Serializes a length as seconds.
fn as_seconds<S: serde::Serializer>(length: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(length.as_secs_f64())
}

impl Window {
    /// The window of that length that `at` lies in.
    pub fn at(at: Timestamp, length: Duration) -> Self {
        Self {
            start: at.window_start(length),
            length,
        }
    }

    /// The one right after it.
    pub fn following(self) -> Self {
        Self {
            start: self.start.plus(self.length),
            ..self
        }
    }

    /// Whether it begins at that time, or up to so many windows later.
    fn is_within(self, since: Timestamp, windows: u32) -> bool {
        since <= self.start && self.start <= since.plus(self.length.saturating_mul(windows))
    }
}

/// What a run asks the budget for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantRequest {
    /// The window it runs for.
    pub window: Window,
    /// N as configured.
    pub per_window: u32,
    /// How many messages it would send.
    pub wanted: u32,
    /// Who asks.
    pub asker: Asker,
}

/// Who asks the budget. Where first deliveries and redeliveries are both due, neither is granted the other's half of N; with an N
/// of 1 the two take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The scheduler, for rows that are due.
    Scheduler,
    /// Ingest, for events that are not in the ledger yet. It leaves to a sweep that is owed something its share and the scheduler's, and
    /// is refused while rows that are due wait. What it is granted and does not need is lost to the window.
    Ingest,
    /// The sweep, for redeliveries: which turn of it.
    Sweep(SweepTurn),
}

/// Which turn of a run of the sweep it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepTurn {
    /// Whether this run asks for the first time.
    pub first: bool,
    /// Whether this run asks in the next window once more if it is not granted all.
    pub stays: bool,
}

impl SweepTurn {
    /// Of a run that asks once.
    pub const ONLY: Self = Self {
        first: true,
        stays: false,
    };
}

/// What a run may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// So many, 1 or more and never more than wanted.
    Granted(u32),
    /// None.
    Refused(Refusal),
}

/// Why nothing may be sent. For programs it is an object with a `reason`, and a pause's fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// A person paused dispatch.
    Paused(Pause),
    /// N is reached in this window.
    WindowFull,
    /// The window is over, and its successor too: this run came too late.
    WindowPassed,
    /// The window begins more than its length, and more than ten minutes, after the ledger's clock: one of the two is wrong.
    /// Granted, it would make every window until then a passed one.
    WindowAhead,
    /// Rows that are due wait for the scheduler, and a newcomer does not overtake them.
    #[cfg_attr(feature = "json-schema", schemars(skip))]
    Backlog,
    /// Others changed the control item at the same moment, in each of a few tries.
    #[cfg_attr(feature = "json-schema", schemars(skip))]
    Contended,
    /// Nothing was asked for.
    #[serde(rename = "nothing_due")]
    NothingWanted,
}

/// What the control item becomes when the request is granted, or why it is not. Pure: all races are in the condition of the write.
pub fn decide(control: &Control, request: &GrantRequest, now: Timestamp) -> Result<(Control, u32), Refusal> {
    if let Some(pause) = control.pause(now) {
        return Err(Refusal::Paused(pause));
    }
    let window = request.window;
    if window.start > latest_start(window.length, now) {
        return Err(Refusal::WindowAhead);
    }
    if request.asker == Asker::Ingest && control.has_backlog(window.length, now) {
        return Err(Refusal::Backlog);
    }
    let n = control.per_window.unwrap_or(request.per_window);
    let stored = control;
    let control = &stored.in_time(window, n, now);
    let length = millis(window.length);
    let mut next = Control {
        window_millis: length,
        ..control.clone()
    };
    // Two windows are kept: a tick that its scheduler delivers late still has its own budget, and cannot spend another's.
    let spent = match control.window {
        Some(newest) if newest == window.start => &mut next.granted,
        Some(newest) if newest > window.start => {
            if control.window_millis != length || window.start.plus(window.length) != newest {
                return Err(Refusal::WindowPassed);
            }
            &mut next.granted_before
        }
        newest => {
            let follows = newest.is_some_and(|newest| newest.plus(window.length) == window.start);
            next.granted_before = if follows { control.granted } else { 0 };
            next.granted = 0;
            next.window = Some(window.start);
            &mut next.granted
        }
    };
    let reserved = control.reserved(request, n);
    let free = n.saturating_sub(*spent);
    let granted = request.wanted.min(free.saturating_sub(reserved));
    *spent += granted;
    match request.asker {
        Asker::Sweep(turn) => next.note_sweep(window, turn, request.wanted - granted, granted),
        Asker::Scheduler if n > 0 && request.wanted > 0 => {
            next.note_schedule(window, n, granted, free.min(reserved));
        }
        Asker::Scheduler | Asker::Ingest => {}
    }
    next.installed_at = control.installed_at.or(Some(now));
    match granted {
        0 if request.wanted == 0 && next.owed == stored.owed => Err(Refusal::NothingWanted),
        // Its events become rows, for which a scheduler asks.
        0 if request.asker == Asker::Ingest => Err(Refusal::WindowFull),
        0 if next.owes_as(stored) && next.scheduled_at == stored.scheduled_at && control == stored => {
            Err(Refusal::WindowFull)
        }
        // A run that got nothing still leaves word of it, and whoever forgets a grant of the future does.
        _ => {
            let history =
                |written| DispatchHistory::after(stored.history.as_ref(), stored.two_windows(), written);
            next.history = next.two_windows().map(history);
            Ok((next, granted))
        }
    }
}
