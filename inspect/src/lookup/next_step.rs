//! What happens to a row next.

use std::time::Duration;

use daybook_ledger::{Control, Window};
use daybook_schema::{Row, Status, Timestamp};

use crate::parts::UpState;
use crate::wording::{dispatch, time};

/// What happens next.
pub enum Next {
    /// It is done; only the row is left.
    Done,
    /// It is due, and dispatch is paused.
    Paused(String),
    /// It is due: a window takes it. The next one begins then, if that is known.
    Due(Option<Timestamp>),
    /// It is due then.
    Wait(Timestamp),
    /// Its lease ends then.
    Lease(Timestamp),
    /// Its lease is over.
    Sweep,
    /// It waits for a person.
    Person,
}

/// What happens to that row next.
pub fn next(row: &Row, done_by_receipt: bool, control: Option<&Control>, now: Timestamp) -> Next {
    if done_by_receipt {
        return Next::Done;
    }
    match row.status {
        Status::Parked => Next::Person,
        Status::Claimed if row.due_at > now => Next::Lease(row.due_at),
        Status::Claimed => Next::Sweep,
        Status::Pending if row.due_at > now => Next::Wait(row.due_at),
        Status::Pending => match control.and_then(|control| control.pause(now)) {
            Some(pause) => Next::Paused(dispatch::paused(&pause)),
            None => Next::Due(control.and_then(|control| next_window(control, now))),
        },
    }
}

fn next_window(control: &Control, now: Timestamp) -> Option<Timestamp> {
    let length = Duration::from_millis(control.window_millis);
    (!length.is_zero()).then(|| Window::at(now, length).start.plus(length))
}

impl Next {
    /// For programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Paused(_) => "paused",
            Self::Due(_) => "due",
            Self::Wait(_) => "wait",
            Self::Lease(_) => "lease",
            Self::Sweep => "sweep",
            Self::Person => "person",
        }
    }

    /// When, if that is known.
    pub fn at(&self) -> Option<Timestamp> {
        match self {
            Self::Due(at) => *at,
            Self::Wait(at) | Self::Lease(at) => Some(*at),
            Self::Done | Self::Paused(_) | Self::Sweep | Self::Person => None,
        }
    }

    /// For people. `up` is the `daybook up` of a folder; `None` on AWS.
    pub fn words(&self, up: Option<UpState>, now: Timestamp) -> String {
        let words = match self {
            Self::Done => {
                "a receipt says that it is done; what is left is the row, which goes with it".to_owned()
            }
            Self::Paused(pause) => format!("it is due, but dispatch is paused {pause}"),
            Self::Due(None) => "it is due: one of the next windows sends it, oldest due first".to_owned(),
            Self::Due(Some(at)) => format!(
                "it is due: one of the next windows sends it, oldest due first; the next begins at {}",
                time::at(*at, now)
            ),
            Self::Wait(at) => format!(
                "not before {}; then one of the next windows sends it",
                time::at(*at, now)
            ),
            Self::Lease(at) => format!(
                "its lease ends at {}; if it is not done by then, the sweep checks on it",
                time::at(*at, now)
            ),
            Self::Sweep => "its lease is over: the next sweep checks on it".to_owned(),
            Self::Person => return "it waits for a person".to_owned(),
        };
        match up {
            Some(UpState::NotRunning) => {
                format!("{words} (`daybook up` does not run: nothing moves until it is started)")
            }
            Some(UpState::Collecting) => {
                format!(
                    "{words} (`daybook up` runs without a target: nothing is sent until it is started with one)"
                )
            }
            Some(UpState::Working(_)) | None => words,
        }
    }
}
