//! Worker mode as a model of its own: one event, no execution names, workers that take its row. Claiming and sending are one step
//! here, since the other model takes them apart.
//!
//! Two assumptions. Time: a lease does not end while its worker runs the target. The worker stops in the last sixth of a lease that
//! it could not extend, so it holds while clocks agree to a sixth of a lease. During the report it may end. Messages: who has one
//! does not hide it from others, since a message's timeout may end, or not be extended, at any moment.
//!
//! One machine (`daybook up`) is this with restarts: the queue and the workers of its process end together, workers of other
//! processes go on ([`machine`]).

use clap::ValueEnum;

use crate::world::Status;

mod checks;
mod machine;
mod steps;
mod words;

/// So many workers may die with an attempt; then it has failed. 3 in the manager: two are enough to see one that is not enough.
pub const MOST_DEATHS: u8 = 2;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum WorkerDefect {
    /// A message takes a row that another worker holds.
    TakeWithoutLease,
    /// A message takes a row at another attempt.
    TakeWithoutAttempt,
    /// The sweep redelivers rows whose leases are not over.
    SweepHeldRows,
    /// A worker acknowledges its message before it reports, and the sweep leaves held rows alone.
    SweepSkipsHeldRows,
    /// A worker's failure is written without asking for its token.
    FailWithoutToken,
    /// A worker puts a row back without asking for its token.
    PostponeWithoutToken,
    /// Whoever takes a row after another worker counts the receives of its message, not the deaths on the row: a message may have
    /// been returned any number of times.
    ReceivesAreDeaths,
    /// A start of one machine puts back what workers of other processes hold, too.
    PutBackForeign,
    /// A start of one machine puts rows back without asking whether they are as it read them.
    PutBackAsNotRead,
    /// A start of one machine that puts a held row back counts no death.
    RestartCountsNothing,
    /// Nothing makes rows due that a clock put off which was ahead.
    NeverBroughtForward,
    /// A row is brought forward without asking for `due_at` as it was read.
    ForwardWithoutDueAt,
    /// A row is brought forward since it was recorded ahead of the clock, whatever it is due after.
    RecordedAheadIsEnough,
}

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    status: Status,
    due: bool,
    attempt: u8,
    /// `deliveries` of 0: taken since it was last sent.
    held: bool,
    /// `lease_moves` above 0.
    moved: bool,
    /// How often it was taken after another worker, in this attempt; no more than are counted.
    deaths: u8,
    /// Taken by a worker of another process than that with the queue: its token is without the mark.
    foreign: bool,
    /// PENDING, and `due_at` was written while the clock was ahead.
    ahead: bool,
}

/// What a worker with a message does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// Takes the row.
    Take,
    /// Runs the target.
    Run,
    /// The target succeeded: writes the receipt.
    Receipt,
    /// Deletes the row.
    Delete,
    /// The target failed, or let workers die: says so.
    Fail,
    /// It was told to stop: puts the row back.
    Postpone,
}

/// A worker with a message. Without one it is nowhere: all are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Worker {
    at: At,
    /// The message's attempt.
    attempt: u8,
    /// Whether the row bears its token.
    mine: bool,
    /// Of another process than that with the queue.
    foreign: bool,
    /// Its message is gone with a queue that was there before.
    orphan: bool,
}

