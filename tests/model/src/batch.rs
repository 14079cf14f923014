//! Batches: one execution for many events, as a model of its own. A claim call gives its token to the rows that it claims, T; the
//! execution's name is made of T, and its input names the events and attempts that it settles.
//!
//! Small steps only where something can come between: a claim call and the sending of its message; the reads, the start and the writes of
//! an invoker and of complete, one row after another. A sweep's look at rows and its conditional writes are one step, since what comes
//! between makes a write fail. A lease or a backoff may be over at any moment, so nothing is noted of it. A message that waits is one that is sent late. Receipts are the other model's.

use clap::ValueEnum;

use crate::world::Status;

mod bounds;
mod checks;
mod invoke;
mod row;
mod steps;
mod words;

/// How often the sweep counts a running execution as a move of the lease. 3 in the reconciler.
pub const MOVES: u8 = 1;

/// More events than that are in no configuration.
const EVENTS: usize = 3;

/// Events, as bits.
type Set = u8;

/// A number for each event.
type Each = [u8; EVENTS];

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum BatchDefect {
    /// A failure asks for the attempt, and not for the batch.
    FailOfAnyBatch,
    /// A renewal asks for the attempt, and not for the batch.
    RenewOfAnyBatch,
    /// A row that the input does not name is released without asking for the batch.
    ReleaseOfAnyBatch,
    /// The scheduler releases a row without asking for `due_at` as it claimed it.
    ReleaseWithoutDueAt,
    /// What an execution says counts for all rows that bear its batch.
    SettlesAllOfBatch,
    /// What an execution says counts for all rows of the message that found its name taken.
    SettlesTheMessage,
    /// A row that the input does not name is left as it is.
    UnnamedIsLeft,
    /// An input that cannot be read names nobody.
    UnreadableNamesNobody,
    /// An output that cannot be read has no failures.
    UnreadableIsSuccess,
    /// An output that makes no sense has no failures.
    MalformedIsSuccess,
    /// An execution that fails parks rows whose attempts are used up, however many it names.
    ParksCompany,
    /// A row that failed in company goes into company again.
    NeverAlone,
    /// What the claim's answer says of a row that is alone is not looked at: its batch's message has it.
    AloneIsIgnored,
    /// A person's release puts a row of a batch back.
    PersonPutsBack,
    /// A running execution of the batch renews every row of it, as often as it is seen.
    RunningRenews,
    /// A claim whose answer is lost counts as made.
    UnprovenIsSent,
    /// A redelivery has a batch of its own.
    RedeliveryIsNew,
    /// Rows of an invalid input are put back while the name is free.
    InvalidPutsBack,
    /// An invalid input parks all that it names.
    InvalidParksAll,
    /// A row of a batch is redelivered as a single one.
    SettingDecides,
    /// A person's release puts a single row back, whose name does not protect it from a batch.
    SinglePutBack,
    /// What leaves CLAIMED keeps its batch.
    BatchStays,
}

/// A row of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    status: Status,
    attempt: u8,
    max_attempts: u8,
    /// T; 0 where it has none, as a single row.
    batch: u8,
    alone: bool,
    moves: u8,
}

/// An execution's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// `b-{T}`
    Batch(u8),
    /// `b-{T}-{id}`
    Alone(u8, u8),
    /// `{id}-{attempt}`
    Single(u8, u8),
}

/// Events at attempts. The lives, how often each had been recorded, are kept for the checks only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Named {
    events: Set,
    attempts: Each,
    lives: Each,
}

/// A message of the dispatch queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    name: Name,
    rows: Named,
    first: bool,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// SUCCEEDED; those of its events failed.
    Succeeded(Set),
    /// SUCCEEDED, with an output that makes no sense.
    Malformed,
    /// FAILED, TIMED_OUT or ABORTED.
    Failed,
}

/// An execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Execution {
    name: Name,
    input: Named,
    end: Option<End>,
}

/// Writes that follow from what was learned of an execution, one row after another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Writes {
    renew: Set,
    complete: Set,
    fail: Set,
    park: Set,
    /// Not in the input.
    release: Set,
    /// Which of the failed rows are parked where no attempt is left: those that failed by themselves.
    parkable: Set,
    /// It named several: what has failed is alone from now on.
    company: bool,
    /// What is released is alone from now on.
    alone: bool,
    /// Of what has a name in the input.
    attempts: Each,
    /// Of what is released.
    released: Each,
}

