//! Workers and messages with several events, as a model of its own beside [`crate::worker`]: two rows of one batch, taken row by row,
//! run together or by themselves. Claiming and sending are one step here.
//!
//! The same two assumptions: a lease does not end while its worker runs the target with that row; and who has a message hides it from
//! nobody.

use clap::ValueEnum;

use crate::world::Status;

mod checks;
mod steps;

/// So many workers may die with an attempt; then it has failed. 3 in the manager: two are enough to see one that is not enough.
const MOST_DEATHS: u8 = 2;

const ROWS: usize = 2;

/// Rows, as bits.
type Set = u8;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum CrewDefect {
    /// All rows of a message are taken before any of them is run.
    TakesAllFirst,
    /// A row with which a worker died goes into company again.
    DeathsInCompany,
    /// What the take's answer says of deaths is not looked at, but only what was read before.
    TrustsTheRead,
    /// A row that failed in company goes into company again.
    FailedInCompany,
    /// The target gets the rows of the message, and not those that were taken.
    RunsTheMessage,
    /// The target's success counts for the rows of the message.
    SettlesTheMessage,
    /// A failure in company parks a row whose attempts are used up.
    ParksTheCompany,
    /// A failure is written without asking for the worker's token.
    FailsWithoutToken,
    /// A lease that could not be extended ends no run but that of its own row, in a run for several.
    RunsOnWithoutLease,
}

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    status: Status,
    due: bool,
    attempt: u8,
    max_attempts: u8,
    alone: bool,
    /// Taken since it was last sent.
    held: bool,
    /// How often it was taken after another worker, in this attempt.
    deaths: u8,
}

/// What a worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// Reads the rows: which of them go into company.
    Read,
    /// Takes the next one for its run.
    Take,
    /// Runs the target.
    Run,
    /// The target succeeded but for those: completes the next row, or fails it.
    Settle(Set),
    /// Puts the next row back: it was told to stop, or it must not run with the others.
    PutBack,
    /// All are done with.
    Acknowledge,
}

/// A message: rows of one batch at their attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    rows: Set,
    attempts: [u8; ROWS],
}

/// A worker with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Worker {
    at: At,
    message: Message,
    /// To be taken for the next run.
    take: Set,
    /// Each to be run by itself after it.
    later: Set,
    /// In the run.
    run: Set,
    /// How many the run began with.
    company: bool,
    /// Rows that bear its token.
    mine: Set,
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shop {
    rows: [Option<Row>; ROWS],
    /// Sorted, as the workers.
    messages: Vec<Message>,
    workers: Vec<Worker>,
    sends: u8,
    // For the checks.
    succeeded: Set,
    /// A worker that knew of the success could not report it before its lease ended.
    unreported: Set,
    /// Attempts that failed, as bits, by row.
    failed: [u32; ROWS],
    /// Runs of a row by itself, in this attempt, that ended untold, or leases that ended unused; no more than are counted.
    losses: [u8; ROWS],
    broken: Option<&'static str>,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// The scheduler claims those rows and sends their message.
    Dispatch(Set),
    /// The sweep sends those rows again.
    Sweep(Set),
    /// A lease ends, or a backoff.
    Due(u8),
    /// A worker receives a message.
    Receive(Message),
    /// A worker takes its next step; a run succeeds.
    Step(Worker),
    /// The same, applied, and the answer is lost: of a take, another row's comes next; otherwise it gives up.
    Unanswered(Worker),
    /// The target fails.
    Fails(Worker),
    /// The target lists that row as failed.
    Lists(Worker, u8),
    /// It is told to stop.
    Stops(Worker),
    /// It dies.
    Dies(Worker),
}

/// A crew, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Crew {
    /// How many may work at once.
    pub workers: usize,
    /// Messages that may be sent.
    pub sends: u8,
    /// After this attempt a row is parked.
    pub max_attempts: u8,
    /// Whether the first row ends every process that runs it.
    pub kills: bool,
    /// Whether every run with the first row fails.
    pub poisons: bool,
    /// What is planted.
    pub defect: Option<CrewDefect>,
}

impl Crew {
    const BASE: Self = Self {
        workers: 1,
        sends: 2,
        max_attempts: 1,
        kills: false,
        poisons: false,
        defect: None,
    };

    /// Small enough for every test run, by name.
    pub const SMALL: [(&str, Self); 3] = [
        (
            "crew",
            Self {
                workers: 2,
                sends: 1,
                ..Self::BASE
            },
        ),
        // One row ends every process that runs it.
        (
            "crew-killed",
            Self {
                kills: true,
                ..Self::BASE
            },
        ),
        // With one row every run fails.
        (
            "crew-poisoned",
            Self {
                poisons: true,
                ..Self::BASE
            },
        ),
    ];

    /// What takes minutes, by name.
    pub const LARGE: [(&str, Self); 1] = [(
        "crew-large",
        Self {
            workers: 2,
            ..Self::BASE
        },
    )];

    /// The model in which a planted defect is seen, and its name.
    pub fn planted(defect: CrewDefect) -> (&'static str, Self) {
        use CrewDefect as D;
        let (name, crew) = match defect {
            D::TakesAllFirst | D::DeathsInCompany => Self::SMALL[1],
            D::FailedInCompany => Self::SMALL[2],
            _ => Self::SMALL[0],
        };
        let defect = Some(defect);
        (name, Self { defect, ..crew })
    }

    fn has(&self, defect: CrewDefect) -> bool {
        self.defect == Some(defect)
    }
}

/// The rows of a set.
fn each(set: Set) -> impl Iterator<Item = usize> {
    (0..ROWS).filter(move |row| set & (1 << row) != 0)
}
