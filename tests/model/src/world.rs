//! The world as plain data: what the tables, the queues and Step Functions hold, and where every process stands.
//!
//! Two abstractions keep it finite. Time: `due` says whether a row's `due_at` has passed, and it may pass at any moment.
//! Equality: a `due_at` or a token is never compared by size, only asked whether it is still the one that was seen, so a
//! process holds that answer ([`View`]) and not the value.

use crate::bounds::Rules;
use crate::budget::Control;
use crate::defects::Defect;
use crate::receipts::Receipt;
use crate::rows;

/// An event, by its place in [`crate::bounds::Bounds::uploads`].
pub type Event = u8;

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Waits for the scheduler.
    Pending,
    /// Handed to the dispatch queue.
    Claimed,
    /// Waits for a person.
    Parked,
}

/// A row of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Where it stands.
    pub status: Status,
    /// `due_at` has passed. PENDING: it may be claimed. CLAIMED: the lease is over.
    pub due: bool,
    /// 0 before the first claim.
    pub attempt: u8,
    /// After a failure of this attempt it is parked.
    pub max_attempts: u8,
    /// How often the sweep moved the lease.
    pub lease_moves: u8,
    /// `recorded_at`: the how-manieth row of this event it is.
    pub life: u8,
    /// A newer release wrote it, and may mean more by it than this one knows.
    pub newer: bool,
    /// Kept for the checks only: how often it was redriven.
    pub rounds: u8,
    /// Kept for the checks only: attempts that it had left when it was cancelled.
    pub spared: u8,
    /// Kept for the checks only: how often the scheduler put the next or current attempt on the queue.
    pub queued: u8,
}

/// What a process knows of the row that it works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct View {
    /// `due_at` is still as it was seen.
    pub fresh: bool,
    /// The row's claim token is the process's own.
    pub mine: bool,
}

/// A message of the dispatch queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Message {
    /// The event.
    pub event: Event,
    /// The attempt: with the event, the execution's name.
    pub attempt: u8,
    /// Delivery 1; later ones make the invoker read the row first.
    pub first: bool,
}

/// What is known of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Progress {
    /// RUNNING.
    Running,
    /// SUCCEEDED.
    Succeeded,
    /// FAILED, TIMED_OUT or ABORTED.
    Failed,
}

/// An execution, under the name (event, attempt).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Execution {
    /// The event.
    pub event: Event,
    /// The attempt.
    pub attempt: u8,
    /// How far it is.
    pub progress: Progress,
    /// `started_at`: how many rows of the event had been recorded by then.
    pub life: u8,
    /// Kept for the checks only: how many executions ran for this event and attempt.
    pub starts: u8,
}

/// A status event on the completion queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusEvent {
    /// The event.
    pub event: Event,
    /// The attempt.
    pub attempt: u8,
    /// SUCCEEDED.
    pub ok: bool,
}

/// A process between two awaits. A process that waits for ever, one that dies after its request was sent, and a request
/// that arrives long after its caller gave up are all one here: it may stand at any place for any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// Has read the receipts for a notification.
    Ingest {
        /// The event.
        event: Event,
        /// The window that it asks a grant for: of its own clock. 0 where it asks for none.
        window: u8,
        /// What it knows of the row that it inserted.
        view: View,
        /// What comes next.
        at: IngestAt,
    },
    /// A scheduler's run for one row. A run for n rows is n of these: rows meet in the budget only.
    Schedule {
        /// The window that it runs for.
        window: u8,
        /// The row that the index showed.
        event: Event,
        /// What it knows of it.
        view: View,
        /// What its tick knows of a backlog.
        seen: Backlog,
        /// What comes next.
        at: DispatchAt,
    },
    /// A sweep's look at one stale row.
    Sweep {
        /// The window that it runs for.
        window: u8,
        /// The row.
        event: Event,
        /// What it knows of it.
        view: View,
        /// The attempt as it was read.
        attempt: u8,
        /// What comes next.
        at: DispatchAt,
    },
    /// The invoker with a message.
    Invoke {
        /// The message.
        message: Message,
        /// What comes next.
        at: InvokeAt,
    },
    /// Complete with a status event.
    Complete {
        /// The status event.
        status: StatusEvent,
        /// What comes next.
        at: SettleAt,
    },
    /// A person removes a row.
    Remove {
        /// The event.
        event: Event,
        /// Whether the receipt is written.
        receipt: bool,
    },
    /// A person cancels a row that they saw.
    Cancel {
        /// The event.
        event: Event,
        /// The attempt as it was seen.
        attempt: u8,
        /// What comes next.
        at: CancelAt,
    },
}