/// What a process that begins does next about a row that it finds CLAIMED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recovery {
    /// Reads the row, and its receipt.
    Look,
    /// Puts the row back.
    PutBack {
        /// Whether token and `due_at` are as it read them.
        fresh: bool,
        /// As it read it.
        attempt: u8,
        /// As it read it.
        held: bool,
    },
    /// Fails the attempt, with which too many processes ended.
    Fail {
        /// As it read it.
        attempt: u8,
    },
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shop {
    row: Option<Row>,
    receipt: bool,
    /// The queue: the attempts that its messages speak of, sorted.
    messages: Vec<u8>,
    /// Sorted.
    workers: Vec<Worker>,
    sends: u8,
    copies: u8,
    /// How often the process with the queue may still end and begin again.
    restarts: u8,
    /// It has begun, and does nothing else before this.
    recovery: Option<Recovery>,
    /// Its clock is ahead.
    clock_is_ahead: bool,
    /// It has seen that the row is due when only a wrong clock can have said so; and whether `due_at` is still that.
    forward: Option<bool>,
    // For the checks.
    /// Attempts that failed, as bits.
    failed: u8,
    /// Workers that held the row in this attempt and went without a report, or never learned that they did; no more than are
    /// counted.
    losses: u8,
    succeeded: bool,
    /// A worker that knew of the success lost its lease before the ledger knew.
    unreported: bool,
    honest: bool,
    broken: Option<&'static str>,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// The scheduler claims the row and sends its message.
    Dispatch,
    /// The sweep deletes a covered row, or sends once more.
    Sweep,
    /// The sweep sends once more, since it cannot read the receipts.
    SweepBlind,
    /// The sweep takes the message for one that waits.
    MoveLease,
    /// `due_at` passes.
    Due,
    /// A worker receives a message of that attempt.
    Receive(u8),
    /// A worker of another process does.
    ReceiveElsewhere(u8),
    /// The queue loses one.
    Lose(u8),
    /// The queue has a copy of one.
    Double(u8),
    /// A worker takes its next step; a run succeeds.
    Step(Worker),
    /// The same, applied, and the answer is lost: it gives up.
    Unanswered(Worker),
    /// It takes the row and cannot read the receipts.
    Blind(Worker),
    /// Its target fails.
    Fails(Worker),
    /// It is told to stop.
    Stops(Worker),
    /// It dies, or gives up, or stops a run whose lease it could not extend.
    Dies(Worker),
    /// The process with the queue ends, its workers with it, and begins again.
    Restart,
    /// It takes its next step about what was claimed.
    Recover,
    /// The same, and it cannot read the receipts.
    RecoverBlind,
    /// Its clock, which was ahead, is set back.
    SetBack,
    /// It looks for rows that a wrong clock put off.
    LookAhead,
    /// It makes one of them due.
    BringForward,
}

/// Worker mode, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Workshop {
    /// How many may work at once.
    pub workers: usize,
    /// Messages that may be sent.
    pub sends: u8,
    /// Of which so many may be doubled.
    pub copies: u8,
    /// After this attempt it is parked.
    pub max_attempts: u8,
    /// How many workers of other processes may be among them.
    pub foreign: usize,
    /// How often the process with the queue may end and begin again, as one machine's does.
    pub restarts: u8,
    /// Whether its clock is ahead at first.
    pub ahead: bool,
    /// What is planted.
    pub defect: Option<WorkerDefect>,
}

impl Workshop {
    const BASE: Self = Self {
        workers: 2,
        sends: 2,
        copies: 1,
        max_attempts: 2,
        foreign: 0,
        restarts: 0,
        ahead: false,
        defect: None,
    };

    /// Small enough for every test run, by name.
    pub const SMALL: [(&str, Self); 3] = [
        ("workers", Self::BASE),
        // One machine: the queue and its workers end with the process; those of other processes go on.
        (
            "restarts",
            Self {
                sends: 3,
                copies: 0,
                max_attempts: 1,
                foreign: 1,
                restarts: 2,
                ..Self::BASE
            },
        ),
        // Its clock was ahead when the event was recorded.
        (
            "set-back",
            Self {
                workers: 1,
                sends: 3,
                copies: 0,
                restarts: 1,
                ahead: true,
                ..Self::BASE
            },
        ),
    ];

    /// What takes minutes, by name.
    pub const LARGE: [(&str, Self); 2] = [
        (
            "workers-three",
            Self {
                workers: 3,
                ..Self::BASE
            },
        ),
        (
            "workers-large",
            Self {
                sends: 4,
                max_attempts: 3,
                ..Self::BASE
            },
        ),
    ];

    /// The model in which a planted defect is seen, and its name.
    pub fn planted(defect: WorkerDefect) -> (&'static str, Self) {
        use WorkerDefect as D;
        let (name, shop) = match defect {
            D::PutBackForeign | D::PutBackAsNotRead | D::RestartCountsNothing => Self::SMALL[1],
            D::NeverBroughtForward | D::ForwardWithoutDueAt | D::RecordedAheadIsEnough => Self::SMALL[2],
            _ => Self::SMALL[0],
        };
        let defect = Some(defect);
        (name, Self { defect, ..shop })
    }

    fn has(&self, defect: WorkerDefect) -> bool {
        self.defect == Some(defect)
    }
}