/// What a process with a message does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum At {
    /// Reads the rows of a repeated delivery.
    Look,
    /// StartExecution with these rows.
    Start(Set),
    /// The input is invalid: takes the name with an input that names nobody.
    Occupy(Set),
    /// DescribeExecution, since the name is taken; whether the rows' input was invalid.
    Describe(Set, bool),
    /// Writes.
    Write(Writes),
}

/// A process between two awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// A claim call has been answered; these rows are its batch.
    Schedule {
        /// T; 0 for single rows.
        batch: u8,
        /// What is not sent yet.
        rows: Named,
        /// Which of them are alone, as the claim's answer said.
        alone: Set,
        /// Whether each is as it claimed it.
        fresh: Set,
    },
    /// A claim that arrives late.
    Late {
        /// T.
        batch: u8,
        /// The row.
        event: u8,
        /// Whether `due_at` is as the index showed it.
        fresh: bool,
    },
    /// The invoker.
    Invoke(Message, At),
    /// Complete with a status event.
    Complete(Name, At),
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    rows: [Option<Row>; EVENTS],
    /// Sorted, as all others.
    messages: Vec<Message>,
    executions: Vec<Execution>,
    statuses: Vec<Name>,
    processes: Vec<Process>,
    /// Claim calls so far.
    calls: u8,
    /// Redeliveries that may still be sent.
    sends: u8,
    faults: u8,
    person: u8,
    // For the checks.
    lives: Each,
    /// Removed, or called failed, by a person.
    judged: Set,
    broken: Option<&'static str>,
}

/// How one row of a claim call fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Claimed {
    /// The answer proves it.
    Known,
    /// The answer is lost.
    Unknown,
    /// It arrives later, if ever.
    Late,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// A claim call for those rows, one of which may fare otherwise; as single rows or as a batch.
    Claim(Set, Option<(u8, Claimed)>, bool),
    /// The scheduler sends the message of that name.
    Send(Process, Name),
    /// The scheduler releases a row: its message was refused, or is too large.
    Surplus(Process, u8),
    /// A late claim arrives.
    Arrives(Process),
    /// A process takes its next step.
    Step(Process),
    /// The same, and the execution cannot be read: it is encrypted, or too large to be in the event.
    Blind(Process),
    /// It dies, or gives up.
    Dies(Process),
    /// An invoker receives a message.
    Receive(Message),
    /// Complete receives a status event.
    Told(Name),
    /// The queue has a message twice.
    Double(Message),
    /// The sweep sends those rows of one name once more, whose leases are over.
    Redeliver(Set),
    /// The sweep finds the lease of that row over, and sees that the execution of its name runs.
    SeenRunning(u8),
    /// An execution ends. Its status event may come late, or never.
    Ends(Execution, End),
    /// An event is recorded again, since its receipt has expired.
    Again(u8),
    /// A person releases a row.
    Release(u8),
    /// A person calls a row's attempt failed.
    Fail(u8),
    /// A person removes a row.
    Remove(u8),
    /// A person redrives a parked row.
    Redrive(u8),
}

/// Batches, and how much of them.
#[derive(Clone, Copy, Debug)]
pub struct Batches {
    /// How many events.
    pub events: u8,
    /// So many claim calls.
    pub calls: u8,
    /// So many redeliveries.
    pub sends: u8,
    /// After this attempt a row is parked.
    pub max_attempts: u8,
    /// Processes in mid-step at once.
    pub at_once: usize,
    /// Whether claims have no answer or arrive late, messages are refused, and executions cannot be read.
    pub troubles: bool,
    /// Messages doubled, events recorded again: so many in all.
    pub faults: u8,
    /// What a person does, in all.
    pub person: u8,
    /// Whether executions fail.
    pub failures: bool,
    /// An event with which every execution fails.
    pub poison: Option<u8>,
    /// An event that makes an input invalid.
    pub invalid: Option<u8>,
    /// Whether outputs list failures, or make no sense.
    pub lists: bool,
    /// Whether single rows are claimed, too: batches are being turned on, or off.
    pub mixed: bool,
    /// What is planted.
    pub defect: Option<BatchDefect>,
}

impl Batches {
    fn has(&self, defect: BatchDefect) -> bool {
        self.defect == Some(defect)
    }
}

/// The events of a set.
fn each(set: Set) -> impl Iterator<Item = u8> {
    (0..EVENTS as u8).filter(move |event| has(set, *event))
}

fn has(set: Set, event: u8) -> bool {
    set & (1 << event) != 0
}

fn only(event: u8) -> Set {
    1 << event
}