/// What `daybook cancel` does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CancelAt {
    /// Park the row.
    Park,
    /// Stop the attempt's execution.
    Stop,
}

/// What a tick knows of a backlog, where ingest dispatches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Backlog {
    /// The note, as it read it before it looked for due rows.
    pub note: Option<u8>,
    /// Whether there are due rows beside its own.
    pub behind: bool,
}

/// What ingest does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IngestAt {
    /// Take from the budget.
    Grant,
    /// The conditional insert.
    Insert {
        /// With a grant: as CLAIMED.
        claimed: bool,
    },
    /// Put the message of the first attempt on the queue.
    Send,
    /// The queue certainly has no message: release.
    Release,
    /// The event is in the ledger.
    Acknowledge,
    /// Planted: give a grant back that was not used.
    GiveBack,
    /// Acknowledge the notification: a receipt covers it.
    Covered,
    /// Planted: acknowledge, and only then insert.
    AcknowledgeFirst,
}

/// What a scheduler or a sweep does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DispatchAt {
    /// The sweep: look at executions and receipts, and decide.
    Plan,
    /// The sweep: the execution runs.
    Renew,
    /// The sweep: a receipt covers the row.
    DeleteDone,
    /// The sweep: the queue is slow.
    MoveLease,
    /// Take from the budget. With what was read of it only where the write has no condition (planted): otherwise a read that
    /// is behind is repeated.
    Grant(Option<Control>),
    /// A tick that leaves due rows behind: write the note of it. Whether it was granted its row.
    Note(bool),
    /// A tick that leaves nothing behind: take the note off that it read.
    TakeOff,
    /// Claim, or redeliver.
    Claim,
    /// Put the message of that attempt on the queue.
    Send(u8),
    /// The queue certainly has no message: release, or unsend.
    GiveBack,
}

/// What the invoker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InvokeAt {
    /// Read the row of a repeated delivery.
    Look,
    /// StartExecution.
    Start,
    /// DescribeExecution, since the name is taken.
    Describe,
    /// The execution runs: a new lease.
    Renew,
    /// The execution has ended.
    Settle(SettleAt),
}

/// What the end of an execution, or its message, still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SettleAt {
    /// Success: the receipt.
    Receipt,
    /// Success: the row's deletion.
    Delete,
    /// Planted: the receipt after the deletion.
    ReceiptLast,
    /// Failure: read the row.
    Read,
    /// Failure: write what was decided from what was read.
    Fail {
        /// PARKED instead of PENDING.
        park: bool,
        /// The new limit.
        max_attempts: u8,
        /// The row that was read: `recorded_at` in the ledger.
        life: u8,
    },
    /// Acknowledge the message.
    Acknowledge,
    /// Leave it: it comes again.
    Return,
}

/// What the checks remember of an event. Nothing in the protocol reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// Its notification was acknowledged.
    pub acknowledged: bool,
    /// A person removed it.
    pub removed: bool,
    /// Attempts that a person called failed, as bits.
    pub failed_by_person: u8,
    /// Attempts that a person cancelled, as bits.
    pub cancelled: u8,
    /// Attempts whose executions were stopped when they were cancelled, as bits.
    pub stopped: u8,
    /// How many rows were recorded for it.
    pub lives: u8,
    /// Copies of its notification with which no grant was taken yet.
    pub ungranted: u8,
    /// It ran beside, or after, an attempt that a person had called failed.
    pub ran_beside: bool,
}

/// A rule of one step that was broken, as the checks saw it at that step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Broken {
    /// Somebody believes to have made a claim that is not theirs.
    FalseClaim,
    /// A row was claimed before it was due, or redelivered before its lease was over.
    TooEarly,
    /// The scheduler put one attempt on the queue twice.
    QueuedTwice,
    /// An event ran again after a success, or beside another run of it, for no documented reason.
    Duplicate,
    /// An older receipt took the place of a newer one.
    OlderReceipt,
    /// A row of a newer release was changed, or deleted.
    NewerChanged,
    /// The end of an execution that was stopped when its event was cancelled used up the attempt.
    StopSettled,
    /// A grant was taken with a notification with which one had been taken before.
    GrantedAgain,
    /// Schedulers, or sweeps, asked the budget in two windows in a row, and none of them had anything of either.
    Starved,
}

