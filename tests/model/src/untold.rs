//! Executions that may end without telling anybody (Express), as a model of its own: one event, names that protect from nothing, and
//! the count of starts by repeated deliveries that ends an attempt. Claiming and sending are one step here, as in worker mode.
//!
//! One assumption about time: a lease that the count of a start wrote does not end while that execution runs, since a lease exceeds
//! the five minutes that one may take. An execution that was not counted may outlive any lease.

use clap::ValueEnum;

use crate::world::Status;

mod checks;
mod steps;

/// So many starts are counted; the delivery after the last one fails the attempt. 3 in the manager: two are enough to see one that
/// is not enough.
pub const MOST_UNTOLD: u8 = 2;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum UntoldDefect {
    /// The renewal after a start sets the deliveries back and counts nothing.
    RenewalForgets,
    /// The sweep counts what it sends again, whether or not it ever arrives.
    DeliveriesAreDeaths,
    /// An attempt is failed without asking for the delivery of the message.
    FailWithoutDelivery,
    /// A start by a first delivery is counted, too, and the lease written anew.
    FirstCounts,
}

/// The row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    status: Status,
    due: bool,
    attempt: u8,
    deliveries: u8,
    deaths: u8,
}

/// A message of the dispatch queue: an attempt, and which delivery of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    attempt: u8,
    delivery: u8,
}

/// What an invoker with a message does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// Reads the row: the message is a repeated delivery.
    Look,
    /// Starts an execution; its start is to be counted.
    Start {
        /// Whether.
        counted: bool,
    },
    /// Counts the start, and renews the lease.
    Count,
    /// Fails the attempt instead.
    Fail,
}

/// An invoker with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Invoker {
    at: At,
    message: Message,
    /// The count of deaths that it read.
    seen: u8,
    /// Whether the row bears the token that it read.
    fresh: bool,
}

/// An execution that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run {
    attempt: u8,
    /// A lease was written for it.
    guarded: bool,
}

/// How an execution ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// It dies, and nobody is told.
    Untold,
    /// It tells of its success.
    Success,
    /// It tells of its failure.
    Failure,
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    row: Option<Row>,
    /// Sorted, as all others.
    messages: Vec<Message>,
    invokers: Vec<Invoker>,
    runs: Vec<Run>,
    /// The completion queue: attempts, and whether they succeeded.
    reports: Vec<(u8, bool)>,
    sends: u8,
    copies: u8,
    // For the checks.
    /// Executions of this attempt that have ended; no more than are counted.
    ended: u8,
    succeeded: bool,
    /// Whether every attempt that was failed without a report had that many executions that ended.
    honest: bool,
    /// A write that a first delivery costs.
    wasted: bool,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// The scheduler claims the row and sends its message.
    Dispatch,
    /// The sweep sends once more.
    Sweep,
    /// `due_at` passes.
    Due,
    /// An invoker receives a message.
    Receive(Message),
    /// The queue loses one.
    Lose(Message),
    /// The queue has a copy of one.
    Double(Message),
    /// An invoker takes its next step.
    Step(Invoker),
    /// The same, applied, and it dies before it says so.
    Unanswered(Invoker),
    /// It dies before it.
    Dies(Invoker),
    /// An execution ends.
    Ends(Run, End),
    /// Complete settles a report.
    Settle(u8, bool),
}

/// A pipeline with an Express state machine, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Express {
    /// How many invokers may be in mid-step at once.
    pub invokers: usize,
    /// How many executions may run at once.
    pub runs: usize,
    /// Messages that may be sent.
    pub sends: u8,
    /// Of which so many may be doubled.
    pub copies: u8,
    /// After this attempt it is parked.
    pub max_attempts: u8,
    /// What is planted.
    pub defect: Option<UntoldDefect>,
}

impl Express {
    /// Small enough for every test run.
    pub const SMALL: Self = Self {
        invokers: 1,
        runs: 2,
        sends: 4,
        copies: 1,
        max_attempts: 1,
        defect: None,
    };

    /// What takes minutes.
    pub const LARGE: Self = Self {
        invokers: 2,
        max_attempts: 2,
        ..Self::SMALL
    };

    fn has(&self, defect: UntoldDefect) -> bool {
        self.defect == Some(defect)
    }
}
