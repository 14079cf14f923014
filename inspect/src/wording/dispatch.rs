//! The dispatch in words and for programs: windows, refusals, pauses and N, the same everywhere.

use daybook_ledger::{Control, Pause, Refusal, Window};
use daybook_schema::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::wording::time;

/// A window in words.
pub fn window(window: Window) -> String {
    format!("{}, {} long", window.start, time::span(window.length))
}

/// Why nothing, or not more, was dispatched, in words.
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Paused(pause) => format!("dispatch is paused {}", paused(pause)),
        Refusal::WindowFull => "N is reached in this window".to_owned(),
        Refusal::WindowPassed => "the window is over, and the one after it has begun".to_owned(),
        Refusal::WindowAhead => {
            "the window begins too far in the future: the clock or the time that was given is wrong"
                .to_owned()
        }
        Refusal::Backlog => "events that came before wait for the scheduler".to_owned(),
        Refusal::Contended => "others changed the budget at the same moment".to_owned(),
        Refusal::NothingWanted => "nothing is due".to_owned(),
    }
}

/// A pause in words.
pub fn paused(pause: &Pause) -> String {
    let until = match pause.until {
        Some(until) => format!("until {until}"),
        None => "until it is resumed".to_owned(),
    };
    let by = Some(&pause.by).filter(|by| !by.is_empty());
    let why = Some(&pause.why).filter(|why| !why.is_empty());
    let by = by.map(|by| format!("by {by} ")).unwrap_or_default();
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    format!("{by}{until}{why}")
}

/// Where dispatch stands, as programs get it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DispatchOutput {
    /// N as it was set while running; null: as the scheduler is configured.
    per_window: Option<u32>,
    /// Who set it when, and why.
    per_window_note: Option<String>,
    /// The newest window in which anything was granted.
    window: Option<WindowOutput>,
    /// Redeliveries for which the sweep found no budget.
    owed: u32,
    /// The pause, if dispatch is paused.
    paused: Option<PauseOutput>,
    /// When the ledger was first used.
    installed_at: Option<Timestamp>,
}

/// A window.
#[derive(Debug, Serialize, JsonSchema)]
struct WindowOutput {
    /// Its start.
    start: Timestamp,
    /// Its length.
    seconds: f64,
    /// How many events were granted in it.
    granted: u32,
}

/// What was granted in the last windows, as programs get it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WindowsOutput {
    /// The start of the first window.
    first: Timestamp,
    /// The length of each.
    seconds: f64,
    /// How many events were granted in each, the oldest window first, up to 120; the last is the current one, or the one after it. Null where
    /// it is not known. 65534 stands for that many or more.
    granted: Vec<Option<u16>>,
    /// N as it is now; null where it is not known.
    per_window: Option<u32>,
}

impl WindowsOutput {
    /// The control item's; `None` where it knows of no window.
    pub fn of(control: &Control, per_window: Option<u32>, now: Timestamp) -> Option<Self> {
        let windows = control.granted_windows(now)?;
        Some(Self {
            first: windows.first,
            seconds: windows.length.as_secs_f64(),
            granted: windows.granted,
            per_window,
        })
    }
}

/// A pause.
#[derive(Debug, Serialize, JsonSchema)]
struct PauseOutput {
    /// Since when.
    since: Option<Timestamp>,
    /// When it ends by itself; null: when it is resumed.
    until: Option<Timestamp>,
    /// Who paused.
    by: String,
    /// And why.
    why: String,
}

impl DispatchOutput {
    /// The control item for programs.
    pub fn of(control: &Control, now: Timestamp) -> Self {
        Self {
            per_window: control.per_window,
            per_window_note: control.per_window_note.clone(),
            window: control.window.map(|start| WindowOutput {
                start,
                seconds: std::time::Duration::from_millis(control.window_millis).as_secs_f64(),
                granted: control.granted,
            }),
            owed: control.owed,
            paused: control.pause(now).map(|pause| PauseOutput {
                since: control.paused_at,
                until: pause.until,
                by: pause.by,
                why: pause.why,
            }),
            installed_at: control.installed_at,
        }
    }
}

/// Whether dispatch is paused, in words that follow "dispatch".
pub fn pause_words(control: &Control, now: Timestamp) -> String {
    let Some(pause) = control.pause(now) else {
        return "is not paused".to_owned();
    };
    let since = control
        .paused_at
        .map(|at| format!(", since {}", time::at(at, now)));
    format!("is paused {}{}", paused(&pause), since.unwrap_or_default())
}

/// What N is, in words.
pub fn per_window_words(control: &Control) -> String {
    let note = control.per_window_note.as_deref();
    let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
    match control.per_window {
        Some(n) => format!("N is {n} per window, set while running{note}"),
        None => format!("N is as the scheduler is configured{note}"),
    }
}