/// How one kind of run fared with the budget. Nothing in the protocol reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The newest window in which one was granted anything.
    pub granted: Option<u8>,
    /// The newest window in which one found no budget, and none had found any before. None after a grant.
    pub refused: Option<u8>,
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// The ledger table, by event.
    pub rows: Vec<Option<Row>>,
    /// The control item.
    pub control: Control,
    /// The receipts table, by object.
    pub receipts: Vec<Option<Receipt>>,
    /// The window that the schedule's clock is in.
    pub clock: u8,
    /// How many of the uploads happened.
    pub uploaded: u8,
    /// Copies of each event's notification in the intake queue.
    pub intake: Vec<u8>,
    /// How many of them were received before by an ingest that asked for a grant.
    pub received: Vec<u8>,
    /// The dispatch queue, sorted: SQS promises no order.
    pub queue: Vec<Message>,
    /// The completion queue, sorted.
    pub statuses: Vec<StatusEvent>,
    /// Step Functions, sorted by name.
    pub executions: Vec<Execution>,
    /// Everything that is in mid-step, sorted: processes have no names.
    pub processes: Vec<Process>,
    /// Faults that may still happen, of those that make something more.
    pub faults: u8,
    /// What the operator may still do.
    pub operator: u8,
    /// For the checks.
    pub memory: Vec<Memory>,
    /// For the checks: what was put on the queue in each window.
    pub sent: Vec<u8>,
    /// For the checks: objects whose receipts expired.
    pub expired: Vec<bool>,
    /// For the checks: how the schedulers, and the sweeps, fared with the budget.
    pub asked: [Asked; 2],
    /// For the checks.
    pub broken: Option<Broken>,
}

impl Process {
    /// The row that it has a view of.
    fn view(&mut self) -> Option<(Event, &mut View)> {
        match self {
            Self::Ingest { event, view, .. }
            | Self::Schedule { event, view, .. }
            | Self::Sweep { event, view, .. } => Some((*event, view)),
            _ => None,
        }
    }
}

impl World {
    /// The row of an event.
    pub fn row(&self, event: Event) -> Option<Row> {
        self.rows[usize::from(event)]
    }

    /// What the checks remember of it.
    pub fn memory(&mut self, event: Event) -> &mut Memory {
        &mut self.memory[usize::from(event)]
    }

    /// Whether a person ended that attempt, whatever became of its execution.
    pub fn by_person(&self, event: Event, attempt: u8) -> bool {
        let memory = self.memory[usize::from(event)];
        let bit = 1u8.checked_shl(u32::from(attempt)).unwrap_or(0);
        (memory.failed_by_person | memory.cancelled) & bit != 0
    }

    /// The execution of that name.
    pub fn execution(&self, event: Event, attempt: u8) -> Option<Execution> {
        let named = |one: &&Execution| (one.event, one.attempt) == (event, attempt);
        self.executions.iter().find(named).copied()
    }

    /// Writes a row with a new `due_at`: whoever saw it before has lost it. With `token`, its token is new, too.
    pub fn write(&mut self, event: Event, row: Option<Row>, token: bool) {
        if self.row(event).is_some_and(|row| row.newer) {
            self.note(Broken::NewerChanged);
        }
        self.rows[usize::from(event)] = row;
        for (of, view) in self.processes.iter_mut().filter_map(Process::view) {
            if of == event {
                view.fresh = false;
                view.mine &= !token && row.is_some();
            }
        }
    }

    /// Deletes a row, whatever its status, unless a newer release wrote it.
    pub fn delete(&mut self, event: Event, rules: &Rules) {
        if self
            .row(event)
            .is_some_and(|row| rows::is_known(row) || rules.has(Defect::DeletionOfNewer))
        {
            self.write(event, None, false);
        }
    }

    /// Notes a broken rule; the first one stays.
    pub fn note(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }

    /// Notes how a run that asked the budget fared, and whether its kind starves. A refusal counts only in its own window: a late
    /// run has another chance in the next one. While a pause is on, nobody is granted anything.
    pub fn asked(&mut self, redelivery: bool, window: u8, granted: bool) {
        let asked = &mut self.asked[usize::from(redelivery)];
        if granted {
            *asked = Asked {
                granted: Some(window),
                refused: None,
            };
        } else if window == self.clock && !self.control.paused && asked.granted != Some(window) {
            let before = asked.refused.replace(window);
            if before.is_some_and(|before| before + 1 == window) {
                self.note(Broken::Starved);
            }
        }
    }

    /// Order means nothing in a queue or among processes: worlds that differ only in it are one.
    pub fn sort(&mut self) {
        self.queue.sort_unstable();
        self.statuses.sort_unstable();
        self.executions.sort_unstable();
        self.processes.sort_unstable();
    }
}

/// Takes one of them out of a bag; whether it was there.
pub fn take_one<T: PartialEq>(bag: &mut Vec<T>, one: &T) -> bool {
    let found = bag.iter().position(|other| other == one);
    found.map(|position| bag.swap_remove(position)).is_some()
}
