//! What is in a world, and how much of it: the configurations that are searched.

use crate::budget::{Control, Flaw};
use crate::defects::Defect;

/// An upload that S3 tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The object, for which receipts are kept: key and version.
    pub object: u8,
    /// S3's order of one key's events, from servers that send it.
    pub sequencer: Option<u8>,
    /// The content.
    pub etag: u8,
    /// When.
    pub time: u8,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// PARKED → another round.
    Redrive,
    /// Any row: out of the ledger.
    Remove,
    /// CLAIMED → as if never claimed.
    Free,
    /// CLAIMED → the attempt failed.
    Fail,
    /// CLAIMED → PARKED, and then its execution is stopped, or may not be.
    Cancel,
    /// Dispatch stops.
    Pause,
    /// Dispatch goes on.
    Resume,
}

/// One configuration.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Its name.
    pub name: &'static str,
    /// The events, in the order in which S3 sees them.
    pub uploads: &'static [Upload],
    /// Windows that the clock goes through.
    pub windows: u8,
    /// N.
    pub per_window: u8,
    /// Attempts of a new row, and of a redriven one more.
    pub max_attempts: u8,
    /// How often an event may be recorded: a notification that was not acknowledged can come again for ever.
    pub lives: u8,
    /// How many of each may be in mid-step at once: ingest, schedule, sweep, invoke, complete.
    pub overlap: [usize; 5],
    /// How many processes may be in mid-step at once, of all kinds.
    pub at_once: usize,
    /// Whether the index may still show rows as they were.
    pub stale_index: bool,
    /// Processes die anywhere, answers get lost anywhere, as often as it pleases; queues lose messages, status events do not
    /// come, sends are refused, index and lists are stale.
    pub troubles: bool,
    /// Faults that make something more: duplicated notifications, messages and status events, expired receipts, grants of clocks that
    /// are far ahead. So many in all.
    pub faults: u8,
    /// Whether executions may fail.
    pub failures: bool,
    /// Whether a scheduler's clocks may be far ahead, both the one that tells its window and the one that it reads itself. What such
    /// a run does to the budget is modelled, and not that it would find every row due.
    pub far_ahead: bool,
    /// Whether ingest dispatches; and by how many windows its clock may be ahead of the schedule's.
    pub immediate: Option<u8>,
    /// Whether rows may become a newer release's, each for a fault, and be this one's again.
    pub releases: bool,
    /// What the operator may do, and how often in all.
    pub operator: (&'static [Verb], u8),
}

/// Bounds, and what is planted in them.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The bounds.
    pub bounds: Bounds,
    /// The rule that is broken.
    pub defect: Option<Defect>,
}

impl Rules {
    /// What a process keeps of the control item that it read.
    pub fn seen(&self, control: Control) -> Option<Control> {
        self.has(Defect::GrantWithoutCondition).then_some(control)
    }

    /// The rule of the budget that is broken, if it is one.
    pub fn flaw(&self) -> Option<Flaw> {
        match self.defect? {
            Defect::FutureGrantKept => Some(Flaw::FutureGrantKept),
            Defect::SchedulerLeavesNothing => Some(Flaw::SchedulerLeavesNothing),
            Defect::SweepLeavesNothing => Some(Flaw::SweepLeavesNothing),
            Defect::RefusalForgotten => Some(Flaw::RefusalForgotten),
            _ => None,
        }
    }

    /// Whether that one is planted.
    pub fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }
}

const fn upload(object: u8, sequencer: Option<u8>, etag: u8, time: u8) -> Upload {
    Upload {
        object,
        sequencer,
        etag,
        time,
    }
}

const ONE: &[Upload] = &[upload(0, Some(1), 0, 1)];
const TWO_OBJECTS: &[Upload] = &[upload(0, Some(1), 0, 1), upload(1, Some(1), 0, 1)];
const TWO_OF_ONE_KEY: &[Upload] = &[upload(0, Some(1), 0, 1), upload(0, Some(2), 1, 2)];
/// A, B and A again, as a server without sequencers tells it.
const A_B_A: &[Upload] = &[
    upload(0, None, 0, 1),
    upload(0, None, 1, 2),
    upload(0, None, 0, 3),
];

const BASE: Bounds = Bounds {
    name: "",
    uploads: ONE,
    windows: 2,
    per_window: 1,
    max_attempts: 2,
    lives: 2,
    overlap: [1, 1, 1, 1, 1],
    at_once: 2,
    stale_index: false,
    troubles: true,
    faults: 0,
    failures: true,
    far_ahead: false,
    immediate: None,
    releases: false,
    operator: (&[], 0),
};

/// The window of a clock that is far ahead: beyond all windows in which a search, or the draining after it, ends.
pub const FAR_AHEAD: u8 = 60;

const PEOPLE: &[Verb] = &[Verb::Redrive, Verb::Remove, Verb::Free, Verb::Fail];
const PAUSE: &[Verb] = &[Verb::Pause, Verb::Resume, Verb::Remove];

