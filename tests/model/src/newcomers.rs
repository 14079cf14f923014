//! Immediate dispatch and the budget, as a model of its own: ingests with newcomers, ticks with a backlog, and a sweep with stale
//! rows ask one control item, each in two steps, a read and a compare-and-swap that others may be faster with. There is always a next
//! newcomer and always another stale row. Rows are a number here: the other model has them one by one.
//!
//! Assumptions: a tick comes in every window, or in every second one, and a sweep in every one. None dies: a tick or a sweep that does
//! is as one that did not come, and an ingest that does has taken its grant, or is as one that did not come. Ingest's clock is
//! right, or one window ahead of the schedule's.

use clap::ValueEnum;

use crate::budget::{Asker, Control, Flaw};

mod checks;
mod steps;

/// How often ingest tries to take a grant.
const INGEST_TRIES: u8 = 2;

/// So many lost races, and a tick writes the note of a backlog before it tries again.
const LOST_BEFORE_NOTE: u8 = 2;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum NewcomerDefect {
    /// A tick that leaves due rows behind leaves no note of it.
    NoNote,
    /// The note counts in its own window and in the one after it.
    NoteForOneWindow,
    /// A tick writes the note only when its grant is decided: none while it loses races.
    NoteAfterGrant,
    /// A tick that finds a note leaves it as it is.
    NoteNotRenewed,
    /// The note stays when a tick leaves nothing behind.
    NoteStays,
    /// The note says which window it is for, and not when it was written.
    NoteOfItsWindow,
    /// A tick takes the note off without asking whether it is the one that it read.
    NoteTakenOffUnseen,
    /// A tick reads the note after it has looked for due rows: it takes off one that it knows nothing of.
    NoteReadAfterRows,
    /// A tick whose budget is spent leaves no note: only one that is granted less than all.
    RefusedWithoutNote,
    /// Ingest leaves nothing to a sweep that is owed something.
    IngestLeavesNothing,
    /// Ingest leaves the sweep its half, but takes the half that the sweep leaves to a scheduler.
    IngestLeavesOneHalf,
    /// Ingest reads the note once, before its first try.
    NoteReadOnce,
    /// Ingest's clock is two windows ahead: not a rule, but what the rules need.
    TwoWindowsAhead,
}

/// What a run does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// Reads the control item, and decides.
    Read,
    /// Writes what it decided, if nobody granted meanwhile.
    Swap,
    /// A tick: writes the note, and tries again.
    NoteBetween,
    /// A tick: writes the note; it is its last step.
    Note,
    /// A tick: takes the note off that it read.
    TakeOff,
}

/// A run with something to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run {
    asker: Asker,
    /// The window that it asks for: of its own clock, as it began.
    window: u8,
    at: At,
    /// Nobody has granted since it read.
    fresh: bool,
    /// The note that it read.
    note: Option<u8>,
    /// Nobody else has written the note since.
    unchanged: bool,
    /// Kept for the checks only: nobody else has written the note since this tick looked for due rows.
    answers: bool,
    /// Races that it lost.
    lost: u8,
    /// It has written the note.
    noted: bool,
    /// What it wants.
    wanted: u8,
    /// What it was granted.
    granted: u8,
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    clock: u8,
    control: Control,
    /// Rows that wait for a tick.
    backlog: u8,
    /// Sorted.
    runs: Vec<Run>,
    /// Ticks that have ended in this window.
    ticks: u8,
    /// A sweep has ended in this window.
    swept: bool,
    // For the checks.
    /// What was granted, by window.
    granted: Vec<u8>,
    /// Whether a tick, or a sweep, that ended in this window was granted anything; none has wanted anything if that is not known.
    fared: [Option<bool>; 2],
    /// In how many windows in a row they ended, and were granted nothing of what they wanted.
    refused: [u8; 2],
    /// When the newest note was written, of those after which no tick has looked for due rows and left nothing behind.
    unanswered: Option<u8>,
    /// A tick gave up after so many lost races.
    gave_up: bool,
    /// Newcomers are sent at once, though a tick had left a backlog before.
    opened: bool,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// An event comes, and its ingest asks for a grant for a window that is so far ahead.
    Newcomer(u8),
    /// A tick begins.
    Tick,
    /// A sweep begins that has found so many stale rows.
    Sweep(u8),
    /// A run takes its next step.
    Step(Run),
    /// The next window begins.
    NextWindow,
}