/// Small enough for every test run.
pub const SMALL: &[Bounds] = &[
    // Nothing goes wrong, and two runs of everything overlap.
    Bounds {
        name: "quiet",
        troubles: false,
        uploads: TWO_OBJECTS,
        overlap: [1, 2, 1, 2, 1],
        ..BASE
    },
    // Two schedulers on one row, and an index that is behind.
    Bounds {
        name: "schedulers",
        max_attempts: 1,
        overlap: [1, 2, 1, 1, 1],
        stale_index: true,
        ..BASE
    },
    // Failures, redeliveries, replays.
    Bounds {
        name: "attempts",
        at_once: 1,
        windows: 3,
        ..BASE
    },
    // Doubled notifications, messages, status events.
    Bounds {
        name: "copies",
        max_attempts: 1,
        windows: 1,
        per_window: 2,
        faults: 1,
        ..BASE
    },
    // Recorded again after the receipt expired.
    Bounds {
        name: "again",
        at_once: 1,
        troubles: false,
        windows: 1,
        per_window: 3,
        faults: 2,
        ..BASE
    },
    // Two uploads of one key.
    Bounds {
        name: "uploads",
        uploads: TWO_OF_ONE_KEY,
        max_attempts: 1,
        windows: 1,
        per_window: 2,
        faults: 1,
        at_once: 1,
        troubles: false,
        ..BASE
    },
    // The same, and a person removes one.
    Bounds {
        name: "removal",
        uploads: TWO_OF_ONE_KEY,
        max_attempts: 1,
        windows: 1,
        per_window: 2,
        at_once: 1,
        troubles: false,
        faults: 1,
        operator: (PAUSE, 1),
        ..BASE
    },
    // A parked row's second round.
    Bounds {
        name: "redrive",
        windows: 1,
        per_window: 4,
        at_once: 1,
        troubles: false,
        operator: (&[Verb::Redrive], 1),
        ..BASE
    },
    // Three uploads from a server without sequencers.
    Bounds {
        name: "a-b-a",
        uploads: A_B_A,
        max_attempts: 1,
        windows: 1,
        per_window: 2,
        faults: 1,
        at_once: 1,
        failures: false,
        troubles: false,
        ..BASE
    },
    // A scheduler's clocks are far ahead.
    Bounds {
        name: "clocks",
        uploads: TWO_OBJECTS,
        max_attempts: 1,
        at_once: 1,
        troubles: false,
        faults: 1,
        failures: false,
        far_ahead: true,
        ..BASE
    },
    // Two rows, and a budget for one in each window: who leaves it to whom.
    Bounds {
        name: "turns",
        uploads: TWO_OBJECTS,
        windows: 3,
        max_attempts: 1,
        lives: 1,
        at_once: 1,
        troubles: false,
        failures: false,
        ..BASE
    },
    // A newer release was here, and is back later; a budget for one row in each window.
    Bounds {
        name: "releases",
        uploads: TWO_OBJECTS,
        max_attempts: 1,
        lives: 1,
        at_once: 1,
        troubles: false,
        faults: 1,
        releases: true,
        ..BASE
    },
    // Ingest dispatches, and everything goes wrong.
    Bounds {
        name: "immediate",
        max_attempts: 1,
        windows: 1,
        per_window: 2,
        immediate: Some(0),
        ..BASE
    },
    // Two newcomers and a budget for one; a clock that is ahead.
    Bounds {
        name: "at-once",
        uploads: TWO_OBJECTS,
        max_attempts: 1,
        lives: 1,
        at_once: 1,
        troubles: false,
        failures: false,
        immediate: Some(1),
        ..BASE
    },
    // A person cancels what runs, and redrives it.
    Bounds {
        name: "cancelled",
        windows: 1,
        per_window: 3,
        troubles: false,
        operator: (&[Verb::Cancel, Verb::Redrive], 2),
        ..BASE
    },
    // A person does anything at any moment.
    Bounds {
        name: "people-twice",
        max_attempts: 1,
        at_once: 1,
        windows: 1,
        per_window: 2,
        operator: (PEOPLE, 2),
        ..BASE
    },
];

/// What takes minutes.
pub const LARGE: &[Bounds] = &[
    // Clocks that are far ahead, and two runs of everything.
    Bounds {
        name: "clocks-large",
        uploads: TWO_OBJECTS,
        max_attempts: 1,
        troubles: false,
        faults: 1,
        far_ahead: true,
        ..BASE
    },
    // Two rows and a budget for one: who is owed what.
    Bounds {
        name: "budget",
        uploads: TWO_OBJECTS,
        max_attempts: 1,
        at_once: 1,
        failures: false,
        ..BASE
    },
    // A person does anything at any moment, and zombies write afterwards.
    Bounds {
        name: "people",
        max_attempts: 1,
        windows: 1,
        per_window: 2,
        operator: (PEOPLE, 1),
        ..BASE
    },
    // What is cancelled is redriven or removed, and zombies write afterwards.
    Bounds {
        name: "cancelled-large",
        max_attempts: 1,
        windows: 1,
        per_window: 2,
        operator: (&[Verb::Cancel, Verb::Redrive, Verb::Remove], 2),
        ..BASE
    },
    // As in the small bounds, and everything goes wrong.
    Bounds {
        name: "releases-large",
        windows: 1,
        per_window: 2,
        faults: 1,
        releases: true,
        ..BASE
    },
    Bounds {
        name: "again-large",
        at_once: 1,
        windows: 1,
        per_window: 2,
        faults: 2,
        ..BASE
    },
    Bounds {
        name: "uploads-large",
        uploads: TWO_OF_ONE_KEY,
        max_attempts: 1,
        windows: 1,
        per_window: 2,
        at_once: 1,
        ..BASE
    },
    Bounds {
        name: "attempts-large",
        windows: 3,
        ..BASE
    },
    Bounds {
        name: "schedulers-large",
        max_attempts: 1,
        at_once: 3,
        overlap: [1, 2, 1, 1, 1],
        ..BASE
    },
    Bounds {
        name: "immediate-large",
        max_attempts: 1,
        overlap: [2, 1, 1, 1, 1],
        faults: 1,
        immediate: Some(1),
        ..BASE
    },
    Bounds {
        name: "at-once-large",
        uploads: TWO_OBJECTS,
        max_attempts: 1,
        lives: 1,
        troubles: false,
        faults: 1,
        failures: false,
        immediate: Some(1),
        ..BASE
    },
];