/// Who asks, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Newcomers {
    /// Windows that the clock goes through.
    pub windows: u8,
    /// N.
    pub per_window: u8,
    /// Ingests at once.
    pub ingests: usize,
    /// By how many windows an ingest's clock may be ahead.
    pub ahead: u8,
    /// A tick comes in every window, or in every second one.
    pub every: u8,
    /// Ticks at once.
    pub ticks: usize,
    /// Whether a run may stand between two steps.
    pub apart: bool,
    /// Whether there are stale rows.
    pub sweeps: bool,
    /// What is planted.
    pub defect: Option<NewcomerDefect>,
}

impl Newcomers {
    const BASE: Self = Self {
        windows: 7,
        per_window: 1,
        ingests: 1,
        ahead: 1,
        every: 1,
        ticks: 1,
        apart: true,
        sweeps: false,
        defect: None,
    };

    /// Small enough for every test run, by name.
    pub const SMALL: [(&str, Self); 5] = [
        ("newcomers", Self::BASE),
        // A tick comes in every second window.
        (
            "second-ticks",
            Self {
                every: 2,
                ..Self::BASE
            },
        ),
        // Many at once: races are lost.
        (
            "races",
            Self {
                windows: 1,
                per_window: 5,
                ingests: 2,
                ..Self::BASE
            },
        ),
        // A late tick beside the next one.
        (
            "late-ticks",
            Self {
                windows: 3,
                ticks: 2,
                ..Self::BASE
            },
        ),
        // And a sweep that is owed something.
        (
            "owed",
            Self {
                windows: 6,
                per_window: 2,
                apart: false,
                sweeps: true,
                ..Self::BASE
            },
        ),
    ];

    /// What takes minutes, by name.
    pub const LARGE: [(&str, Self); 2] = [
        (
            "newcomers-large",
            Self {
                windows: 4,
                per_window: 2,
                ticks: 2,
                ..Self::BASE
            },
        ),
        (
            "owed-large",
            Self {
                windows: 4,
                per_window: 2,
                sweeps: true,
                ..Self::BASE
            },
        ),
    ];

    /// The model in which a planted defect is seen, and its name.
    pub fn planted(defect: NewcomerDefect) -> (&'static str, Self) {
        use NewcomerDefect as D;
        let (name, newcomers) = match defect {
            D::NoNote | D::RefusedWithoutNote | D::NoteStays | D::NoteNotRenewed => Self::SMALL[0],
            D::NoteForOneWindow => Self::SMALL[1],
            D::NoteAfterGrant | D::NoteReadOnce => Self::SMALL[2],
            D::NoteOfItsWindow | D::NoteTakenOffUnseen | D::NoteReadAfterRows => Self::SMALL[3],
            D::IngestLeavesNothing | D::IngestLeavesOneHalf | D::TwoWindowsAhead => Self::SMALL[4],
        };
        let ahead = newcomers.ahead + u8::from(defect == D::TwoWindowsAhead);
        let defect = Some(defect);
        (
            name,
            Self {
                defect,
                ahead,
                ..newcomers
            },
        )
    }

    fn has(&self, defect: NewcomerDefect) -> bool {
        self.defect == Some(defect)
    }

    fn flaw(&self) -> Option<Flaw> {
        match self.defect? {
            NewcomerDefect::NoteForOneWindow => Some(Flaw::NoteForOneWindow),
            NewcomerDefect::IngestLeavesNothing => Some(Flaw::IngestLeavesNothing),
            NewcomerDefect::IngestLeavesOneHalf => Some(Flaw::IngestLeavesOneHalf),
            _ => None,
        }
    }
}
